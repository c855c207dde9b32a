//! What is different between two lists.

use super::device::{Device, DeviceName, Expiry, Role};
use super::list::DeviceList;
use crate::identity::VerifyingKey;
use std::fmt;

/// Something that is different on the newer list. Prints as a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which device.
    pub device: VerifyingKey,
    /// What it is called now, or was if it is gone.
    pub name: DeviceName,
    /// What is different.
    pub kind: ChangeKind,
}

/// What became of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is new.
    Added {
        /// What it may do.
        role: Role,
        /// Until when.
        expiry: Expiry,
    },
    /// It is gone.
    Removed {
        /// What it could do.
        role: Role,
    },
    /// It may do something else.
    RoleChanged {
        /// What it could do.
        from: Role,
        /// What it may do.
        to: Role,
    },
    /// Its X-Wing key is another.
    Rotated {
        /// Generation before.
        from: u32,
        /// Generation now. Not a higher one: somebody else than the device wrote it.
        to: u32,
    },
    /// It may watch longer, or less long.
    ExpiryChanged {
        /// Expiry before.
        from: Expiry,
        /// Expiry now.
        to: Expiry,
    },
    /// It is called otherwise.
    Renamed {
        /// Name before.
        from: DeviceName,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) ", self.name, self.device.fingerprint())?;
        match &self.kind {
            ChangeKind::Added { role, .. } => write!(f, "was added as {role}"),
            ChangeKind::Removed { role } => write!(f, "was removed; it was {role}"),
            ChangeKind::RoleChanged { from, to } => write!(f, "is now {to}; it was {from}"),
            ChangeKind::Rotated { from, to } => write!(f, "has a new key: generation {to} after {from}"),
            ChangeKind::ExpiryChanged { .. } => write!(f, "may watch until another time"),
            ChangeKind::Renamed { from } => write!(f, "has a new name; it was {from}"),
        }
    }
}

/// Everything that is different on `after`: what this does not name is the same. Those on `after` first, in its order; then those gone.
pub fn changes(before: &DeviceList, after: &DeviceList) -> Vec<Change> {
    let mut found = Vec::new();
    for device in after.devices() {
        let mut push = |kind| found.push(Change { device: device.signer, name: device.name.clone(), kind });
        let Some(old) = before.device(&device.signer) else {
            push(ChangeKind::Added { role: device.role, expiry: device.expiry });
            continue;
        };
        // Taken apart, so that a field that is added one day cannot be forgotten here.
        let Device { role, signer: _, public, generation, expiry, name } = old;
        if *role != device.role {
            push(ChangeKind::RoleChanged { from: *role, to: device.role });
        }
        if *generation != device.generation || *public != device.public {
            push(ChangeKind::Rotated { from: *generation, to: device.generation });
        }
        if *expiry != device.expiry {
            push(ChangeKind::ExpiryChanged { from: *expiry, to: device.expiry });
        }
        if *name != device.name {
            push(ChangeKind::Renamed { from: name.clone() });
        }
    }
    for old in before.devices() {
        if after.device(&old.signer).is_none() {
            let kind = ChangeKind::Removed { role: old.role };
            found.push(Change { device: old.signer, name: old.name.clone(), kind });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::{MADE, device, family, first, public, signer};
    use super::*;

    fn kinds(devices: &[Device]) -> Vec<ChangeKind> {
        let before = first();
        let after = before.next(MADE, devices, &signer(1)).unwrap();
        changes(before.list(), after.list()).into_iter().map(|change| change.kind).collect()
    }

    #[test]
    fn every_field_that_differs_is_named() {
        assert_eq!(kinds(&family()), []);
        let with = |change: &dyn Fn(&mut Device)| {
            let mut devices = family();
            change(&mut devices[2]);
            kinds(&devices)
        };
        let to = Expiry::at(5);
        assert_eq!(with(&|d| d.role = Role::Owner), [ChangeKind::RoleChanged { from: Role::Member, to: Role::Owner }]);
        assert_eq!(with(&|d| d.generation = 2), [ChangeKind::Rotated { from: 1, to: 2 }]);
        assert_eq!(with(&|d| d.public = public(9)), [ChangeKind::Rotated { from: 1, to: 1 }]);
        assert_eq!(with(&|d| d.expiry = to), [ChangeKind::ExpiryChanged { from: Expiry::NEVER, to }]);
        let from = family()[2].name.clone();
        assert_eq!(with(&|d| d.name = DeviceName::new("x").unwrap()), [ChangeKind::Renamed { from }]);
        let role = Role::Recovery;
        let more = [family(), vec![device(role, 5)]].concat();
        assert_eq!(kinds(&more), [ChangeKind::Added { role, expiry: Expiry::NEVER }]);
    }

    #[test]
    fn an_owner_who_was_removed_is_visible() {
        let mut devices = family();
        let gone = devices.remove(1);
        let before = first();
        let after = before.next(MADE, &devices, &signer(1)).unwrap();
        let found = changes(before.list(), after.list());
        assert_eq!(
            found,
            [Change { device: gone.signer, name: gone.name, kind: ChangeKind::Removed { role: Role::Owner } }]
        );
        let sentence = format!("device 2 ({}) was removed; it was owner", gone.signer.fingerprint());
        assert_eq!(found[0].to_string(), sentence);
    }

    #[test]
    fn one_device_in_the_place_of_another_is_two_changes() {
        let mut devices = family();
        devices[2].signer = signer(9).verifying_key();
        let found = kinds(&devices);
        assert!(matches!(found.as_slice(), [ChangeKind::Added { .. }, ChangeKind::Removed { .. }]), "{found:?}");
    }
}
