//! Everything that is wrong with a journal, where a check names the first.

use super::{Entry, Head, JournalRefused, LABEL};
use crate::identity::{VerifyingKey, hash};
use crate::manifest::verified;
use crate::parse::{Reader, RecordError};
use std::cmp::Ordering;

/// A journal that was read to its end, whatever is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Every entry that the device signed, in the order in which they stand.
    pub entries: Vec<Entry>,
    /// Everything that is wrong. Each lie is named once.
    pub faults: Vec<JournalRefused>,
    /// The newest entry, to be noted elsewhere.
    pub head: Head,
}

impl Survey {
    /// Reads all that can be read of a journal of the device that signs with `device`'s private half. `known` are heads that were noted
    /// elsewhere.
    pub fn of(records: &[u8], device: VerifyingKey, known: &[Head]) -> Self {
        let mut survey = Self { entries: Vec::new(), faults: Vec::new(), head: Head::START };
        // Hash that the next entry has to name; `None` where the one before could not be told.
        let (mut wanted, mut before) = (1_u32, Some(Head::START.hash));
        let mut left = records;
        while !left.is_empty() {
            let mut reader = Reader::new(left);
            let entry = match Entry::read(&mut reader) {
                Ok(entry) => entry,
                // Where the next entry begins nobody knows.
                Err(RecordError::Short(_)) => {
                    let whole = records.len() - left.len();
                    survey.faults.push(JournalRefused::Torn { number: wanted, whole });
                    break;
                }
                Err(error) => {
                    survey.faults.push(JournalRefused::Malformed { number: wanted, error });
                    break;
                }
            };
            let rest = reader.rest();
            let (record, _) = left.split_at(left.len() - rest.len());
            left = rest;
            if verified(record, LABEL, &device).is_none() {
                survey.faults.push(JournalRefused::Forged(wanted));
                (wanted, before) = (wanted.saturating_add(1), None);
                continue;
            }
            let (given, hash) = (entry.number, hash(&[record]));
            match given.cmp(&wanted) {
                Ordering::Less => {
                    survey.faults.push(JournalRefused::Order { wanted, given });
                    survey.entries.push(entry);
                    continue;
                }
                Ordering::Greater => survey.faults.push(JournalRefused::Missing { wanted, given }),
                Ordering::Equal if before.is_some_and(|before| before != entry.before) => {
                    survey.faults.push(JournalRefused::Unchained(given));
                }
                Ordering::Equal => {}
            }
            if known.iter().any(|known| known.number == given && known.hash != hash) {
                survey.faults.push(JournalRefused::Rewritten(given));
            }
            survey.entries.push(entry);
            survey.head = Head { number: given, hash };
            (wanted, before) = (given.saturating_add(1), Some(hash));
        }
        let number = survey.head.number;
        if let Some(known) = known.iter().map(|known| known.number).max().filter(|known| *known > number) {
            survey.faults.push(JournalRefused::Cut { number, known });
        }
        survey
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{details, device, five, key};
    use crate::journal::{Deed, Journal};
    use proptest::prelude::*;

    #[test]
    fn a_survey_goes_on_and_names_each_lie_once() {
        let (journal, records) = five();
        let look = |order: &[usize], known: &[Head]| {
            let all: Vec<u8> = order.iter().flat_map(|n| records[*n].clone()).collect();
            let survey = Survey::of(&all, device(), known);
            (survey.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), survey.faults)
        };
        let head = journal.head();
        assert_eq!(look(&[0, 1, 2, 3, 4], &[head]), (vec![1, 2, 3, 4, 5], vec![]));
        let missing = |wanted, given| JournalRefused::Missing { wanted, given };
        assert_eq!(look(&[0, 2, 4], &[head]), (vec![1, 3, 5], vec![missing(2, 3), missing(4, 5)]));
        let order = JournalRefused::Order { wanted: 4, given: 2 };
        assert_eq!(look(&[0, 2, 1, 3, 4], &[]), (vec![1, 3, 2, 4, 5], vec![missing(2, 3), order]));
        let cut = JournalRefused::Cut { number: 3, known: 5 };
        assert_eq!(look(&[0, 1, 2], &[Head::START, head]), (vec![1, 2, 3], vec![cut]));
        let noted = Head { number: 2, hash: [9; 32] };
        assert_eq!(look(&[0, 1], &[noted]).1, [JournalRefused::Rewritten(2)]);
        // Another entry of the device's own in the place of one: only the chain can tell.
        let other = Journal::new(device()).next(Deed::Granted, details("to nobody"), 0, &key());
        let all = [other.as_slice(), &records[1], &records[2]].concat();
        assert_eq!(Survey::of(&all, device(), &[]).faults, [JournalRefused::Unchained(2)]);
        let mut changed = records.concat();
        let at = records[0].len() + 60;
        changed[at] ^= 1;
        let survey = Survey::of(&changed, device(), &[head]);
        assert_eq!((survey.entries.len(), survey.faults, survey.head), (4, vec![JournalRefused::Forged(2)], head));
        let whole = records[0].len();
        let torn = [records[0].as_slice(), &records[1][..30]].concat();
        assert_eq!(Survey::of(&torn, device(), &[]).faults, [JournalRefused::Torn { number: 2, whole }]);
    }

    proptest! {
        #[test]
        fn a_survey_finds_something_exactly_where_a_check_does(order in proptest::collection::vec(0_usize..5, 0..7)) {
            let (_, records) = five();
            let all: Vec<u8> = order.iter().flat_map(|n| records[*n].clone()).collect();
            let survey = Survey::of(&all, device(), &[]);
            match Journal::check(&all, device(), Head::START) {
                Ok(journal) => prop_assert_eq!((survey.entries, survey.faults, survey.head), (journal.entries.clone(), vec![], journal.head())),
                Err(first) => prop_assert_eq!(survey.faults.first(), Some(&first)),
            }
        }
    }
}
