//! Does the door's button ring at a viewer?

use super::bench::{Bench, Stop};
use super::sealed::{Chain, PATIENCE};
use crate::wire::Ask;
use doorframe::camera::{BellDevice, BellState};
use doorframe::transport::events::EventKind;
use doorframe::viewer::{NoSink, ViewerState};
use doorframe_hil_report::{Figure, Series};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PRESSES: usize = 3;
/// A second press within a second is taken for the same one.
const APART: Duration = Duration::from_millis(1100);

/// The board's button is pressed: the kernel makes a key of it, the camera rings, and a viewer hears it, once for each press.
pub(super) fn check(bench: &mut Bench<'_>) -> Result<(), Stop> {
    let path = bench.camera()?.path;
    let Some(button) = button(&path) else {
        return Err(Stop::Lacks("the camera has no button that the kernel knows of".to_owned()));
    };
    let chain = Chain::start(bench, &path, Box::new(NoSink))?;
    let Some(bell) = chain.bell() else { return Err(Stop::Failed(chain.trouble())) };
    let device = BellDevice::start(&button, bell)?;
    let mut happened = chain.viewer.happened();
    let (mut viewer, mut ready) = (chain.viewer.state(), device.state());
    let waited = chain.runtime.block_on(async {
        let live = viewer.wait_for(|state| matches!(state, ViewerState::Live { .. }));
        tokio::time::timeout(PATIENCE, live).await.is_ok_and(|live| live.is_ok())
            && tokio::time::timeout(PATIENCE, ready.wait_for(|state| *state == BellState::Ready)).await.is_ok()
    });
    if !waited {
        return Err(Stop::Failed(format!("no live picture within {} s; {}", PATIENCE.as_secs(), chain.trouble())));
    }
    let mut took = Vec::with_capacity(PRESSES);
    for press in 1..=PRESSES {
        bench.ask(&Ask::Press)?;
        let pressed = Instant::now();
        let heard = chain.runtime.block_on(async {
            loop {
                match tokio::time::timeout(PATIENCE, happened.recv()).await {
                    Ok(Ok(event)) if event.event.kind == EventKind::Doorbell => break true,
                    Ok(Ok(_)) => {}
                    _ => break false,
                }
            }
        });
        if !heard {
            let state = device.state().borrow().clone();
            return Err(Stop::Failed(format!(
                "press {press} of {PRESSES} was not heard within {PATIENCE:?}; the button: {state:?}"
            )));
        }
        took.push(pressed.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(APART);
    }
    let told = chain.counts().doorbells;
    bench.figure(Figure::new("presses", PRESSES as f64, ""));
    bench.figure(
        Figure::new("presses told more than once", told.saturating_sub(PRESSES as u64) as f64, "").at_most(0.0),
    );
    bench.figure(
        Figure::new("press to viewer, longest", took.iter().copied().fold(0.0, f64::max), "ms").at_most(3000.0),
    );
    bench.series(Series::spread("press to viewer", "ms", took));
    Ok(())
}

/// The input device of a camera's own button.
fn button(camera: &Path) -> Option<PathBuf> {
    let node = camera.file_name()?;
    let inputs = Path::new("/sys/class/video4linux").join(node).join("device/input");
    let entries = std::fs::read_dir(inputs).ok()?.flatten().filter_map(|input| std::fs::read_dir(input.path()).ok());
    let mut names = entries.flatten().flatten().map(|entry| entry.file_name());
    let event = names.find(|name| name.to_str().is_some_and(|name| name.starts_with("event")))?;
    Some(Path::new("/dev/input").join(event))
}
