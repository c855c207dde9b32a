//! Is the board there?

use super::{Bench, Stop};
use doorframe_hil_report::Figure;

/// It is listed, can be opened, and offers something that is understood.
pub(super) fn check(bench: &mut Bench<'_>) -> Result<(), Stop> {
    let camera = bench.camera()?;
    let usable = camera.modes.iter().filter(|mode| mode.fourcc.format().is_some() || mode.fourcc.is_h264());
    bench.figure(Figure::new("modes", camera.modes.len() as f64, "").at_least(1.0));
    bench.figure(Figure::new("modes understood", usable.count() as f64, "").at_least(1.0));
    Ok(())
}
