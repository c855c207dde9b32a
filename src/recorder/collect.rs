//! Records and objects in, whole epochs out: one session's, in whatever order the network brings them. Keyless, and pure.

use bytes::Bytes;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::manifest::{Closing, Opening};
use doorframe_transport::recorded::{EpochFile, MAX_FILE, MAX_OBJECTS, RecordedTrack};
use doorframe_transport::track::TrackName;
use doorframe_transport::unit::MAX_OBJECT;
use std::collections::{BTreeMap, VecDeque};

/// Puts a session's epochs together.
#[derive(Debug)]
pub(super) struct Collector {
    session: SessionId,
    open: BTreeMap<Epoch, Open>,
    /// Epochs that were given away lately: what comes of them now comes too late.
    given: VecDeque<Epoch>,
    /// Records and objects that nobody can have sealed so, or that came too late.
    refused: u64,
}

/// An epoch that is not all here.
#[derive(Debug, Default)]
struct Open {
    opening: Option<(Bytes, Opening)>,
    closing: Option<(Bytes, Closing)>,
    tracks: BTreeMap<TrackName, Vec<Bytes>>,
    bytes: usize,
}

/// Epochs put together at once; more only if a camera leaves its own behind.
const MOST_OPEN: usize = 4;
/// Epochs remembered as given away.
const REMEMBERED: usize = 32;
/// Room for what a file has beside its objects.
const MARGIN: usize = 64 << 10;

impl Collector {
    pub(super) fn new(session: SessionId) -> Self {
        Self { session, open: BTreeMap::new(), given: VecDeque::new(), refused: 0 }
    }

    /// Takes the opening (position 0) or the closing (1) of an epoch. Gives the tracks that an opening names.
    pub(super) fn handle_record(&mut self, epoch: Epoch, position: u64, record: Bytes) -> Vec<TrackName> {
        let session = self.session;
        let Some(open) = self.open(epoch) else { return Vec::new() };
        match position {
            0 => match Opening::parse(&record) {
                Ok(opening) if opening.session == session && opening.epoch == epoch => {
                    let names = opening.tracks.iter().map(|track| track.name).collect();
                    // The first stays; another one is for those to see who check signatures.
                    open.opening.get_or_insert((record, opening));
                    return names;
                }
                _ => self.refused += 1,
            },
            1 => match Closing::parse(&record) {
                Ok(closing) if closing.session == session && closing.epoch == epoch => {
                    open.closing.get_or_insert((record, closing));
                }
                _ => self.refused += 1,
            },
            _ => self.refused += 1,
        }
        Vec::new()
    }

    /// Takes the object at a position of a track's group. One that is here already comes again after a line was lost.
    pub(super) fn handle_object(&mut self, track: TrackName, epoch: Epoch, position: u64, object: Bytes) {
        let Some(open) = self.open(epoch) else { return };
        let fits = object.len() <= MAX_OBJECT && open.bytes + object.len() <= MAX_FILE - MARGIN;
        let objects = open.tracks.entry(track).or_default();
        match usize::try_from(position) {
            Ok(position) if position < objects.len() => {}
            Ok(position) if position == objects.len() && position < MAX_OBJECTS && fits => {
                open.bytes += object.len();
                objects.push(object);
            }
            _ => self.refused += 1,
        }
    }

    fn open(&mut self, epoch: Epoch) -> Option<&mut Open> {
        if self.given.contains(&epoch) {
            self.refused += 1;
            return None;
        }
        Some(self.open.entry(epoch).or_default())
    }

    /// The next epoch that is all here, or of which nothing more is waited for because two later ones have begun. `stored_us` is the time now.
    pub(super) fn poll(&mut self, stored_us: u64) -> Option<EpochFile> {
        loop {
            let begun = |open: &Open| open.opening.is_some();
            let later = |epoch: Epoch| self.open.range(epoch..).skip(1).filter(|(_, open)| begun(open)).count();
            let is_due = |(epoch, open): &(&Epoch, &Open)| open.is_whole() || later(**epoch) >= 2;
            let due = self.open.iter().find(is_due).map(|(epoch, _)| *epoch);
            // Groups that never get an opening must not pile up.
            let due = due.or_else(|| self.open.keys().next().copied().filter(|_| self.open.len() > MOST_OPEN))?;
            if let Some(file) = self.give(due, stored_us) {
                return Some(file);
            }
        }
    }

    /// What is here of every epoch: nothing more comes.
    pub(super) fn end(&mut self, stored_us: u64) -> Vec<EpochFile> {
        let epochs: Vec<_> = self.open.keys().copied().collect();
        epochs.into_iter().filter_map(|epoch| self.give(epoch, stored_us)).collect()
    }

    /// Records and objects that were not taken, since the last look.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    fn give(&mut self, epoch: Epoch, stored_us: u64) -> Option<EpochFile> {
        let mut open = self.open.remove(&epoch)?;
        self.given.push_back(epoch);
        if self.given.len() > REMEMBERED {
            self.given.pop_front();
        }
        let Some((record, opening)) = open.opening else {
            // Nobody could ever open or check it.
            self.refused += open.tracks.values().map(|objects| objects.len() as u64).sum::<u64>();
            return None;
        };
        let mut names: Vec<_> = opening.tracks.iter().map(|track| track.name).collect();
        names.sort_by_key(|name| *name != TrackName::EVENT);
        let tracks = names
            .into_iter()
            .map(|name| RecordedTrack { name, objects: open.tracks.remove(&name).unwrap_or_default() })
            .collect();
        self.refused += open.tracks.values().map(|objects| objects.len() as u64).sum::<u64>();
        let closing = open.closing.map(|(record, _)| record);
        Some(EpochFile { session: self.session, epoch, stored_us, opening: record, closing, tracks })
    }
}

impl Open {
    /// Whether everything that the closing counts has come.
    fn is_whole(&self) -> bool {
        let Some((_, closing)) = &self.closing else { return false };
        let came = |name| self.tracks.get(&name).map_or(0, Vec::len);
        self.opening.is_some() && closing.tracks.iter().all(|t| came(t.name) >= t.chain.objects() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorframe_codec::AccessUnit;
    use doorframe_codec::access_unit::{Codec, Kind};
    use doorframe_codec::units::{Size, TemporalLayer, Uptime};
    use doorframe_transport::Session;
    use doorframe_transport::identity::{DeviceKey, SigningKey};
    use doorframe_transport::recorded::verify;
    use doorframe_transport::seed::Seed;
    use doorframe_transport::session::Config;
    use std::time::Duration;

    struct Sealed {
        epoch: Epoch,
        opening: Bytes,
        objects: Vec<Bytes>,
        closing: Bytes,
    }

    fn session() -> (Session, doorframe_transport::manifest::SessionFacts) {
        let device = DeviceKey::from_seed([2; 32]).unwrap();
        let mut config = Config::new(vec![device.public().clone()]);
        config.tracks = vec![TrackName::VIDEO, TrackName::EVENT];
        let identity = SigningKey::from_seed(&[1; 32]).unwrap();
        let seed = Seed::from_os_random([3; 32]);
        let (session, manifest) = Session::start(config, &identity, seed, Uptime::default(), 0).unwrap();
        (session, doorframe_transport::manifest::SessionManifest::parse(&manifest).unwrap().facts().clone())
    }

    fn seal(session: &mut Session, epoch: u32, objects: usize) -> Sealed {
        let opening = session.begin(Epoch(epoch), Uptime::default(), 0, vec![]).unwrap();
        let unit = AccessUnit {
            codec: Codec::H264,
            kind: Kind::Keyframe,
            layer: TemporalLayer::BASE,
            size: Size::new(64, 48).unwrap(),
            at: session.media_time(Uptime::default()),
            data: Bytes::from_static(b"unit"),
        };
        let objects = (0..objects).map(|_| session.seal(TrackName::VIDEO, &unit, Duration::ZERO).unwrap()).collect();
        let (epoch, closing) = session.end().unwrap();
        Sealed { epoch, opening, objects, closing }
    }

    fn objects(collector: &mut Collector, sealed: &Sealed, range: std::ops::Range<usize>) {
        for n in range {
            collector.handle_object(TrackName::VIDEO, sealed.epoch, n as u64, sealed.objects[n].clone());
        }
    }

    #[test]
    fn an_epoch_is_given_once_all_that_its_closing_counts_is_here_in_any_order() {
        let (mut session, facts) = session();
        let sealed = seal(&mut session, 4, 3);
        let mut collector = Collector::new(session.id());
        collector.handle_record(sealed.epoch, 1, sealed.closing.clone());
        objects(&mut collector, &sealed, 0..2);
        let names = collector.handle_record(sealed.epoch, 0, sealed.opening.clone());
        assert_eq!(names, [TrackName::VIDEO, TrackName::EVENT]);
        assert_eq!(collector.poll(9), None);
        objects(&mut collector, &sealed, 2..3);
        let file = collector.poll(9).unwrap();
        assert!(verify(&file, &facts).unwrap().is_complete());
        assert_eq!(file.tracks[0].name, TrackName::EVENT, "which stands first in a file");
        assert_eq!((collector.poll(9), collector.take_refused()), (None, 0));
        objects(&mut collector, &sealed, 0..1);
        assert_eq!(collector.take_refused(), 1, "too late");
    }

    #[test]
    fn an_epoch_that_stays_incomplete_is_given_when_two_later_ones_have_begun() {
        let (mut session, facts) = session();
        let sealed: Vec<_> = (0..3).map(|n| seal(&mut session, n, 3)).collect();
        let mut collector = Collector::new(session.id());
        for epoch in &sealed {
            assert_eq!(collector.poll(1), None);
            collector.handle_record(epoch.epoch, 0, epoch.opening.clone());
            objects(&mut collector, epoch, 0..2);
        }
        let first = collector.poll(1).unwrap();
        let verdict = verify(&first, &facts).unwrap();
        assert_eq!((first.epoch, verdict.is_complete()), (Epoch(0), false));
        assert_eq!(collector.poll(1), None);
        let rest: Vec<_> = collector.end(1).iter().map(|file| file.epoch).collect();
        assert_eq!(rest, [Epoch(1), Epoch(2)]);
    }

    #[test]
    fn a_group_that_comes_again_after_a_lost_line_is_not_doubled() {
        let (mut session, facts) = session();
        let sealed = seal(&mut session, 0, 3);
        let mut collector = Collector::new(session.id());
        collector.handle_record(sealed.epoch, 0, sealed.opening.clone());
        objects(&mut collector, &sealed, 0..2);
        collector.handle_record(sealed.epoch, 0, sealed.opening.clone());
        objects(&mut collector, &sealed, 0..3);
        collector.handle_record(sealed.epoch, 1, sealed.closing.clone());
        assert!(verify(&collector.poll(1).unwrap(), &facts).unwrap().is_complete());
        assert_eq!(collector.take_refused(), 0);
    }

    #[test]
    fn what_nobody_sealed_so_is_refused_and_takes_no_memory_for_long() {
        let (mut session, _) = session();
        let sealed = seal(&mut session, 0, 1);
        let mut collector = Collector::new(SessionId([9; 16]));
        collector.handle_record(sealed.epoch, 0, sealed.opening.clone());
        collector.handle_record(sealed.epoch, 1, Bytes::from_static(b"junk"));
        collector.handle_record(sealed.epoch, 2, sealed.closing.clone());
        assert_eq!(collector.take_refused(), 3);
        // A hole in a group, and more than an epoch holds.
        let mut collector = Collector::new(session.id());
        collector.handle_object(TrackName::VIDEO, Epoch(1), 1, Bytes::from_static(b"x"));
        let large = Bytes::from(vec![0; MAX_OBJECT]);
        (0..9).for_each(|n| collector.handle_object(TrackName::VIDEO, Epoch(2), n, large.clone()));
        assert_eq!(collector.take_refused(), 3);
        for epoch in 3..200 {
            collector.handle_object(TrackName::VIDEO, Epoch(epoch), 0, Bytes::from_static(b"x"));
            assert_eq!(collector.poll(1), None);
            assert!(collector.open.len() <= MOST_OPEN);
        }
    }
}
