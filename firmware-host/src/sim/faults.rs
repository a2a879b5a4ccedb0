//! What a bad line does to bytes.

use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Faults of the line and of the device's clock, all of them from one seed. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Chance of a byte to be lost.
    pub drop: f64,
    /// Chance of a byte to have one of its bits flipped.
    pub flip: f64,
    /// Chance of a byte to come twice.
    pub duplicate: f64,
    /// Bytes are late by up to this, each way.
    pub jitter: Duration,
    /// How much faster the device's clock runs than it says, in parts per million.
    pub skew_ppm: f64,
    /// Bytes per second that the device reads; as fast as they come where there is none.
    pub reads_per_s: Option<u32>,
}

impl Faults {
    /// Does to `bytes` what the line does.
    pub(crate) fn damage(&self, bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
        if self.drop + self.flip + self.duplicate == 0.0 {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if random.random_bool(self.drop) {
                continue;
            }
            let flipped =
                if random.random_bool(self.flip) { byte ^ (1 << random.random_range(0..8)) } else { byte };
            out.push(flipped);
            if random.random_bool(self.duplicate) {
                out.push(flipped);
            }
        }
        out
    }

    /// How late bytes are this time.
    pub(crate) fn delay(&self, random: &mut ChaCha8Rng) -> Duration {
        self.jitter.mul_f64(random.random::<f64>())
    }
}
