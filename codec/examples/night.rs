//! What the denoiser is worth: encodes a noisy clip with it and without, and compares both with the clean clip.
//!
//! `night CLEAN.y4m NOISY.y4m KBPS [PICTURES]`: the same scene twice, the bitrate, and how many pictures the denoiser
//! averages at most. Prints, for each way: PSNR of luma against the clean clip before encoding and after decoding, the
//! rate reached, and milliseconds a picture (median and 99th percentile) of denoising and of encoding.

use doorframe_codec::access_unit::Kind;
use doorframe_codec::clip::y4m;
use doorframe_codec::decoder::Limits;
use doorframe_codec::denoise::{Denoiser, Strength};
use doorframe_codec::encoder::Config;
use doorframe_codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe_codec::units::{Bitrate, MediaTime};
use doorframe_codec::{Decoder, Encoder, Picture};
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(clean), Some(noisy), Some(kbps)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: night CLEAN.y4m NOISY.y4m KBPS [PICTURES]".into());
    };
    let (clean, noisy) = (std::fs::read(clean)?, std::fs::read(noisy)?);
    let bitrate = Bitrate::from_kbps(kbps.parse()?);
    let pictures: u8 = arguments.next().map_or(Ok(Strength::NORMAL.pictures()), |given| given.parse())?;
    let strength = Strength::new(pictures).ok_or("PICTURES is not from 2 to 32")?;
    println!("way       psnr_in  psnr_out  kbit/s  denoise_p50  denoise_p99  encode_p50  encode_p99");
    run("as it is", &clean, &noisy, bitrate, None)?;
    run("denoised", &clean, &noisy, bitrate, Some(Denoiser::new(strength)))
}

/// Encodes the noisy clip, and prints a line.
fn run(
    name: &str,
    clean: &[u8],
    noisy: &[u8],
    bitrate: Bitrate,
    mut denoiser: Option<Denoiser>,
) -> Result<(), Box<dyn Error>> {
    let (wanted, clean_start) = y4m::Header::parse(clean)?;
    let (header, start) = y4m::Header::parse(noisy)?;
    let mut encoder = Openh264Encoder::new(Config::new(header.size, header.rate, bitrate).check()?)?;
    let mut decoder = Openh264Decoder::new(Limits::default());
    let mut shown = Picture::black(header.size, header.color);
    let (mut before, mut after, mut bytes, mut denoising, mut encoding) = (0.0, 0.0, 0, Vec::new(), Vec::new());
    let both = y4m::frames(clean, &wanted, clean_start).zip(y4m::frames(noisy, &header, start));
    for (index, (clean, noisy)) in (0..).zip(both) {
        let clean =
            Picture::from_samples(wanted.size, wanted.color, clean.to_vec()).ok_or("clean clip is cut short")?;
        let mut picture =
            Picture::from_samples(header.size, header.color, noisy.to_vec()).ok_or("noisy clip is cut short")?;
        let began = now();
        if let Some(denoiser) = &mut denoiser {
            denoiser.denoise(&mut picture);
        }
        denoising.push(began.elapsed());
        before += picture.psnr_y(&clean).ok_or("the clips are not of one size")?;
        let (at, began) = (MediaTime::from_duration(header.rate.at(index)), now());
        let unit = encoder.encode(&picture, at, Kind::Delta)?.ok_or("the encoder gave nothing")?;
        encoding.push(began.elapsed());
        bytes += unit.data.len();
        if !decoder.decode(&unit, &mut shown)?.is_picture() {
            return Err("the decoder showed nothing".into());
        }
        after += shown.psnr_y(&clean).ok_or("the clips are not of one size")?;
    }
    let count = encoding.len().max(1);
    let kbps = bytes as f32 * 8.0 / 1000.0 * header.rate.as_f32() / count as f32;
    let (before, after) = (before / count as f64, after / count as f64);
    let [denoise_p50, denoise_p99] = percentiles(denoising);
    let [encode_p50, encode_p99] = percentiles(encoding);
    println!(
        "{name:8} {before:8.2} {after:9.2} {kbps:7.0} {denoise_p50:12.2} {denoise_p99:12.2} {encode_p50:11.2} {encode_p99:11.2}"
    );
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the library takes time as an argument; a measurement takes it itself")]
fn now() -> Instant {
    Instant::now()
}

/// Median and 99th percentile in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    [0.5, 0.99].map(|part| {
        let at = (times.len() as f64 * part) as usize;
        times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    })
}
