//! How well an encoder keeps its rate: one line a clip and bitrate.
//!
//! `rate KBPS[,KBPS..] KEYFRAME_EVERY KEYFRAME_UNITS THREADS CLIP.y4m..`, 0 for a keyframe at the start only. Prints achieved over asked
//! bitrate, the largest keyframe, the first one and the largest other unit in mean units, the fullest second over the
//! bitrate, PSNR of luma (mean and least), and milliseconds of processor time a picture (mean, 99th percentile).

use doorframe_codec::access_unit::Kind;
use doorframe_codec::clip::y4m;
use doorframe_codec::decoder::Limits;
use doorframe_codec::encoder::Config;
use doorframe_codec::h264::openh264::{Openh264Decoder, Openh264Encoder};
use doorframe_codec::units::{Bitrate, Color, MediaTime};
use doorframe_codec::{Decoder, Encoder, Picture};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rates, every, units, threads, clips @ ..] = arguments.as_slice() else {
        return Err("usage: rate KBPS[,KBPS..] KEYFRAME_EVERY KEYFRAME_UNITS THREADS CLIP.y4m..".into());
    };
    let every = every.parse()?;
    println!("clip                 kbit/s   rate  keyframe  first  delta  second   PSNR  least   ms  p99");
    for clip in clips {
        let bytes = std::fs::read(clip)?;
        for kbps in rates.split(',') {
            let (header, start) = y4m::Header::parse(&bytes)?;
            let mut config = Config::new(header.size, header.rate, Bitrate::from_kbps(kbps.parse()?));
            (config.keyframe_units, config.threads) = (units.parse()?, threads.parse()?);
            run(
                clip.rsplit('/').next().unwrap_or(clip),
                y4m::frames(&bytes, &header, start),
                header.color,
                config,
                every,
            )?;
        }
    }
    Ok(())
}

fn run<'a>(
    name: &str,
    clip: impl Iterator<Item = &'a [u8]>,
    color: Color,
    config: Config,
    every: usize,
) -> Result<(), Box<dyn Error>> {
    let (size, rate, bitrate) = (config.size, config.rate, config.bitrate);
    let mut encoder = Openh264Encoder::new(config.check()?)?;
    let mut decoder = Openh264Decoder::new(Limits::default());
    let mut shown = Picture::black(size, color);
    let (mut sizes, mut keyframes, mut db, mut ms) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, samples) in clip.enumerate() {
        let picture = Picture::from_samples(size, color, samples.to_vec()).ok_or("clip is cut short")?;
        let want = if every > 0 && index % every == 0 { Kind::Keyframe } else { Kind::Delta };
        let at = MediaTime::from_duration(rate.at(index as u64));
        let before = cpu_ms();
        let unit = encoder.encode(&picture, at, want)?.ok_or("the encoder gave nothing")?;
        ms.push(cpu_ms() - before);
        sizes.push(unit.data.len() as f64);
        keyframes.push(unit.is_keyframe());
        if !decoder.decode(&unit, &mut shown)?.is_picture() {
            return Err("the decoder shows nothing".into());
        }
        db.push(shown.psnr_y(&picture).ok_or("the decoder changed the size")?);
    }
    let budget = f64::from(bitrate.bps()) / 8.0 / f64::from(rate.as_f32());
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    let largest = |key: bool| {
        sizes.iter().zip(&keyframes).filter(|(_, is)| **is == key).map(|(size, _)| *size).fold(0.0, f64::max)
    };
    let second = (rate.as_f32().round() as usize).min(sizes.len());
    let fullest = sizes.windows(second).map(|window| window.iter().sum::<f64>()).fold(0.0, f64::max);
    ms.sort_by(f64::total_cmp);
    println!(
        "{name:20} {:6}  {:5.3}  {:8.2} {:6.2} {:6.2}  {:6.3}  {:5.2}  {:5.2}  {:4.2} {:4.2}",
        bitrate.bps() / 1000,
        mean / budget,
        largest(true) / budget,
        sizes[0] / budget,
        largest(false) / budget,
        fullest / (budget * second as f64),
        db.iter().sum::<f64>() / db.len() as f64,
        db.iter().copied().fold(f64::INFINITY, f64::min),
        ms.iter().sum::<f64>() / ms.len() as f64,
        ms[ms.len() * 99 / 100],
    );
    Ok(())
}

/// Processor time of this process so far, all its threads together; 0 where the kernel does not tell.
fn cpu_ms() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    threads.filter_map(spent).sum::<f64>() / 1e6
}
