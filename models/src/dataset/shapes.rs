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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Write as _;

    use super::*;
    use crate::digest::Hasher;

    fn picture(split: Split, index: usize) -> [u8; BYTES] {
        let mut image = [0; BYTES];
        render(split, index, &mut image);
        image
    }

    /// Digest of every picture's bytes followed by its label.
    fn digest(split: Split, indices: std::ops::Range<usize>) -> String {
        let mut hasher = Hasher::default();
        for index in indices {
            let mut image = [0; BYTES];
            let label = render(split, index, &mut image) as u8;
            hasher.write_all(&image).unwrap();
            hasher.write_all(&[label]).unwrap();
        }
        hasher.finish().to_string()
    }

    #[test]
    fn pictures_are_the_same_bytes_on_every_machine() {
        for (split, index, expected) in [
            (Split::Train, 0, "e4f476efc271271503f8d6a8a15b9d52c65c7d4fd7cfeea3024c1c86c8e0890e"),
            (Split::Train, 19_999, "a5cc76051b3d246b884b60bc17fee3047a19d102d465a45198f7eadd250c6844"),
            (Split::Calibration, 7, "0a6560293293035a5e3f36d1ef150392d9d5dc3407e53fb8639faf92b739b396"),
            (Split::Test, 0, "ca6728ebd2308ffcf533139e7cb417a4d16e8112e26587b3e8790d6b4ee29944"),
            (Split::Test, 1_234, "8e5e1cd48f546c9d55fbfbd2b391777df2243ef5f3f382327344f57705b46ace"),
        ] {
            assert_eq!(digest(split, index..index + 1), expected, "{split:?} {index}");
        }
    }

    #[test]
    fn small_splits_are_the_same_bytes_on_every_machine() {
        for (split, expected) in [
            (Split::Calibration, "7d3a8d0557be260d9193e8b20a70ad3d4d5c34a483fe0ac9fec29f86258a201e"),
            (Split::Test, "9a1ca9cbd905d9afc5eb10a24794ef3040213e8b87a7567829ed975587f56445"),
        ] {
            assert_eq!(digest(split, 0..split.len()), expected, "{split:?}");
        }
    }

    #[test]
    fn each_ten_pictures_hold_every_class_once() {
        for (_, split) in Split::ALL {
            for ten in (0..split.len()).step_by(CLASSES) {
                let labels: HashSet<_> = (ten..ten + CLASSES).map(|index| label(split, index)).collect();
                assert_eq!(labels, HashSet::from_iter(0..CLASSES));
            }
        }
    }

    #[test]
    fn no_picture_is_drawn_twice() {
        let pictures =
            Split::ALL.into_iter().flat_map(|(_, split)| (0..500).map(move |index| (split, index)));
        let drawn: HashSet<_> = pictures.map(|(split, index)| picture(split, index)).collect();
        assert_eq!(drawn.len(), Split::ALL.len() * 500);
    }

    #[test]
    fn what_the_buffer_held_does_not_matter() {
        let mut image = [255; BYTES];
        render(Split::Test, 3, &mut image);
        assert_eq!(image, picture(Split::Test, 3));
    }

    #[test]
    fn every_difficulty_is_about_as_frequent() {
        let quarters = (0..Split::Test.len()).map(|index| difficulty(Split::Test, index) / 64);
        let counts = quarters.fold([0; 4], |mut counts, quarter| {
            counts[usize::from(quarter)] += 1;
            counts
        });
        assert!(counts.into_iter().all(|count| (400..600).contains(&count)), "{counts:?}");
    }
}
