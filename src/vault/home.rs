//! The home's device lists from the first on, as an owner's device and a camera keep them.

use doorframe_transport::devices::{CheckedList, Device, ListRefused, Lists, Role, RotationRefused, Update};
use doorframe_transport::identity::VerifyingKey;
use std::fmt;
use thiserror::Error;

const VERSION: u8 = 1;
/// Type bytes of the two records that there are (`docs/format.md`).
const LIST: u8 = 4;
const ROTATION: u8 = 5;

/// Why a record of a home is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordRefused {
    /// A device list.
    #[error(transparent)]
    List(#[from] ListRefused),
    /// A rotation.
    #[error(transparent)]
    Rotation(#[from] RotationRefused),
}

/// A home's lists, with the records that they came as, so that they can be handed on.
#[derive(Clone)]
pub struct Home {
    lists: Lists,
    /// From the oldest that this machine has to the newest.
    records: Vec<Vec<u8>>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({}, list {})", self.lists.home(), self.lists.newest().version())
    }
}

impl Home {
    /// Of a list that is trusted: the first of a home, or the one that an owner's device handed over.
    pub fn new(list: CheckedList) -> Self {
        let records = vec![list.list().record().to_vec()];
        Self { lists: Lists::new(list), records }
    }

    /// What is in force.
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// Of lists that follow one another, from one that is trusted, and rotations.
    ///
    /// # Errors
    /// If they do not.
    pub fn of(records: &[Vec<u8>]) -> Result<Self, ListRefused> {
        let (lists, rotations): (Vec<&[u8]>, Vec<&[u8]>) =
            records.iter().map(Vec::as_slice).partition(|record| record.get(1) == Some(&LIST));
        let restored = Lists::restore(lists.iter().copied(), rotations)?;
        Ok(Self { lists: restored, records: lists.into_iter().map(<[u8]>::to_vec).collect() })
    }

    /// Whether the device that signs with `key` is an owner on the newest list.
    pub fn is_owner(&self, key: &VerifyingKey) -> bool {
        self.lists.newest().device(key).is_some_and(|device| device.role == Role::Owner)
    }

    /// The devices of the newest list, each with its newest key.
    pub fn devices(&self) -> Vec<Device> {
        let newest = self.lists.newest().devices();
        let with_newest = |device: &Device| {
            let (public, generation) = (self.lists.public(device).clone(), self.lists.generation(device));
            Device { public, generation, ..device.clone() }
        };
        newest.iter().map(with_newest).collect()
    }

    /// Takes a device list or a rotation.
    ///
    /// # Errors
    /// Why not; nothing changes then.
    pub fn handle(&mut self, record: &[u8]) -> Result<Update, RecordRefused> {
        if record.get(1) == Some(&ROTATION) {
            return Ok(self.lists.handle_rotation(record)?);
        }
        let update = self.lists.handle(record)?;
        if matches!(update, Update::New(_)) {
            self.records.push(record.to_vec());
        }
        Ok(update)
    }

    /// What somebody needs who has list `version`: all lists after it, in order, and then the rotations in force. At most 64 lists, the
    /// oldest: whoever took them asks again.
    pub fn since(&self, version: u32) -> Vec<&[u8]> {
        let newest = usize::try_from(self.lists.newest().version().saturating_sub(version)).unwrap_or(usize::MAX);
        let lists = self.records.iter().skip(self.records.len().saturating_sub(newest)).take(64);
        lists.map(Vec::as_slice).chain(self.lists.rotations()).collect()
    }

    /// All lists that this machine has, from the oldest, and then the rotations in force.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(Vec::as_slice).chain(self.lists.rotations())
    }

    /// The newest lists, from the oldest of them, of at most `bytes` bytes but always the newest, and then the rotations in force. Whoever
    /// starts with them trusts the first.
    pub fn newest_records(&self, bytes: usize) -> impl Iterator<Item = &[u8]> {
        let mut room = bytes;
        let fits = |record: &&Vec<u8>| {
            let fits = record.len() <= room;
            room = room.saturating_sub(record.len());
            fits
        };
        let count = self.records.iter().rev().take_while(fits).count().max(1);
        let newest = self.records.iter().skip(self.records.len().saturating_sub(count));
        newest.map(Vec::as_slice).chain(self.lists.rotations())
    }

    /// `u8 version ‖ each record: u32 length ‖ record ‖ hash of all before`, lists first: for our own disk alone.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for record in self.records() {
            out.extend_from_slice(&(record.len() as u32).to_be_bytes());
            out.extend_from_slice(record);
        }
        let hash = sha256(&out);
        out.extend_from_slice(&hash);
        out
    }

    /// Reads it back.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut left = whole(bytes)?;
        if left.split_off_first() != Some(&VERSION) {
            return Err("it is of a newer program".into());
        }
        let mut records = Vec::new();
        while !left.is_empty() {
            let (len, rest) = left.split_first_chunk::<4>().ok_or("it is cut off")?;
            let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
            let (record, rest) = rest.split_at_checked(len).ok_or("it is cut off")?;
            if !matches!(record.get(1), Some(&LIST | &ROTATION)) {
                return Err("it holds what is no device list".into());
            }
            records.push(record.to_vec());
            left = rest;
        }
        Self::of(&records).map_err(|why| why.to_string())
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// A file without the hash at its end, if that holds.
pub(super) fn whole(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (content, hash) = bytes.split_last_chunk::<32>().ok_or("it is cut off")?;
    if sha256(content) == *hash { Ok(content) } else { Err("its bytes have changed") }
}
