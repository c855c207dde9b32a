//! What a camera of software sees.

use crate::block_code;
use crate::picture::Picture;

/// Side of the lamp, in luma samples.
const LAMP: usize = 32;
/// Side of what moves.
const BALL: usize = 32;

/// Whether the lamp before the camera is lit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Light {
    /// Dark.
    #[default]
    Off,
    /// Lit.
    On,
}

impl Light {
    /// Whether the lamp in the middle of a picture of `(width, height)` is lit, from luma whose rows lie `stride` bytes
    /// apart; `None` if there is not enough luma, or it is neither black nor white.
    pub fn read(luma: &[u8], stride: usize, (width, height): (usize, usize)) -> Option<Self> {
        let (left, top) = corner(width, height)?;
        let mut sum = 0_u32;
        for row in top + LAMP / 4..top + LAMP * 3 / 4 {
            let part = luma.get(row.checked_mul(stride)?..)?.get(left + LAMP / 4..left + LAMP * 3 / 4)?;
            sum += part.iter().map(|&luma| u32::from(luma)).sum::<u32>();
        }
        match sum / (LAMP * LAMP / 4) as u32 {
            0..=95 => Some(Light::Off),
            160.. => Some(Light::On),
            _ => None,
        }
    }
}

/// A scene that moves.
#[derive(Debug)]
pub(super) struct Scene {
    background: Picture,
    /// Rows that the number takes.
    top: usize,
}

impl Scene {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let top = block_code::rows(width).unwrap_or_default().min(height);
        let mut background = Picture::plain(width, height, [16, 128, 128]);
        for row in (top..height).step_by(2) {
            let shade = u8::try_from(60 + 110 * row / height).unwrap_or(u8::MAX);
            background.fill((0, row), (width, 2), [shade, 134, 122]);
        }
        // Gratings of 2, 4, 6 and 8 samples: what a soft encoder loses first.
        for (index, pitch) in [2, 4, 6, 8].into_iter().enumerate() {
            let left = width / 32 + index * width / 12;
            for x in (left..left + width / 16).step_by(2 * pitch) {
                background.fill((x, height * 7 / 8), (pitch, height / 10), [235, 128, 128]);
            }
        }
        Self { background, top }
    }

    /// Draws what is there at frame `number` over whatever `picture` showed.
    pub(super) fn draw(&self, picture: &mut Picture, number: u32) {
        picture.clone_from(&self.background);
        let step = usize::try_from(number).unwrap_or_default();
        let x = there_and_back(4 * step, picture.width().saturating_sub(BALL));
        let y = self.top + there_and_back(2 * step, picture.height().saturating_sub(self.top + BALL));
        picture.fill((x, y), (BALL, BALL), [140, 70, 190]);
    }
}

/// Paints the lamp in the middle of `picture`.
pub(super) fn draw_light(picture: &mut Picture, light: Light) {
    let level = if light == Light::On { 235 } else { 16 };
    if let Some(corner) = corner(picture.width(), picture.height()) {
        picture.fill(corner, (LAMP, LAMP), [level, 128, 128]);
    }
}

/// Left and top of the lamp: on a macroblock's corner, so that H.264 keeps its rim.
fn corner(width: usize, height: usize) -> Option<(usize, usize)> {
    let at = |side: usize| side.checked_sub(LAMP).map(|left| left / 2 / 16 * 16);
    Some((at(width)?, at(height)?))
}

/// Position after `step` of what goes `way` and comes back.
fn there_and_back(step: usize, way: usize) -> usize {
    let phase = step % (2 * way).max(1);
    phase.min(2 * way - phase)
}
