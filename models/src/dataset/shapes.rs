//! A data set that is drawn, not downloaded: one figure of ten classes on a 32x32 colour picture.
//!
//! Pictures range from a plain upright figure to a small, turned, faint one among clutter, bars, shadow and noise, so
//! that some are decided by the first exit of a network and some by none. Every picture follows from its split and
//! index alone, in integer arithmetic only: its bytes are the same on every machine.

mod canvas;
mod figure;
mod outline;
mod random;
mod scene;

use std::fmt;

use canvas::Canvas;
use random::Random;
use scene::{Difficulty, Scene};

/// Rows and columns of a picture.
pub const SIZE: usize = 32;

/// Bytes of a picture: red, green and blue planes, row by row.
pub const BYTES: usize = 3 * SIZE * SIZE;

/// Number of classes.
pub const CLASSES: usize = 10;

/// Names of the classes, by label.
pub const CLASS_NAMES: [&str; CLASSES] =
    ["circle", "ring", "crescent", "triangle", "square", "hexagon", "star", "cross", "heart", "arrow"];

/// What a picture may be used for. Splits share no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// For fitting weights.
    Train,
    /// For choosing thresholds.
    Calibration,
    /// For judging, and nothing else.
    Test,
}

impl Split {
    /// All splits, with the names by which the command line knows them.
    pub const ALL: [(&str, Self); 3] =
        [("train", Self::Train), ("calibration", Self::Calibration), ("test", Self::Test)];

    /// Number of pictures.
    #[expect(clippy::len_without_is_empty, reason = "no split is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Train => 20_000,
            Self::Calibration | Self::Test => 2_000,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Calibration => "calibration",
            Self::Test => "test",
        })
    }
}

/// Draws picture `index` of `split` into `image` and returns its label.
///
/// Shape `[3, 32, 32]`, uint8, RGB. Each ten pictures from a multiple of ten on hold every class once. An index beyond
/// [`Split::len`] gives a further picture of the same kind, which belongs to no split.
pub fn render(split: Split, index: usize, image: &mut [u8; BYTES]) -> usize {
    let label = label(split, index);
    let mut random = Random::keyed(&[SEED, split as u64, index as u64]);
    let difficulty = Difficulty::draw(&mut random);
    let mut canvas = Canvas::default();
    Scene { random, difficulty }.paint(label, &mut canvas);
    canvas.develop(image);
    label
}

/// Tells how hard picture `index` of `split` was made, from 0, plain, to 255.
pub fn difficulty(split: Split, index: usize) -> u8 {
    Difficulty::draw(&mut Random::keyed(&[SEED, split as u64, index as u64])).level()
}

/// Changes every picture; the shipped networks were trained on this one.
const SEED: u64 = 0;

/// Keeps the order of labels apart from the pictures.
const LABELS: u64 = u64::from_be_bytes(*b"labels\0\0");

/// Tells the label of picture `index` of `split` without drawing it.
pub fn label(split: Split, index: usize) -> usize {
    let mut random = Random::keyed(&[SEED, split as u64, LABELS, (index / CLASSES) as u64]);
    let mut labels: [usize; CLASSES] = std::array::from_fn(|label| label);
    for last in (1..CLASSES).rev() {
        labels.swap(last, random.below(last as u32 + 1) as usize);
    }
    labels[index % CLASSES]
}
