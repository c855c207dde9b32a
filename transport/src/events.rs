//! What happened before a camera, as it is sealed: motion and the doorbell (`docs/wire.md` §7).
//!
//! In every epoch exactly one object of one size goes on track `event`, whether anything happened or not, so that who passes it on
//! cannot tell. A press of the doorbell is also an object of its own on track `bell`, at once.

use crate::parse::{Reader, RecordError};
use doorframe_codec::units::MediaTime;

/// Plaintext of an object of the tracks `event` and `bell`, in bytes, whatever it holds.
pub const PLAINTEXT: usize = 256;
/// Most events of an epoch.
pub const MOST: usize = 8;
/// Bytes of an event.
const ENTRY: usize = 13;

/// Something that happened before a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CameraEvent {
    /// What.
    pub kind: EventKind,
    /// When, on the session's clock: perhaps before the epoch that it is sealed in.
    pub at: MediaTime,
    /// How much of what is watched moved; nothing for the doorbell.
    pub area: Area,
    /// How plainly it moved, in tenths of what is just taken for motion; 0 for the doorbell.
    pub score: u16,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// Something began to move.
    MotionBegan = 1,
    /// Nothing has moved since then.
    MotionEnded = 2,
    /// Somebody rang.
    Doorbell = 3,
}

/// Part of what is watched, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(u16);

impl Area {
    /// Returns `None` above 1000.
    pub const fn new(per_mille: u16) -> Option<Self> {
        if per_mille > 1000 { None } else { Some(Self(per_mille)) }
    }

    /// The nearest to `share`, which is from 0 to 1.
    pub fn of_share(share: f32) -> Self {
        // What is out of range, and what is no number, becomes the nearest that is in it.
        Self((share.clamp(0.0, 1.0) * 1000.0).round() as u16)
    }

    /// 0 to 1000.
    pub const fn per_mille(self) -> u16 {
        self.0
    }
}

impl CameraEvent {
    /// Somebody rang at that moment.
    pub const fn doorbell(at: MediaTime) -> Self {
        Self { kind: EventKind::Doorbell, at, area: Area(0), score: 0 }
    }

    fn emit(self) -> impl Iterator<Item = u8> {
        let head = [self.kind as u8].into_iter().chain(self.at.ticks().to_be_bytes());
        head.chain(self.area.0.to_be_bytes()).chain(self.score.to_be_bytes())
    }

    fn parse(kind: EventKind, reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let out = |field, value: u16| RecordError::Field { field, value: value.into() };
        let at = MediaTime::from_ticks(reader.u64()?);
        let (area, score) = (reader.u16()?, reader.u16()?);
        let area = Area::new(area).ok_or(out("area", area))?;
        if kind == EventKind::Doorbell && (area.0, score) != (0, 0) {
            return Err(out("score of a doorbell", area.0.max(score)));
        }
        Ok(Self { kind, at, area, score })
    }
}

/// Events of the epoch that runs, [`MOST`] at most: the doorbells, and the newest.
#[derive(Clone, Debug, Default)]
pub struct EpochEvents {
    kept: Vec<CameraEvent>,
    left_out: u64,
}

impl EpochEvents {
    /// Takes the next. Where there is no room, the oldest that is no doorbell goes; among doorbells alone the oldest.
    pub fn add(&mut self, event: CameraEvent) {
        self.kept.push(event);
        if self.kept.len() > MOST {
            let oldest = self.kept.iter().position(|kept| kept.kind != EventKind::Doorbell).unwrap_or(0);
            self.kept.remove(oldest);
            self.left_out += 1;
        }
    }

    /// Those that are kept, in the order in which they came.
    pub fn kept(&self) -> &[CameraEvent] {
        &self.kept
    }

    /// How many had no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// The plaintext of an event object, of one size whatever it holds. Of more than [`MOST`] events those go in that
/// [`EpochEvents`] keeps.
pub fn emit(events: &[CameraEvent]) -> [u8; PLAINTEXT] {
    let mut kept = EpochEvents::default();
    events.iter().for_each(|event| kept.add(*event));
    let mut out = [0; PLAINTEXT];
    out.iter_mut().zip(kept.kept.iter().flat_map(|event| event.emit())).for_each(|(to, byte)| *to = byte);
    out
}

/// Reads a plaintext of track `event` back, in the order in which it holds its events.
///
/// # Errors
/// If it has another size, a field is out of its range, or anything but zeros follows its events.
pub fn parse(plaintext: &[u8]) -> Result<Vec<CameraEvent>, RecordError> {
    if plaintext.len() > PLAINTEXT {
        return Err(RecordError::Long(plaintext.len() - PLAINTEXT));
    }
    if plaintext.len() < PLAINTEXT {
        return Err(RecordError::Short(PLAINTEXT - plaintext.len()));
    }
    let (mut events, mut reader) = (Vec::new(), Reader::new(plaintext));
    while events.len() < MOST {
        let before = reader;
        let kind = match reader.u8()? {
            0 => {
                reader = before;
                break;
            }
            1 => EventKind::MotionBegan,
            2 => EventKind::MotionEnded,
            3 => EventKind::Doorbell,
            other => return Err(RecordError::Field { field: "event", value: other.into() }),
        };
        events.push(CameraEvent::parse(kind, &mut reader)?);
    }
    match reader.rest().iter().find(|byte| **byte != 0) {
        Some(byte) => Err(RecordError::Field { field: "padding", value: (*byte).into() }),
        None => Ok(events),
    }
}

/// Reads a plaintext of track `bell`: exactly one doorbell.
///
/// # Errors
/// As [`parse`], and if anything else happened.
pub fn parse_bell(plaintext: &[u8]) -> Result<CameraEvent, RecordError> {
    match parse(plaintext)?.as_slice() {
        [bell] if bell.kind == EventKind::Doorbell => Ok(*bell),
        [other, ..] => Err(RecordError::Field { field: "bell", value: other.kind as u64 }),
        [] => Err(RecordError::Field { field: "bell", value: 0 }),
    }
}

const _: () = assert!(MOST * ENTRY <= PLAINTEXT);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: EventKind, at: u64) -> CameraEvent {
        let (area, score) = if kind == EventKind::Doorbell { (0, 0) } else { (137, 42) };
        CameraEvent { kind, at: MediaTime::from_ticks(at), area: Area::new(area).unwrap(), score }
    }

    fn any_event() -> impl Strategy<Value = CameraEvent> {
        let motion = (any::<bool>(), any::<u64>(), 0..=1000_u16, any::<u16>()).prop_map(|(began, at, area, score)| {
            let kind = if began { EventKind::MotionBegan } else { EventKind::MotionEnded };
            CameraEvent { kind, at: MediaTime::from_ticks(at), area: Area::new(area).unwrap(), score }
        });
        prop_oneof![motion, any::<u64>().prop_map(|at| CameraEvent::doorbell(MediaTime::from_ticks(at)))]
    }

    proptest! {
        #[test]
        fn up_to_eight_events_come_back_in_order(events in proptest::collection::vec(any_event(), 0..=MOST)) {
            prop_assert_eq!(parse(&emit(&events)), Ok(events));
        }

        #[test]
        fn of_more_the_doorbells_and_the_newest_are_kept(events in proptest::collection::vec(any_event(), 0..40)) {
            let mut kept = EpochEvents::default();
            events.iter().for_each(|event| kept.add(*event));
            prop_assert_eq!(parse(&emit(&events)).unwrap(), kept.kept());
            prop_assert_eq!(kept.kept().len() as u64 + kept.left_out(), events.len() as u64);
            let rings: Vec<_> = events.iter().filter(|event| event.kind == EventKind::Doorbell).copied().collect();
            let others: Vec<_> = events.iter().filter(|event| event.kind != EventKind::Doorbell).copied().collect();
            let room = MOST - rings.len().min(MOST);
            let newest = |of: &[CameraEvent], n: usize| of[of.len() - n.min(of.len())..].to_vec();
            let (is_ring, is_other): (Vec<_>, Vec<_>) =
                kept.kept().iter().copied().partition(|event: &CameraEvent| event.kind == EventKind::Doorbell);
            prop_assert_eq!(is_ring, newest(&rings, MOST));
            prop_assert_eq!(is_other, newest(&others, room));
        }

        #[test]
        fn whatever_parses_is_what_its_events_make(plaintext in proptest::collection::vec(0..4_u8, PLAINTEXT - 1..PLAINTEXT + 2)) {
            if let Ok(events) = parse(&plaintext) {
                prop_assert_eq!(&emit(&events)[..], &plaintext[..]);
            }
        }

        #[test]
        fn a_changed_byte_changes_an_event_or_is_refused(events in proptest::collection::vec(any_event(), 0..=MOST), at in 0..PLAINTEXT, by in 1..=255_u8) {
            let mut plaintext = emit(&events);
            plaintext[at] ^= by;
            prop_assert_ne!(parse(&plaintext), Ok(events));
        }
    }

    #[test]
    fn another_size_another_kind_and_what_hides_behind_the_events_are_refused() {
        let good = emit(&[event(EventKind::MotionBegan, 90_000), event(EventKind::Doorbell, 1)]);
        assert_eq!(parse(&good[..255]), Err(RecordError::Short(1)));
        assert_eq!(parse(&[&good[..], &[0]].concat()), Err(RecordError::Long(1)));
        let with = |at: usize, byte: u8| {
            let mut changed = good;
            changed[at] = byte;
            parse(&changed).map(|events| events.len())
        };
        let refused = |field, value| Err(RecordError::Field { field, value });
        assert_eq!(with(0, 4), refused("event", 4));
        assert_eq!(with(9, 4), refused("area", 1161));
        assert_eq!(with(25, 7), refused("score of a doorbell", 7));
        assert_eq!(with(26, 4), refused("event", 4));
        assert_eq!(with(27, 1), refused("padding", 1));
        assert_eq!(with(0, 0), refused("padding", 1), "no hole before an event");
        // A ninth.
        let mut nine = emit(&[event(EventKind::MotionEnded, 5); MOST]);
        nine[MOST * ENTRY] = 1;
        assert_eq!(parse(&nine).map(|events| events.len()), refused("padding", 1));
    }

    #[test]
    fn a_bell_is_one_doorbell_and_nothing_else() {
        let bell = event(EventKind::Doorbell, 7);
        assert_eq!(parse_bell(&emit(&[bell])), Ok(bell));
        let refused = |events: &[CameraEvent]| parse_bell(&emit(events)).is_err();
        assert!(refused(&[]) && refused(&[bell, bell]) && refused(&[event(EventKind::MotionBegan, 7)]));
    }

    #[test]
    fn an_area_is_never_out_of_range() {
        for (share, per_mille) in [(0.0, 0), (0.1374, 137), (1.0, 1000), (7.5, 1000), (-1.0, 0), (f32::NAN, 0)] {
            assert_eq!(Area::of_share(share).per_mille(), per_mille, "{share}");
        }
        assert_eq!(Area::new(1001), None);
    }
}
