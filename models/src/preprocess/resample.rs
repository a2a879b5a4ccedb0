//! Pictures brought to another size.

use super::axis::{Axis, FRACTION, Taps, Window};
use super::{Channels, PreprocessError};
use crate::dataset::{Chw, Picture, Samples};

/// Resizes and crops pictures; weights and memory are kept from one to the next.
#[derive(Clone, Debug, Default)]
pub struct Resampler {
    cover: Cover,
    recoloured: Picture,
}

impl Resampler {
    /// Brings `picture` to `shape`: resized until it just covers it, cropped to the centre, grey repeated for colour,
    /// alpha dropped. A picture that has the shape is given back as it is.
    ///
    /// # Errors
    /// `Channels` for colours that do not fit, `NoPixels` for an empty picture.
    pub fn bring_to<'a>(
        &'a mut self,
        picture: &'a Picture,
        shape: Chw,
    ) -> Result<&'a Picture, PreprocessError> {
        let channels = Channels::between(picture.shape(), shape.channels)?;
        let covering = self.cover.cover(picture, shape.height, shape.width);
        if covering.shape() == shape {
            return Ok(covering);
        }
        match covering.samples() {
            Samples::U8(samples) => channels.copy(samples, self.recoloured.fill_u8(shape), shape),
            Samples::F32(samples) => channels.copy(samples, self.recoloured.fill_f32(shape), shape),
        }
        Ok(&self.recoloured)
    }

    /// Brings `picture` to a size without touching its channels.
    pub(super) fn cover<'a>(&'a mut self, picture: &'a Picture, height: usize, width: usize) -> &'a Picture {
        self.cover.cover(picture, height, width)
    }
}

/// A picture resized and cropped, and what that took.
#[derive(Clone, Debug, Default)]
struct Cover {
    columns: Axis,
    rows: Axis,
    bytes: Vec<u8>,
    floats: Vec<f32>,
    resized: Picture,
}

impl Cover {
    /// Resizes `picture` until it just covers `height` and `width` and crops it to its centre.
    ///
    /// Sides and offsets are rounded as torchvision's `Resize` and `CenterCrop` round them.
    fn cover<'a>(&'a mut self, picture: &'a Picture, height: usize, width: usize) -> &'a Picture {
        let Chw { channels, height: from_height, width: from_width } = picture.shape();
        if (from_height, from_width) == (height, width) {
            return picture;
        }
        // The side that needs the larger scale meets its target, the other passes it.
        let by_height = height as u128 * from_width as u128 >= width as u128 * from_height as u128;
        let (to_height, to_width) = if by_height {
            (height, scaled(height, from_width, from_height))
        } else {
            (scaled(width, from_height, from_width), width)
        };
        self.rows.make(centre(from_height, to_height, height));
        self.columns.make(centre(from_width, to_width, width));
        let (from, to) = (from_height * from_width, height * width);
        let Self { columns, rows, bytes, floats, resized } = self;
        match picture.samples() {
            Samples::U8(samples) => {
                let out = resized.fill_u8(Chw { channels, height, width });
                for (plane, out) in samples.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
                    stretch(plane, from_width, columns, rows, bytes, out, weigh_bytes);
                }
            }
            Samples::F32(samples) => {
                let out = resized.fill_f32(Chw { channels, height, width });
                for (plane, out) in samples.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
                    stretch(plane, from_width, columns, rows, floats, out, weigh_floats);
                }
            }
        }
        resized
    }
}

/// The side `other` when the side `from` becomes `to`.
fn scaled(to: usize, other: usize, from: usize) -> usize {
    (to as u128 * other as u128 / from as u128) as usize
}

/// The middle `count` of `to` positions; an odd rest is split as Python rounds halves, to even.
fn centre(from: usize, to: usize, count: usize) -> Window {
    let rest = to.saturating_sub(count);
    let half = rest / 2;
    let offset = if rest % 2 == 1 { half + half % 2 } else { half };
    Window { from, to, offset, count }
}

/// Stretches one plane, columns first; only the rows that the window reaches are looked at.
fn stretch<T: Copy + Default>(
    plane: &[T],
    from_width: usize,
    columns: &Axis,
    rows: &Axis,
    half: &mut Vec<T>,
    out: &mut [T],
    weigh: impl Fn(&mut dyn Iterator<Item = T>, &Taps<'_>) -> T,
) {
    let reach = rows.reach();
    let width = columns.taps().count();
    half.clear();
    for row in plane.chunks_exact(from_width).take(reach.end).skip(reach.start) {
        half.extend(columns.taps().map(|taps| weigh(&mut row[taps.start..].iter().copied(), &taps)));
    }
    for (taps, out) in rows.taps().zip(out.chunks_exact_mut(width)) {
        let first = (taps.start - reach.start) * width;
        for (column, out) in out.iter_mut().enumerate() {
            *out = weigh(&mut half[first + column..].iter().step_by(width).copied(), &taps);
        }
    }
}

/// Fixed-point sum, rounded once, as Pillow weighs 8-bit samples.
fn weigh_bytes(samples: &mut dyn Iterator<Item = u8>, taps: &Taps<'_>) -> u8 {
    let half = 1 << (FRACTION - 1);
    let sum: i32 = taps.fixed.iter().zip(samples).map(|(weight, sample)| weight * i32::from(sample)).sum();
    ((half + sum) >> FRACTION).clamp(0, 255) as u8
}

/// Sum in double precision, rounded once.
fn weigh_floats(samples: &mut dyn Iterator<Item = f32>, taps: &Taps<'_>) -> f32 {
    let sum: f64 = taps.weights.iter().zip(samples).map(|(weight, sample)| weight * f64::from(sample)).sum();
    (sum as f32).clamp(0.0, 1.0)
}
