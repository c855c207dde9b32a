//! A camera and its owner over real QUIC on loopback: who is let in, and who is not.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe::link::{Alias, HubLink};
use doorframe::pairing::{CameraHub, PairError, PairLink, Pairing, PairingEvent, pair};
use doorframe::transport::devices::{CheckedList, Device, DeviceName, Expiry, HomeId, Role};
use doorframe::transport::identity::{DeviceKey, SigningKey};
use doorframe::transport::moq::{Dial, Trust, client_endpoint, pairing_client};
use doorframe::transport::pairing::{
    CameraRefused, EXPORTER_LABEL, Exporter, NewOwner, OwnerPairing, PairingRefused, PairingSecret, Reason,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a camera stored: its hub.
type Stored = Arc<Mutex<Vec<String>>>;

fn listen() -> (Pairing, Stored) {
    let stored = Stored::default();
    let keep = stored.clone();
    let identity = SigningKey::from_seed(&[21; 32]).unwrap();
    let pairing = Pairing::listen(SocketAddr::new(HERE, 0), HERE, identity, move |paired| {
        keep.lock().unwrap().push(paired.hub.as_str().to_owned());
        Ok(())
    });
    (pairing.unwrap(), stored)
}

fn hub() -> CameraHub {
    let url = "https://127.0.0.1:4443/home?jwt=a.b.c".parse().unwrap();
    let link = HubLink { dial: Dial { url, trust: Trust::Pinned([7; 32]) }, watch_token: "w".into() };
    CameraHub::new(&link, Alias::front_door())
}

fn owner(seed: u8) -> (SigningKey, NewOwner) {
    let key = SigningKey::from_seed(&[seed; 32]).unwrap();
    let public = DeviceKey::from_seed([seed; 32]).unwrap().public().clone();
    let name = DeviceName::new(&format!("device {seed}")).unwrap();
    let new = NewOwner { signer: key.verifying_key(), public, name };
    (key, new)
}

fn first_list(key: &SigningKey, owner: &NewOwner) -> CheckedList {
    let device = Device {
        role: Role::Owner,
        signer: owner.signer,
        public: owner.public.clone(),
        generation: 1,
        expiry: Expiry::NEVER,
        name: owner.name.clone(),
    };
    CheckedList::first(HomeId([1; 16]), 5, &[device], key).unwrap()
}

async fn scan(link: &str, seed: u8) -> Result<(), PairError> {
    let (key, owner) = owner(seed);
    let list = first_list(&key, &owner);
    pair(link.parse().unwrap(), &owner, &hub().to_message().unwrap(), || Ok(list)).await
}

async fn next(pairing: &mut Pairing) -> PairingEvent {
    tokio::time::timeout(PATIENCE, pairing.next()).await.unwrap().unwrap()
}

/// The link with another secret.
fn wrong(link: &PairLink) -> String {
    let PairLink { at, certificate, identity, .. } = link;
    let secret = PairingSecret::from_bytes([0; 16]);
    PairLink { at: at.clone(), certificate: *certificate, identity: *identity, secret }.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_scans_the_code_owns_the_camera_and_it_is_stored_before_that_is_said() {
    let (mut camera, stored) = listen();
    scan(&camera.link().to_string(), 1).await.unwrap();
    assert_eq!(stored.lock().unwrap().len(), 1);
    assert_eq!(stored.lock().unwrap()[0].parse(), Ok(hub()));
    let PairingEvent::Paired(paired) = next(&mut camera).await else { panic!() };
    assert_eq!(paired.list.list().signer(), owner(1).1.signer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_used_twice_is_refused_in_words_on_both_sides() {
    let (mut camera, stored) = listen();
    let link = camera.link().to_string();
    scan(&link, 1).await.unwrap();
    let second = scan(&link, 2).await.unwrap_err();
    assert!(matches!(second, PairError::Refused(CameraRefused::Said(Reason::Used))), "{second}");
    assert!(second.to_string().contains("was used before, by another device"), "{second}");
    assert!(matches!(next(&mut camera).await, PairingEvent::Paired(_)));
    let PairingEvent::Refused(refused) = next(&mut camera).await else { panic!() };
    let words = refused.to_string();
    assert!(words.contains("\"device 2\" is refused, \"device 1\" was first"), "{words}");
    // The first may come again, where its last word was lost on the way.
    scan(&link, 1).await.unwrap();
    assert_eq!(stored.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_wrong_secrets_the_camera_listens_no_more() {
    let (mut camera, stored) = listen();
    let (link, guess) = (camera.link().to_string(), wrong(camera.link()));
    for left in (0..5).rev() {
        let refused = scan(&guess, 3).await.unwrap_err();
        assert!(matches!(refused, PairError::Refused(CameraRefused::Said(Reason::Secret))), "{refused}");
        let event = next(&mut camera).await;
        assert!(matches!(event, PairingEvent::Refused(PairingRefused::Proof { left: l }) if l == left), "{event:?}");
    }
    assert!(matches!(next(&mut camera).await, PairingEvent::Closed));
    assert!(scan(&link, 1).await.is_err(), "the right secret comes too late");
    assert!(stored.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_carried_to_another_connection_is_refused() {
    let (mut camera, stored) = listen();
    let link = camera.link();
    let endpoint = client_endpoint().unwrap();
    let connect = async || {
        let to = link.at.parse().unwrap();
        let config = pairing_client(link.certificate).unwrap();
        endpoint.connect_with(config, to, "camera").unwrap().await.unwrap()
    };
    let (overheard, own) = (connect().await, connect().await);
    let mut exporter = [0; 32];
    overheard.export_keying_material(&mut exporter, EXPORTER_LABEL, b"").unwrap();
    let secret = PairingSecret::from_bytes(*link.secret.bytes());
    let (request, _asked) = OwnerPairing::new(secret, link.identity).request(&owner(1).1, Exporter(exporter));
    let (mut send, mut recv) = own.open_bi().await.unwrap();
    send.write_all(&request).await.unwrap();
    send.finish().unwrap();
    // Version, type, step "refused", reason "wrong proof".
    assert_eq!(recv.read_to_end(1000).await.unwrap(), [1, 9, 5, 2]);
    assert!(matches!(next(&mut camera).await, PairingEvent::Refused(PairingRefused::Proof { left: 4 })));
    assert!(stored.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_in_the_cameras_place_is_not_the_camera() {
    let (camera, _) = listen();
    let (other, _) = listen();
    let link: PairLink = camera.link().to_string().parse().unwrap();
    let deceived = PairLink { at: other.link().at.clone(), ..link }.to_string();
    let refused = scan(&deceived, 1).await.unwrap_err();
    assert!(matches!(refused, PairError::Impostor(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_stored_is_not_called_paired() {
    let identity = SigningKey::from_seed(&[21; 32]).unwrap();
    let full = |_: &_| Err("the disk is full".into());
    let mut camera = Pairing::listen(SocketAddr::new(HERE, 0), HERE, identity, full).unwrap();
    let lost = scan(&camera.link().to_string(), 1).await.unwrap_err();
    assert!(lost.to_string().contains("could not store"), "{lost}");
    assert!(matches!(next(&mut camera).await, PairingEvent::NotStored(words) if words == "the disk is full"));
}
