//! An epoch as it is sealed: what goes to the hub piece by piece, put together.

use bytes::Bytes;
use doorframe_transport::keys::{Epoch, SessionId};
use doorframe_transport::recorded::{EpochFile, RecordedTrack};
use doorframe_transport::track::TrackName;

/// The open epoch. Objects are shared with the network, not copied.
#[derive(Debug)]
pub(super) struct Sealed(EpochFile);

impl Sealed {
    /// An epoch begins.
    pub(super) fn begin(session: SessionId, epoch: Epoch, opening: Bytes) -> Self {
        Self(EpochFile { session, epoch, stored_us: 0, opening, closing: None, tracks: Vec::new() })
    }

    /// The next object of a track.
    pub(super) fn add(&mut self, name: TrackName, object: Bytes) {
        let tracks = &mut self.0.tracks;
        if let Some(track) = tracks.iter_mut().find(|track| track.name == name) {
            return track.objects.push(object);
        }
        // An epoch file has its event track first.
        let at = if name == TrackName::EVENT { 0 } else { tracks.len() };
        tracks.insert(at, RecordedTrack { name, objects: vec![object] });
    }

    /// It is over. `wall_us`: now, µs since 1970.
    pub(super) fn end(self, closing: Bytes, wall_us: u64) -> EpochFile {
        EpochFile { stored_us: wall_us, closing: Some(closing), ..self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_order_and_the_event_track_is_first() {
        let mut sealed = Sealed::begin(SessionId([1; 16]), Epoch(3), Bytes::from_static(b"opening"));
        let object = |n: u8| Bytes::from(vec![n]);
        (1..3).for_each(|n| sealed.add(TrackName::VIDEO, object(n)));
        sealed.add(TrackName::EVENT, object(3));
        let file = sealed.end(Bytes::from_static(b"closing"), 7);
        assert_eq!(file.tracks.first().map(|track| track.name), Some(TrackName::EVENT));
        assert_eq!(file.track(TrackName::VIDEO), [object(1), object(2)]);
        let bytes = Bytes::from(file.emit().unwrap().concat());
        assert_eq!(EpochFile::parse(&bytes), Ok(file));
    }
}
