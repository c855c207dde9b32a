//! A device's new X-Wing key, signed by itself.

use super::device::HomeId;
use crate::identity::{DEVICE_PUBLIC_KEY, DevicePublicKey, SigningKey, VerifyingKey};
use crate::manifest::{sign, verified};
use crate::parse::{Reader, RecordError};
use thiserror::Error;

const LABEL: &[u8] = b"doorframe/1 rotation";
const TYPE: u8 = 5;

/// A device says which X-Wing key is to be sealed to from now on. The seed of the old one is deleted once nothing is kept that
/// was sealed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Which home.
    pub home: HomeId,
    /// Signing key of the device.
    pub device: VerifyingKey,
    /// Higher than that of any key before.
    pub generation: u32,
    /// The new key.
    pub public: DevicePublicKey,
    /// When it was made by the device's wall clock, µs since 1970: a claim.
    pub made_wall_us: u64,
}

/// Why a rotation is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RotationRefused {
    /// The record is malformed.
    #[error("rotation is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// The device's signature does not hold.
    #[error("rotation is forged: the signature of {} does not hold", .0.fingerprint())]
    Forged(VerifyingKey),
    /// Of another home.
    #[error("rotation is of home {given}, this is home {ours}")]
    WrongHome {
        /// Home it is of.
        given: HomeId,
        /// Home expected.
        ours: HomeId,
    },
    /// By a device that is not on the list.
    #[error("{} rotates its key and is not on the device list", .0.fingerprint())]
    NotListed(VerifyingKey),
    /// By a recovery key, whose X-Wing key comes of its words.
    #[error("{} is a recovery key: its words make its key, which cannot change", .0.fingerprint())]
    Recovery(VerifyingKey),
    /// Not newer than the key in use.
    #[error("rotation has generation {given}, generation {ours} is already in use")]
    RolledBack {
        /// Its generation.
        given: u32,
        /// The one in use.
        ours: u32,
    },
}

impl Rotation {
    /// The signed record; `key` is the device's own.
    pub fn emit(&self, key: &SigningKey) -> Vec<u8> {
        let mut out = self.emit_body();
        sign(&mut out, LABEL, key);
        out
    }

    pub(crate) fn emit_body(&self) -> Vec<u8> {
        let mut out = vec![1, TYPE];
        out.extend_from_slice(&self.home.0);
        out.extend_from_slice(&self.device.0);
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(self.public.bytes());
        out.extend_from_slice(&self.made_wall_us.to_be_bytes());
        out
    }

    /// Reads a record, its signature not checked.
    ///
    /// # Errors
    /// If it is cut short, goes on after its end, or its key is none.
    pub fn parse(record: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(record);
        reader.head(TYPE)?;
        let home = HomeId(reader.array()?);
        let device = VerifyingKey(reader.array()?);
        let generation = reader.u32()?;
        let public = DevicePublicKey::from_bytes(reader.slice(DEVICE_PUBLIC_KEY)?)
            .map_err(|_| RecordError::Key("X-Wing key of a rotation"))?;
        let made_wall_us = reader.u64()?;
        reader.array::<64>()?;
        reader.end()?;
        Ok(Self { home, device, generation, public, made_wall_us })
    }

    /// Reads a record if the device that it names signed it.
    ///
    /// # Errors
    /// As [`Rotation::parse`], or [`RotationRefused::Forged`].
    pub fn verify(record: &[u8]) -> Result<Self, RotationRefused> {
        let rotation = Self::parse(record)?;
        match verified(record, LABEL, &rotation.device) {
            Some(_) => Ok(rotation),
            None => Err(RotationRefused::Forged(rotation.device)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{HOME, MADE, public, signer};
    use super::*;
    use proptest::prelude::*;

    fn rotation() -> Rotation {
        let device = signer(3).verifying_key();
        Rotation { home: HOME, device, generation: 2, public: public(33), made_wall_us: MADE }
    }

    #[test]
    fn a_rotation_comes_back_only_whole_and_from_its_device() {
        let record = rotation().emit(&signer(3));
        assert_eq!(Rotation::verify(&record), Ok(rotation()));
        assert_eq!(Rotation::verify(&rotation().emit(&signer(1))), Err(RotationRefused::Forged(rotation().device)));
        for len in (0..record.len()).step_by(3) {
            assert!(matches!(Rotation::parse(&record[..len]), Err(RecordError::Short(_))), "{len} bytes");
        }
        assert_eq!(Rotation::parse(&[record.as_slice(), &[0]].concat()), Err(RecordError::Long(1)));
        for at in (0..record.len()).step_by(5) {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert!(Rotation::verify(&changed).is_err(), "byte {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_give_an_error_or_come_back_unchanged(bytes in proptest::collection::vec(any::<u8>(), 0..1500), start in 0usize..1400) {
            crate::fuzzing::check_device_list(&[&[1, 5], bytes.as_slice()].concat());
            let mut record = rotation().emit(&signer(3));
            record.iter_mut().skip(start).zip(&bytes).take(3).for_each(|(to, from)| *to = *from);
            crate::fuzzing::check_device_list(&record);
        }
    }
}
