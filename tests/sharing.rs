//! From one device of a home to another: exactly a span, written down before it leaves.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/filmed.rs"]
mod filmed;
#[path = "common/kept.rs"]
mod kept;

use bytes::Bytes;
use doorframe::archive::{Archive, ArchiveError};
use doorframe::bundle;
use doorframe::codec::access_unit::Codec;
use doorframe::link::{Alias, HubLink};
use doorframe::state::StateDir;
use doorframe::transport::devices::{DeviceName, Expiry, Role};
use doorframe::transport::grant::{Grant, GrantOpened, GrantRefused};
use doorframe::transport::identity::DeviceKey;
use doorframe::transport::keys::Epoch;
use doorframe::transport::recorded::{EpochFile, open};
use doorframe::transport::seed::Seed;
use doorframe::vault::{PairedCamera, Vault};
use filmed::{EPOCHS, FPS, Folder, SECOND, START, film, film_for, identity, owner, signer, stored};
use kept::{Kept, complaint, said};
use std::path::Path;

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

fn vault(folder: &Folder, state: &str) -> Vault {
    Vault::open(&StateDir::open(&folder.path(state)).unwrap()).unwrap()
}

async fn archive(store: &Path, keys: Vec<DeviceKey>) -> Archive {
    Archive::open_folder(store, "front-door", identity().verifying_key(), keys).await.unwrap()
}

/// A grant of the time from `from` to `to` seconds, to `device`.
async fn granted(store: &Path, from: u64, to: u64, device: &DeviceKey) -> Grant {
    let mut archive = archive(store, vec![owner()]).await;
    let recording = archive.find(START + from * SECOND, START + to * SECOND).await.unwrap();
    bundle::grant(&recording, device.public(), &signer(), Expiry::NEVER).unwrap()
}

fn recipient() -> DeviceKey {
    DeviceKey::from_seed([77; 32]).unwrap()
}

#[tokio::test]
async fn who_is_granted_a_span_opens_its_epochs_and_no_other_of_the_session() {
    let folder = Folder::new("granted");
    let id = film(&folder.0, Codec::H264, 1, START).await;
    let grant = granted(&folder.0, 3, 7, &recipient()).await;
    assert!(grant.open(&owner()).is_err_and(|refused| refused == GrantRefused::NotForUs));
    let GrantOpened { camera, parts, .. } = grant.open(&recipient()).unwrap();
    assert_eq!(camera, identity().verifying_key());
    let [part] = parts.as_slice() else { panic!("{parts:?}") };
    assert!((0..1 << 16).filter(|n| part.leaf(Epoch(*n)).is_some()).eq(1..4));
    // Every epoch of the session, tried with every key that there is.
    for n in 0..EPOCHS {
        let file = EpochFile::parse(&Bytes::from(std::fs::read(stored(&folder.0, n)).unwrap())).unwrap();
        for with in 1..4 {
            let opened = open(&file, part.facts(), &part.leaf(Epoch(with)).unwrap());
            assert_eq!(opened.is_ok(), n == with, "epoch {n} with the key of {with}");
        }
    }
    // And as a program reads it: no key of the archive is needed, and none helps.
    let mut theirs = archive(&folder.0, Vec::new()).await;
    let mut recording = theirs.find_granted(parts, 0, u64::MAX).await.unwrap();
    assert_eq!(recording.span_us(), (START + 2 * SECOND, START + 8 * SECOND));
    let mut epochs = Vec::new();
    while let Some(played) = recording.next(&mut theirs).await.unwrap() {
        assert_eq!((played.parsed.session, played.units.len() as u64), (id, 2 * FPS));
        epochs.push(played.epoch.0);
    }
    assert_eq!((epochs, recording.faults().count()), (vec![1, 2, 3], 0));
    let again = archive(&folder.0, Vec::new()).await.find(START, START + SECOND).await;
    assert!(matches!(again, Err(ArchiveError::Session { .. })), "{again:?}");
    // What was granted is not granted on.
    let error = bundle::grant(&recording, owner().public(), &signer(), Expiry::NEVER).unwrap_err();
    assert!(error.to_string().contains("ask its owner"), "{error}");
}

#[tokio::test]
async fn what_a_store_lacks_or_falsifies_of_a_grant_is_named() {
    let folder = Folder::new("lacks");
    film(&folder.0, Codec::H264, 1, START).await;
    let grant = granted(&folder.0, 0, 12, &recipient()).await;
    std::fs::remove_file(stored(&folder.0, 0)).unwrap();
    std::fs::remove_file(stored(&folder.0, 5)).unwrap();
    std::fs::copy(stored(&folder.0, 1), stored(&folder.0, 3)).unwrap();
    let mut archive = archive(&folder.0, Vec::new()).await;
    let parts = grant.open(&recipient()).unwrap().parts;
    let mut recording = archive.find_granted(parts, 0, u64::MAX).await.unwrap();
    let mut epochs = Vec::new();
    while let Some(played) = recording.next(&mut archive).await.unwrap() {
        epochs.push(played.epoch.0);
    }
    assert_eq!(epochs, [1, 2, 4]);
    let faults: Vec<_> = recording.faults().map(ToString::to_string).collect();
    for fault in ["before epoch 1", "replayed: epoch 1 is kept as epoch 3", "after epoch 4"] {
        assert!(faults.iter().any(|said| said.contains(fault)), "{fault}: {faults:?}");
    }
    let parts = grant.open(&recipient()).unwrap().parts;
    let outside = archive.find_granted(parts, START + 60 * SECOND, START + 70 * SECOND).await.unwrap_err();
    assert!(matches!(outside, ArchiveError::NotGranted { .. }), "{outside}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_the_home_is_handed_a_span_by_name_and_the_journal_knows() {
    let folder = Folder::new("sharing");
    let store = folder.path("store");
    let (mut laptop, mut tablet, _) = (vault(&folder, "laptop"), vault(&folder, "tablet"), vault(&folder, "stranger"));
    laptop.list_for_pairing(&name("Laptop"), [1; 16], START).unwrap();
    let device = tablet.own_entry(Role::Member, name("Tablet"));
    let added = laptop.change_devices(START, |devices| {
        devices.push(device);
        Ok(())
    });
    assert_eq!(added.unwrap().len(), 1);
    // Filmed before the laptop's key was changed: the old one still opens it.
    film_for(laptop.devices()[0].public(), &store, Codec::H264, 1, START).await;
    laptop.rotate([8; 32], START).unwrap();
    let hub = Kept::start(&store);
    let link = HubLink { dial: hub.dial(), watch_token: "t.o.k".into() };
    let camera = PairedCamera::new(Alias::front_door(), identity().verifying_key(), &link);
    laptop.add_camera(camera, START).unwrap();
    let seed = Seed::from_os_random([5; 32]);
    let invitation = laptop.invitation(&tablet.signer().verifying_key(), seed).unwrap();
    let watch = hub.link().to_string();
    let path = |name: &str| folder.path(name).to_string_lossy().into_owned();
    let [laptop, tablet_folder, stranger] = ["laptop", "tablet", "stranger"].map(path);
    let (film, clip, old) = (path("out.mp4"), path("clip.grant"), path("old.grant"));
    let (nowhere, copy, journal) = (path("nowhere/clip.grant"), path("store"), folder.path("laptop/journal"));
    let root = folder.path("state");
    tokio::task::spawn_blocking(move || {
        let doorframe = |arguments: &[&str]| kept::doorframe(&root, arguments);
        let (from, to) = ("2026-11-18T11:06:43", "2026-11-18T11:06:47");
        let span = ["front-door", "--from", from, "--to", to, "--state", &laptop];
        let with = |command: &str, more: &[&str]| doorframe(&[&[command], span.as_slice(), more].concat());
        assert!(said(&doorframe(&["list", "front-door", "--state", &laptop])).contains("2026-11-18"));
        assert!(said(&with("play", &["--speed", "0"])).contains("60 pictures shown, 0 not decoded"));
        assert!(said(&with("play", &["--speed", "0", "--store", &copy])).contains("unchanged and whole"));
        assert!(said(&with("export", &[&film])).contains("60 pictures of 160x96"));
        let unknown = complaint(&doorframe(&["list", "garden", "--state", &laptop]));
        assert!(unknown.contains("no camera named garden was paired"), "{unknown}");

        let grant = said(&with("grant", &["--to-device", "Tablet", "--grant", &clip, "--expires", "30d"]));
        assert!(grant.contains("2026-11-18 11:06:42 +00:00 to 2026-11-18 11:06:48 +00:00"), "{grant}");
        assert!(grant.contains("for device Tablet (") && grant.contains("nothing takes that back"), "{grant}");
        let again = complaint(&with("grant", &["--to-device", "Tablet", "--grant", &clip]));
        assert!(again.contains("is there already"), "{again}");
        let nobody = complaint(&with("grant", &["--to-device", "Phone", "--grant", &old]));
        assert!(nobody.contains("no device on the list is called \"Phone\""), "{nobody}");
        // What cannot be written is in the journal all the same: the entry comes first.
        complaint(&with("grant", &["--to-device", "Tablet", "--grant", &nowhere]));

        let open =
            |file: &str, state: &str, more: &[&str]| doorframe(&[&["open", file, "--state", state], more].concat());
        let lost = complaint(&open(&clip, &tablet_folder, &[]));
        assert!(lost.contains("was not paired with this device: give --link, or --store"), "{lost}");
        let by_link = said(&open(&clip, &tablet_folder, &["--link", &watch]));
        assert!(by_link.contains("60 pictures shown, 0 not decoded, 0 not opened"), "{by_link}");
        let by_copy = said(&open(&clip, &tablet_folder, &["--store", &copy, "--camera", "front-door"]));
        assert!(by_copy.contains("unchanged and whole"), "{by_copy}");
        // Once that device has joined the home, nothing has to be said, and it knows who granted.
        tablet.join(&invitation, START).unwrap();
        let part =
            said(&open(&clip, &tablet_folder, &["--from", "2026-11-18T11:06:45", "--to", "2026-11-18T11:06:46"]));
        assert!(part.contains("20 pictures shown") && part.contains("granted by Laptop ("), "{part}");
        let outside = complaint(&open(&clip, &tablet_folder, &["--from", "2026-11-18T11:06:48"]));
        assert!(
            outside.contains("nothing of that time was granted: the grant is from 2026-11-18 11:06:42 UTC"),
            "{outside}"
        );
        let theirs = format!("{tablet_folder}/theirs.mp4");
        assert!(said(&open(&clip, &tablet_folder, &["--export", &theirs])).contains("60 pictures of 160x96"));
        assert!(said(&doorframe(&["verify", &theirs])).contains("3 epochs from 1 to 3"));

        for state in [&stranger, &laptop] {
            let refused = complaint(&open(&clip, state, &["--link", &watch]));
            assert!(refused.contains("this grant is for somebody else"), "{refused}");
        }
        let keyless = complaint(&open(&clip, &format!("{stranger}/nothing"), &["--link", &watch]));
        assert!(keyless.contains("has no keys"), "{keyless}");
        let mut bytes = std::fs::read(&clip).unwrap();
        // Its end: who may open it for ever signs nothing.
        bytes[41] ^= 1;
        std::fs::write(&old, &bytes).unwrap();
        let forged = complaint(&open(&old, &tablet_folder, &[]));
        assert!(forged.contains("its signature does not hold"), "{forged}");
        tablet_gets_an_old_one(&old, &tablet);
        let over = complaint(&open(&old, &tablet_folder, &[]));
        assert!(over.contains("the offer ended 2026-11-18 11:06:40 +00:00"), "{over}");

        let list = said(&doorframe(&["grants", "--state", &laptop]));
        let lines: Vec<_> = list.lines().collect();
        assert_eq!(lines.len(), 3, "{list}");
        assert!(lines[0].contains("exported") && lines[0].contains("out.mp4"), "{list}");
        for line in &lines[1..] {
            assert!(line.contains("granted") && line.contains("3 epochs; to device Tablet ("), "{list}");
        }
        assert!(said(&doorframe(&["grants", "--state", &tablet_folder])).contains("theirs.mp4"));
        let checked = said(&doorframe(&["grants", "--check", "--state", &laptop]));
        let head = checked.lines().last().unwrap().rsplit_once(' ').unwrap().1.to_owned();
        let check = || doorframe(&["grants", "--check", "--head", &head, "--state", &laptop]);
        said(&check());
        let whole = std::fs::read(&journal).unwrap();
        let lies = [
            (whole[..whole.len() / 2].to_vec(), "ends inside entry"),
            ([&whole[..100], &[whole[100] ^ 1], &whole[101..]].concat(), "entry 1 of the journal was changed"),
            (Vec::new(), "journal ends at entry 0, and had 7"),
        ];
        for (lie, words) in lies {
            std::fs::write(&journal, lie).unwrap();
            let named = complaint(&check());
            assert!(named.contains(words), "{words}: {named}");
        }
    })
    .await
    .unwrap();
}

/// A grant of everything whose time is over.
fn tablet_gets_an_old_one(path: &str, tablet: &Vault) {
    use doorframe::transport::grant::{EpochSpan, GrantId, GrantPart, GrantTerms};
    use doorframe::transport::manifest::SessionManifest;
    use doorframe::transport::session::{Config, Session};
    let config = Config::new(vec![owner().public().clone()]);
    let (_, manifest) = Session::start(
        config,
        &identity(),
        Seed::from_os_random([3; 32]),
        doorframe::codec::units::Uptime::default(),
        START,
    )
    .unwrap();
    let session = SessionManifest::parse(&manifest).unwrap().open(&owner(), &identity().verifying_key()).unwrap();
    let part = GrantPart::cover(&session, EpochSpan::new(Epoch(0), Epoch(9)).unwrap()).unwrap();
    let terms = GrantTerms { id: GrantId([1; 16]), made_wall_us: 1, expiry: Expiry::at(START) };
    let device = tablet.devices().remove(0);
    let grant = Grant::emit(&[part], device.public(), &signer(), terms, Seed::from_os_random([4; 32])).unwrap();
    std::fs::write(path, grant.record()).unwrap();
}
