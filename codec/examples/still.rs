//! Makes a picture of a clip an AVIF file, and says how long it took.
//!
//! `still CLIP.y4m OUT.avif [QUALITY [THREADS [PICTURE]]]`: quality 1 to 100, 75 if not given; one thread; the first picture,
//! 0. Prints bytes, and the best time of five in milliseconds.

use doorframe_codec::Picture;
use doorframe_codec::av1::avif::{Quality, still};
use doorframe_codec::clip::y4m;
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clip, out, numbers @ ..] = arguments.as_slice() else {
        return Err("usage: still CLIP.y4m OUT.avif [QUALITY [THREADS [PICTURE]]]".into());
    };
    let number = |index: usize, usual: u8| numbers.get(index).map_or(Ok(usual), |given| given.parse());
    let quality = Quality::new(number(0, Quality::SNAPSHOT.get())?).ok_or("QUALITY is not from 1 to 100")?;
    let (threads, index) = (number(1, 1)?, number(2, 0)?);
    let clip = std::fs::read(clip)?;
    let (header, start) = y4m::Header::parse(&clip)?;
    let samples = y4m::frames(&clip, &header, start).nth(index.into()).ok_or("the clip has no such picture")?;
    let picture = Picture::from_samples(header.size, header.color, samples.to_vec()).ok_or("the clip is cut short")?;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let began = now();
        let file = still(&picture, quality, threads)?;
        best = best.min(began.elapsed().as_secs_f64() * 1000.0);
        std::fs::write(out, file)?;
    }
    println!("{} bytes, {best:.0} ms", std::fs::metadata(out)?.len());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the library takes time as an argument; a measurement takes it itself")]
fn now() -> Instant {
    Instant::now()
}
