//! Which encoders there are, and how each is set.

use super::table::columns;
use crate::compare::Which;
use crate::ffmpeg::Ffmpeg;
use crate::setting::Setting;
use doorframe_codec::Picture;
use doorframe_codec::units::{Bitrate, Color, FrameRate, Size};

/// For a person: a line an encoder, with the flags of those of ffmpeg for 1000 kbit/s.
pub(crate) fn list(ffmpeg: Option<&Ffmpeg>) -> String {
    let rate = const { FrameRate::whole(30).expect("30 frames a second are a rate") };
    let size = const { Size::new(1280, 720).expect("1280x720 is a size") };
    let setting = Setting { rate, bitrate: Bitrate::from_kbps(1000), gop: 0, threads: 1 };
    let picture = Picture::black(size, Color::default());
    let mut text = match ffmpeg {
        Some(ffmpeg) if ffmpeg.has_vmaf() => format!("ffmpeg {}, with VMAF\n", ffmpeg.version()),
        Some(ffmpeg) => format!("ffmpeg {}, without VMAF\n", ffmpeg.version()),
        None => "no ffmpeg: looked at $FFMPEG, in $PATH, and for the Python package imageio-ffmpeg\n".to_owned(),
    };
    let rows = Which::all().map(|encoder| {
        let about = match encoder {
            Which::Ours(ours) => ours.describe(&picture, &setting),
            Which::Peer(peer) if ffmpeg.is_some_and(|ffmpeg| ffmpeg.has(peer.encoder())) => {
                peer.flags(&setting).join(" ")
            }
            Which::Peer(peer) => format!("not here: needs an ffmpeg with {}", peer.encoder()),
        };
        vec![format!("{:<20} {about}", encoder.name())]
    });
    text += &columns(rows.collect());
    text
}
