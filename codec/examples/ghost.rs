//! Whether anything of a person stays behind where it has just left, when a noisy clip is denoised.
//!
//! `ghost CLEAN.y4m NOISY.y4m [PICTURES [STRIP.pgm]]`: the same scene twice, and how many pictures the denoiser averages
//! at most. Blocks of 8x8 samples of the clean clip are told apart: those that move, those that something left within the
//! last 15 pictures, and those that have been still for longer. Prints for each kind the PSNR of luma before and after
//! denoising, and for what was left its *ghost*: which part of what was there before is still seen, by least squares; 0 is
//! none of it, 1 all of it. The source's own ghost is beside it: no more than noise. STRIP.pgm gets the picture with the
//! largest part that was just left: clean, noisy, denoised, and five times the error of the denoised one.

use doorframe_codec::Picture;
use doorframe_codec::clip::y4m;
use doorframe_codec::denoise::{Denoiser, Strength};
use std::collections::VecDeque;
use std::error::Error;

/// Pictures for which a block counts as just left.
const LEFT: usize = 15;
/// Pictures that the denoiser is given to settle.
const SETTLED: usize = 30;
const BLOCK: usize = 8;

/// What is known of one kind of blocks.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    samples: u64,
    /// Squared errors of the source and of the denoised picture.
    errors: [f64; 2],
    /// Their errors times the step back to what was there before, and that step squared.
    toward: [f64; 2],
    step: f64,
}

const MOVING: usize = 0;
const JUST_LEFT: usize = 1;
const STILL: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(clean), Some(noisy)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ghost CLEAN.y4m NOISY.y4m [PICTURES [STRIP.pgm]]".into());
    };
    let (clean, noisy) = (std::fs::read(clean)?, std::fs::read(noisy)?);
    let pictures: u8 = arguments.next().map_or(Ok(Strength::NORMAL.pictures()), |given| given.parse())?;
    let mut denoiser = Denoiser::new(Strength::new(pictures).ok_or("PICTURES is not from 2 to 32")?);
    let (wanted, clean_start) = y4m::Header::parse(&clean)?;
    let (header, start) = y4m::Header::parse(&noisy)?;
    if wanted.size != header.size {
        return Err(format!("the clips are {} and {}: not of one size", wanted.size, header.size).into());
    }
    let width = header.size.width() as usize;
    let columns = width.div_ceil(BLOCK);
    let mut ages = vec![LEFT + 1; columns * (header.size.height() as usize).div_ceil(BLOCK)];
    let mut before: VecDeque<Picture> = VecDeque::new();
    let mut kinds = [Kind::default(); 3];
    let mut strip: (usize, Vec<u8>) = (0, Vec::new());
    let both = y4m::frames(&clean, &wanted, clean_start).zip(y4m::frames(&noisy, &header, start));
    for (index, (clean, noisy)) in both.enumerate() {
        let of = |samples: &[u8]| Picture::from_samples(header.size, header.color, samples.to_vec());
        let (clean, noisy) = of(clean).zip(of(noisy)).ok_or("a clip is cut short")?;
        let mut shown = noisy.clone();
        denoiser.denoise(&mut shown);
        if let (Some(last), Some(old)) = (before.back(), before.front()) {
            let mut left = 0;
            for (block, age) in ages.iter_mut().enumerate() {
                let (x, y) = (block % columns * BLOCK, block / columns * BLOCK);
                let luma = |picture: &Picture| -> Vec<f64> {
                    let rows = picture.planes()[0].chunks_exact(width).skip(y).take(BLOCK);
                    rows.flat_map(|row| row.iter().skip(x).take(BLOCK).map(|&sample| f64::from(sample))).collect()
                };
                let [now, source, result, last, old] = [&clean, &noisy, &shown, last, old].map(luma);
                let moved: f64 = now.iter().zip(&last).map(|(now, last)| (now - last).abs()).sum();
                *age = if moved > 4.0 * now.len() as f64 { 0 } else { age.saturating_add(1) };
                if index < SETTLED {
                    continue;
                }
                let kind = if *age == 0 {
                    MOVING
                } else if *age <= LEFT {
                    JUST_LEFT
                } else {
                    STILL
                };
                left += usize::from(kind == JUST_LEFT);
                let Some(kind) = kinds.get_mut(kind) else { continue };
                kind.samples += now.len() as u64;
                for ((now, old), both) in now.iter().zip(old).zip(source.iter().zip(&result)) {
                    let back = old - now;
                    kind.step += back * back;
                    for (at, seen) in [both.0, both.1].into_iter().enumerate() {
                        kind.errors[at] += (seen - now).powi(2);
                        kind.toward[at] += (seen - now) * back;
                    }
                }
            }
            if left > strip.0 {
                strip = (left, side_by_side(&clean, &noisy, &shown));
            }
        }
        before.push_back(clean);
        if before.len() > LEFT {
            before.pop_front();
        }
    }
    println!("kind       part_%  psnr_noisy  psnr_denoised  ghost_noisy  ghost_denoised");
    let total: u64 = kinds.iter().map(|kind| kind.samples).sum();
    for (name, kind) in ["moving", "just left", "still"].into_iter().zip(kinds) {
        let count = kind.samples.max(1) as f64;
        let [noisy, denoised] = kind.errors.map(|error| 10.0 * (255.0_f64.powi(2) * count / error.max(1.0)).log10());
        let [a, b] = kind.toward.map(|toward| toward / kind.step.max(1.0));
        let part = kind.samples as f64 * 100.0 / total.max(1) as f64;
        print!("{name:9} {part:7.2} {noisy:11.2} {denoised:14.2}");
        // Where nothing has moved there is nothing that could be seen again.
        if name == "just left" { println!(" {a:12.3} {b:15.3}") } else { println!() }
    }
    if let Some(path) = arguments.next() {
        let mut file = format!("P5 {} {} 255\n", width * 4, header.size.height()).into_bytes();
        file.extend(strip.1);
        std::fs::write(path, file)?;
    }
    Ok(())
}

/// Rows of the clean, the noisy and the denoised picture, and of five times what the last is off.
fn side_by_side(clean: &Picture, noisy: &Picture, shown: &Picture) -> Vec<u8> {
    let width = clean.size().width() as usize;
    let rows = |picture: &Picture| picture.planes()[0].chunks_exact(width).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let both = rows(clean).into_iter().zip(rows(noisy)).zip(rows(shown));
    let row = |((clean, noisy), shown): ((Vec<u8>, Vec<u8>), Vec<u8>)| {
        let off = clean
            .iter()
            .zip(&shown)
            .map(|(clean, shown)| (128 + 5 * (i16::from(*shown) - i16::from(*clean))).clamp(0, 255) as u8);
        let off: Vec<u8> = off.collect();
        [clean, noisy, shown, off].concat()
    };
    both.flat_map(row).collect()
}
