//! `--save FILE`: what is watched, as a file.

use super::Failure;
use doorframe::codec::Picture;
use doorframe::codec::access_unit::{AccessUnit, Codec};
use doorframe::codec::clip::{ivf, y4m};
use doorframe::codec::units::{FrameRate, MediaTime, Size};
use doorframe::viewer::Sink;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a file's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Decoded pictures.
    Y4m,
    /// H.264 as it came.
    AnnexB,
    /// AV1 as it came.
    Ivf,
}

/// y4m has one rate for all its pictures; this is the nearest to what cameras do.
const Y4M_HZ: u32 = 30;
/// Times in an IVF file are in ms.
const IVF_HZ: u32 = 1000;

/// Writes what is watched.
#[derive(Debug)]
pub(super) struct Save {
    path: PathBuf,
    form: Form,
    file: BufWriter<File>,
    /// Of the first picture or unit; what differs later cannot be in the same file.
    size: Option<Size>,
    frames: u64,
    failed: bool,
}

impl Save {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let form = match path.extension().and_then(|e| e.to_str()) {
            Some("y4m") => Form::Y4m,
            Some("264" | "h264") => Form::AnnexB,
            Some("ivf") => Form::Ivf,
            _ => {
                let path = path.display();
                return Err(Failure(format!(
                    "--save {path}: the name must end in .y4m (pictures), .h264 (H.264 as it came) or .ivf (AV1 as it came)"
                )));
            }
        };
        let file = File::create(path).map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
        Ok(Self { path: path.into(), form, file: BufWriter::new(file), size: None, frames: 0, failed: false })
    }

    /// One error is said, and nothing more is written.
    fn done(&mut self, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.failed = true;
            eprintln!("error: cannot write {}: {error}; watching goes on, saving has ended", self.path.display());
        }
    }

    fn other_size(&mut self, size: Size) -> bool {
        let first = *self.size.get_or_insert(size);
        if first != size {
            self.failed = true;
            eprintln!(
                "error: {} holds {first}, the camera now sends {size}; watching goes on, saving has ended",
                self.path.display()
            );
        }
        first != size
    }
}

impl Sink for Save {
    fn unit(&mut self, unit: &AccessUnit) {
        let wanted = match self.form {
            Form::Y4m => return,
            Form::AnnexB => Codec::H264,
            Form::Ivf => Codec::Av1,
        };
        if self.failed {
            return;
        }
        if unit.codec != wanted {
            self.failed = true;
            eprintln!("error: the camera sends {:?}, {} cannot hold it", unit.codec, self.path.display());
            return;
        }
        if self.form == Form::Ivf && self.other_size(unit.size) {
            return;
        }
        let mut bytes = Vec::new();
        if self.form == Form::Ivf {
            if self.frames == 0
                && let Some(rate) = FrameRate::whole(IVF_HZ)
            {
                bytes.extend_from_slice(&ivf::Header { size: unit.size, rate }.emit(0));
            }
            let at = u64::try_from(unit.at.as_duration().as_millis()).unwrap_or(u64::MAX);
            bytes.extend_from_slice(&ivf::emit_frame_header(at, u32::try_from(unit.data.len()).unwrap_or(u32::MAX)));
        }
        self.frames += 1;
        let result = self.file.write_all(&bytes).and_then(|()| self.file.write_all(&unit.data));
        self.done(result);
    }

    fn picture(&mut self, picture: &Picture, _: MediaTime) {
        if self.form != Form::Y4m || self.failed || self.other_size(picture.size()) {
            return;
        }
        let mut header = Vec::new();
        if self.frames == 0
            && let Some(rate) = FrameRate::whole(Y4M_HZ)
        {
            header = y4m::Header { size: picture.size(), rate, color: picture.color() }.emit();
        }
        header.extend_from_slice(y4m::FRAME_HEADER);
        self.frames += 1;
        let result = self.file.write_all(&header).and_then(|()| self.file.write_all(picture.samples()));
        self.done(result);
    }
}

impl Drop for Save {
    fn drop(&mut self) {
        if !self.failed {
            let result = self.file.flush();
            self.done(result);
        }
    }
}
