//! What happens when somebody trips over the cable?

use super::bench::{Bench, NOTICED, Stop, is_gone, wanted};
use super::seen::{Seen, percentile};
use crate::wire::Ask;
use doorframe::sensor::SensorError;
use doorframe_hil_report::{Figure, Series};
use std::time::Instant;

const TIMES: usize = 3;

/// The board is pulled while it streams: it is noticed, said by its name, and the board works again when it is back.
pub(super) fn check(bench: &mut Bench<'_>) -> Result<(), Stop> {
    let (mut noticed, mut back) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let mut camera = bench.open(wanted(320, 240, 30)?)?;
        let before = Seen::frames(&mut *camera, bench.clock, 5);
        if let Some(error) = before.end {
            return Err(error.into());
        }
        bench.ask(&Ask::Unplug)?;
        let pulled = Instant::now();
        let after = Seen::watch(&mut *camera, bench.clock, |_, _| pulled.elapsed() > NOTICED);
        noticed.push(pulled.elapsed().as_secs_f64() * 1e3);
        drop(camera);
        gone(after.end)?;
        bench.wait_gone()?;
        bench.ask(&Ask::Board(String::new()))?;
        let plugged = Instant::now();
        let mut camera = bench.open(wanted(320, 240, 30)?)?;
        camera.next()?;
        back.push(plugged.elapsed().as_secs_f64() * 1e3);
    }
    bench.figure(Figure::new("noticed after, longest", percentile(&noticed, 100), "ms").at_most(4000.0));
    bench.figure(Figure::new("plugged in to first frame, longest", percentile(&back, 100), "ms").at_most(8000.0));
    bench.series(Series::spread("plugged in to first frame", "ms", back));
    Ok(())
}

/// That a camera ended because it is gone.
///
/// # Errors
/// If it did not, or for another reason.
pub(super) fn gone(end: Option<SensorError>) -> Result<(), Stop> {
    match end {
        Some(error) if is_gone(&error) => Ok(()),
        Some(error) => Err(Stop::Failed(format!("a camera that is gone is taken for another trouble: {error}"))),
        None => Err(Stop::Failed("a camera that is gone goes on giving frames".to_owned())),
    }
}
