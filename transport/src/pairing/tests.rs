//! A camera and those who want to be its owner.

use super::*;
use crate::devices::{CheckedList, Device, DeviceName, Expiry, HomeId, Role};
use crate::identity::{DeviceKey, SigningKey};
use crate::parse::RecordError;
use doorframe_codec::units::Uptime;
use proptest::prelude::*;

const START: Uptime = Uptime::from_micros(7);
const HERE: Exporter = Exporter([1; 32]);
const ELSEWHERE: Exporter = Exporter([2; 32]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

/// The camera's identity.
fn identity() -> SigningKey {
    key(50)
}

fn secret(seed: u8) -> PairingSecret {
    PairingSecret::from_bytes([seed; 16])
}

fn owner(seed: u8) -> NewOwner {
    NewOwner {
        signer: key(seed).verifying_key(),
        public: DeviceKey::from_seed([seed; 32]).unwrap().public().clone(),
        name: DeviceName::new(&format!("device {seed}")).unwrap(),
    }
}

fn device(seed: u8) -> Device {
    let NewOwner { signer, public, name } = owner(seed);
    Device { role: Role::Owner, signer, public, generation: 1, expiry: Expiry::NEVER, name }
}

fn list(seed: u8) -> CheckedList {
    CheckedList::first(HomeId([7; 16]), 1, &[device(seed)], &key(seed)).unwrap()
}

fn hub() -> HubLink {
    HubLink::new("https://hub.example/home?jwt=x").unwrap()
}

fn camera() -> CameraPairing {
    CameraPairing::new(secret(9), START)
}

fn ask(seed: u8, exporter: Exporter) -> (Vec<u8>, Asked) {
    OwnerPairing::new(secret(9), identity().verifying_key()).request(&owner(seed), exporter)
}

/// A whole pairing of device `seed`, over one connection.
fn pair(camera: &mut CameraPairing, seed: u8, now: Uptime) -> Result<Paired, PairingRefused> {
    let (request, asked) = ask(seed, HERE);
    let (answer, proved) = camera.handle_request(&request, &HERE, &identity(), now)?;
    let (home, told) = asked.handle_answer(&answer).unwrap().home(&list(seed), &hub());
    let (done, paired) = camera.handle_home(proved, &home, now)?;
    told.handle_done(&done).unwrap();
    Ok(paired)
}

#[test]
fn who_scans_the_code_becomes_the_owner() {
    let paired = pair(&mut camera(), 1, START).unwrap();
    assert_eq!(paired.list, list(1));
    assert_eq!(paired.hub.as_str(), "https://hub.example/home?jwt=x");
}

#[test]
fn a_code_scanned_twice_is_refused_and_said() {
    let mut camera = camera();
    pair(&mut camera, 1, START).unwrap();
    let refused = pair(&mut camera, 2, START).unwrap_err();
    assert_eq!(refused, PairingRefused::Used { first: "device 1".into(), given: "device 2".into() });
    let (_, asked) = ask(2, HERE);
    assert_eq!(asked.handle_answer(&refused.record()).unwrap_err(), CameraRefused::Said(Reason::Used));
}

#[test]
fn the_second_is_refused_also_while_the_first_is_still_at_it() {
    let mut camera = camera();
    let (request, _) = ask(1, HERE);
    camera.handle_request(&request, &HERE, &identity(), START).unwrap();
    assert!(matches!(pair(&mut camera, 2, START), Err(PairingRefused::Used { .. })));
    // The same signing key with another X-Wing key is another device.
    let other = NewOwner { public: owner(2).public, ..owner(1) };
    let (request, _) = OwnerPairing::new(secret(9), identity().verifying_key()).request(&other, HERE);
    let refused = camera.handle_request(&request, &HERE, &identity(), START).unwrap_err();
    assert!(matches!(refused, PairingRefused::Used { .. }));
}

#[test]
fn whoever_was_cut_off_may_go_on_with_another_connection() {
    let mut camera = camera();
    let (request, _) = ask(1, ELSEWHERE);
    camera.handle_request(&request, &ELSEWHERE, &identity(), START).unwrap();
    pair(&mut camera, 1, START).unwrap();
    // Its last word was lost.
    pair(&mut camera, 1, START).unwrap();
    // Another home is not the same again.
    let (request, _) = ask(1, HERE);
    let (_, proved) = camera.handle_request(&request, &HERE, &identity(), START).unwrap();
    let other = CheckedList::first(HomeId([8; 16]), 1, &[device(1)], &key(1)).unwrap();
    let home = Message::Home { list: other.list().record().to_vec(), hub: hub() }.emit();
    let refused = camera.handle_home(proved, &home, START).unwrap_err();
    assert_eq!((refused.reason(), refused), (Reason::Home, PairingRefused::Again));
}

#[test]
fn a_request_of_another_connection_proves_nothing() {
    let mut camera = camera();
    let (request, _) = ask(1, HERE);
    let refused = camera.handle_request(&request, &ELSEWHERE, &identity(), START).unwrap_err();
    assert_eq!(refused, PairingRefused::Proof { left: 4 });
}

#[test]
fn every_bit_of_a_request_is_proved() {
    let (request, _) = ask(1, HERE);
    for at in (0..request.len()).step_by(29) {
        let mut changed = request.clone();
        changed[at] ^= 1;
        assert!(camera().handle_request(&changed, &HERE, &identity(), START).is_err(), "byte {at}");
    }
}

#[test]
fn the_sixth_try_is_refused_even_if_it_is_right() {
    let mut camera = camera();
    let wrong = OwnerPairing::new(secret(8), identity().verifying_key()).request(&owner(2), HERE).0;
    for left in (0..TRIES).rev() {
        assert_eq!(camera.tries_left(), left + 1);
        let refused = camera.handle_request(&wrong, &HERE, &identity(), START).unwrap_err();
        assert_eq!(refused, PairingRefused::Proof { left });
        assert_eq!(refused.reason(), Reason::Secret);
    }
    let refused = pair(&mut camera, 1, START).unwrap_err();
    assert_eq!((refused.reason(), refused), (Reason::Tries, PairingRefused::Tries));
}

#[test]
fn four_wrong_tries_keep_nobody_out() {
    let mut camera = camera();
    let wrong = OwnerPairing::new(secret(8), identity().verifying_key()).request(&owner(2), HERE).0;
    for _ in 0..4 {
        camera.handle_request(&wrong, &HERE, &identity(), START).unwrap_err();
    }
    // What cannot be read guesses nothing.
    for _ in 0..100 {
        let refused = camera.handle_request(b"junk", &HERE, &identity(), START).unwrap_err();
        assert!(matches!(refused, PairingRefused::Malformed(_)));
    }
    pair(&mut camera, 1, START).unwrap();
}

#[test]
fn ten_minutes_after_the_button_it_is_too_late() {
    let last = Uptime::from_micros((START + WINDOW).as_micros() - 1);
    pair(&mut camera(), 1, last).unwrap();
    assert_eq!(pair(&mut camera(), 1, START + WINDOW).unwrap_err(), PairingRefused::Late);
    assert_eq!(camera().poll_timeout(), START + WINDOW);
    // Also for who proved in time and then took his time.
    let mut camera = camera();
    let (request, asked) = ask(1, HERE);
    let (answer, proved) = camera.handle_request(&request, &HERE, &identity(), last).unwrap();
    let (home, _) = asked.handle_answer(&answer).unwrap().home(&list(1), &hub());
    let refused = camera.handle_home(proved, &home, START + WINDOW).unwrap_err();
    assert_eq!((refused.reason(), refused), (Reason::Late, PairingRefused::Late));
}

#[test]
fn what_answers_must_be_the_camera_of_the_code() {
    let (request, asked) = ask(1, HERE);
    // One that does not know the secret.
    let mut stranger = CameraPairing::new(secret(8), START);
    let wrong = stranger.handle_request(&request, &HERE, &identity(), START).unwrap_err();
    assert_eq!(asked.handle_answer(&wrong.record()).unwrap_err(), CameraRefused::Said(Reason::Secret));
    let answer = |identity: &SigningKey, exporter: Exporter| {
        let (request, asked) = ask(1, exporter);
        let (answer, _) = camera().handle_request(&request, &exporter, identity, START).unwrap();
        (asked, answer)
    };
    // One that knows the secret, and has another identity.
    let (asked, of_other) = answer(&key(51), HERE);
    assert_eq!(asked.handle_answer(&of_other).unwrap_err(), CameraRefused::OtherCamera(key(51).verifying_key()));
    // The right one's answer, from another connection.
    let ((asked, _), (_, elsewhere)) = (answer(&identity(), HERE), answer(&identity(), ELSEWHERE));
    assert_eq!(asked.handle_answer(&elsewhere).unwrap_err(), CameraRefused::Proof);
    // Its answer to somebody else on this connection.
    let (_, of_another_request) = (ask(1, HERE), {
        let (request, _) = ask(2, HERE);
        camera().handle_request(&request, &HERE, &identity(), START).unwrap().0
    });
    assert_eq!(ask(1, HERE).1.handle_answer(&of_another_request).unwrap_err(), CameraRefused::Proof);
    // Who knows the secret and says to be the camera cannot sign for it.
    let (asked, mut claimed) = answer(&key(51), HERE);
    claimed[3..35].copy_from_slice(&identity().verifying_key().0);
    assert_eq!(asked.handle_answer(&claimed).unwrap_err(), CameraRefused::Forged);
    let (_, good) = answer(&identity(), HERE);
    for at in (0..good.len()).step_by(5) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert!(ask(1, HERE).1.handle_answer(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn the_list_must_have_the_device_that_proved_as_an_owner() {
    let try_list = |list: &CheckedList| {
        let mut camera = camera();
        let (request, _) = ask(1, HERE);
        let (_, proved) = camera.handle_request(&request, &HERE, &identity(), START).unwrap();
        let home = Message::Home { list: list.list().record().to_vec(), hub: hub() }.emit();
        camera.handle_home(proved, &home, START).map(|_| ()).unwrap_err()
    };
    let make = |devices: &[Device], signer: u8| CheckedList::first(HomeId([7; 16]), 1, devices, &key(signer)).unwrap();
    assert_eq!(try_list(&list(2)), PairingRefused::OtherOwner);
    let member = Device { role: Role::Member, ..device(1) };
    assert_eq!(try_list(&make(&[member, device(2)], 2)), PairingRefused::OtherOwner);
    let swapped = Device { public: owner(2).public, ..device(1) };
    assert_eq!(try_list(&make(&[swapped], 1)), PairingRefused::OtherOwner);
    let mut forged = list(1).list().record().to_vec();
    forged[60] ^= 1;
    let mut camera = camera();
    let (request, _) = ask(1, HERE);
    let (_, proved) = camera.handle_request(&request, &HERE, &identity(), START).unwrap();
    let home = Message::Home { list: forged, hub: hub() }.emit();
    assert!(matches!(camera.handle_home(proved, &home, START), Err(PairingRefused::List(_))));
}

#[test]
fn a_second_camera_takes_the_newest_list_from_any_owner() {
    let devices = [device(1), device(2)];
    let first = CheckedList::first(HomeId([7; 16]), 1, &devices, &key(1)).unwrap();
    let third = first.next(2, &devices, &key(1)).unwrap().next(3, &devices, &key(1)).unwrap();
    let mut camera = camera();
    let (request, asked) = ask(2, HERE);
    let (answer, proved) = camera.handle_request(&request, &HERE, &identity(), START).unwrap();
    let (home, told) = asked.handle_answer(&answer).unwrap().home(&third, &hub());
    let (done, paired) = camera.handle_home(proved, &home, START).unwrap();
    told.handle_done(&done).unwrap();
    assert_eq!((paired.list.list().version(), paired.by.signer), (3, key(2).verifying_key()));
}

#[test]
fn messages_come_in_their_order() {
    let mut camera = camera();
    let home = Message::Home { list: list(1).list().record().to_vec(), hub: hub() }.emit();
    let step = |value| PairingRefused::Malformed(RecordError::Field { field: "step", value });
    assert_eq!(camera.handle_request(&home, &HERE, &identity(), START).unwrap_err(), step(3));
    let (request, asked) = ask(1, HERE);
    let (answer, proved) = camera.handle_request(&request, &HERE, &identity(), START).unwrap();
    assert_eq!(camera.handle_home(proved, &request, START).unwrap_err(), step(1));
    let (_, told) = asked.handle_answer(&answer).unwrap().home(&list(1), &hub());
    let done = |hash| Message::Done { list: hash }.emit();
    assert_eq!(told.handle_done(&done([1; 32])).unwrap_err(), CameraRefused::OtherList);
    let (_, asked) = ask(1, HERE);
    let early = asked.handle_answer(&done(list(1).list().hash())).unwrap_err();
    assert_eq!(early, CameraRefused::Malformed(RecordError::Field { field: "step", value: 4 }));
}

#[test]
fn every_reason_arrives_as_it_was_meant() {
    for reason in Reason::ALL {
        let record = Message::Refused(reason).emit();
        assert_eq!(Message::parse(&record), Ok(Message::Refused(reason)));
    }
    assert_eq!(Message::parse(&[1, 9, 5, 7]), Err(RecordError::Field { field: "reason", value: 7 }));
    assert_eq!(Message::parse(&[1, 9, 6]), Err(RecordError::Field { field: "step", value: 6 }));
    let long = [&[1, 9, 3][..], &90_001_u32.to_be_bytes()].concat();
    let field = "length of the device list";
    assert_eq!(Message::parse(&long), Err(RecordError::Field { field, value: 90_001 }));
    let broken = [&[1, 9, 3, 0, 0, 0, 0, 0, 2][..], b"a\n"].concat();
    assert_eq!(Message::parse(&broken), Err(RecordError::Text("hub link")));
}

#[test]
fn the_largest_list_fits() {
    let mut devices: Vec<_> = (1..=64).map(device).collect();
    devices.iter_mut().for_each(|device| device.name = DeviceName::new(&"x".repeat(40)).unwrap());
    let list = CheckedList::first(HomeId([7; 16]), 1, &devices, &key(1)).unwrap();
    let record = Message::Home { list: list.list().record().to_vec(), hub: hub() }.emit();
    assert!(Message::parse(&record).is_ok(), "{} bytes", record.len());
}

#[test]
fn nothing_secret_is_printed() {
    let printed = format!("{:?} {:?} {:?} {:?}", camera(), ask(1, HERE).1, hub(), HERE);
    assert!(
        printed.contains("PairingSecret(..)") && !printed.contains("jwt") && !printed.contains("1, 1"),
        "{printed}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_give_an_error_or_come_back_unchanged(
        bytes in proptest::collection::vec(any::<u8>(), 0..1500),
        start in 0usize..1400,
        step in 1u8..=5,
    ) {
        crate::fuzzing::check_pairing(&bytes);
        crate::fuzzing::check_pairing(&[&[1, 9, step], bytes.as_slice()].concat());
        let (request, _) = ask(1, HERE);
        let (answer, _) = camera().handle_request(&request, &HERE, &identity(), START).unwrap();
        let home = Message::Home { list: list(1).list().record().to_vec(), hub: hub() }.emit();
        for mut record in [request, answer, home] {
            crate::fuzzing::check_pairing(&record);
            record.iter_mut().skip(start).zip(&bytes).take(3).for_each(|(to, from)| *to = *from);
            crate::fuzzing::check_pairing(&record);
        }
    }
}
