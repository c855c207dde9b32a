//! A home for the tests: its devices by name, each with keys of its own seed.

use super::{CheckedList, Device, DeviceName, Expiry, HomeId, Role};
use crate::identity::{DeviceKey, DevicePublicKey, SigningKey};

pub(super) const HOME: HomeId = HomeId([7; 16]);
/// When its lists are made.
pub(super) const MADE: u64 = 1_795_000_000_000_000;

pub(super) fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

pub(super) fn public(seed: u8) -> DevicePublicKey {
    DeviceKey::from_seed([seed; 32]).unwrap().public().clone()
}

pub(super) fn device(role: Role, seed: u8) -> Device {
    Device {
        role,
        signer: signer(seed).verifying_key(),
        public: public(seed),
        generation: 1,
        expiry: if role == Role::Guest { Expiry::at(MADE + 1_000_000) } else { Expiry::NEVER },
        name: DeviceName::new(&format!("device {seed}")).unwrap(),
    }
}

/// Owner 1, owner 2, member 3, guest 4.
pub(super) fn family() -> Vec<Device> {
    vec![device(Role::Owner, 1), device(Role::Owner, 2), device(Role::Member, 3), device(Role::Guest, 4)]
}

/// Their first list, signed by owner 1.
pub(super) fn first() -> CheckedList {
    CheckedList::first(HOME, MADE, &family(), &signer(1)).unwrap()
}
