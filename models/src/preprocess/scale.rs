//! From samples to the numbers that a network takes.

use crate::Input;

/// What becomes of the samples of one channel.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    black: f32,
    span: f32,
    mean: f32,
    std: f32,
    /// The number for each uint8 sample.
    table: Box<[f32; 256]>,
}

impl Scale {
    /// The scale of one channel of `input`.
    pub fn new(input: &Input, channel: usize) -> Self {
        let of =
            |numbers: &Option<Vec<f32>>| numbers.as_ref().and_then(|numbers| numbers.get(channel)).copied();
        let [black, white] = input.range;
        let (mean, std) = (of(&input.mean).unwrap_or(0.0), of(&input.std).unwrap_or(1.0));
        let mut scale = Self { black, span: white - black, mean, std, table: Box::new([0.0; 256]) };
        for sample in 0..=u8::MAX {
            let number = match input.range {
                // Bytes as they are: through [0, 1] some would come back one unit in the last place off.
                [0.0, 255.0] => scale.normalised(sample.into()),
                _ => scale.of_f32(f32::from(sample) / 255.0),
            };
            scale.table[usize::from(sample)] = number;
        }
        scale
    }

    /// The number for a uint8 sample.
    pub fn of_u8(&self, sample: u8) -> f32 {
        self.table[usize::from(sample)]
    }

    /// The number for a sample in [0, 1].
    pub fn of_f32(&self, sample: f32) -> f32 {
        self.normalised(self.black + sample * self.span)
    }

    /// What a step of one sample in [0, 1] is to the network.
    pub fn slope(&self) -> f32 {
        self.span / self.std
    }

    fn normalised(&self, value: f32) -> f32 {
        (value - self.mean) / self.std
    }
}
