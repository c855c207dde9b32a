//! A picture by itself.

use super::raw::{self, Raw, Status};
use super::{description, failed};
use crate::encoder::EncodeError;
use crate::picture::Picture;
use libaom_sys as sys;
use std::ffi::{c_int, c_uint};

/// The fastest there is for intra pictures. 8 is half a dB better at the same size, in four times the time; for live video's
/// settings, 9 to 11 are as good as that 8 and take longer still.
const SPEED: c_int = 9;

/// `picture` as one AV1 temporal unit with a still's sequence header, on as many threads as given. `quantizer` is AV1's
/// `base_q_idx` for rav1e, 1 to 255; the picture comes out as near to the original as by that.
pub(crate) fn still(picture: &Picture, quantizer: u8, threads: u8) -> Result<Vec<u8>, EncodeError> {
    encode(picture, level(quantizer), threads)
        .and_then(|coded| coded.ok_or(sys::AOM_CODEC_ERROR.into()))
        .map_err(failed)
}

/// The library's level of 1 to 63, by which both encoders come about as near to a picture.
fn level(quantizer: u8) -> c_uint {
    let quantizer = c_uint::from(quantizer);
    if quantizer <= 100 { (quantizer / 5).max(1) } else { 20 + (quantizer - 100) * 4 / 15 }
}

fn encode(picture: &Picture, level: c_uint, threads: u8) -> Result<Option<Vec<u8>>, Status> {
    let mut settings = raw::settings(sys::AOM_USAGE_ALL_INTRA)?;
    settings.g_w = picture.size().width();
    settings.g_h = picture.size().height();
    settings.g_threads = threads.into();
    // Of one picture it makes a still.
    settings.g_limit = 1;
    settings.g_pass = sys::AOM_RC_ONE_PASS;
    settings.g_lag_in_frames = 0;
    settings.rc_end_usage = sys::AOM_Q;
    [settings.rc_min_quantizer, settings.rc_max_quantizer] = [level; 2];
    let mut raw = Raw::new(&settings)?;
    let controls = [
        (sys::AOME_SET_CPUUSED, SPEED),
        (sys::AOME_SET_CQ_LEVEL, level as c_int),
        (sys::AV1E_SET_ROW_MT, 1),
        (sys::AV1E_SET_TILE_COLUMNS, threads.max(1).ilog2() as c_int),
    ];
    for (control, value) in controls.into_iter().chain(description(picture.color())) {
        raw.control(control, value)?;
    }
    let coded = raw.encode(picture, 0, 1, true)?;
    Ok(coded.map(|coded| coded.data))
}
