//! How near a stream's pictures are to those that were encoded.

use crate::clip::Clip;
use crate::error::Error;
use crate::ffmpeg::Ffmpeg;
use crate::ssim::Ssim;
use crate::stream;
use doorframe_codec::access_unit::Codec;
use doorframe_codec::av1::rav1d::Rav1dDecoder;
use doorframe_codec::decoder::Limits;
use doorframe_codec::h264::openh264::Openh264Decoder;
use doorframe_codec::{AccessUnit, Decoder, Picture};
use std::path::Path;

/// Likeness of a whole stream; each is a mean over pictures, and more is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quality {
    /// Peak signal-to-noise ratio of the luma, in dB.
    pub(crate) psnr: f64,
    /// Structural similarity of the luma, at most 1.
    pub(crate) ssim: f64,
    /// VMAF with its standard model, 0 to 100; `None` where no ffmpeg has it.
    pub(crate) vmaf: Option<f64>,
}

/// VMAF looks at every such picture: it costs more than all else here.
const VMAF_EVERY: usize = 3;

impl Quality {
    /// Of what `encoder` made of `clip`; `source` is the clip's y4m file, `scratch` a folder to write to.
    ///
    /// # Errors
    /// If it cannot be decoded, does not show each picture in its turn, or VMAF fails.
    pub(crate) fn of(
        units: &[AccessUnit],
        encoder: &str,
        clip: &Clip,
        vmaf: Option<(&Ffmpeg, &Path)>,
        scratch: &Path,
    ) -> Result<Self, Error> {
        let (psnr, ssim) = decoded(units, encoder, clip)?;
        let vmaf = match vmaf {
            Some((ffmpeg, source)) => {
                let coded = scratch.join(match units.first().map(|unit| unit.codec) {
                    Some(Codec::H264) => "judged.264",
                    _ => "judged.ivf",
                });
                stream::write(units, clip.rate, &coded)?;
                Some(vmaf_of(&coded, source, ffmpeg)?)
            }
            None => None,
        };
        Ok(Self { psnr, ssim, vmaf })
    }
}

/// Mean PSNR and SSIM, by our decoders.
fn decoded(units: &[AccessUnit], encoder: &str, clip: &Clip) -> Result<(f64, f64), Error> {
    let mut decoder: Box<dyn Decoder> = match units.first().map(|unit| unit.codec) {
        Some(Codec::H264) => Box::new(Openh264Decoder::new(Limits::default())),
        _ => Box::new(Rav1dDecoder::new(Limits::default())),
    };
    let missing = |shown| Error::Missing {
        encoder: encoder.to_owned(),
        clip: clip.name.clone(),
        units: units.len(),
        shown,
        pictures: clip.pictures.len(),
    };
    let Some(first) = clip.pictures.first() else { return Err(missing(0)) };
    let mut picture = Picture::black(first.size(), first.color());
    let (mut judge, mut psnr, mut ssim) = (Ssim::default(), 0.0, 0.0);
    let mut originals = clip.pictures.iter();
    let shown = |left: &std::slice::Iter<'_, Picture>| clip.pictures.len() - left.len();
    for (at, unit) in units.iter().enumerate() {
        let failed = |error| Error::Decode { encoder: encoder.to_owned(), clip: clip.name.clone(), at, error };
        if !decoder.decode(unit, &mut picture).map_err(failed)?.is_picture() {
            continue;
        }
        let original = originals.next().ok_or_else(|| missing(shown(&originals) + 1))?;
        let figures = picture.psnr_y(original).zip(judge.compare(&picture, original));
        let (more_psnr, more_ssim) = figures.ok_or_else(|| missing(shown(&originals)))?;
        psnr += more_psnr;
        ssim += more_ssim;
    }
    if originals.len() > 0 {
        return Err(missing(shown(&originals)));
    }
    let pictures = clip.pictures.len() as f64;
    Ok((psnr / pictures, ssim / pictures))
}

fn vmaf_of(coded: &Path, source: &Path, ffmpeg: &Ffmpeg) -> Result<f64, Error> {
    // Counted, not timed: a byte stream tells no times. Tagged alike: else ffmpeg converts one to the other.
    let alike = "settb=AVTB,setpts=N*1000,setparams=range=tv:colorspace=bt709";
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let filter = format!(
        "[0:v]{alike}[coded];[1:v]{alike}[source];[coded][source]libvmaf=n_subsample={VMAF_EVERY}:n_threads={threads}"
    );
    let (coded, source) = (coded.display().to_string(), source.display().to_string());
    let said = ffmpeg.run(["-i", &coded, "-i", &source, "-lavfi", &filter, "-f", "null", "-"])?;
    let failed = || Error::Peer { peer: "libvmaf", what: "did not tell its score".to_owned() };
    score(&said).ok_or_else(failed)
}

/// From what ffmpeg says: `[Parsed_libvmaf_0 @ 0x5f] VMAF score: 88.123456`.
fn score(said: &str) -> Option<f64> {
    let (_, score) = said.rsplit_once("VMAF score: ")?;
    score.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ours::Ours;
    use crate::setting::tests::setting;
    use doorframe_codec::testing::Scene;
    use doorframe_codec::units::{FrameRate, Size};

    fn scene() -> Clip {
        let scene = Scene::new(Size::new(64, 48).unwrap(), 5);
        let pictures = (0..8).map(|n| scene.picture(n)).collect();
        Clip { name: "scene".to_owned(), rate: FrameRate::whole(30).unwrap(), pictures }
    }

    fn judged(units: &[AccessUnit], clip: &Clip) -> Result<Quality, Error> {
        Quality::of(units, "it", clip, None, Path::new("/nowhere"))
    }

    #[test]
    fn more_bits_are_judged_better_by_each_measure() {
        let clip = scene();
        for ours in Ours::ALL {
            let of = |kbps| {
                let encoded = ours.encode("scene", &clip.pictures, &setting(kbps, 0)).unwrap();
                judged(&encoded.units, &clip).unwrap()
            };
            let (few, many) = (of(60), of(1000));
            assert!(few.psnr + 1.0 < many.psnr, "{}: {few:?} {many:?}", ours.name());
            assert!(few.ssim < many.ssim && many.ssim < 1.0, "{}: {few:?} {many:?}", ours.name());
        }
    }

    #[test]
    fn pictures_that_are_missing_or_in_another_place_are_found_out() {
        let clip = scene();
        let units = Ours::Openh264.encode("scene", &clip.pictures, &setting(1000, 0)).unwrap().units;
        let all = judged(&units, &clip).unwrap();
        let short = judged(&units[..7], &clip).unwrap_err().to_string();
        assert_eq!(short, "it made 7 units that show 7 pictures of the 8 of scene");
        let shorter = Clip { pictures: clip.pictures[..7].to_vec(), ..scene() };
        let long = judged(&units, &shorter).unwrap_err().to_string();
        assert_eq!(long, "it made 8 units that show 8 pictures of the 7 of scene");
        let late = Clip { pictures: [&clip.pictures[1..], &clip.pictures[..1]].concat(), ..scene() };
        assert!(judged(&units, &late).unwrap().psnr < all.psnr - 3.0);
        let damaged = judged(&units[1..], &clip).unwrap_err().to_string();
        assert_eq!(damaged, "what it made of scene cannot be decoded: no keyframe to decode from at unit 0");
    }

    #[test]
    fn the_score_is_read_from_the_last_line_that_has_one() {
        assert_eq!(
            score("[a] VMAF score: 1.5\n[Parsed_libvmaf_0 @ 0x5] VMAF score: 88.123456\nbench"),
            Some(88.123_456)
        );
        assert_eq!(score("VMAF score: n/a"), None);
        assert_eq!(score(""), None);
    }
}
