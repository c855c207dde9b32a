//! How long from light to frame?

use super::bench::{Bench, Stop, wanted};
use super::seen::percentile;
use crate::wire::{Ask, Lamp};
use doorframe::sensor::{Sensor, SensorError};
use doorframe_codec::Picture;
use doorframe_codec::convert::Converter;
use doorframe_codec::units::Color;
use doorframe_hil_report::{Figure, Series};
use std::time::{Duration, Instant};

/// How often the light is switched.
const FLIPS: u64 = 40;
/// Frames until a light that was switched is surely seen.
const SETTLED: usize = 15;
/// Least steps of luma between dark and lit: fewer may be a shadow.
const CONTRAST: f64 = 25.0;
/// No camera takes longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The rig switches its light, at every phase of a frame alike, and it is seen in a frame, each time.
pub(super) fn check(bench: &mut Bench<'_>) -> Result<(), Stop> {
    bench.ask(&Ask::Light(Lamp::Off))?;
    let mut camera = bench.open(wanted(320, 240, 30)?)?;
    let mut eye = Eye { converter: Converter::new(), picture: Picture::black(camera.size(), Color::default()) };
    let dark = eye.settled(&mut *camera)?;
    bench.ask(&Ask::Light(Lamp::On))?;
    let lit = eye.settled(&mut *camera)?;
    bench.figure(Figure::new("contrast", lit - dark, "steps of luma").at_least(CONTRAST));
    if lit - dark < CONTRAST {
        return Ok(());
    }
    let between = f64::midpoint(dark, lit);
    let frame = Duration::from_secs_f64(1.0 / f64::from(camera.rate().as_f32()));
    let mut took = Vec::new();
    let mut lamp = Lamp::On;
    for flip in 0..FLIPS {
        lamp = if lamp == Lamp::On { Lamp::Off } else { Lamp::On };
        // 7 has no factor in common with 40: each fortieth of a frame is met once, and none next to the one before.
        let phase = frame.mul_f64((flip * 7 % FLIPS) as f64 / FLIPS as f64);
        eye.look(&mut *camera)?;
        std::thread::sleep(phase);
        let switched = Instant::now();
        bench.ask(&Ask::Light(lamp))?;
        while (eye.look(&mut *camera)? > between) != (lamp == Lamp::On) {
            if switched.elapsed() > PATIENCE {
                return Err(Stop::Failed(format!("flip {flip} of the light was not seen within {PATIENCE:?}")));
            }
        }
        took.push(switched.elapsed().as_secs_f64() * 1e3);
    }
    bench.ask(&Ask::Light(Lamp::Off))?;
    bench.figure(Figure::new("p50", percentile(&took, 50), "ms").at_most(500.0));
    bench.figure(Figure::new("p95", percentile(&took, 95), "ms"));
    bench.series(Series::spread("light to frame", "ms", took));
    Ok(())
}

/// Looks at the middle of frames.
struct Eye {
    converter: Converter,
    picture: Picture,
}

impl Eye {
    /// Mean luma of the middle of the next frame: a sixteenth of its sides.
    fn look(&mut self, camera: &mut dyn Sensor) -> Result<f64, SensorError> {
        let frame = camera.next()?;
        // A damaged frame looks as the one before.
        let _lost = self.converter.convert(&frame, &mut self.picture);
        let size = self.picture.size();
        let (width, height) = (size.width() as usize, size.height() as usize);
        let [luma, ..] = self.picture.planes();
        let rows = luma.chunks_exact(width).skip(height * 15 / 32).take((height / 16).max(1));
        let middle = rows.flat_map(|row| row.iter().skip(width * 15 / 32).take((width / 16).max(1)));
        let (sum, count) = middle.fold((0.0, 0.0), |(sum, count), &luma| (sum + f64::from(luma), count + 1.0));
        Ok(sum / f64::max(count, 1.0))
    }

    /// The same once a light is surely seen.
    fn settled(&mut self, camera: &mut dyn Sensor) -> Result<f64, SensorError> {
        for _ in 1..SETTLED {
            self.look(camera)?;
        }
        self.look(camera)
    }
}
