//! A picture by itself.

use super::{description, failed, pixel_range};
use crate::encoder::EncodeError;
use crate::picture::Picture;
use crate::units::{Color, Size};
use ::rav1e::prelude::{
    Context, EncoderConfig, EncoderStatus, SceneDetectionSpeed, SegmentationLevel, SpeedSettings, Tune,
};

/// `picture` as one AV1 temporal unit with a still's sequence header, on as many threads as given. `quantizer` is AV1's
/// `base_q_idx`, 1 to 255.
pub(crate) fn still(picture: &Picture, quantizer: u8, threads: u8) -> Result<Vec<u8>, EncodeError> {
    let size = picture.size();
    let settings = settings(size, picture.color(), quantizer, threads);
    let config = ::rav1e::Config::new().with_encoder_config(settings).with_threads(threads.into());
    let mut context: Context<u8> = config.new_context().map_err(|_| failed(EncoderStatus::Failure))?;
    let mut frame = context.new_frame();
    let strides = [size.width(), size.chroma_width(), size.chroma_width()];
    for ((plane, samples), stride) in frame.planes.iter_mut().zip(picture.planes()).zip(strides) {
        plane.copy_from_raw_u8(samples, stride as usize, 1);
    }
    context.send_frame(frame).map_err(failed)?;
    context.flush();
    loop {
        match context.receive_packet() {
            Ok(packet) => return Ok(packet.data),
            // Works on, one step a call.
            Err(EncoderStatus::Encoded) => {}
            Err(status) => return Err(failed(status)),
        }
    }
}

/// rav1e at speed 10 takes twice as long as with these settings, for some 5 % fewer bytes.
fn settings(size: Size, color: Color, quantizer: u8, threads: u8) -> EncoderConfig {
    let mut speed = SpeedSettings::from_preset(10);
    speed.rdo_lookahead_frames = 1;
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    // Together with `Tune::Psnr`: sizes are judged by the coefficients, not by coding and decoding each block.
    speed.transform.tx_domain_distortion = true;
    speed.transform.tx_domain_rate = true;
    speed.prediction.fine_directional_intra = false;
    speed.segmentation = SegmentationLevel::Disabled;
    speed.cdef = false;
    EncoderConfig {
        width: size.width() as usize,
        height: size.height() as usize,
        bit_depth: 8,
        pixel_range: pixel_range(color),
        color_description: Some(description(color)),
        still_picture: true,
        low_latency: true,
        quantizer: quantizer.into(),
        tune: Tune::Psnr,
        tiles: threads.into(),
        speed_settings: speed,
        ..EncoderConfig::default()
    }
}
