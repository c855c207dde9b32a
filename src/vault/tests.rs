use super::*;
use doorframe_transport::devices::RecoveryKey;
use doorframe_transport::moq::{Dial, Trust};
use doorframe_transport::seed::Seed;
use std::fs;
use std::path::PathBuf;

/// A folder of this test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorframe-vault-{name}-{}", std::process::id()));
        let _gone = fs::remove_dir_all(&path);
        Self(path)
    }

    fn state(&self) -> StateDir {
        StateDir::open(&self.0).unwrap()
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.state()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

fn camera() -> PairedCamera {
    let link = HubLink {
        dial: Dial { url: "https://hub:4443/home?jwt=secret".parse().unwrap(), trust: Trust::Pinned([7; 32]) },
        watch_token: "watch".into(),
    };
    PairedCamera::new(Alias::front_door(), SigningKey::from_seed(&[9; 32]).unwrap().verifying_key(), &link)
}

fn guest(seed: u8, until: u64) -> Device {
    Device {
        role: Role::Guest,
        signer: SigningKey::from_seed(&[seed; 32]).unwrap().verifying_key(),
        public: DeviceKey::from_seed([seed; 32]).unwrap().public().clone(),
        generation: 1,
        expiry: Expiry::at(until),
        name: name("guest"),
    }
}

fn adding(device: Device) -> impl FnOnce(&mut Vec<Device>) -> Result<(), VaultError> {
    |devices| {
        devices.push(device);
        Ok(())
    }
}

#[test]
fn what_a_vault_holds_is_there_when_it_is_opened_again() {
    let folder = Folder::new("again");
    let mut vault = folder.vault();
    assert!(vault.home().is_none());
    vault.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    vault.add_camera(camera(), 6).unwrap();
    let changes = vault.change_devices(7, adding(guest(3, 1_000))).unwrap();
    assert_eq!(changes.len(), 1);
    let again = folder.vault();
    assert_eq!(again.signer().verifying_key(), vault.signer().verifying_key());
    assert_eq!(again.home().unwrap().lists().newest().version(), 2);
    assert_eq!(again.camera(&Alias::front_door()), Some(&camera()));
    assert_eq!(again.watch_link(&Alias::front_door()).unwrap().device.as_slice(), again.devices()[0].seed());
    let said: Vec<_> = again.journal().entries().iter().map(|entry| entry.details.as_str().to_owned()).collect();
    assert!(said[0].contains("made this home") && said[1].contains("paired"), "{said:?}");
    assert!(said[2].contains("device list 2: guest") && said[2].contains("was added as guest"), "{said:?}");
    assert!(!format!("{again:?}{:?}", again.camera(&Alias::front_door())).contains("watch"));
}

#[test]
fn a_second_program_sees_and_keeps_what_the_first_wrote() {
    let folder = Folder::new("two");
    let (mut first, mut second) = (folder.vault(), folder.vault());
    first.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    second.change_devices(6, adding(guest(3, 1_000))).unwrap();
    first.journal_append(Deed::Exported, "a clip\nof two lines", 7).unwrap();
    first.change_devices(8, adding(guest(4, 1_000))).unwrap();
    assert_eq!(first.home().unwrap().lists().newest().version(), 3);
    let entries = folder.vault().journal().entries().to_vec();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(entries[2].details.as_str(), "a clip of two lines");
}

#[test]
fn a_retired_key_opens_until_it_is_forgotten() {
    let folder = Folder::new("rotate");
    let mut vault = folder.vault();
    assert!(matches!(vault.rotate([8; 32], 10), Err(VaultError::NoHome)));
    vault.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    let old = vault.devices()[0].public().clone();
    assert_eq!(vault.rotate([8; 32], 10).unwrap(), 2);
    let again = folder.vault();
    let keys = again.devices();
    assert_eq!((keys.len(), keys[0].seed(), keys[1].public()), (2, &[8; 32], &old));
    let home = again.home().unwrap();
    let own = home.lists().newest().device(&again.signer().verifying_key()).unwrap().clone();
    assert_eq!((home.lists().generation(&own), home.lists().public(&own)), (2, keys[0].public()));
    assert_eq!(vault.forget(10).unwrap(), 0);
    assert_eq!(vault.forget(11).unwrap(), 1);
    assert_eq!(folder.vault().devices().len(), 1);
    // The next list has the new key, and so needs the rotation no more.
    vault.change_devices(20, adding(guest(3, 1_000))).unwrap();
    assert_eq!(vault.home().unwrap().lists().rotations().count(), 0);
    assert_eq!(vault.home().unwrap().devices()[0].generation, 2);
}

#[test]
fn a_damaged_file_is_named_and_left_as_it_is() {
    let folder = Folder::new("damaged");
    let mut vault = folder.vault();
    vault.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    vault.add_camera(camera(), 6).unwrap();
    for file in ["device-keys", "home", "cameras", "journal", "journal-head"] {
        let path = folder.0.join(file);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x80;
        if file == "journal-head" {
            damaged.pop();
        }
        fs::write(&path, &damaged).unwrap();
        let error = Vault::open(&folder.state()).unwrap_err().to_string();
        assert!(error.contains(&format!("/{file} ")) && error.contains("restore it"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "{file} was touched");
        fs::write(&path, &whole).unwrap();
        folder.vault();
    }
}

#[test]
fn a_torn_entry_is_put_aside_and_a_journal_that_was_cut_is_told() {
    let folder = Folder::new("torn");
    let mut vault = folder.vault();
    vault.journal_append(Deed::Granted, "one", 1).unwrap();
    vault.journal_append(Deed::Granted, "two", 2).unwrap();
    let path = folder.0.join("journal");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), &whole[..40]].concat()).unwrap();
    assert_eq!(folder.vault().journal().entries().len(), 2);
    assert_eq!(fs::read(folder.0.join("journal.torn")).unwrap(), whole[..40]);
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let error = Vault::open(&folder.state()).unwrap_err().to_string();
    assert!(error.contains("had 2"), "{error}");
}

#[test]
fn only_an_owner_changes_the_list_and_pairs() {
    let folder = Folder::new("member");
    let mut vault = folder.vault();
    let owner = SigningKey::from_seed(&[5; 32]).unwrap();
    let mut devices = vec![guest(5, 9), vault.own_entry(Role::Member, name("Phone"))];
    devices[0].role = Role::Owner;
    let list = CheckedList::first(HomeId([2; 16]), 1, &devices, &owner).unwrap();
    vault.store(Home::new(list)).unwrap();
    assert!(matches!(vault.change_devices(2, adding(guest(6, 9))), Err(VaultError::List(_))));
    assert!(matches!(vault.list_for_pairing(&name("x"), [0; 16], 3), Err(VaultError::NotOwner)));
    assert!(vault.rotate([6; 32], 4).is_ok(), "a member changes its own key");
}

#[test]
fn a_second_device_joins_watches_and_as_an_owner_pairs_and_invites() {
    let (folder, other) = (Folder::new("inviting"), Folder::new("joining"));
    let (mut laptop, mut phone) = (folder.vault(), other.vault());
    laptop.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    laptop.add_camera(camera(), 6).unwrap();
    let card = phone.own_entry(Role::Owner, name("Phone"));
    let signer = card.signer;
    assert!(matches!(laptop.invitation(&signer, seed()), Err(VaultError::NoDevice(_))));
    laptop.change_devices(7, adding(card)).unwrap();
    let invitation = laptop.invitation(&signer, seed()).unwrap();
    let joined = phone.join(&invitation, 8).unwrap();
    assert_eq!((joined.by, joined.version), (laptop.signer().verifying_key(), 2));
    assert_eq!(joined.cameras, [Alias::front_door()]);
    let again = other.vault();
    assert_eq!(again.camera(&Alias::front_door()), Some(&camera()));
    assert_eq!(again.home().unwrap().lists().newest(), laptop.home().unwrap().lists().newest());
    assert!(again.journal().entries()[0].details.as_str().contains("joined a home"));
    // Another owner may pair and put devices on the list, and its list is taken by the first.
    assert_eq!(phone.list_for_pairing(&name("x"), [0; 16], 9).unwrap().list().version(), 2);
    phone.change_devices(10, adding(guest(3, 1_000))).unwrap();
    let newest = phone.home().unwrap().lists().newest().record().to_vec();
    assert!(matches!(laptop.handle_record(&newest), Ok(Update::New(_))));
    // A camera that came later is brought by another invitation.
    laptop.add_camera(PairedCamera { alias: "garden".parse().unwrap(), ..camera() }, 11).unwrap();
    let anew = laptop.invitation(&signer, seed()).unwrap();
    assert_eq!(phone.join(&anew, 12).unwrap().cameras.len(), 2);
    assert_eq!(other.vault().cameras().count(), 2);
    // The first invitation again brings nothing back, and a third device cannot use it.
    let error = phone.join(&invitation, 11).unwrap_err().to_string();
    assert!(error.contains("older") || error.contains("old"), "{error}");
    let third = Folder::new("third");
    let error = third.vault().join(&invitation, 12).unwrap_err().to_string();
    assert!(error.contains("for another device"), "{error}");
}

#[test]
fn a_device_of_one_home_does_not_join_another() {
    let (folder, other) = (Folder::new("home-one"), Folder::new("home-two"));
    let (mut ours, mut theirs) = (folder.vault(), other.vault());
    ours.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    theirs.list_for_pairing(&name("Laptop"), [2; 16], 5).unwrap();
    let card = ours.own_entry(Role::Member, name("Neighbour"));
    let signer = card.signer;
    theirs.change_devices(6, adding(card)).unwrap();
    let invitation = theirs.invitation(&signer, seed()).unwrap();
    assert!(matches!(ours.join(&invitation, 7), Err(VaultError::OtherHome)));
    assert_eq!(ours.home().unwrap().lists().home(), HomeId([1; 16]));
}

#[test]
fn a_key_is_changed_every_week_and_deleted_only_when_somebody_said_so() {
    let folder = Folder::new("upkeep");
    let mut vault = folder.vault();
    let week = u64::try_from(KEY_LIFE.as_micros()).unwrap();
    let made = vault.key_made_wall_us();
    assert_eq!(vault.upkeep(made + 9 * week).unwrap(), Upkeep::default(), "before the first pairing");
    vault.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    assert_eq!(vault.upkeep(made + week - 1).unwrap(), Upkeep::default());
    assert_eq!(vault.upkeep(made - 1).unwrap(), Upkeep::default(), "a clock that was set back");
    assert_eq!(vault.upkeep(made + week).unwrap(), Upkeep { rotated: Some(2), forgotten: 0 });
    assert_eq!(vault.upkeep(made + 10 * week).unwrap(), Upkeep { rotated: Some(3), forgotten: 0 });
    assert_eq!(folder.vault().devices().len(), 3);
    vault.keep_keys_for(Some(KEY_LIFE * 2)).unwrap();
    assert_eq!(vault.upkeep(made + 10 * week + 1).unwrap(), Upkeep { rotated: None, forgotten: 1 });
    vault.keep_keys_for(None).unwrap();
    assert_eq!(vault.retention().unwrap(), None);
    assert_eq!(folder.vault().devices().len(), 2);
}

fn seed() -> Seed {
    Seed::from_os_random([4; 32])
}

#[test]
fn words_on_paper_make_a_new_device_an_owner_that_opens_what_was_sealed_to_them() {
    let (folder, other) = (Folder::new("lost"), Folder::new("recovered"));
    let (mut laptop, mut phone) = (folder.vault(), other.vault());
    laptop.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    let words = RecoveryKey::draw(seed());
    let paper = words.device(Expiry::at(1_000), name("paper")).unwrap();
    laptop.change_devices(6, adding(paper.clone())).unwrap();
    let home = laptop.home().unwrap().clone();
    let with = |words, called: &str, before| Recovering {
        words,
        home: home.clone(),
        cameras: &[],
        name: name(called),
        before,
    };
    let strangers = RecoveryKey::draw(Seed::from_os_random([78; 32]));
    let error = phone.recover(with(&strangers, "Phone", Before::Opens), 7, |_| Ok(())).unwrap_err();
    assert!(matches!(error, VaultError::Recovery(RecoveryRefused::NotListed)), "{error}");
    let error = phone.recover(with(&words, "Phone", Before::Opens), 1_000, |_| Ok(())).unwrap_err();
    assert_eq!(error.to_string(), RecoveryRefused::Over(0).to_string());
    let error = phone.recover(with(&words, "Laptop", Before::Opens), 7, |_| Ok(())).unwrap_err();
    assert!(matches!(error, VaultError::Recovery(RecoveryRefused::NameTaken(_))), "{error}");
    assert!(phone.home().is_none() && phone.devices().len() == 1, "what is refused changes nothing");

    let changes = phone.recover(with(&words, "Phone", Before::Opens), 8, |_| Ok(())).unwrap();
    assert_eq!(changes.len(), 1);
    let again = other.vault();
    assert!(again.home().unwrap().is_owner(&again.signer().verifying_key()));
    assert_eq!(again.devices()[1].public(), &paper.public);
    assert!(again.journal().entries()[0].details.as_str().contains("signed by the recovery key"));
    let newest = again.home().unwrap().lists().newest().record().to_vec();
    assert!(matches!(laptop.handle_record(&newest), Ok(Update::New(_))), "any of the home takes it");
    let error = phone.recover(with(&words, "Phone", Before::Opens), 9, |_| Ok(())).unwrap_err();
    assert!(matches!(error, VaultError::Recovery(RecoveryRefused::OwnerAlready)), "{error}");
    // The key of the words is one of the retired: it stays when another comes, and goes as they go.
    phone.rotate([6; 32], 10).unwrap();
    assert!(phone.devices().iter().any(|key| *key.public() == paper.public));
    assert_eq!(phone.forget(u64::MAX).unwrap(), 2);
}

#[test]
fn a_member_becomes_the_owner_that_was_lost_and_the_words_may_be_spent() {
    let (folder, other) = (Folder::new("lost-owner"), Folder::new("left-member"));
    let (mut laptop, mut phone) = (folder.vault(), other.vault());
    laptop.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    let words = RecoveryKey::draw(seed());
    laptop.change_devices(6, adding(words.device(Expiry::NEVER, name("paper")).unwrap())).unwrap();
    let card = phone.own_entry(Role::Member, name("Phone"));
    let signer = card.signer;
    laptop.change_devices(7, adding(card)).unwrap();
    phone.join(&laptop.invitation(&signer, seed()).unwrap(), 8).unwrap();
    let home = laptop.home().unwrap().clone();
    let with = Recovering { words: &words, home, cameras: &[], name: name("x"), before: Before::Stays };
    phone
        .recover(with, 9, |devices| {
            devices.retain(|device| device.signer == signer);
            Ok(())
        })
        .unwrap();
    let devices = phone.home().unwrap().devices();
    let [device] = devices.as_slice() else { panic!("{devices:?}") };
    assert_eq!((device.role, device.name.as_str(), phone.devices().len()), (Role::Owner, "Phone", 1));
}

#[test]
fn a_link_has_the_keys_from_before_the_newest_first() {
    let folder = Folder::new("link");
    let mut vault = folder.vault();
    vault.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    vault.add_camera(camera(), 6).unwrap();
    for n in 0..60 {
        vault.rotate([n; 32], 7 + u64::from(n)).unwrap();
    }
    let link = vault.watch_link(&Alias::front_door()).unwrap();
    let seeds: Vec<u8> = link.devices().unwrap().iter().map(|key| key.seed()[0]).collect();
    assert_eq!(seeds, (7..60).rev().collect::<Vec<u8>>(), "the newest, and 52 before it");
}

#[test]
fn a_hub_with_another_certificate_is_reached_again_by_its_new_link() {
    let folder = Folder::new("hub-anew");
    let mut vault = folder.vault();
    vault.list_for_pairing(&name("Laptop"), [1; 16], 5).unwrap();
    vault.add_camera(camera(), 6).unwrap();
    let link = HubLink {
        dial: Dial { url: "https://hub:4444/home?jwt=other".parse().unwrap(), trust: Trust::Pinned([8; 32]) },
        watch_token: "watch again".into(),
    };
    assert_eq!(vault.renew_hub(&link, 7).unwrap(), [Alias::front_door()]);
    let again = folder.vault();
    let paired = again.camera(&Alias::front_door()).unwrap();
    assert_eq!(
        (&paired.trust, paired.token.as_str(), paired.identity),
        (&Trust::Pinned([8; 32]), "watch again", camera().identity)
    );
    assert_eq!(again.hub().unwrap(), Some(link));
}
