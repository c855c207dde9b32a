//! What a device handed out, in the order it did so (`docs/format.md` §5).
//!
//! Each entry is signed by the device and names the one before, so that none can be taken out, put in, moved or changed. That the newest
//! ones were cut off shows only to whoever noted a [`Head`] elsewhere.

mod survey;

pub use survey::Survey;

use crate::identity::{Hash, SigningKey, VerifyingKey, hash};
use crate::manifest::{sign, verified};
use crate::parse::{Reader, RecordError, is_line};
use std::fmt;
use thiserror::Error;

const LABEL: &[u8] = b"doorframe/1 journal";
const TYPE: u8 = 8;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deed {
    /// Keys of some epochs were given to somebody.
    Granted,
    /// Footage was written to a file in the clear.
    Exported,
    /// A bundle was made: sealed footage with a viewer.
    Bundled,
    /// A new device list is in force.
    ListChanged,
    /// A public request was answered.
    Answered,
}

impl Deed {
    /// Its number in a record.
    pub const fn id(self) -> u8 {
        match self {
            Self::Granted => 1,
            Self::Exported => 2,
            Self::Bundled => 3,
            Self::ListChanged => 4,
            Self::Answered => 5,
        }
    }

    /// `None` for a number this program does not know.
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Granted),
            2 => Some(Self::Exported),
            3 => Some(Self::Bundled),
            4 => Some(Self::ListChanged),
            5 => Some(Self::Answered),
            _ => None,
        }
    }
}

/// What a person reads of an entry: 1 to 4096 bytes of UTF-8 on one line. Never key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details(String);

impl Details {
    /// Longest details, in bytes.
    pub const MAX: usize = 4096;

    /// `None` unless it is 1 to 4096 bytes without control characters.
    pub fn new(text: &str) -> Option<Self> {
        ((1..=Self::MAX).contains(&text.len()) && is_line(text)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts up by one, from 1.
    pub number: u32,
    /// Hash of the entry before, as signed; zeros in the first.
    pub before: Hash,
    /// The device's wall clock, µs since 1970: a claim. May go back where the clock was set.
    pub wall_us: u64,
    /// What was done.
    pub deed: Deed,
    /// What a person reads.
    pub details: Details,
}

impl Entry {
    fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        reader.head(TYPE)?;
        let (number, before, wall_us) = (reader.u32()?, reader.array()?, reader.u64()?);
        let deed = reader.u8()?;
        let deed = Deed::from_id(deed).ok_or(RecordError::Field { field: "deed", value: deed.into() })?;
        let len = usize::from(reader.u16()?);
        if len == 0 || len > Details::MAX {
            return Err(RecordError::Text("details"));
        }
        let details = std::str::from_utf8(reader.slice(len)?).ok().and_then(Details::new);
        let details = details.ok_or(RecordError::Text("details"))?;
        reader.array::<64>()?;
        Ok(Self { number, before, wall_us, deed, details })
    }

    fn emit(&self, key: &SigningKey) -> Vec<u8> {
        let mut out = vec![1, TYPE];
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.wall_us.to_be_bytes());
        out.push(self.deed.id());
        out.extend_from_slice(&(self.details.0.len() as u16).to_be_bytes());
        out.extend_from_slice(self.details.0.as_bytes());
        sign(&mut out, LABEL, key);
        out
    }
}

/// Number and hash of the newest entry of a journal. Noted where who changes the journal cannot reach, it tells later that nothing was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0: there is none.
    pub number: u32,
    /// Hash of the entry, as signed; zeros if there is none.
    pub hash: Hash,
}

impl Head {
    /// Of an empty journal. Nothing is known by it.
    pub const START: Self = Self { number: 0, hash: [0; 32] };
}

/// Why a journal does not hold. Each says that somebody changed it, or that a disk did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JournalRefused {
    /// It ends inside an entry, as where a write was cut off.
    #[error("journal ends inside entry {number}; its first {whole} bytes are whole")]
    Torn {
        /// The entry.
        number: u32,
        /// Bytes of the entries before it. A journal that is cut there must still be checked with a [`Head`].
        whole: usize,
    },
    /// An entry is malformed.
    #[error("entry {number} of the journal is damaged: {error}")]
    Malformed {
        /// The entry expected there.
        number: u32,
        /// What is wrong.
        error: RecordError,
    },
    /// An entry is not signed by the device, or was changed.
    #[error("entry {0} of the journal was changed: its signature does not hold")]
    Forged(u32),
    /// Entries are not there.
    #[error("entries of the journal are missing: {wanted} should be next, {given} is")]
    Missing {
        /// Number expected.
        wanted: u32,
        /// Number found.
        given: u32,
    },
    /// An entry is there again, or after one that belongs after it.
    #[error("entries of the journal are out of order: {wanted} should be next, {given} is")]
    Order {
        /// Number expected.
        wanted: u32,
        /// Number found.
        given: u32,
    },
    /// An entry follows another one than is there: that one was exchanged.
    #[error("entry {0} of the journal does not follow the one before it")]
    Unchained(u32),
    /// The newest entries are gone.
    #[error("journal ends at entry {number}, and had {known}")]
    Cut {
        /// Its newest entry.
        number: u32,
        /// The newest that is known to have been.
        known: u32,
    },
    /// An entry that is known is another one.
    #[error("entry {0} of the journal is not the one that was noted")]
    Rewritten(u32),
}

/// A journal that holds from its first entry on. One device's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    device: VerifyingKey,
    entries: Vec<Entry>,
    head: Hash,
}

impl Journal {
    /// An empty one of the device that signs with `device`'s private half.
    pub fn new(device: VerifyingKey) -> Self {
        Self { device, entries: Vec::new(), head: Head::START.hash }
    }

    /// Checks a whole journal, its entries one after the other. `known` is a head that was noted elsewhere, or [`Head::START`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(records: &[u8], device: VerifyingKey, known: Head) -> Result<Self, JournalRefused> {
        let mut journal = Self::new(device);
        let mut left = records;
        while !left.is_empty() {
            let mut reader = Reader::new(left);
            let wanted = journal.wanted();
            let entry = Entry::read(&mut reader).map_err(|error| match error {
                RecordError::Short(_) => JournalRefused::Torn { number: wanted, whole: records.len() - left.len() },
                error => JournalRefused::Malformed { number: wanted, error },
            })?;
            let rest = reader.rest();
            let (record, _) = left.split_at(left.len() - rest.len());
            journal.take(entry, record)?;
            if journal.head().number == known.number && journal.head != known.hash {
                return Err(JournalRefused::Rewritten(known.number));
            }
            left = rest;
        }
        let number = journal.head().number;
        if number < known.number {
            return Err(JournalRefused::Cut { number, known: known.number });
        }
        Ok(journal)
    }

    /// The signed record of the entry that comes next. Write it to the journal's end, then [`handle`](Self::handle) it, then do the deed: what was
    /// done is never missing, also when the program ends in between.
    pub fn next(&self, deed: Deed, details: Details, wall_us: u64, key: &SigningKey) -> Vec<u8> {
        Entry { number: self.wanted(), before: self.head, wall_us, deed, details }.emit(key)
    }

    /// Takes the record that comes next.
    ///
    /// # Errors
    /// If it is not the next one, or not signed by this journal's device; nothing changes then.
    pub fn handle(&mut self, record: &[u8]) -> Result<(), JournalRefused> {
        let mut reader = Reader::new(record);
        let read = Entry::read(&mut reader).and_then(|entry| reader.end().map(|()| entry));
        let entry = read.map_err(|error| JournalRefused::Malformed { number: self.wanted(), error })?;
        self.take(entry, record)
    }

    fn take(&mut self, entry: Entry, record: &[u8]) -> Result<(), JournalRefused> {
        let (wanted, given) = (self.wanted(), entry.number);
        if verified(record, LABEL, &self.device).is_none() {
            return Err(JournalRefused::Forged(wanted));
        }
        if given > wanted {
            return Err(JournalRefused::Missing { wanted, given });
        }
        if given < wanted {
            return Err(JournalRefused::Order { wanted, given });
        }
        if entry.before != self.head {
            return Err(JournalRefused::Unchained(given));
        }
        self.head = hash(&[record]);
        self.entries.push(entry);
        Ok(())
    }

    fn wanted(&self) -> u32 {
        self.head().number.saturating_add(1)
    }

    /// Its entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its newest entry, to be noted elsewhere.
    pub fn head(&self) -> Head {
        Head { number: self.entries.last().map_or(0, |entry| entry.number), hash: self.head }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32]).unwrap()
    }

    pub(super) fn device() -> VerifyingKey {
        key().verifying_key()
    }

    pub(super) fn details(text: &str) -> Details {
        Details::new(text).unwrap()
    }

    const DEEDS: [Deed; 5] = [Deed::Granted, Deed::Exported, Deed::Bundled, Deed::ListChanged, Deed::Answered];

    /// A journal of five entries, and each one's record.
    pub(super) fn five() -> (Journal, Vec<Vec<u8>>) {
        let mut journal = Journal::new(device());
        let records = DEEDS
            .iter()
            .map(|deed| {
                let record = journal.next(*deed, details(&format!("{deed:?} to Näbor")), 1_795_000_000_000_000, &key());
                journal.handle(&record).unwrap();
                record
            })
            .collect();
        (journal, records)
    }

    fn all(records: &[Vec<u8>]) -> [&[u8]; 5] {
        std::array::from_fn(|i| records[i].as_slice())
    }

    fn check(records: &[&[u8]], known: Head) -> Result<Journal, JournalRefused> {
        Journal::check(&records.concat(), device(), known)
    }

    fn refused(records: &[&[u8]]) -> JournalRefused {
        check(records, Head::START).unwrap_err()
    }

    #[test]
    fn a_whole_journal_comes_back() {
        let (journal, records) = five();
        assert_eq!(Journal::check(&records.concat(), device(), journal.head()), Ok(journal.clone()));
        assert_eq!(journal.entries().iter().map(|entry| entry.deed).collect::<Vec<_>>(), DEEDS);
        assert_eq!(journal.entries().iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let empty = Journal::check(&[], device(), Head::START).unwrap();
        assert_eq!(empty.head(), Head::START);
    }

    #[test]
    fn a_journal_goes_on_where_it_ended() {
        let (_, records) = five();
        let mut journal = check(&[&records[0], &records[1]], Head::START).unwrap();
        let next = journal.next(Deed::Granted, details("more"), 0, &key());
        journal.handle(&next).unwrap();
        assert_eq!(journal.head().number, 3);
        let other = SigningKey::from_seed(&[2; 32]).unwrap();
        assert_eq!(
            journal.handle(&journal.next(Deed::Granted, details("x"), 0, &other)),
            Err(JournalRefused::Forged(4))
        );
        assert_eq!(journal.handle(&next), Err(JournalRefused::Order { wanted: 4, given: 3 }));
        assert_eq!(journal.head().number, 3);
    }

    #[test]
    fn entries_that_are_missing_are_found() {
        let (_, records) = five();
        let [a, b, c, d, e] = all(&records);
        assert_eq!(refused(&[b, c, d, e]), JournalRefused::Missing { wanted: 1, given: 2 });
        assert_eq!(refused(&[a, b, d, e]), JournalRefused::Missing { wanted: 3, given: 4 });
    }

    #[test]
    fn entries_that_were_moved_are_found() {
        let (_, records) = five();
        let [a, b, c, d, e] = all(&records);
        assert_eq!(refused(&[a, c, b, d, e]), JournalRefused::Missing { wanted: 2, given: 3 });
        assert_eq!(refused(&[a, b, a, d, e]), JournalRefused::Order { wanted: 3, given: 1 });
        assert_eq!(refused(&[a, b, b, c, d, e]), JournalRefused::Order { wanted: 3, given: 2 });
    }

    #[test]
    fn an_entry_that_was_changed_is_found() {
        let (_, records) = five();
        for at in 0..records[2].len() {
            let mut changed = records[2].clone();
            changed[at] ^= 1;
            let found = refused(&[&records[0], &records[1], &changed, &records[3], &records[4]]);
            let named = matches!(
                found,
                JournalRefused::Forged(3)
                    | JournalRefused::Malformed { number: 3, .. }
                    | JournalRefused::Torn { number: 3, .. }
            );
            assert!(named, "byte {at}: {found}");
        }
    }

    #[test]
    fn an_entry_that_was_exchanged_by_whoever_has_the_key_is_found() {
        let (whole, records) = five();
        let before = check(&[&records[0], &records[1]], Head::START).unwrap();
        let other = before.next(Deed::Exported, details("something else"), 0, &key());
        let [a, b, _, d, e] = all(&records);
        assert_eq!(refused(&[a, b, &other, d, e]), JournalRefused::Unchained(4));
        // All of it written anew from there: only a head that was noted tells.
        assert!(check(&[a, b, &other], Head::START).is_ok());
        let third = Head { number: 3, hash: hash(&[&records[2]]) };
        assert_eq!(check(&[a, b, &other], third), Err(JournalRefused::Rewritten(3)));
        assert!(check(&[a, b, &records[2], d, e], third).is_ok());
        assert_eq!(check(&[a, b, &records[2], d], whole.head()), Err(JournalRefused::Cut { number: 4, known: 5 }));
        assert_eq!(check(&[], whole.head()), Err(JournalRefused::Cut { number: 0, known: 5 }));
    }

    #[test]
    fn a_write_that_was_cut_off_is_told_from_damage() {
        let (_, records) = five();
        let whole = records[0].len() + records[1].len();
        for len in 1..records[2].len() {
            let found = refused(&[&records[0], &records[1], &records[2][..len]]);
            assert_eq!(found, JournalRefused::Torn { number: 3, whole }, "{len} bytes");
        }
        let error = RecordError::Version(0);
        assert_eq!(refused(&[&records[0], &[0; 100]]), JournalRefused::Malformed { number: 2, error });
        assert_eq!(
            refused(&[&records[0], &[1, 4]]),
            JournalRefused::Malformed { number: 2, error: RecordError::Type { given: 4, wanted: 8 } }
        );
    }

    #[test]
    fn details_are_one_line_of_at_most_4096_bytes() {
        assert!(Details::new("").is_none());
        assert!(Details::new("two\nlines").is_none());
        assert!(Details::new(&"x".repeat(4096)).is_some());
        assert!(Details::new(&"x".repeat(4097)).is_none());
        let mut record = Journal::new(device()).next(Deed::Granted, details("abc"), 0, &key());
        record[50] = b'\n';
        let error = RecordError::Text("details");
        assert_eq!(refused(&[&record]), JournalRefused::Malformed { number: 1, error });
        record[46] = 6;
        let error = RecordError::Field { field: "deed", value: 6 };
        assert_eq!(refused(&[&record]), JournalRefused::Malformed { number: 1, error });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_give_an_error_or_come_back_unchanged(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            start in 0usize..600,
        ) {
            crate::fuzzing::check_journal(&bytes);
            let mut records = five().1.concat();
            crate::fuzzing::check_journal(&records);
            records.iter_mut().skip(start).zip(&bytes).take(2).for_each(|(to, from)| *to = *from);
            crate::fuzzing::check_journal(&records);
        }

        #[test]
        fn whatever_is_written_is_read_back(
            entries in proptest::collection::vec(("[^\\p{Cc}]{1,80}", any::<u64>(), 1u8..=5), 0..20),
        ) {
            let (mut journal, mut records) = (Journal::new(device()), Vec::new());
            for (text, wall_us, deed) in &entries {
                let record = journal.next(Deed::from_id(*deed).unwrap(), details(text), *wall_us, &key());
                journal.handle(&record).unwrap();
                records.extend(record);
            }
            let back = Journal::check(&records, device(), journal.head()).unwrap();
            prop_assert_eq!(back.entries().len(), entries.len());
            for (entry, (text, wall_us, deed)) in back.entries().iter().zip(&entries) {
                prop_assert_eq!((entry.details.as_str(), entry.wall_us, entry.deed.id()), (text.as_str(), *wall_us, *deed));
            }
        }
    }
}
