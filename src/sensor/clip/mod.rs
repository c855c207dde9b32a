//! Footage in a file that plays again and again, as a camera would see it.

mod coded;
mod reel;

pub use coded::CodedClip;

use super::pace::Pace;
use super::{Clock, Decoding, Losses, Sensor, SensorError, even, lend};
use bytes::Bytes;
use doorframe_codec::frame::{Format, Plane};
use doorframe_codec::units::{Color, FrameRate, Matrix, Range, Size};
use doorframe_codec::{Frame, Picture};
use reel::{Image, Next, Reel};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// The clip that is built into the program: ten seconds of a woman and a dog at an entrance, H.264, 1280x720, 29.97
/// frames a second. Origin and licence are in `assets/README.md`.
pub const BUILT_IN: &[u8] = include_bytes!("../../../assets/door_720p30.264");

const BUILT_IN_NAME: &str = "door_720p30.264 (built in)";

/// The whole file at `path`.
fn read(path: &Path) -> Result<Bytes, SensorError> {
    let failed = |error| SensorError::Read { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // The length of a pipe is not known before its end.
    file.take(Clip::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > Clip::MAX_BYTES {
        return Err(SensorError::TooLarge { clip: path.display().to_string(), most: Clip::MAX_BYTES });
    }
    Ok(bytes.into())
}

/// A clip as a camera: at its own rate, from the end on to the start, skipping what a late consumer misses.
///
/// It is decoded ahead of time on a thread of its own, so that a frame is there when it is due. `captured` is the
/// moment it is due. What is damaged is left out up to the next keyframe, and counted.
#[derive(Debug)]
pub struct Clip {
    name: String,
    clip: String,
    size: Size,
    rate: FrameRate,
    clock: Clock,
    /// Starts with the first frame.
    pace: Option<Pace>,
    ahead: Receiver<Result<Image, SensorError>>,
    /// Pictures to be used again.
    spare: Sender<Picture>,
    first: Option<Image>,
    lent: Option<Image>,
    skipped: u64,
    damaged: Arc<AtomicU64>,
}

/// Images decoded ahead of time.
const AHEAD: usize = 3;

impl Clip {
    /// Largest file that is read: all of it is held in memory.
    pub const MAX_BYTES: u64 = 1 << 30;

    /// Opens the clip in the file at `path`: H.264 Annex B, AV1 in IVF, y4m or Motion JPEG, by its content.
    ///
    /// # Errors
    /// If it cannot be read, is none of these, or not one picture of it can be decoded.
    pub fn open(path: &Path, clock: Clock, decoding: &Decoding) -> Result<Self, SensorError> {
        Self::of(path.display().to_string(), read(path)?, clock, decoding)
    }

    /// Opens the clip that is built into the program.
    ///
    /// # Errors
    /// Only if no thread can be started.
    pub fn built_in(clock: Clock) -> Result<Self, SensorError> {
        Self::of(BUILT_IN_NAME.to_owned(), Bytes::from_static(BUILT_IN), clock, &Decoding::Here)
    }

    /// Opens the clip of these bytes; `clip` is what messages call it.
    ///
    /// # Errors
    /// As [`Clip::open`].
    pub fn of(clip: String, bytes: Bytes, clock: Clock, decoding: &Decoding) -> Result<Self, SensorError> {
        let reel = reel::open(&clip, &bytes, decoding)?;
        let rate = reel.rate();
        let (send, ahead) = sync_channel(AHEAD);
        let (spare, used) = channel();
        let damaged = Arc::new(AtomicU64::new(0));
        let play = Play { clip: clip.clone(), reel, send, spare: used, damaged: damaged.clone() };
        std::thread::Builder::new()
            .name("clip".to_owned())
            .spawn(move || play.run())
            .map_err(|error| SensorError::Thread { clip: clip.clone(), why: error.to_string() })?;
        let first = receive(&ahead, &clip)?;
        let size = even(first.size()).ok_or_else(|| SensorError::NoPicture {
            clip: clip.clone(),
            why: format!("a picture of {} is too small", first.size()),
        })?;
        let name = format!("clip {clip}, {size} at {rate}");
        let (first, lent, pace, skipped) = (Some(first), None, None, 0);
        Ok(Self { name, clip, size, rate, clock, pace, ahead, spare, first, lent, skipped, damaged })
    }

    fn recycle(&self, image: Image) {
        if let Image::Picture(picture) = image {
            // Its thread is gone only when it has said why, and then nobody needs the picture.
            let _ = self.spare.send(picture);
        }
    }
}

impl Sensor for Clip {
    fn next(&mut self) -> Result<Frame<'_>, SensorError> {
        if let Some(image) = self.lent.take() {
            self.recycle(image);
        }
        let mut image = match self.first.take() {
            Some(image) => image,
            None => receive(&self.ahead, &self.clip)?,
        };
        // Asked after the picture is there: decoding that is too slow for the rate skips, and does not bunch up.
        let now = self.clock.now();
        let due = self.pace.get_or_insert_with(|| Pace::new(self.rate, now)).take(now);
        self.skipped += due.skipped;
        for _ in 0..due.skipped {
            let Ok(Ok(newer)) = self.ahead.try_recv() else { break };
            self.recycle(std::mem::replace(&mut image, newer));
        }
        self.clock.sleep_until(due.at);
        Ok(match self.lent.insert(image) {
            Image::Picture(picture) => lend(picture.size(), picture.color(), picture.samples(), due.at)?,
            Image::Samples { size, color, data } => lend(*size, *color, data, due.at)?,
            Image::Jpeg { data, .. } => {
                let color = Color { range: Range::Full, matrix: Matrix::Bt601 };
                Frame::new(Format::Mjpeg, self.size, color, due.at, &[Plane { data, stride: 0 }])?
            }
        })
    }

    fn size(&self) -> Size {
        self.size
    }

    fn rate(&self) -> FrameRate {
        self.rate
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn losses(&self) -> Losses {
        Losses { skipped: self.skipped, damaged: self.damaged.load(Ordering::Relaxed), ..Losses::default() }
    }
}

fn receive(ahead: &Receiver<Result<Image, SensorError>>, clip: &str) -> Result<Image, SensorError> {
    ahead.recv().unwrap_or_else(|_| {
        Err(SensorError::Thread { clip: clip.to_owned(), why: "its thread came to an end".to_owned() })
    })
}

/// The thread that decodes ahead. Ends when nobody receives any more.
struct Play {
    clip: String,
    reel: Box<dyn Reel>,
    send: SyncSender<Result<Image, SensorError>>,
    spare: Receiver<Picture>,
    damaged: Arc<AtomicU64>,
}

impl Play {
    fn run(mut self) {
        let mut size = None;
        let mut shown = 0_u64;
        let mut trouble = None;
        loop {
            match self.reel.next(self.spare.try_recv().ok()) {
                Next::Image(image) if *size.get_or_insert(image.size()) == image.size() => {
                    shown += 1;
                    if self.send.send(Ok(image)).is_err() {
                        return;
                    }
                }
                // A camera does not change its size.
                Next::Image(_) => self.count_damage(),
                Next::Damaged(why) => {
                    self.count_damage();
                    trouble.get_or_insert(why);
                }
                Next::End if shown == 0 => {
                    let why = trouble.unwrap_or_else(|| "there is none in it".to_owned());
                    // Nobody is there to be told, or he is told.
                    let _ = self.send.send(Err(SensorError::NoPicture { clip: self.clip, why }));
                    return;
                }
                Next::End => shown = 0,
            }
        }
    }

    fn count_damage(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn clip(bytes: &[u8]) -> Result<Clip, SensorError> {
        let clock = Clock::new(Instant::now());
        Clip::of("a.264".to_owned(), Bytes::copy_from_slice(bytes), clock, &Decoding::Here)
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = clip(bytes).unwrap_err();
        assert!(error.is_final());
        error.to_string()
    }

    /// Where the NAL units of `kind` begin in the built-in clip.
    fn starts(kind: u8) -> Vec<usize> {
        let found = BUILT_IN.windows(4).enumerate();
        found.filter(|(_, bytes)| bytes[..3] == [0, 0, 1] && bytes[3] & 31 == kind).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_built_in_clip_is_what_its_readme_says() {
        let mut clip = Clip::built_in(Clock::new(Instant::now())).unwrap();
        assert_eq!(clip.size(), Size::new(1280, 720).unwrap());
        assert_eq!(clip.rate(), FrameRate::new(30_000, 1001).unwrap());
        let color = clip.next().unwrap().color();
        assert_eq!(color, Color { range: Range::Limited, matrix: Matrix::Bt709 });
        assert_eq!(starts(5).len(), 2, "IDR pictures");
        assert_eq!(starts(5).len() + starts(1).len(), 289, "pictures of one slice each");
    }

    #[test]
    fn frames_come_when_they_are_due_and_skip_for_a_late_consumer() {
        let clock = Clock::new(Instant::now());
        let mut clip = Clip::built_in(clock).unwrap();
        let first = clip.next().unwrap().captured();
        let second = clip.next().unwrap().captured();
        assert!(second.since(first) >= Duration::from_micros(33_366), "{first:?} and {second:?}");
        assert!(clock.now() >= second, "handed out before it was due");
        std::thread::sleep(Duration::from_millis(350));
        let late = clip.next().unwrap().captured();
        assert!(late.since(second) >= Duration::from_millis(300), "{:?}", late.since(second));
        assert!(clip.losses().skipped >= 9, "{:?}", clip.losses());
        assert!(clip.next().unwrap().captured() > late);
    }

    #[test]
    fn a_clip_plays_again_from_its_start() {
        let keyframe = &BUILT_IN[..starts(1)[0] - 1];
        let mut clip = clip(keyframe).unwrap();
        let luma = |frame: Frame<'_>| frame.planes()[0].data[..1000].to_vec();
        let first = luma(clip.next().unwrap());
        for _ in 0..5 {
            assert_eq!(luma(clip.next().unwrap()), first);
        }
        assert_eq!(clip.losses().damaged, 0);
    }

    #[test]
    fn what_is_no_clip_is_told_why() {
        let kinds = "is not a clip: it is neither an H.264 Annex B stream, AV1 in IVF, y4m nor Motion JPEG";
        let mp4 = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";
        assert_eq!(refusal(b""), "the clip a.264 is empty");
        assert_eq!(refusal(b"\0"), format!("a.264 {kinds}"));
        assert_eq!(refusal(&[7; 5000]), format!("a.264 {kinds}"));
        assert_eq!(refusal(mp4), format!("a.264 {kinds}; `ffmpeg -i FILE -an -c:v libx264 FILE.264` makes one of it"));
    }

    #[test]
    fn a_clip_with_nothing_to_show_is_told_why() {
        let before = "no picture of the clip a.264 can be decoded: ";
        let parameters = &BUILT_IN[..starts(5)[0]];
        let headless = [parameters, &BUILT_IN[starts(1)[0]..starts(1)[9]]].concat();
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0];
        let y4m = b"YUV4MPEG2 W64 H48 F30:1\nFRAME\nshort";
        for bytes in [parameters, &headless, &jpeg, y4m, b"YUV4MPEG2 W64 H48 F30:1\n"] {
            let message = refusal(bytes);
            assert!(message.starts_with(before) && message.len() > before.len() + 5, "{message}");
        }
    }

    #[test]
    fn a_clip_with_a_bad_header_is_told_why() {
        assert!(refusal(b"YUV4MPEG2 W0 H48 F30:1\n").starts_with("the clip a.264 is damaged: header"));
        assert!(refusal(b"DKIF\0\0\x20\0VP80").starts_with("the clip a.264 is damaged: "));
    }

    #[test]
    fn samples_of_a_file_are_lent_as_they_are() {
        let mut file = b"YUV4MPEG2 W5 H3 F50:1 C420jpeg\n".to_vec();
        for level in [10, 20] {
            file.extend(b"FRAME\n");
            file.extend([[level; 15].as_slice(), &[level + 1; 6], &[level + 2; 6]].concat());
        }
        let mut clip = clip(&file).unwrap();
        assert_eq!((clip.size(), clip.rate()), (Size::new(4, 2).unwrap(), FrameRate::whole(50).unwrap()));
        for level in [10, 20, 10] {
            let frame = clip.next().unwrap();
            assert_eq!(frame.size(), Size::new(4, 2).unwrap(), "an odd size is cropped");
            assert_eq!(
                frame.planes().iter().map(|plane| plane.data[0]).collect::<Vec<_>>(),
                [level, level + 1, level + 2]
            );
        }
    }

    #[test]
    fn a_clip_cut_short_plays_what_is_there() {
        let mut clip = clip(&BUILT_IN[..starts(1)[3] + 100]).unwrap();
        for _ in 0..10 {
            clip.next().unwrap();
        }
    }

    #[test]
    fn a_damaged_clip_goes_on_at_the_next_keyframe() {
        let (second_group, broken) = (starts(7)[1], starts(1)[20]);
        let mut bytes = [&BUILT_IN[..starts(1)[30]], &BUILT_IN[second_group..]].concat();
        bytes[broken + 4..broken + 60].fill(0xff);
        let clock = Clock::new(Instant::now());
        let mut clip = Clip::of("a.264".to_owned(), bytes.into(), clock, &Decoding::Here).unwrap();
        while clip.losses().damaged == 0 && clock.now().as_micros() < 10_000_000 {
            clip.next().unwrap();
        }
        assert!(clip.losses().damaged > 0);
        for _ in 0..10 {
            clip.next().unwrap();
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let open = |path: &str| {
            Clip::open(Path::new(path), Clock::new(Instant::now()), &Decoding::Here).unwrap_err().to_string()
        };
        assert!(open("/nowhere/door.264").starts_with("cannot read the clip /nowhere/door.264: No such file"));
        assert!(open("/").starts_with("cannot read the clip /: "));
        assert_eq!(open("/dev/null"), "the clip /dev/null is empty");
    }
}
