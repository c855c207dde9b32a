//! One epoch as a file.

use crate::identity::hash;
use crate::keys::{Epoch, SessionId};
use crate::manifest::MAX_TRACKS;
use crate::parse::{Reader, RecordError};
use crate::track::TrackName;
use crate::unit::MAX_OBJECT;
use bytes::{BufMut as _, Bytes, BytesMut};
use thiserror::Error;

/// Most objects of one track in one epoch: a thousand a second and more.
pub const MAX_OBJECTS: usize = 4096;
/// Largest file, in bytes: 250 Mbit/s.
pub const MAX_FILE: usize = 64 << 20;

/// An epoch as it was sealed: its records and objects, none of them checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochFile {
    /// Session it says it is of.
    pub session: SessionId,
    /// Epoch it says it is of.
    pub epoch: Epoch,
    /// When it was stored, by the clock of whoever stored it, µs since 1970: a claim.
    pub stored_us: u64,
    /// The signed opening.
    pub opening: Bytes,
    /// The signed closing; `None` if it never came.
    pub closing: Option<Bytes>,
    /// Its tracks, at most 8, all different; the event track first.
    pub tracks: Vec<RecordedTrack>,
}

/// The objects of one track of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedTrack {
    /// Which track.
    pub name: TrackName,
    /// Its sealed objects in order, at most [`MAX_OBJECTS`].
    pub objects: Vec<Bytes>,
}

/// Why bytes are not an epoch file, or an epoch cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EpochFileError {
    /// It starts otherwise.
    #[error("not an epoch file")]
    Magic,
    /// Larger than any epoch.
    #[error("epoch file of {0} bytes, {MAX_FILE} at most")]
    TooLarge(usize),
    /// Cut short, too long, or a field is out of its range.
    #[error("epoch file is damaged: {0}")]
    Malformed(#[from] RecordError),
    /// Its hash is not that of its content.
    #[error("epoch file is damaged: its hash differs")]
    Damaged,
}

const MAGIC: [u8; 4] = *b"DFEP";
const VERSION: u8 = 1;
const DIGEST: usize = 32;
/// Largest signed record of an epoch, in bytes; those of this version take less than 1000.
const MAX_RECORD: usize = 4096;

impl EpochFile {
    /// Length of the file, in bytes.
    pub fn len(&self) -> usize {
        let records = self.opening.len() + self.closing.as_ref().map_or(0, Bytes::len);
        let track = |track: &RecordedTrack| {
            let objects: usize = track.objects.iter().map(|object| 4 + object.len()).sum();
            1 + track.name.as_bytes().len() + 4 + objects
        };
        MAGIC.len() + 1 + 16 + 4 + 8 + 8 + records + 1 + self.tracks.iter().map(track).sum::<usize>() + DIGEST
    }

    /// Never: it has a head at least.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The file in pieces, to be written one after the other. Objects are shared, not copied.
    ///
    /// # Errors
    /// If it is over a limit: then no reader would take it.
    pub fn emit(&self) -> Result<Vec<Bytes>, EpochFileError> {
        self.check()?;
        let objects: usize = self.tracks.iter().map(|track| track.objects.len()).sum();
        let mut pieces = Pieces {
            out: Vec::with_capacity(2 * objects + 2),
            own: BytesMut::with_capacity(1024 + 4 * objects + self.opening.len()),
            hash: aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256),
        };
        pieces.own.put_slice(&MAGIC);
        pieces.own.put_u8(VERSION);
        pieces.own.put_slice(&self.session.0);
        pieces.own.put_u32(self.epoch.0);
        pieces.own.put_u64(self.stored_us);
        for record in [&self.opening, self.closing.as_ref().unwrap_or(&Bytes::new())] {
            // Checked above to fit.
            pieces.own.put_u32(record.len() as u32);
            pieces.own.put_slice(record);
        }
        pieces.own.put_u8(self.tracks.len() as u8);
        for track in &self.tracks {
            let name = track.name.as_bytes();
            pieces.own.put_u8(name.len() as u8);
            pieces.own.put_slice(name);
            pieces.own.put_u32(track.objects.len() as u32);
            for object in &track.objects {
                pieces.own.put_u32(object.len() as u32);
                pieces.share(object);
            }
        }
        Ok(pieces.finish())
    }

    fn check(&self) -> Result<(), RecordError> {
        let bad = |field, value: usize| RecordError::Field { field, value: value as u64 };
        if self.opening.is_empty() || self.opening.len() > MAX_RECORD {
            return Err(bad("opening", self.opening.len()));
        }
        if let Some(closing) = self.closing.as_ref().filter(|c| c.is_empty() || c.len() > MAX_RECORD) {
            return Err(bad("closing", closing.len()));
        }
        if self.tracks.len() > MAX_TRACKS {
            return Err(bad("tracks", self.tracks.len()));
        }
        for (i, track) in self.tracks.iter().enumerate() {
            let before = self.tracks.iter().take(i);
            if (track.name == TrackName::EVENT && i > 0) || before.clone().any(|other| other.name == track.name) {
                return Err(RecordError::TrackName);
            }
            if track.objects.len() > MAX_OBJECTS {
                return Err(bad("objects", track.objects.len()));
            }
            if let Some(object) = track.objects.iter().find(|object| object.len() > MAX_OBJECT) {
                return Err(bad("object", object.len()));
            }
        }
        if self.len() > MAX_FILE {
            return Err(bad("file", self.len()));
        }
        Ok(())
    }

    /// Reads a file. Its parts share `file`'s memory.
    ///
    /// # Errors
    /// If it is too large, damaged, or anything else than an epoch file to its last byte.
    pub fn parse(file: &Bytes) -> Result<Self, EpochFileError> {
        if file.len() > MAX_FILE {
            return Err(EpochFileError::TooLarge(file.len()));
        }
        let mut reader = Reader::new(file);
        match reader.array() {
            Ok(MAGIC) => {}
            _ => return Err(EpochFileError::Magic),
        }
        match reader.u8()? {
            VERSION => {}
            other => return Err(RecordError::Version(other).into()),
        }
        let session = SessionId(reader.array()?);
        let epoch = Epoch(reader.u32()?);
        let stored_us = reader.u64()?;
        let opening = file.slice_ref(part(&mut reader, "opening", MAX_RECORD)?);
        let closing = file.slice_ref(part(&mut reader, "closing", MAX_RECORD)?);
        let tracks = usize::from(reader.u8()?);
        let mut epoch_file = Self {
            session,
            epoch,
            stored_us,
            opening,
            closing: Some(closing).filter(|closing| !closing.is_empty()),
            tracks: Vec::new(),
        };
        for _ in 0..tracks {
            let name = TrackName::parse(&mut reader)?;
            let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
            if count > MAX_OBJECTS {
                return Err(RecordError::Field { field: "objects", value: count as u64 }.into());
            }
            let mut objects = Vec::new();
            for _ in 0..count {
                objects.push(file.slice_ref(part(&mut reader, "object", MAX_OBJECT)?));
            }
            epoch_file.tracks.push(RecordedTrack { name, objects });
            epoch_file.check()?;
        }
        epoch_file.check()?;
        let digest: [u8; DIGEST] = reader.array()?;
        reader.end()?;
        let content = file.get(..file.len().saturating_sub(DIGEST)).unwrap_or_default();
        if hash(&[content]) != digest {
            return Err(EpochFileError::Damaged);
        }
        Ok(epoch_file)
    }

    /// The objects of a track; none if it has no such track.
    pub fn track(&self, name: TrackName) -> &[Bytes] {
        self.tracks.iter().find(|track| track.name == name).map_or(&[], |track| track.objects.as_slice())
    }
}

/// The first object of the event track, from the first bytes of a file; `None` if there is none within them. Nothing is checked.
pub fn event_object(head: &Bytes) -> Option<Bytes> {
    let mut reader = Reader::new(head);
    reader.array::<{ MAGIC.len() + 1 + 16 + 4 + 8 }>().ok()?;
    part(&mut reader, "opening", MAX_RECORD).ok()?;
    part(&mut reader, "closing", MAX_RECORD).ok()?;
    let tracks = reader.u8().ok()?;
    if tracks == 0 || TrackName::parse(&mut reader).ok()? != TrackName::EVENT || reader.u32().ok()? == 0 {
        return None;
    }
    Some(head.slice_ref(part(&mut reader, "object", MAX_OBJECT).ok()?))
}

/// `u32 length ‖ bytes`, at most `most` of them.
fn part<'a>(reader: &mut Reader<'a>, field: &'static str, most: usize) -> Result<&'a [u8], RecordError> {
    let len = reader.u32()?;
    match usize::try_from(len) {
        Ok(fits) if fits <= most => reader.slice(fits),
        _ => Err(RecordError::Field { field, value: len.into() }),
    }
}

/// A file as it is put together: bytes of our own between objects that are shared.
struct Pieces {
    out: Vec<Bytes>,
    own: BytesMut,
    hash: aws_lc_rs::digest::Context,
}

impl Pieces {
    fn share(&mut self, object: &Bytes) {
        self.flush();
        self.hash.update(object);
        self.out.push(object.clone());
    }

    fn flush(&mut self) {
        let own = self.own.split().freeze();
        if !own.is_empty() {
            self.hash.update(&own);
            self.out.push(own);
        }
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.flush();
        self.out.push(Bytes::copy_from_slice(self.hash.finish().as_ref()));
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn emit(file: &EpochFile) -> Bytes {
        Bytes::from(file.emit().unwrap().concat())
    }

    fn any_bytes(range: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), range).prop_map(Bytes::from)
    }

    fn tracks() -> impl Strategy<Value = Vec<RecordedTrack>> {
        let names = ["event", "video", "audio", "video.1"];
        let objects = || proptest::collection::vec(any_bytes(0..80), 0..6);
        (0..=names.len(), proptest::collection::vec(objects(), names.len())).prop_map(move |(count, objects)| {
            let named = names.iter().zip(objects).take(count);
            named.map(|(name, objects)| RecordedTrack { name: TrackName::new(name).unwrap(), objects }).collect()
        })
    }

    fn files() -> impl Strategy<Value = EpochFile> {
        let head = (any::<[u8; 16]>(), any::<u32>(), any::<u64>());
        (head, any_bytes(1..300), proptest::option::of(any_bytes(1..300)), tracks()).prop_map(
            |((session, epoch, stored_us), opening, closing, tracks)| EpochFile {
                session: SessionId(session),
                epoch: Epoch(epoch),
                stored_us,
                opening,
                closing,
                tracks,
            },
        )
    }

    proptest! {
        #[test]
        fn a_file_reads_back_and_is_as_long_as_it_says(file in files()) {
            let bytes = emit(&file);
            prop_assert_eq!(bytes.len(), file.len());
            prop_assert_eq!(EpochFile::parse(&bytes), Ok(file));
        }

        #[test]
        fn every_truncation_and_every_changed_bit_is_found(file in files(), at in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let bytes = emit(&file);
            prop_assert!(EpochFile::parse(&bytes.slice(..at.index(bytes.len()))).is_err());
            let mut changed = bytes.to_vec();
            changed[at.index(bytes.len())] ^= 1 << bit;
            prop_assert!(EpochFile::parse(&changed.into()).is_err());
            let longer = Bytes::from([bytes.as_ref(), &[0]].concat());
            prop_assert!(EpochFile::parse(&longer).is_err());
        }
    }

    fn small() -> EpochFile {
        EpochFile {
            session: SessionId([1; 16]),
            epoch: Epoch(7),
            stored_us: 9,
            opening: Bytes::from_static(b"opening"),
            closing: None,
            tracks: vec![RecordedTrack { name: TrackName::VIDEO, objects: vec![Bytes::from_static(b"object")] }],
        }
    }

    #[test]
    fn objects_are_shared_with_the_file_and_not_copied() {
        let file = small();
        let pieces = file.emit().unwrap();
        let ours = file.track(TrackName::VIDEO).first().unwrap().as_ptr();
        assert!(pieces.iter().any(|piece| piece.as_ptr() == ours));
        let bytes = emit(&file);
        let back = EpochFile::parse(&bytes).unwrap();
        assert!(bytes.as_ptr_range().contains(&back.track(TrackName::VIDEO).first().unwrap().as_ptr()));
    }

    #[test]
    fn a_length_beyond_the_file_takes_no_memory_and_each_limit_is_named() {
        let mut bytes = emit(&small()).to_vec();
        // Length of the opening.
        bytes[33..37].copy_from_slice(&u32::MAX.to_be_bytes());
        let refused = EpochFile::parse(&bytes.into()).unwrap_err();
        assert_eq!(refused.to_string(), "epoch file is damaged: opening is 4294967295, out of range");
        assert_eq!(EpochFile::parse(&Bytes::from_static(b"DFEQ\x01")), Err(EpochFileError::Magic));
        assert_eq!(
            EpochFile::parse(&Bytes::from_static(b"DFEP\x02")).unwrap_err().to_string(),
            "epoch file is damaged: record has version 2, this program knows 1"
        );
    }

    #[test]
    fn the_event_object_is_found_in_the_head_of_a_file() {
        let mut file = small();
        assert_eq!(event_object(&emit(&file)), None);
        let event = Bytes::from(vec![7; 300]);
        file.tracks.insert(0, RecordedTrack { name: TrackName::EVENT, objects: vec![event.clone()] });
        let bytes = emit(&file);
        assert_eq!(event_object(&bytes.slice(..380)), Some(event));
        (0..300).for_each(|len| assert_eq!(event_object(&bytes.slice(..len)), None, "{len}"));
    }

    #[test]
    fn what_no_reader_would_take_is_not_written() {
        let with = |change: &dyn Fn(&mut EpochFile)| {
            let mut file = small();
            change(&mut file);
            file.emit().unwrap_err()
        };
        let object = Bytes::from_static(b"o");
        let track = |name: TrackName| RecordedTrack { name, objects: vec![] };
        let twice = with(&|f| f.tracks = vec![track(TrackName::VIDEO), track(TrackName::VIDEO)]);
        let late = with(&|f| f.tracks = vec![track(TrackName::VIDEO), track(TrackName::EVENT)]);
        assert_eq!((twice, late), (RecordError::TrackName.into(), RecordError::TrackName.into()));
        let many = with(&|f| f.tracks[0].objects = vec![object.clone(); MAX_OBJECTS + 1]);
        assert_eq!(many, RecordError::Field { field: "objects", value: 4097 }.into());
        let long = with(&|f| f.tracks[0].objects = vec![Bytes::from(vec![0; MAX_OBJECT + 1])]);
        assert_eq!(long, RecordError::Field { field: "object", value: MAX_OBJECT as u64 + 1 }.into());
        let large = with(&|f| f.tracks[0].objects = vec![Bytes::from(vec![0; MAX_OBJECT]); 8]);
        assert!(matches!(large, EpochFileError::Malformed(RecordError::Field { field: "file", .. })), "{large}");
        let nine = with(&|f| {
            f.tracks = (0..9).map(|n| track(TrackName::new(&format!("t{n}")).unwrap())).collect();
        });
        assert_eq!(nine, RecordError::Field { field: "tracks", value: 9 }.into());
        assert!(matches!(with(&|f| f.opening = Bytes::new()), EpochFileError::Malformed(_)));
    }
}
