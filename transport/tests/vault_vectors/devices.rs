//! Device lists and rotations.

use crate::writer::*;
use crate::{all, save};
use doorframe_transport::devices::{
    BadList, Change, ChangeKind, CheckedList, DeviceList, Ghost, ListRefused, Lists, RotationRefused, Standing, Update,
};
use doorframe_transport::identity::SigningKey;
use doorframe_transport::manifest::DeviceListRef;
use serde_json::{Value, json};

#[test]
fn every_vector_of_device_lists_is_read_as_it_says() {
    all("devices", 20, write_devices, read_devices);
}

#[test]
fn the_second_writer_and_the_crate_write_the_same_list() {
    let start = device_list(HOME, 1, [0; 32], &[listed(1, 1, 0, "Anna's phone")], 1);
    let list = DeviceList::parse(&start).unwrap();
    let key = SigningKey::from_seed(&[1; 32]).unwrap();
    let ours = CheckedList::first(list.home(), MADE, list.devices(), &key).unwrap();
    assert_eq!(ours.list().record(), start);
}

fn list_layer(refused: &ListRefused) -> &'static str {
    match refused {
        ListRefused::Bad(BadList::Malformed(_)) => "list.malformed",
        ListRefused::Bad(_) => "list.rules",
        ListRefused::Forged => "list.signature",
        ListRefused::NotOwner(_) => "list.owner",
        ListRefused::WrongHome { .. } => "list.home",
        ListRefused::RolledBack { .. } => "list.rolled_back",
        ListRefused::Forked { .. } => "list.forked",
        ListRefused::Gap { .. } => "list.gap",
        other => panic!("{other}"),
    }
}

fn rotation_layer(refused: &RotationRefused) -> &'static str {
    match refused {
        RotationRefused::Malformed(_) => "rotation.malformed",
        RotationRefused::Forged(_) => "rotation.signature",
        RotationRefused::WrongHome { .. } => "rotation.home",
        RotationRefused::NotListed(_) => "rotation.listed",
        RotationRefused::Recovery(_) => "rotation.recovery",
        RotationRefused::RolledBack { .. } => "rotation.rolled_back",
        other => panic!("{other}"),
    }
}

fn change_text(change: &Change) -> String {
    let what = match &change.kind {
        ChangeKind::Added { .. } => "added",
        ChangeKind::Removed { .. } => "removed",
        ChangeKind::RoleChanged { .. } => "role",
        ChangeKind::Rotated { .. } => "rotated",
        ChangeKind::ExpiryChanged { .. } => "expiry",
        ChangeKind::Renamed { .. } => "renamed",
        other => panic!("{other:?}"),
    };
    format!("{what} {}", hex(&change.device.0))
}

fn read_devices(vector: &Value) -> String {
    let start = DeviceList::parse(&unhex(&vector["start"])).map_err(ListRefused::from);
    let start = match start.and_then(DeviceList::verify_first) {
        Ok(list) => list,
        Err(refused) => return list_layer(&refused).into(),
    };
    let mut lists = Lists::new(start);
    let mut found = "ok";
    for step in vector["steps"].as_array().unwrap() {
        assert_eq!(found, "ok", "only the last step may be refused");
        let record = unhex(&step["record"]);
        let update = if record.get(1) == Some(&5) {
            lists.handle_rotation(&record).map_err(|refused| rotation_layer(&refused))
        } else {
            lists.handle(&record).map_err(|refused| list_layer(&refused))
        };
        match update {
            Ok(Update::Known) => assert!(step["changes"].is_null(), "{}", vector["about"]),
            Ok(Update::New(changes)) => {
                let changes: Vec<_> = changes.iter().map(change_text).collect();
                assert_eq!(json!(changes), step["changes"], "{}", vector["about"]);
            }
            Err(layer) => found = layer,
        }
    }
    for wanted in vector["recipients"].as_array().unwrap() {
        let at = wanted["at"].as_u64().unwrap();
        let keys: Vec<_> = lists.recipients(at).map(|(_, key)| hex(&sha256(key.bytes()))).collect();
        assert_eq!(json!(keys), wanted["keys"], "{} at {at}", vector["about"]);
        assert_eq!(json!(lists.next_expiry(at)), wanted["next_expiry"], "{} at {at}", vector["about"]);
    }
    for stated in vector["stated"].as_array().unwrap() {
        let version = u32::try_from(stated["version"].as_u64().unwrap()).unwrap();
        let standing = match lists.compare(DeviceListRef { version, hash: array(&stated["hash"]) }) {
            Ok(Standing::Current) => "current",
            Ok(Standing::Behind) => "behind",
            Ok(Standing::Ahead) => "ahead",
            Ok(Standing::Unknown) => "unknown",
            Err(Ghost::Unlisted) => "unlisted",
            Err(Ghost::Forked { .. }) => "forked",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(standing, stated["expect"], "{}", vector["about"]);
    }
    found.into()
}

fn write_devices() {
    const GUEST_UNTIL: u64 = MADE + 3_600_000_000;
    let (anna, ben) = (listed(1, 1, 0, "Anna's phone"), listed(1, 2, 0, "Ben"));
    let guest = listed(3, 3, GUEST_UNTIL, "Näbor 📱");
    let family = [anna.clone(), ben.clone(), guest.clone()];
    let first = device_list(HOME, 1, [0; 32], &family, 1);
    let hash = sha256(&first);
    let keys = |seeds: &[u8]| seeds.iter().map(|seed| hex(&sha256(&xwing(*seed)))).collect::<Vec<_>>();
    let recipients =
        |at: u64, seeds: &[u8], next: Option<u64>| json!({ "at": at, "keys": keys(seeds), "next_expiry": next });
    // Of the first list, and of whatever is refused after it.
    let unchanged = vec![recipients(MADE, &[1, 2, 3], Some(GUEST_UNTIL)), recipients(GUEST_UNTIL, &[1, 2], None)];
    let write = |name: &str,
                 about: &str,
                 expect: &str,
                 start: &[u8],
                 steps: &[(&[u8], Option<Vec<String>>)],
                 recipients: &[Value],
                 stated: &[Value]| {
        let steps: Vec<_> = steps
            .iter()
            .map(|(record, changes)| match changes {
                Some(changes) => json!({ "record": hex(record), "changes": changes }),
                None => json!({ "record": hex(record) }),
            })
            .collect();
        let vector = json!({
            "about": about, "start": hex(start), "steps": steps, "recipients": recipients, "stated": stated, "expect": expect,
        });
        save("devices", name, &vector);
    };
    let said = |what: &str, seed: u8| format!("{what} {}", hex(&signing_key(seed)));
    let stated =
        |version: u32, hash: &[u8], expect: &str| json!({ "version": version, "hash": hex(hash), "expect": expect });

    // Good ones.
    let standing = [
        stated(1, &hash, "current"),
        stated(1, &[1; 32], "forked"),
        stated(2, &[1; 32], "ahead"),
        stated(0, &[0; 32], "unlisted"),
    ];
    write("first", "a first list, and what a camera may state", "ok", &first, &[], &unchanged, &standing);
    let renamed = Listed { role: 2, generation: 2, xwing: 22, name: "Ben's", ..ben.clone() };
    let paper = listed(4, 5, 0, "paper");
    let second = device_list(HOME, 2, hash, &[anna.clone(), renamed, paper.clone()], 2);
    let changes = vec![said("role", 2), said("rotated", 2), said("renamed", 2), said("added", 5), said("removed", 3)];
    let longer = Listed { expiry: GUEST_UNTIL + 1, ..anna.clone() };
    let third = device_list(HOME, 3, sha256(&second), &[longer, paper.clone()], 1);
    let steps: [(&[u8], _); 3] =
        [(&second, Some(changes)), (&second, None), (&third, Some(vec![said("expiry", 1), said("removed", 2)]))];
    let after = [recipients(MADE, &[1, 5], Some(GUEST_UNTIL + 1)), recipients(GUEST_UNTIL + 1, &[5], None)];
    let standing = [
        stated(3, &sha256(&third), "current"),
        stated(2, &sha256(&second), "behind"),
        stated(1, &hash, "behind"),
        stated(2, &[1; 32], "forked"),
    ];
    write(
        "chain",
        "three lists, each change said, one given twice, an owner removed",
        "ok",
        &first,
        &steps,
        &after,
        &standing,
    );
    let rotated = rotation(HOME, 2, 2, 22, 2);
    let steps: [(&[u8], _); 2] = [(&rotated, Some(vec![said("rotated", 2)])), (&rotated, None)];
    write(
        "rotation",
        "a device rotates its key, said twice",
        "ok",
        &first,
        &steps,
        &[recipients(MADE, &[1, 22, 3], Some(GUEST_UNTIL))],
        &[],
    );
    let newer = device_list(HOME, 2, hash, &[anna.clone(), Listed { generation: 3, xwing: 33, ..ben.clone() }], 1);
    let steps: [(&[u8], _); 2] =
        [(&rotated, Some(vec![said("rotated", 2)])), (&newer, Some(vec![said("rotated", 2), said("removed", 3)]))];
    write(
        "rotation-overtaken",
        "a list with a newer generation than a rotation",
        "ok",
        &first,
        &steps,
        &[recipients(MADE, &[1, 33], None)],
        &[],
    );
    let older = device_list(HOME, 2, hash, &[anna.clone(), ben.clone()], 1);
    let steps: [(&[u8], _); 2] = [(&rotated, Some(vec![said("rotated", 2)])), (&older, Some(vec![said("removed", 3)]))];
    write(
        "rotation-stays",
        "a list that does not know of a rotation does not undo it",
        "ok",
        &first,
        &steps,
        &[recipients(MADE, &[1, 22], None)],
        &[],
    );

    // Starts that are refused.
    let start =
        |name: &str, about: &str, expect: &str, record: &[u8]| write(name, about, expect, record, &[], &[], &[]);
    let make = |devices: &[Listed]| device_list(HOME, 1, [0; 32], devices, 1);
    start("cut", "the last byte is missing", "list.malformed", &first[..first.len() - 1]);
    start("longer", "a byte too many", "list.malformed", &[first.as_slice(), &[0]].concat());
    start("role-unknown", "a role that there is not", "list.malformed", &make(&[anna.clone(), listed(5, 2, 0, "x")]));
    start("name-control", "a name with a line break in it", "list.malformed", &make(&[listed(1, 1, 0, "two\nlines")]));
    start("name-empty", "a device without a name", "list.malformed", &make(&[listed(1, 1, 0, "")]));
    let mut bad_key = make(std::slice::from_ref(&anna));
    bad_key[64 + 32..64 + 32 + 384].fill(0xff);
    bad_key.truncate(bad_key.len() - 64);
    sign(&mut bad_key, 1, "doorframe/1 device list");
    start("key-unreduced", "an X-Wing key with coefficients beyond ML-KEM's modulus", "list.malformed", &bad_key);
    start("version-0", "version 0, which there is not", "list.malformed", &device_list(HOME, 0, [0; 32], &family, 1));
    start("nobody", "no device at all", "list.rules", &make(&[]));
    start("no-owner", "nobody could sign the next list", "list.rules", &make(&[listed(2, 1, 0, "x")]));
    start("guest-for-ever", "a guest without an expiry", "list.rules", &make(&[anna.clone(), listed(3, 3, 0, "x")]));
    start(
        "twice",
        "two devices with one signing key",
        "list.rules",
        &make(&[anna.clone(), Listed { xwing: 9, ..anna.clone() }]),
    );
    start(
        "first-with-before",
        "a first list that names one before it",
        "list.rules",
        &device_list(HOME, 1, [1; 32], &family, 1),
    );
    start(
        "first-by-guest",
        "the first list is signed by a guest on it",
        "list.owner",
        &device_list(HOME, 1, [0; 32], &family, 3),
    );
    start(
        "first-by-stranger",
        "the first list is signed by nobody on it",
        "list.owner",
        &device_list(HOME, 1, [0; 32], &family, 9),
    );
    start("first-flipped", "a bit of a name is flipped", "list.signature", &flipped(&first, 64 + 32 + 1216 + 13));
    start("second-as-first", "a second list is no start", "list.gap", &device_list(HOME, 2, hash, &family, 1));

    // Steps that are refused.
    let refuse = |name: &str, about: &str, expect: &str, record: &[u8]| {
        write(name, about, expect, &first, &[(record, None)], &unchanged, &[]);
    };
    let next = |version, before, signer| device_list(HOME, version, before, &family, signer);
    refuse("next-by-guest", "the next list is signed by a guest", "list.owner", &next(2, hash, 3));
    let risen = device_list(HOME, 2, hash, &[anna.clone(), Listed { role: 1, ..guest.clone() }], 3);
    refuse(
        "next-by-risen-guest",
        "signed by an owner of the new list alone, who made himself one",
        "list.owner",
        &risen,
    );
    refuse(
        "next-flipped",
        "a bit of the signature is flipped",
        "list.signature",
        &flipped(&next(2, hash, 1), next(2, hash, 1).len() - 64),
    );
    refuse("other-home", "a list of another home", "list.home", &device_list([8; 16], 2, hash, &family, 1));
    refuse("gap", "version 3 after version 1", "list.gap", &next(3, hash, 1));
    refuse("forked", "another version 1, by an owner", "list.forked", &device_list(HOME, 1, [0; 32], &family[..2], 2));
    refuse(
        "forked-before",
        "a version 2 that follows another version 1, by an owner",
        "list.forked",
        &next(2, [1; 32], 1),
    );
    let stranger = device_list(HOME, 1, [0; 32], &[listed(1, 9, 0, "x")], 9);
    refuse("fork-of-stranger", "another version 1, by a stranger: no alarm", "list.owner", &stranger);
    let fresh = next(2, hash, 1);
    let steps: [(&[u8], _); 2] = [(&fresh, Some(vec![])), (&first, None)];
    write("rolled-back", "version 1 after version 2", "list.rolled_back", &first, &steps, &unchanged, &[]);
    let removed = device_list(HOME, 2, hash, std::slice::from_ref(&anna), 1);
    let back = device_list(HOME, 3, sha256(&removed), &family, 2);
    let steps: [(&[u8], _); 2] = [(&removed, Some(vec![said("removed", 2), said("removed", 3)])), (&back, None)];
    write(
        "removed-owner",
        "an owner who was removed puts himself back",
        "list.owner",
        &first,
        &steps,
        &[recipients(MADE, &[1], None)],
        &[],
    );
    let with_paper = device_list(HOME, 1, [0; 32], &[anna.clone(), paper.clone()], 1);
    let by_paper = device_list(HOME, 2, sha256(&with_paper), &[listed(1, 9, 0, "new phone"), paper.clone()], 5);
    let kept = [recipients(MADE, &[1, 5], None)];
    write(
        "next-by-recovery",
        "an owner who lost his only phone signs the next list with the recovery key",
        "ok",
        &with_paper,
        &[(&by_paper, Some(vec![said("added", 9), said("removed", 1)]))],
        &[recipients(MADE, &[9, 5], None)],
        &[],
    );
    let by_unlisted_paper = device_list(HOME, 2, hash, &[anna.clone(), paper.clone()], 5);
    refuse("next-by-unlisted-recovery", "by a recovery key that is not on the list", "list.owner", &by_unlisted_paper);
    write(
        "rotation-of-recovery",
        "a recovery key rotates",
        "rotation.recovery",
        &with_paper,
        &[(&rotation(HOME, 5, 2, 55, 5), None)],
        &kept,
        &[],
    );
    refuse("rotation-cut", "the last byte is missing", "rotation.malformed", &rotated[..rotated.len() - 1]);
    refuse("rotation-forged", "signed by another device", "rotation.signature", &rotation(HOME, 2, 2, 22, 1));
    refuse("rotation-other-home", "a rotation of another home", "rotation.home", &rotation([8; 16], 2, 2, 22, 2));
    refuse("rotation-unlisted", "by a device that is not listed", "rotation.listed", &rotation(HOME, 9, 2, 99, 9));
    refuse("rotation-old", "a generation that does not grow", "rotation.rolled_back", &rotation(HOME, 2, 1, 22, 2));
}
