//! The way from a picture to a network's input, one for every command.
//!
//! A picture of the right size is never resampled. Any other is resized until it just covers the input, bilinear with
//! antialiasing, and cropped to its centre: a uint8 picture becomes to the bit what torchvision's `Resize` and
//! `CenterCrop` make of it with Pillow. Samples then become `range[0] + sample * (range[1] - range[0])` with the sample
//! in [0, 1] and, where the manifest says so, `(value - mean) / std`, in float32 throughout.

mod axis;
mod buffer;
mod channels;
mod resample;
mod scale;

pub use buffer::HostBuffer;
pub use resample::Resampler;

use crate::dataset::{Chw, Picture, Samples};
use crate::{DType, Input, Layout};
use channels::Channels;
use scale::Scale;

/// Makes one network's input of pictures.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    shape: Chw,
    layout: Layout,
    form: Form,
    text: String,
}

#[derive(Clone, Debug)]
enum Form {
    Uint8,
    /// One scale per channel.
    Float32(Vec<Scale>),
}

/// Whether a picture had the size of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It went in sample by sample.
    Exact,
    /// It was resized and cropped.
    Resized,
}

/// A picture that cannot become the input, or an input that no picture can become.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// Colours that do not fit.
    #[error("a picture of {found} channels cannot become {expected}: only 1 to 3 and 4 to 3 are known")]
    Channels {
        /// Channels of the input.
        expected: usize,
        /// Channels of the picture.
        found: usize,
    },
    /// A picture without pixels.
    #[error("a picture of {found} has no pixels")]
    NoPixels {
        /// Its shape.
        found: Chw,
    },
    /// An input of a form that no picture takes.
    #[error("input \"{input}\" has {found}, expected {expected}")]
    Input {
        /// Name of the input.
        input: String,
        /// What was found.
        found: String,
        /// What would fit.
        expected: &'static str,
    },
}

impl Preprocessor {
    /// Prepares for `input`.
    ///
    /// # Errors
    /// `Input` when its element type, shape, range, mean or std cannot be met.
    pub fn new(input: &Input) -> Result<Self, PreprocessError> {
        let (channels, height, width) = input.chw();
        let shape = Chw { channels, height, width };
        check(input, shape)?;
        let form = match input.dtype {
            DType::Uint8 => Form::Uint8,
            _ => Form::Float32((0..channels).map(|channel| Scale::new(input, channel)).collect()),
        };
        Ok(Self { shape, layout: input.layout, form, text: describe(input, shape) })
    }

    /// Makes `into` the input for this picture alone.
    ///
    /// # Errors
    /// `Channels` or `NoPixels`; then the batch is empty.
    pub fn apply(&self, picture: &Picture, into: &mut HostBuffer) -> Result<Fit, PreprocessError> {
        into.clear();
        self.append(picture, into)
    }

    /// Adds the input for this picture to the batch in `into`. A buffer of another element type is emptied first.
    ///
    /// # Errors
    /// `Channels` or `NoPixels`; then the batch is as it was.
    pub fn append(&self, picture: &Picture, into: &mut HostBuffer) -> Result<Fit, PreprocessError> {
        let Chw { channels, height, width } = self.shape;
        let fits = (picture.shape().height, picture.shape().width) == (height, width);
        let channels = Channels::between(picture.shape(), channels)?;
        if into.dtype != self.dtype() {
            into.clear();
            into.dtype = self.dtype();
        }
        let HostBuffer { floats, bytes, resampler, images, .. } = into;
        let covering = resampler.cover(picture, height, width);
        match (&self.form, covering.samples()) {
            (Form::Float32(scales), Samples::U8(samples)) => {
                self.put(samples, channels, floats, |channel, sample| scales[channel].of_u8(sample));
            }
            (Form::Float32(scales), Samples::F32(samples)) => {
                self.put(samples, channels, floats, |channel, sample| scales[channel].of_f32(sample));
            }
            (Form::Uint8, Samples::U8(samples)) => self.put(samples, channels, bytes, |_, sample| sample),
            (Form::Uint8, Samples::F32(samples)) => {
                self.put(samples, channels, bytes, |_, sample: f32| (sample * 255.0).round_ties_even() as u8);
            }
        }
        *images += 1;
        Ok(if fits { Fit::Exact } else { Fit::Resized })
    }

    fn put<S: Copy, T: Copy + Default>(
        &self,
        samples: &[S],
        channels: Channels,
        into: &mut Vec<T>,
        value: impl Fn(usize, S) -> T,
    ) {
        let Chw { channels: count, height, width } = self.shape;
        let size = height * width;
        let first = into.len();
        into.resize(first + self.shape.samples(), T::default());
        for channel in 0..count {
            let (from, step) = match self.layout {
                Layout::Nchw => (channel * size, 1),
                Layout::Nhwc => (channel, count),
            };
            let slots = into[first + from..].iter_mut().step_by(step);
            for (slot, sample) in slots.zip(channels.plane(samples, channel, size)) {
                *slot = value(channel, *sample);
            }
        }
    }

    /// Turns the gradient with respect to the input of one picture into the one with respect to its samples in [0, 1],
    /// plane by plane: undoes the layout and applies the slope of the scale. A uint8 input is taken for its samples times
    /// 255, unrounded. Both have as many elements as [`Preprocessor::shape`].
    pub fn pull_back(&self, gradient: &[f32], into: &mut [f32]) {
        let Chw { channels: count, height, width } = self.shape;
        let size = height * width;
        for (channel, plane) in into.chunks_exact_mut(size).enumerate() {
            let (first, step) = match self.layout {
                Layout::Nchw => (channel * size, 1),
                Layout::Nhwc => (channel, count),
            };
            let slope = match &self.form {
                Form::Uint8 => 255.0,
                Form::Float32(scales) => scales[channel].slope(),
            };
            for (into, from) in plane.iter_mut().zip(gradient[first..].iter().step_by(step)) {
                *into = from * slope;
            }
        }
    }

    /// Element type of the input.
    pub fn dtype(&self) -> DType {
        match self.form {
            Form::Uint8 => DType::Uint8,
            Form::Float32(_) => DType::Float32,
        }
    }

    /// Channels, height and width of the input.
    pub fn shape(&self) -> Chw {
        self.shape
    }

    /// One line for reports: what becomes of sizes, samples and colours.
    pub fn describe(&self) -> &str {
        &self.text
    }
}

fn check(input: &Input, shape: Chw) -> Result<(), PreprocessError> {
    let refused =
        |found: String, expected| Err(PreprocessError::Input { input: input.name.clone(), found, expected });
    if input.shape.len() != 4 || shape.samples() == 0 {
        let found = format!("shape {}", crate::tensor::Shape(&input.shape));
        return refused(found, "a batch, channels, height and width");
    }
    let [black, white] = input.range;
    if !(black.is_finite() && white.is_finite() && black < white) {
        return refused(format!("range [{black}, {white}]"), "two rising numbers");
    }
    for (what, numbers) in [("mean", &input.mean), ("std", &input.std)] {
        if let Some(numbers) = numbers
            && numbers.len() != shape.channels
        {
            return refused(format!("{what} of {} numbers", numbers.len()), "one per channel");
        }
    }
    match input.dtype {
        DType::Float32 => Ok(()),
        DType::Uint8 if input.range != [0.0, 255.0] || input.mean.is_some() || input.std.is_some() => {
            refused("uint8 elements to be scaled".to_owned(), "range [0, 255] without mean and std for uint8")
        }
        DType::Uint8 => Ok(()),
        other => refused(format!("{other} elements"), "float32 or uint8"),
    }
}

fn describe(input: &Input, shape: Chw) -> String {
    let [black, white] = input.range;
    let mut text = format!(
        "{shape} {}; folders of other sizes: resized to cover it (bilinear, antialiased), centre crop; range [{black}, {white}]",
        input.dtype
    );
    if let (Some(mean), Some(std)) = (&input.mean, &input.std) {
        text += &format!("; mean {mean:?}, std {std:?}");
    }
    text
}
