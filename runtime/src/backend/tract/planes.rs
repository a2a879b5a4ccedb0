//! A convolution without im2col: every tap is one shifted read of a padded plane.
//!
//! Rows of a padded plane follow each other, so a tap moves a whole plane of outputs by one offset, row ends
//! included. What is computed across a row's end is thrown away when a tile is written.

/// Output channels that one pass computes.
pub(super) const CHANNELS: usize = 4;

/// Taps of [`CHANNELS`] output channels at one place of the kernel.
pub(super) type Tap = [f32; CHANNELS];

/// A convolution over padded planes: stride 1, dilation 1, one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Planes {
    /// Input channels.
    pub(super) channels: usize,
    /// Rows and columns of the input.
    pub(super) input: [usize; 2],
    /// Rows above and columns left of it.
    pub(super) before: [usize; 2],
    /// Rows and columns of a padded plane.
    pub(super) padded: [usize; 2],
    /// Rows and columns of the kernel.
    pub(super) kernel: [usize; 2],
    /// Rows and columns of the output.
    pub(super) output: [usize; 2],
}

/// The instructions to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Instructions {
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 256-bit vectors and fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 128-bit vectors and fused multiply-add, which 64-bit Arm always has.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Instructions {
    /// The best of this processor, `None` where a product of matrices is faster.
    pub(super) fn here() -> Option<Self> {
        Self::all().next()
    }

    /// All that this processor has, best first.
    fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let all = {
            let avx2 =
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
            let avx512 = avx2 && std::arch::is_x86_feature_detected!("avx512f");
            [(Self::Avx512, avx512), (Self::Avx2, avx2)]
        };
        #[cfg(target_arch = "aarch64")]
        let all = [(Self::Neon, true)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let all: [(Self, bool); 0] = [];
        all.into_iter().filter_map(|(instructions, has)| has.then_some(instructions))
    }
}

/// A buffer that does not fit its convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a convolution expects {expected} elements of {buffer}, got {found}")]
pub(super) struct Misfit {
    buffer: &'static str,
    expected: usize,
    found: usize,
}

impl Misfit {
    fn unless(buffer: &'static str, expected: usize, found: usize) -> Result<(), Self> {
        if expected == found { Ok(()) } else { Err(Self { buffer, expected, found }) }
    }
}

impl Planes {
    /// Whether the input lies inside the padded plane, and so does the kernel at every place of the output.
    pub(super) fn holds_together(&self) -> bool {
        (0..2).all(|axis| {
            let (padded, kernel) = (self.padded[axis], self.kernel[axis]);
            self.before[axis] + self.input[axis] <= padded
                && (1..=padded).contains(&kernel)
                && self.output[axis] <= padded - kernel + 1
        })
    }

    /// Elements from one tap to the first, for every tap of the kernel.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let [rows, columns] = self.padded;
        let places = (0..self.kernel[0]).flat_map(|y| (0..self.kernel[1]).map(move |x| y * columns + x));
        let places: Vec<_> = places.collect();
        (0..self.channels)
            .flat_map(|channel| places.iter().map(move |at| channel * rows * columns + at))
            .collect()
    }

    /// The input with zeros around it, and behind it as many as the longest tile reads too far.
    ///
    /// # Errors
    /// [`Misfit`] unless `input` is `[channels, rows, columns]`.
    pub(super) fn pad(&self, input: &[f32]) -> Result<Vec<f32>, Misfit> {
        Misfit::unless("the image", self.channels * self.input[0] * self.input[1], input.len())?;
        let ([rows, columns], [above, left]) = (self.padded, self.before);
        let mut padded = vec![0.0; self.padded_len()];
        let width = self.input[1].max(1);
        let planes = padded.chunks_exact_mut((rows * columns).max(1));
        for (plane, image) in planes.zip(input.chunks_exact((self.input[0] * width).max(1))) {
            let targets = plane.chunks_exact_mut(columns.max(1)).skip(above);
            for (target, source) in targets.zip(image.chunks_exact(width)) {
                if let Some(target) = target.get_mut(left..left + width) {
                    target.copy_from_slice(source);
                }
            }
        }
        Ok(padded)
    }

    const SLACK: usize = 64;

    fn padded_len(&self) -> usize {
        self.channels * self.padded[0] * self.padded[1] + Self::SLACK
    }

    /// Computes all output channels of one image from its padded planes. `taps` holds, per [`CHANNELS`] of them, one
    /// tap per offset; `bias` one number per output channel.
    ///
    /// # Errors
    /// [`Misfit`] names the buffer that is too short or too long.
    pub(super) fn run(
        &self,
        instructions: Instructions,
        padded: &[f32],
        offsets: &[usize],
        taps: &[Tap],
        bias: &[f32],
        output: &mut [f32],
    ) -> Result<(), Misfit> {
        let [rows, columns] = self.output;
        Misfit::unless("padded planes", self.padded_len(), padded.len())?;
        Misfit::unless("offsets", self.channels * self.kernel[0] * self.kernel[1], offsets.len())?;
        Misfit::unless("taps", bias.len().div_ceil(CHANNELS) * offsets.len(), taps.len())?;
        Misfit::unless("output", bias.len() * rows * columns, output.len())?;
        let job = Job { padded, offsets, taps, bias };
        match instructions {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Instructions::here` found these instructions.
            Instructions::Avx512 => self.tiles::<32>(&job, output, |window, taps, start, sums| unsafe {
                avx512(window, offsets, taps, start, sums)
            }),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Instructions::here` found these instructions.
            Instructions::Avx2 => self.tiles::<16>(&job, output, |window, taps, start, sums| unsafe {
                avx2(window, offsets, taps, start, sums)
            }),
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => self.tiles::<16>(&job, output, |window, taps, start, sums| {
                tile(window, offsets, taps, start, sums)
            }),
        }
    }

    fn tiles<const LANES: usize>(
        &self,
        job: &Job<'_>,
        output: &mut [f32],
        tile: impl Fn(&[f32], &[Tap], &Tap, &mut Tile<LANES>) -> Option<()>,
    ) -> Result<(), Misfit> {
        let ([rows, columns], stride) = (self.output, self.padded[1]);
        let blocks = output.chunks_mut((CHANNELS * rows * columns).max(1));
        let parameters = job.taps.chunks_exact(job.offsets.len().max(1)).zip(job.bias.chunks(CHANNELS));
        let mut sums = [[0.0; LANES]; CHANNELS];
        for (block, (taps, bias)) in blocks.zip(parameters) {
            let mut start = [0.0; CHANNELS];
            start.iter_mut().zip(bias).for_each(|(start, bias)| *start = *bias);
            for first in (0..rows.saturating_sub(1) * stride + columns).step_by(LANES) {
                let window = job.padded.get(first..).unwrap_or_default();
                let outside = Misfit { buffer: "a window", expected: LANES, found: window.len() };
                tile(window, taps, &start, &mut sums).ok_or(outside)?;
                self.write(&sums, first, block);
            }
        }
        Ok(())
    }

    /// Writes a tile whose first lane is place `first` of the padded plane, without what lies between rows.
    fn write<const LANES: usize>(&self, tile: &Tile<LANES>, first: usize, block: &mut [f32]) {
        let ([rows, columns], stride) = (self.output, self.padded[1]);
        let mut lane = 0;
        while lane < LANES {
            let (row, column) = ((first + lane) / stride, (first + lane) % stride);
            if row >= rows {
                return;
            }
            let length = columns.saturating_sub(column).min(LANES - lane);
            for (plane, lanes) in block.chunks_exact_mut(rows * columns).zip(tile) {
                let target = plane.get_mut(row * columns + column..).and_then(|rest| rest.get_mut(..length));
                if let (Some(target), Some(source)) = (target, lanes.get(lane..lane + length)) {
                    target.copy_from_slice(source);
                }
            }
            lane += (stride - column).min(LANES - lane);
        }
    }
}

/// Sums of one tile, by output channel and place.
type Tile<const LANES: usize> = [[f32; LANES]; CHANNELS];

struct Job<'a> {
    padded: &'a [f32],
    offsets: &'a [usize],
    taps: &'a [Tap],
    bias: &'a [f32],
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
#[inline(never)]
fn avx512(window: &[f32], offsets: &[usize], taps: &[Tap], start: &Tap, sums: &mut Tile<32>) -> Option<()> {
    tile(window, offsets, taps, start, sums)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
fn avx2(window: &[f32], offsets: &[usize], taps: &[Tap], start: &Tap, sums: &mut Tile<16>) -> Option<()> {
    tile(window, offsets, taps, start, sums)
}

/// `None` when a tap reads outside of the window.
#[inline(always)]
fn tile<const LANES: usize>(
    window: &[f32],
    offsets: &[usize],
    taps: &[Tap],
    start: &Tap,
    out: &mut Tile<LANES>,
) -> Option<()> {
    let mut sums = start.map(|start| [start; LANES]);
    for (&offset, tap) in offsets.iter().zip(taps) {
        let pixels = window.get(offset..)?.first_chunk::<LANES>()?;
        // With indices the sums stay in registers, with iterators they do not.
        for channel in 0..CHANNELS {
            for lane in 0..LANES {
                sums[channel][lane] = tap[channel].mul_add(pixels[lane], sums[channel][lane]);
            }
        }
    }
    *out = sums;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small numbers that differ from place to place.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919) % 101) as f32 / 101.0 - 0.5).collect()
    }

    /// The convolution as it is defined; `kernel` is `[outputs, channels, tall, wide]`.
    fn reference(planes: &Planes, image: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f32> {
        let ([rows, columns], [tall, wide]) = (planes.input, planes.kernel);
        let pixel = |channel: usize, y: usize, x: usize| {
            let (y, x) = (y.checked_sub(planes.before[0])?, x.checked_sub(planes.before[1])?);
            (y < rows && x < columns).then(|| image[(channel * rows + y) * columns + x])
        };
        let mut output = Vec::new();
        for (out, bias) in bias.iter().enumerate() {
            for y in 0..planes.output[0] {
                for x in 0..planes.output[1] {
                    let mut sum = *bias;
                    for (tap, weight) in kernel[out * planes.channels * tall * wide..]
                        [..planes.channels * tall * wide]
                        .iter()
                        .enumerate()
                    {
                        let (channel, place) = (tap / (tall * wide), tap % (tall * wide));
                        sum += weight * pixel(channel, y + place / wide, x + place % wide).unwrap_or(0.0);
                    }
                    output.push(sum);
                }
            }
        }
        output
    }

    /// The loops as this build compiles them without any instructions asked for.
    fn plain<const LANES: usize>(planes: &Planes, job: &Job<'_>, output: &mut [f32]) -> Result<(), Misfit> {
        planes.tiles::<LANES>(job, output, |window, taps, start, sums| {
            tile(window, job.offsets, taps, start, sums)
        })
    }

    #[test]
    fn every_form_that_this_processor_runs_gives_what_the_definition_gives_whatever_the_sizes() {
        for (outputs, input, before, after, kernel) in [
            (8, [9, 40], [1, 1], [1, 1], [3, 3]),
            (6, [5, 7], [0, 2], [1, 0], [3, 2]),
            (5, [1, 1], [1, 1], [1, 1], [3, 3]),
            (4, [6, 6], [0, 0], [0, 0], [1, 5]),
        ] {
            let padded = [0, 1].map(|axis| input[axis] + before[axis] + after[axis]);
            let output = [0, 1].map(|axis| padded[axis] - kernel[axis] + 1);
            let planes = Planes { channels: 3, input, before, padded, kernel, output };
            let taps = 3 * kernel[0] * kernel[1];
            let (image, weights, bias) =
                (numbers(3 * input[0] * input[1]), numbers(outputs * taps), numbers(outputs));
            let mut packed = vec![[0.0; CHANNELS]; outputs.div_ceil(CHANNELS) * taps];
            for (index, weight) in weights.iter().enumerate() {
                let (out, tap) = (index / taps, index % taps);
                packed[out / CHANNELS * taps + tap][out % CHANNELS] = *weight;
            }
            assert!(planes.holds_together());
            let (padded, offsets) = (planes.pad(&image).unwrap(), planes.offsets());
            let wanted = reference(&planes, &image, &weights, &bias);
            let agrees = |form: &str, run: &dyn Fn(&mut [f32]) -> Result<(), Misfit>| {
                let mut found = vec![f32::NAN; outputs * output[0] * output[1]];
                run(&mut found).unwrap();
                for (found, wanted) in found.iter().zip(&wanted) {
                    assert!((found - wanted).abs() < 1e-5, "{form}, {planes:?}: {found} and {wanted}");
                }
            };
            for form in Instructions::all() {
                agrees(&format!("{form:?}"), &|found| {
                    planes.run(form, &padded, &offsets, &packed, &bias, found)
                });
            }
            let job = Job { padded: &padded, offsets: &offsets, taps: &packed, bias: &bias };
            agrees("16 lanes", &|found| plain::<16>(&planes, &job, found));
            agrees("32 lanes", &|found| plain::<32>(&planes, &job, found));
        }
    }

    #[test]
    fn a_buffer_that_does_not_fit_is_an_error_and_not_half_an_answer() {
        let [input, before, padded, kernel, output] = [[4, 4], [1, 1], [6, 6], [3, 3], [4, 4]];
        let planes = Planes { channels: 1, input, before, padded, kernel, output };
        insta::assert_snapshot!(
            planes.pad(&numbers(15)).unwrap_err(),
            @"a convolution expects 16 elements of the image, got 15"
        );
        let (whole, offsets) = (planes.pad(&numbers(16)).unwrap(), planes.offsets());
        let (taps, bias) = ([[1.0; CHANNELS]; 9], [0.0; CHANNELS]);
        let mut found = vec![0.0; CHANNELS * 16];
        for form in Instructions::all() {
            let short = planes.run(form, &whole[..99], &offsets, &taps, &bias, &mut found).unwrap_err();
            assert_eq!((short.buffer, short.expected, short.found), ("padded planes", 100, 99));
            let few = planes.run(form, &whole, &offsets, &taps[..8], &bias, &mut found).unwrap_err();
            assert_eq!((few.buffer, few.expected, few.found), ("taps", 9, 8));
            let far = [0, 1, 2, 6, 7, 8, 12, 13, 99];
            assert!(planes.run(form, &whole, &far, &taps, &bias, &mut found).is_err());
        }
        assert!(!Planes { output: [5, 4], ..planes.clone() }.holds_together());
        assert!(!Planes { before: [3, 1], ..planes }.holds_together());
    }
}
