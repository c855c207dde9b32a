//! A span of time: which epochs hold it, and what is in them.

use super::{Archive, ArchiveError, LONGEST, SessionKeys};
use bytes::Bytes;
use doorframe_codec::AccessUnit;
use doorframe_codec::units::MediaTime;
use doorframe_transport::events::CameraEvent;
use doorframe_transport::grant::{EpochSpan, Rounded, round};
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::Opening;
use doorframe_transport::recorded::{EpochFile, EpochRefused, Fault, SpanCheck, SpanVerdict, open};
use doorframe_transport::store::Hour;
use doorframe_transport::track::TrackName;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How far a camera's wall clock and the hub's, or what it was at the session's start, may be apart before epochs of a span are not found, µs. What
/// lies within is read to see which epochs it is.
const SLACK: u64 = 30_000_000;
/// Hours after a span in which its epochs may have been stored: a camera that was cut off delivers late.
pub(super) const LATE_HOURS: u32 = 12;
/// Longest that a session lasts, in hours, and one more.
const SESSION_HOURS: u32 = 7;
/// Bytes of epoch files kept in memory between finding and reading them.
const KEPT: usize = 128 << 20;

/// Epochs of one session that hold a time.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What opens the session, or some of it.
    pub session: Arc<SessionKeys>,
    /// Which epochs, and the time that they really hold.
    pub rounded: Rounded,
    /// Those of them that are kept, in rising order.
    pub epochs: Vec<Epoch>,
}

/// A time that is recorded, to be read from its beginning to its end.
#[derive(Debug)]
pub struct Recording {
    pieces: Vec<Piece>,
    kept: Kept,
    /// Piece and epoch to be read next.
    at: (usize, usize),
    check: Option<SpanCheck>,
    verdicts: Vec<SpanVerdict>,
}

/// Epoch files that were read to see when they are of, as many as there is room for.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: HashMap<(SessionId, Epoch), Bytes>,
    bytes: usize,
}

impl Kept {
    pub(super) fn put(&mut self, session: SessionId, epoch: Epoch, file: Bytes) {
        if self.bytes + file.len() <= KEPT {
            self.bytes += file.len();
            self.files.insert((session, epoch), file);
        }
    }
}

/// An access unit and when it was filmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WallUnit {
    /// The unit.
    pub unit: AccessUnit,
    /// When, by the camera's wall clock as its epoch claims it, µs since 1970.
    pub wall_us: u64,
}

/// Something that happened before the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallEvent {
    /// What.
    pub event: CameraEvent,
    /// When, by the camera's wall clock as the epoch that it was sealed in claims it, µs since 1970.
    pub wall_us: u64,
}

/// An epoch that was read and checked.
#[derive(Clone, Debug)]
pub struct Played {
    /// Which of [`Recording::pieces`] it belongs to.
    pub piece: usize,
    /// Which epoch.
    pub epoch: Epoch,
    /// Its file, as it is kept.
    pub file: Bytes,
    /// What is in the file.
    pub parsed: EpochFile,
    /// What the camera said at its start.
    pub opening: Opening,
    /// Its pictures, in order.
    pub units: Vec<WallUnit>,
    /// What happened, in the order in which it was sealed; perhaps some seconds before these pictures.
    pub events: Vec<WallEvent>,
    /// Objects that did not open, or cannot be decoded as something before them is missing.
    pub unopened: u64,
}

impl Archive {
    /// Finds the epochs that hold anything of the time from `from_us` up to but not including `to_us`, by the camera's wall clock, µs since
    /// 1970.
    ///
    /// # Errors
    /// [`ArchiveError::Nothing`] if there are none, [`ArchiveError::Span`] for no time or a longer one than [`LONGEST`], or what stands in
    /// the way of reading.
    pub async fn find(&mut self, from_us: u64, to_us: u64) -> Result<Recording, ArchiveError> {
        if from_us >= to_us || u128::from(to_us - from_us) > LONGEST.as_micros() {
            return Err(ArchiveError::Span);
        }
        let first = Hour::of(from_us.saturating_sub(SLACK)).0;
        let last = Hour::of(to_us.saturating_add(SLACK)).0;
        let hours = self.hours().await?;
        let near = |hour: u32| hour.saturating_add(1) >= first && hour <= last.saturating_add(LATE_HOURS);
        let mut listed: BTreeMap<[u8; 16], BTreeSet<(Epoch, bool)>> = BTreeMap::new();
        for kept in hours.iter().filter(|kept| near(kept.hour.0)) {
            for entry in self.hour(kept.hour).await? {
                let by_store =
                    entry.stored_us.saturating_add(SLACK) >= from_us && entry.stored_us <= to_us.saturating_add(SLACK);
                listed.entry(entry.session.0).or_default().insert((entry.epoch, by_store));
            }
        }
        let mut found = Vec::new();
        let mut kept = Kept::default();
        let mut refused = None;
        for (id, entries) in listed {
            let id = SessionId(id);
            let session = match self.session(id).await {
                Ok(session) => session,
                // A session that is not ours stands in nobody's way, unless there is no other.
                Err(error @ ArchiveError::Session { .. }) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let start = session.facts().started_wall_us;
            let length = u64::try_from(session.facts().epoch_length.as_micros()).unwrap_or(u64::MAX);
            let over = start.saturating_add(u64::from(SESSION_HOURS) * 3_600_000_000).saturating_add(SLACK);
            let by_start = |epoch: Epoch| {
                let at = start.saturating_add(u64::from(epoch.0).saturating_mul(length));
                at.saturating_add(SLACK) >= from_us && at <= to_us.saturating_add(SLACK) && from_us <= over
            };
            let candidates: BTreeSet<Epoch> =
                entries.iter().filter(|(epoch, near)| *near || by_start(*epoch)).map(|(epoch, _)| *epoch).collect();
            let mut openings = Vec::new();
            for epoch in &candidates {
                let Ok(file) = self.epoch(id, *epoch).await else { continue };
                let Ok(parsed) = EpochFile::parse(&file) else { continue };
                // What does not hold is named when it is read; here it only has no time.
                let Ok(opening) = session.facts().opening(&parsed.opening) else { continue };
                if opening.epoch == *epoch {
                    openings.push(opening);
                }
                kept.put(id, *epoch, file);
            }
            for rounded in round(&openings, session.facts().epoch_length, from_us, to_us) {
                let epochs = entries.iter().map(|(epoch, _)| *epoch).filter(|epoch| rounded.epochs.contains(*epoch));
                let epochs: BTreeSet<_> = epochs.collect();
                found.push(Piece { session: session.clone(), rounded, epochs: epochs.into_iter().collect() });
            }
        }
        if found.is_empty() {
            return Err(refused.unwrap_or(ArchiveError::Nothing));
        }
        Ok(Recording::new(found, kept))
    }
}

impl Recording {
    pub(super) fn new(mut pieces: Vec<Piece>, mut kept: Kept) -> Self {
        pieces.sort_by_key(|piece| piece.rounded.from_wall_us);
        kept.files.retain(|(id, epoch), _| {
            pieces.iter().any(|piece| piece.session.facts().id == *id && piece.rounded.epochs.contains(*epoch))
        });
        Self { pieces, kept, at: (0, 0), check: None, verdicts: Vec::new() }
    }

    /// Spans of epochs, in order of time.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// When it begins and ends, by the camera's wall clock: whole epochs, so a little more than was asked for.
    pub fn span_us(&self) -> (u64, u64) {
        let from = self.pieces.iter().map(|piece| piece.rounded.from_wall_us).min();
        let to = self.pieces.iter().map(|piece| piece.rounded.to_wall_us).max();
        (from.unwrap_or(0), to.unwrap_or(0))
    }

    /// Epochs that are kept of it.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.epochs.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the next epoch that holds; what does not is named in the verdict. `None` when there are no more.
    ///
    /// # Errors
    /// If who keeps it does not give it.
    pub async fn next(&mut self, archive: &mut Archive) -> Result<Option<Played>, ArchiveError> {
        loop {
            let (n, at) = self.at;
            let Some(piece) = self.pieces.get(n) else { return Ok(None) };
            let span = piece.rounded.epochs;
            let Some(epoch) = piece.epochs.get(at).copied() else {
                let check = self.check.take().unwrap_or_else(|| start(piece, span));
                self.verdicts.push(check.end());
                self.at = (n + 1, 0);
                continue;
            };
            self.at = (n, at + 1);
            let id = piece.session.facts().id;
            let file = match self.kept.files.remove(&(id, epoch)) {
                Some(file) => file,
                None => match archive.epoch(id, epoch).await {
                    Ok(file) => file,
                    // Let go since it was listed: named as missing.
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(error),
                },
            };
            let check = self.check.get_or_insert_with(|| start(piece, span));
            let Some((parsed, verdict)) = check.handle(epoch, &file) else { continue };
            let Some(leaf) = piece.session.leaf(epoch) else { continue };
            match open(&parsed, piece.session.facts(), &leaf) {
                Ok(opened) => {
                    let (opening, mut units, mut unopened) = (verdict.opening, Vec::new(), opened.drops.total());
                    let at = |event: CameraEvent| WallEvent { event, wall_us: wall_us(&opening, event.at) };
                    let events = opened.events.into_iter().map(at).collect();
                    // After a hole nothing can be decoded before the next keyframe.
                    let mut follows = None;
                    for unit in opened.units.into_iter().filter(|unit| unit.track == TrackName::VIDEO) {
                        let (position, unit) = (unit.position, unit.unit.unit);
                        if !unit.is_keyframe() && follows != Some(position) {
                            unopened += 1;
                            continue;
                        }
                        follows = Some(position + 1);
                        units.push(WallUnit { wall_us: wall_us(&opening, unit.at), unit });
                    }
                    return Ok(Some(Played { piece: n, epoch, file, parsed, opening, units, events, unopened }));
                }
                Err(why) => self.refuse(epoch, why),
            }
        }
    }

    fn refuse(&mut self, epoch: Epoch, why: EpochRefused) {
        self.verdicts.push(SpanVerdict { faults: vec![Fault::Swapped { epoch, why }], ..SpanVerdict::default() });
    }

    /// What was found of what has been read, span by span.
    pub fn verdicts(&self) -> &[SpanVerdict] {
        &self.verdicts
    }

    /// Everything that is wrong with what has been read.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.verdicts.iter().flat_map(|verdict| &verdict.faults)
    }
}

fn start(piece: &Piece, span: EpochSpan) -> SpanCheck {
    SpanCheck::new(piece.session.facts().clone(), u64::from(span.first().0)..u64::from(span.end().0))
}

pub(super) fn is_absent(error: &ArchiveError) -> bool {
    use doorframe_transport::moq::CarriageError;
    use doorframe_transport::store::StoreError;
    matches!(
        error,
        ArchiveError::Carriage { error: CarriageError::Absent, .. }
            | ArchiveError::Store { error: StoreError::Absent, .. }
    )
}

/// A moment of the session's clock by the wall clock, as the opening of an epoch places it.
fn wall_us(opening: &Opening, at: MediaTime) -> u64 {
    let media = |at: MediaTime| u64::try_from(at.as_duration().as_micros()).unwrap_or(u64::MAX);
    opening.wall_us.saturating_add(media(at)).saturating_sub(media(opening.at))
}
