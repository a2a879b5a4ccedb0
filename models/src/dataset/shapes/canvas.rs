//! The picture while it is being painted.

use super::figure::{COVERED, Figure};
use super::random::Random;
use super::{BYTES, SIZE};

/// Red, green and blue, each from 0 to 255.
pub type Colour = [i32; 3];

/// Light that leaves a surface unchanged.
pub const DAYLIGHT: i32 = 256;

/// Pixels row by row, channels in 256ths of a grey level.
pub struct Canvas([[i32; 3]; SIZE * SIZE]);

impl Default for Canvas {
    fn default() -> Self {
        Self([[0; 3]; SIZE * SIZE])
    }
}

impl Canvas {
    /// Paints every pixel with the colour that `at` gives for column and row.
    pub fn fill(&mut self, at: impl Fn(i32, i32) -> Colour) {
        self.each(|pixel, column, row| *pixel = at(column, row).map(|level| level * 256));
    }

    /// Paints a figure over what is there.
    pub fn paint(&mut self, figure: &Figure, colour: Colour) {
        let placed = figure.placed();
        for row in placed.reach(1) {
            for column in placed.reach(0) {
                let coverage = placed.coverage(column, row);
                let pixel = &mut self.0[row * SIZE + column];
                for (level, paint) in pixel.iter_mut().zip(colour) {
                    *level += ((paint * 256 - *level) * coverage) / COVERED;
                }
            }
        }
    }

    /// Multiplies every pixel with the light that `at` gives for column and row, in units of [`DAYLIGHT`].
    pub fn light(&mut self, at: impl Fn(i32, i32) -> i32) {
        self.each(|pixel, column, row| {
            let light = at(column, row).clamp(0, 4 * DAYLIGHT);
            *pixel = pixel.map(|level| level * light / DAYLIGHT);
        });
    }

    /// Adds noise of a triangular distribution that reaches `amplitude` grey levels to either side.
    pub fn grain(&mut self, amplitude: i32, random: &mut Random) {
        for pixel in &mut self.0 {
            let bits = random.bits().to_le_bytes().map(i32::from);
            for (level, pair) in pixel.iter_mut().zip(bits.chunks_exact(2)) {
                *level += (pair[0] + pair[1] - 255) * amplitude;
            }
        }
    }

    /// Writes the planes, rounded and kept within 0 to 255.
    pub fn develop(&self, image: &mut [u8; BYTES]) {
        for (channel, plane) in image.chunks_exact_mut(SIZE * SIZE).enumerate() {
            for (byte, pixel) in plane.iter_mut().zip(&self.0) {
                *byte = ((pixel[channel] + 128) >> 8).clamp(0, 255) as u8;
            }
        }
    }

    fn each(&mut self, mut change: impl FnMut(&mut [i32; 3], i32, i32)) {
        for (position, pixel) in self.0.iter_mut().enumerate() {
            change(pixel, (position % SIZE) as i32, (position / SIZE) as i32);
        }
    }
}
