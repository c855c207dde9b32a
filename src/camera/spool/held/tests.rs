use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;

const RING: usize = 12;

fn limits(disk_bytes: Option<u64>) -> Limits {
    Limits { ring_epochs: RING, ring_bytes: 1 << 20, disk_bytes }
}

fn id(epoch: u32) -> EpochId {
    EpochId { session: SessionId([1; 16]), epoch: Epoch(epoch) }
}

fn file(epoch: u32) -> EpochFile {
    let EpochId { session, epoch } = id(epoch);
    let opening = Bytes::from(vec![0; 1000]);
    EpochFile { session, epoch, stored_us: epoch.0.into(), opening, closing: None, tracks: vec![] }
}

fn entry(epoch: u32) -> EpochEntry {
    let file = file(epoch);
    EpochEntry { session: file.session, epoch: file.epoch, stored_us: file.stored_us, bytes: file.len() as u64 }
}

fn write(held: &mut Held, when: When) -> Option<u32> {
    let file = held.poll_write(when)?;
    assert_eq!(held.make_room(file.len() as u64), Room::Made);
    held.handle_written(entry(file.epoch.0));
    Some(file.epoch.0)
}

fn offered(held: &mut Held, now: Uptime) -> Option<u32> {
    held.poll_offer(now).map(|offer| offer.id.epoch.0)
}

const T0: Uptime = Uptime::from_micros(0);

#[test]
fn while_the_hub_confirms_nothing_is_written_or_sent_again() {
    let mut held = Held::new(limits(Some(1 << 20)));
    held.handle_link(Some(1));
    for n in 0..100 {
        held.handle_sealed(file(n));
        assert_eq!((write(&mut held, When::Running), offered(&mut held, T0)), (None, None));
        n.checked_sub(9).into_iter().for_each(|n| held.handle_confirmed(id(n)));
    }
    let counts = Counts { confirmed: 91, ..Counts::default() };
    assert_eq!((held.counts(), held.look()), (counts, (9, 0, 0)));
}

#[test]
fn what_was_in_flight_goes_to_the_disk_with_all_that_follows_and_is_sent_in_order() {
    let mut held = Held::new(limits(Some(1 << 20)));
    held.handle_link(Some(1));
    (0..4).for_each(|n| held.handle_sealed(file(n)));
    held.handle_confirmed(id(0));
    held.handle_link(None);
    assert_eq!([(); 4].map(|()| write(&mut held, When::Running)), [Some(1), Some(2), Some(3), None]);
    held.handle_sealed(file(4));
    assert_eq!(offered(&mut held, T0), None, "nobody is there");
    held.handle_link(Some(2));
    held.handle_sealed(file(5));
    for n in 1..5 {
        assert_eq!((offered(&mut held, T0), offered(&mut held, T0)), (Some(n), None), "one at a time");
        held.handle_confirmed(id(n));
    }
    assert_eq!(offered(&mut held, T0), None, "the newest goes by itself");
    assert_eq!(held.counts(), Counts { confirmed: 5, delivered: 4, ..Counts::default() });
    assert_eq!(held.take_garbage(), [entry(1), entry(2), entry(3)]);
}

#[test]
fn without_a_disk_the_ring_is_what_is_left_and_the_rest_is_counted() {
    let mut held = Held::new(limits(None));
    (0..20).for_each(|n| held.handle_sealed(file(n)));
    assert_eq!((held.counts().lost, held.look().0), (8, RING));
    assert!(held.poll_write(When::AtEnd).is_none());
    held.handle_link(Some(1));
    assert_eq!(offered(&mut held, T0), Some(8));
}

#[test]
fn what_is_overdue_on_a_line_that_holds_is_written_and_sent_again() {
    let mut held = Held::new(limits(Some(1 << 20)));
    held.handle_link(Some(1));
    (0..11).for_each(|n| held.handle_sealed(file(n)));
    assert_eq!((write(&mut held, When::Running), offered(&mut held, T0)), (None, Some(0)));
    (11..14).for_each(|n| held.handle_sealed(file(n)));
    assert_eq!([(); 3].map(|()| write(&mut held, When::Running)), [Some(0), Some(1), None]);
    assert_eq!(write(&mut held, When::AtEnd), Some(2), "what ends takes nothing with it");
}

#[test]
fn one_epoch_that_did_not_arrive_is_overdue_by_its_number_though_all_others_were_confirmed() {
    let mut held = Held::new(limits(Some(1 << 20)));
    held.handle_link(Some(1));
    for n in 0..16 {
        held.handle_sealed(file(n));
        let now = (write(&mut held, When::Running), offered(&mut held, T0));
        assert_eq!(now, (None, (n == 15).then_some(5)), "at epoch {n}");
        (n != 5).then(|| held.handle_confirmed(id(n)));
    }
    held.handle_unconfirmed(T0);
    for n in 16..18 {
        held.handle_sealed(file(n));
        held.handle_confirmed(id(n));
        assert_eq!(write(&mut held, When::Running), (n == 17).then_some(5), "at epoch {n}");
    }
    assert_eq!((write(&mut held, When::Running), held.look()), (None, (0, 1, entry(5).bytes)));
}

#[test]
fn one_that_is_larger_than_the_disk_may_be_costs_nothing_that_is_on_it() {
    let mut held = Held::new(limits(Some(3 * entry(0).bytes)));
    (0..3).for_each(|n| held.handle_found(entry(n)));
    assert_eq!(held.make_room(3 * entry(0).bytes + 1), Room::None);
    assert_eq!((held.counts().dropped, held.look().1), (0, 3));
}

#[test]
fn a_full_disk_lets_the_oldest_go_and_counts_them() {
    let each = entry(0).bytes;
    let mut held = Held::new(limits(Some(3 * each + 1)));
    (0..5).for_each(|n| held.handle_sealed(file(n)));
    while write(&mut held, When::Running).is_some() {}
    assert_eq!((held.counts().dropped, held.look()), (2, (0, 3, 3 * each)));
    held.handle_link(Some(1));
    assert_eq!(offered(&mut held, T0), Some(2));
    assert_eq!(Held::new(limits(Some(10))).make_room(each), Room::None, "one that fits nowhere");
}

#[test]
fn what_a_hub_does_not_confirm_stays_and_is_asked_less_and_less_often() {
    let mut held = Held::new(limits(Some(1 << 20)));
    (0..3).for_each(|n| held.handle_found(entry(n)));
    held.handle_link(Some(1));
    let (mut now, mut tries) = (T0, Vec::new());
    // An hour of a hub that takes nothing.
    for _ in 0..36_000 {
        now = now + Duration::from_millis(100);
        if let Some(n) = offered(&mut held, now) {
            tries.push(n);
            held.handle_unconfirmed(now);
        }
    }
    assert_eq!(tries[..3], [0, 1, 2]);
    assert!((10..30).contains(&tries.len()), "{} tries", tries.len());
    held.handle_link(None);
    held.handle_link(Some(2));
    let mut came = Vec::new();
    for _ in 0..20_000 {
        now = now + Duration::from_millis(100);
        if let Some(n) = offered(&mut held, now) {
            came.push(n);
            held.handle_confirmed(id(n));
        }
    }
    came.sort_unstable();
    assert_eq!((came, held.look().1), (vec![0, 1, 2], 0));
}

/// What may happen, in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Seal,
    Link(bool),
    Write,
    WriteFails,
    DiskFull,
    Offer,
    Unconfirmed,
    Lost,
    /// Of what was sealed or found, this one is confirmed, perhaps once more.
    Confirm(usize),
    Damaged,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Seal),
        1 => any::<bool>().prop_map(Step::Link),
        4 => Just(Step::Write),
        1 => Just(Step::WriteFails),
        1 => Just(Step::DiskFull),
        3 => Just(Step::Offer),
        1 => Just(Step::Unconfirmed),
        1 => Just(Step::Lost),
        4 => any::<usize>().prop_map(Step::Confirm),
        1 => Just(Step::Damaged),
        1 => any::<u16>().prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn nothing_unconfirmed_goes_uncounted_and_nothing_confirmed_is_sent_again(
        steps in steps(),
        found in 0_u32..6,
        disk in proptest::option::of(3000_u64..20_000),
    ) {
        let mut held = Held::new(Limits { ring_bytes: 14 * entry(0).bytes, ..limits(disk) });
        let found = if disk.is_some() { found } else { 0 };
        (0..found).for_each(|n| held.handle_found(entry(n)));
        let (mut next, mut now, mut link) = (100, T0, 0);
        let mut known: Vec<u32> = (0..found).collect();
        let mut confirmed = BTreeSet::new();
        let mut on_disk: BTreeSet<u32> = known.iter().copied().collect();
        let mut offer = None;
        for step in steps {
            match step {
                Step::Seal => {
                    held.handle_sealed(file(next));
                    known.push(next);
                    next += 1;
                }
                Step::Link(up) => {
                    link += 1;
                    held.handle_link(up.then_some(link));
                }
                Step::Write => {
                    if let Some(file) = held.poll_write(When::Running)
                        && held.make_room(file.len() as u64) == Room::Made
                    {
                        held.handle_written(entry(file.epoch.0));
                        on_disk.insert(file.epoch.0);
                    }
                }
                Step::WriteFails => drop(held.poll_write(When::AtEnd)),
                Step::DiskFull => drop(held.drop_oldest()),
                Step::Offer => {
                    if let Some(new) = held.poll_offer(now) {
                        prop_assert!(held.is_offered(new.id));
                        let n = new.id.epoch.0;
                        prop_assert!(!confirmed.contains(&n), "{n} was confirmed");
                        if let Source::Disk(entry) = new.source {
                            prop_assert!(on_disk.contains(&entry.epoch.0));
                        }
                        offer = Some(new.id);
                    }
                }
                Step::Unconfirmed => held.handle_unconfirmed(now),
                Step::Lost => held.handle_offer_lost(),
                Step::Confirm(at) => {
                    if let Some(n) = known.get(at % known.len().max(1)) {
                        held.handle_confirmed(id(*n));
                        confirmed.insert(*n);
                    }
                }
                Step::Damaged => offer.take().into_iter().for_each(|id| held.handle_damaged(id)),
                Step::Wait(ms) => now = now + Duration::from_millis(ms.into()),
            }
            for entry in held.take_garbage() {
                prop_assert!(on_disk.remove(&entry.epoch.0), "deleted once");
            }
            let (in_memory, disk_count, disk_bytes) = held.look();
            let Counts { confirmed, dropped, lost, damaged, delivered } = held.counts();
            let told = confirmed + dropped + lost + damaged + (in_memory + disk_count) as u64;
            prop_assert_eq!(told, known.len() as u64, "each is held, confirmed, or counted");
            prop_assert!(delivered <= confirmed);
            prop_assert_eq!(disk_count, on_disk.len());
            prop_assert!(disk_bytes <= disk.unwrap_or(0).max(u64::from(found) * entry(0).bytes));
            prop_assert!(held.memory_bytes <= 14 * entry(0).bytes);
        }
        // A hub that is there and confirms gets all that is left, in order.
        held.handle_link(Some(u64::MAX));
        held.handle_offer_lost();
        while held.poll_write(When::AtEnd).is_some_and(|file| held.make_room(file.len() as u64) == Room::Made) {
            let oldest = *held.memory.first().unwrap();
            let n = held.epochs[&oldest].id.epoch.0;
            held.handle_written(entry(n));
        }
        now = now + LAST_AGAIN;
        let mut before = None;
        while let Some(offer) = held.poll_offer(now) {
            prop_assert!(before < Some(offer.id.epoch), "the oldest first");
            before = Some(offer.id.epoch);
            held.handle_confirmed(offer.id);
        }
        prop_assert!(disk.is_none() || disk.is_some_and(|disk| disk < entry(0).bytes) || held.look() == (0, 0, 0));
    }
}
