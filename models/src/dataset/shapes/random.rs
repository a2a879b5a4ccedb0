//! Random numbers that are part of the data set's definition.

/// A SplitMix64 stream. Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
pub struct Random(u64);

impl Random {
    /// The stream that belongs to these words, in this order.
    pub fn keyed(words: &[u64]) -> Self {
        Self(words.iter().fold(0, |state, word| mix(state ^ mix(word.wrapping_add(GOLDEN)))))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number from 0 to `bound - 1`, 0 for a bound of 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below(high.abs_diff(low) + 1) as i32
    }

    /// Plus or minus one.
    pub fn sign(&mut self) -> i32 {
        self.between(0, 1) * 2 - 1
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_of_seed_zero_is_the_published_one() {
        let mut random = Random(0);
        assert_eq!(random.bits(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.bits(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn bounds_are_reached_and_kept() {
        let mut random = Random::keyed(&[1, 2]);
        let drawn: std::collections::BTreeSet<_> = (0..1000).map(|_| random.between(-2, 2)).collect();
        assert_eq!(Vec::from_iter(drawn), [-2, -1, 0, 1, 2]);
    }

    #[test]
    fn order_of_words_matters() {
        assert_ne!(Random::keyed(&[1, 2]).bits(), Random::keyed(&[2, 1]).bits());
    }
}
