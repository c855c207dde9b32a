//! A picture as the board holds it.

use thiserror::Error;

/// An I420 picture: luma, then both chroma planes at half the width and height, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

/// Why samples are no [`Picture`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PictureError {
    /// A side is odd or out of range.
    #[error("{0}x{1} has a side that is not an even number from 2 to 4096")]
    Size(usize, usize),
    /// Not as many as there must be.
    #[error("{given} bytes are not the {wanted} of an I420 picture of that size")]
    Samples {
        /// How many there are.
        given: usize,
        /// How many there must be.
        wanted: usize,
    },
}

impl Picture {
    /// # Errors
    /// If a side is odd or out of range, or there are not exactly as many samples as such a picture has.
    pub fn new(width: usize, height: usize, samples: Vec<u8>) -> Result<Self, PictureError> {
        let fits = |side: usize| (2..=4096).contains(&side) && side.is_multiple_of(2);
        if !fits(width) || !fits(height) {
            return Err(PictureError::Size(width, height));
        }
        let wanted = width * height * 3 / 2;
        if samples.len() != wanted {
            return Err(PictureError::Samples { given: samples.len(), wanted });
        }
        Ok(Self { width, height, samples })
    }

    /// One colour all over.
    pub(crate) fn plain(width: usize, height: usize, [y, u, v]: [u8; 3]) -> Self {
        let (luma, chroma) = (width * height, width / 2 * (height / 2));
        let mut samples = vec![y; luma];
        samples.resize(luma + chroma, u);
        samples.resize(luma + 2 * chroma, v);
        Self { width, height, samples }
    }

    /// Samples of luma in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of luma.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Luma and both chroma planes, whose rows lie `width`, `width / 2` and `width / 2` apart.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.samples.split_at(self.width * self.height);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        [y, u, v]
    }

    /// The same, to be drawn on.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (y, chroma) = self.samples.split_at_mut(self.width * self.height);
        let half = chroma.len() / 2;
        let (u, v) = chroma.split_at_mut(half);
        [y, u, v]
    }

    /// Fills a rectangle; corner and extent are cut to even samples and to the picture.
    pub(crate) fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: [u8; 3]) {
        let strides = [self.width, self.width / 2, self.width / 2];
        for ((plane, stride), (level, shift)) in
            self.planes_mut().into_iter().zip(strides).zip(colour.into_iter().zip([0, 1, 1]))
        {
            let [left, top, width, height] = [left, top, width, height].map(|n| (n / 2 * 2) >> shift);
            for row in plane.chunks_exact_mut(stride).skip(top).take(height) {
                let right = (left + width).min(stride);
                if let Some(part) = row.get_mut(left..right) {
                    part.fill(level);
                }
            }
        }
    }
}
