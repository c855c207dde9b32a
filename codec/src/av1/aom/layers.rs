//! Temporal layers: which pictures each picture is predicted from, so that the upper layers can be left out.

use crate::units::{Bitrate, TemporalLayer};
use libaom_sys as sys;
use std::ffi::c_int;

/// Where the last picture of the base layer is kept.
const BASE: usize = 0;
/// Where the last picture of the middle one of three layers is kept.
const MIDDLE: usize = 1;

/// A picture's place among the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Its layer.
    pub(super) layer: TemporalLayer,
    /// The place it is predicted from; that of a lower layer, or of the base.
    from: usize,
    /// The place it is kept in. Pictures of the highest layer are kept nowhere: nothing is predicted from them.
    kept: Option<usize>,
}

impl Step {
    /// The step of the picture `since_keyframe` pictures after a keyframe: with two layers every second picture is of the
    /// base, with three every fourth (L1T2 and L1T3 of AV1 specification §6.7.5).
    pub(super) fn of(layers: u8, since_keyframe: u64) -> Self {
        let step = |layer, from, kept| Self { layer: TemporalLayer::new(layer).unwrap_or_default(), from, kept };
        match (layers, since_keyframe % 4) {
            (2, 1 | 3) => step(1, BASE, None),
            (3, 1) => step(2, BASE, None),
            (3, 2) => step(1, BASE, Some(MIDDLE)),
            (3, 3) => step(2, MIDDLE, None),
            _ => step(0, BASE, Some(BASE)),
        }
    }

    /// The same in the library's terms: seven references, of which the first is used, and eight places.
    pub(super) fn references(self) -> sys::aom_svc_ref_frame_config {
        /// The reference that is always used: LAST.
        const LAST: usize = 0;
        /// One that is never used, to name the place that the picture is kept in: ALTREF.
        const NAMES_KEPT: usize = 6;
        let place = |place| c_int::try_from(place).unwrap_or(0);
        let kept = self.kept.unwrap_or(self.from);
        sys::aom_svc_ref_frame_config {
            reference: std::array::from_fn(|reference| c_int::from(reference == LAST)),
            ref_idx: std::array::from_fn(|reference| place(if reference == NAMES_KEPT { kept } else { self.from })),
            refresh: std::array::from_fn(|place| c_int::from(self.kept == Some(place))),
        }
    }
}

/// How `bitrate` is shared among `layers`, and how far the quantizers of each may go.
pub(super) fn shares(layers: u8, bitrate: Bitrate, quantizers: [c_int; 2]) -> sys::aom_svc_params {
    // Percent of the bits that each layer has together with those below it, and how many times its rate of pictures goes
    // into that of all. The base is what all is predicted from: with 60 of two layers the picture is 1 dB worse than with 75.
    let (percent, factors): (&[u32], &[c_int]) = match layers {
        2 => (&[75, 100], &[2, 1]),
        3 => (&[60, 80, 100], &[4, 2, 1]),
        _ => (&[100], &[1]),
    };
    let mut params = sys::aom_svc_params {
        number_spatial_layers: 1,
        number_temporal_layers: layers.into(),
        min_quantizers: [quantizers[0]; 32],
        max_quantizers: [quantizers[1]; 32],
        scaling_factor_num: [1; 4],
        scaling_factor_den: [1; 4],
        layer_target_bitrate: [0; 32],
        framerate_factor: [1; 8],
    };
    for (to, percent) in params.layer_target_bitrate.iter_mut().zip(percent) {
        *to = c_int::try_from((bitrate.bps() / 1000).max(1) * percent / 100).unwrap_or(c_int::MAX);
    }
    for (to, &factor) in params.framerate_factor.iter_mut().zip(factors) {
        *to = factor;
    }
    params
}
