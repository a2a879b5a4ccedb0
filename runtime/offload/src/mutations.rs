//! Bytes that an adversary would send: valid messages with some of them changed, fields that belong to no message, and noise.

/// Mutations per test; `OFFRAMP_FUZZ_RUNS` asks for more.
pub fn runs() -> u64 {
    std::env::var("OFFRAMP_FUZZ_RUNS").map_or(2000, |runs| runs.parse().unwrap())
}

/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// Changes one place.
pub fn mutate(bytes: &mut Vec<u8>, random: &mut SplitMix) {
    let at = random.below(bytes.len());
    let odd = random.one_of(&[0, 1, 0x7f, 0x80, 0xff]);
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, odd),
        2 if !bytes.is_empty() => drop(bytes.remove(at)),
        3 => {
            let end = at + random.below(bytes.len() - at + 1);
            bytes.extend_from_within(at..end);
        }
        4 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        _ if !bytes.is_empty() => bytes[at] = odd,
        _ => {}
    }
}

/// Fields of any number and kind, inside each other up to `depth`; some of them end too late.
pub fn fields(random: &mut SplitMix, depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(6) {
        let kind = random.below(8) as u8;
        bytes.push((random.below(16) as u8) << 3 | kind);
        match kind {
            2 => {
                let inside = if depth > 0 { fields(random, depth - 1) } else { noise(random, 12) };
                let length = if random.below(8) == 0 { random.below(256) } else { inside.len() };
                bytes.extend(varint(length as u64));
                bytes.extend(inside);
            }
            0 => {
                let number = random.next() >> random.below(64);
                bytes.extend(varint(number));
            }
            _ => bytes.extend(noise(random, 9)),
        }
    }
    bytes
}

/// Fewer than `most` bytes of any kind.
pub fn noise(random: &mut SplitMix, most: usize) -> Vec<u8> {
    (0..random.below(most)).map(|_| random.next() as u8).collect()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
