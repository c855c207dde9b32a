//! The border to the C library: its context, destroyed on drop. Each method is one call, or one call a control.

use crate::picture::Picture;
use libaom_sys as sys;
use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr;

/// The library's own status, `aom_codec_err_t`, that is not success.
pub(super) type Status = i64;

/// Ticks a second of the times that [`Raw::encode`] takes.
pub(super) const HZ: u32 = 90_000;

fn ok(status: sys::aom_codec_err_t) -> Result<(), Status> {
    if status == sys::AOM_CODEC_OK { Ok(()) } else { Err(status.into()) }
}

/// What the library sets for this usage, one of its `AOM_USAGE_`, to change some of it.
pub(super) fn settings(usage: c_uint) -> Result<sys::aom_codec_enc_cfg, Status> {
    let mut settings = MaybeUninit::<sys::aom_codec_enc_cfg>::uninit();
    // SAFETY: takes nothing, gives the address of a table that is never freed.
    let interface = unsafe { sys::aom_codec_av1_cx() };
    // SAFETY: the table is the encoder's; the library writes the whole structure if it succeeds.
    ok(unsafe { sys::aom_codec_enc_config_default(interface, settings.as_mut_ptr(), usage) })?;
    // SAFETY: written by the call above, which succeeded.
    Ok(unsafe { settings.assume_init() })
}

/// Version of the library, as it says it.
pub(crate) fn version() -> String {
    // SAFETY: takes nothing, gives a string that is never freed.
    let version = unsafe { sys::aom_codec_version_str() };
    // SAFETY: the string ends in a zero byte, as the library promises.
    let version = unsafe { CStr::from_ptr(version) };
    version.to_string_lossy().trim_start_matches('v').to_owned()
}

/// What the library gave for one picture.
pub(super) struct Coded {
    /// A whole temporal unit, in low-overhead format.
    pub(super) data: Vec<u8>,
    /// Whether it is a key frame.
    pub(super) key_frame: bool,
}

/// The library's context. Boxed, so that it never moves.
pub(super) struct Raw(Box<sys::aom_codec_ctx>);

// SAFETY: the context keeps nothing for the thread that calls it, and its own threads work only during a call; `&mut self`
// on every method keeps calls apart.
unsafe impl Send for Raw {}

impl Raw {
    /// Starts the encoder; the settings are copied.
    pub(super) fn new(settings: &sys::aom_codec_enc_cfg) -> Result<Self, Status> {
        let mut context = Box::<sys::aom_codec_ctx>::new_uninit();
        let version = sys::AOM_ENCODER_ABI_VERSION as c_int;
        // SAFETY: takes nothing, gives the address of a table that is never freed.
        let interface = unsafe { sys::aom_codec_av1_cx() };
        // SAFETY: the library clears the context before it reads it; the settings live through the call.
        ok(unsafe { sys::aom_codec_enc_init_ver(context.as_mut_ptr(), interface, settings, 0, version) })?;
        // SAFETY: cleared and then filled by the call above, which succeeded.
        Ok(Self(unsafe { context.assume_init() }))
    }

    /// Changes the settings from the next picture on.
    pub(super) fn set(&mut self, settings: &sys::aom_codec_enc_cfg) -> Result<(), Status> {
        // SAFETY: the context is open; the settings are copied.
        ok(unsafe { sys::aom_codec_enc_config_set(&raw mut *self.0, settings) })
    }

    /// Sets a control that takes a number.
    pub(super) fn control(&mut self, control: c_uint, value: c_int) -> Result<(), Status> {
        // SAFETY: the context is open. Each control that this module sets reads one `int` or `unsigned`, which C's variable
        // arguments pass alike.
        ok(unsafe { sys::aom_codec_control(&raw mut *self.0, control as c_int, value) })
    }

    /// Says how many temporal layers there are, and what share each has.
    pub(super) fn set_layers(&mut self, layers: &mut sys::aom_svc_params) -> Result<(), Status> {
        let control = sys::AV1E_SET_SVC_PARAMS as c_int;
        // SAFETY: the context is open; this control reads this structure during the call.
        ok(unsafe { sys::aom_codec_control(&raw mut *self.0, control, ptr::from_mut(layers)) })
    }

    /// Says in which temporal layer the next picture is.
    pub(super) fn set_layer(&mut self, layer: u8) -> Result<(), Status> {
        let control = sys::AV1E_SET_SVC_LAYER_ID as c_int;
        let mut id = sys::aom_svc_layer_id { spatial_layer_id: 0, temporal_layer_id: layer.into() };
        // SAFETY: the context is open; this control reads this structure during the call.
        ok(unsafe { sys::aom_codec_control(&raw mut *self.0, control, &raw mut id) })
    }

    /// Says which pictures the next one is predicted from, and in which place it is kept.
    pub(super) fn set_references(&mut self, references: &mut sys::aom_svc_ref_frame_config) -> Result<(), Status> {
        let control = sys::AV1E_SET_SVC_REF_FRAME_CONFIG as c_int;
        // SAFETY: the context is open; this control reads this structure during the call.
        ok(unsafe { sys::aom_codec_control(&raw mut *self.0, control, ptr::from_mut(references)) })
    }

    /// Encodes a picture of the size in the settings, from `start` for `duration`, both in ticks of [`HZ`]. `None` if the
    /// library left it out.
    pub(super) fn encode(
        &mut self,
        picture: &Picture,
        start: i64,
        duration: u32,
        key_frame: bool,
    ) -> Result<Option<Coded>, Status> {
        let image = image(picture).ok_or(Status::from(sys::AOM_CODEC_INVALID_PARAM))?;
        let flags = if key_frame { sys::AOM_EFLAG_FORCE_KF as sys::aom_enc_frame_flags_t } else { 0 };
        // SAFETY: the context is open; the image points to planes as large as it says, which live through the call and are
        // copied by it.
        ok(unsafe { sys::aom_codec_encode(&raw mut *self.0, &raw const image, start, duration.into(), flags) })?;
        let (mut iterator, mut coded) = (ptr::null(), None);
        loop {
            // SAFETY: the context is open; the iterator began as null, as the library wants it.
            let packet = unsafe { sys::aom_codec_get_cx_data(&raw mut *self.0, &raw mut iterator) };
            // SAFETY: null after the last; else it lives until the next picture is encoded.
            let Some(packet) = (unsafe { packet.as_ref() }) else { return Ok(coded) };
            if packet.kind != sys::AOM_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: a packet of this kind holds this member of the union.
            let frame = unsafe { packet.data.frame };
            if frame.buf.is_null() {
                continue;
            }
            // SAFETY: not null, and as many bytes as the library says; they live as long as the packet.
            let bytes = unsafe { std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz) };
            let unit = coded.get_or_insert(Coded { data: Vec::with_capacity(bytes.len()), key_frame: false });
            unit.data.extend_from_slice(bytes);
            unit.key_frame |= frame.flags & sys::AOM_FRAME_IS_KEY != 0;
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: opened once, destroyed once, not used after.
        unsafe { sys::aom_codec_destroy(&raw mut *self.0) };
    }
}

/// A view of `picture` for the library, which takes mutable pointers but only reads.
fn image(picture: &Picture) -> Option<sys::aom_image> {
    let size = picture.size();
    let (width, height) = (size.width(), size.height());
    let (luma, chroma) = (c_int::try_from(width).ok()?, c_int::try_from(size.chroma_width()).ok()?);
    Some(sys::aom_image {
        fmt: sys::AOM_IMG_FMT_I420,
        // The colour goes into the stream by controls; what is here is not read.
        cp: sys::AOM_CICP_CP_UNSPECIFIED,
        tc: sys::AOM_CICP_TC_UNSPECIFIED,
        mc: sys::AOM_CICP_MC_UNSPECIFIED,
        range: sys::AOM_CR_STUDIO_RANGE,
        csp: sys::AOM_CSP_UNKNOWN,
        monochrome: 0,
        w: width,
        h: height,
        bit_depth: 8,
        d_w: width,
        d_h: height,
        r_w: width,
        r_h: height,
        x_chroma_shift: 1,
        y_chroma_shift: 1,
        planes: picture.planes().map(|plane| plane.as_ptr().cast_mut()),
        stride: [luma, chroma, chroma],
        sz: picture.samples().len(),
        bps: 12,
        temporal_id: 0,
        spatial_id: 0,
        user_priv: ptr::null_mut(),
        img_data: ptr::null_mut(),
        img_data_owner: 0,
        self_allocd: 0,
        metadata: ptr::null_mut(),
        fb_priv: ptr::null_mut(),
    })
}
