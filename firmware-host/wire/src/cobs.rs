//! Consistent overhead byte stuffing: a frame's bytes without a single zero, so that zero ends a frame.
//!
//! Source: Cheshire and Baker, Consistent Overhead Byte Stuffing, IEEE/ACM Transactions on Networking 7(2), 1999.

/// A block is its length byte and at most this many bytes that are not zero.
const RUN: usize = 254;

/// Bytes that stuffing can add to `length` bytes.
pub(crate) const fn overhead(length: usize) -> usize {
    length / RUN + 1
}

/// Writes `plain` stuffed, without the closing zero; returns its length, or nothing where `out` is too small.
pub(crate) fn stuff(plain: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    let mut rest = plain;
    loop {
        let run = rest.iter().take(RUN).position(|byte| *byte == 0).unwrap_or(rest.len().min(RUN));
        *out.get_mut(at)? = u8::try_from(run + 1).ok()?;
        out.get_mut(at + 1..at + 1 + run)?.copy_from_slice(&rest[..run]);
        at += 1 + run;
        if run == rest.len() {
            return Some(at);
        }
        // A full block stands for its bytes alone; a shorter one for its bytes and the zero that ended it.
        rest = &rest[if run == RUN { run } else { run + 1 }..];
    }
}

/// Unstuffs `bytes`, a frame without its closing zero, in place: what it stands for is `bytes[1..end]` of the `end` that
/// is returned. Nothing where the blocks do not end with the frame.
///
/// Every code but the first stands in the place of a zero, so bytes move only behind a block of 254.
pub(crate) fn unstuff(bytes: &mut [u8]) -> Option<usize> {
    let (mut at, mut end, mut full) = (0, bytes.len(), false);
    while at < end {
        let code = usize::from(bytes[at]);
        let mut next = at + code;
        if code == 0 || next > end {
            return None;
        }
        if full {
            bytes.copy_within(at + 1..end, at);
            end -= 1;
            next -= 1;
        } else if at > 0 {
            bytes[at] = 0;
        }
        full = code > RUN;
        at = next;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    extern crate std;
    use std::vec;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn stuffing_is_what_the_cobs_crate_does(plain in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>(), Just(7u8)], 1..900)) {
            let mut ours = vec![0; plain.len() + overhead(plain.len())];
            let length = stuff(&plain, &mut ours).unwrap();
            ours.truncate(length);
            let mut theirs = vec![0; cobs::max_encoding_length(plain.len())];
            let length = cobs::encode(&plain, &mut theirs);
            theirs.truncate(length);
            prop_assert_eq!(unstuffed(&ours), Some(plain.clone()));
            prop_assert_eq!(unstuffed(&theirs), Some(plain));
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn garbage_is_refused_where_the_cobs_crate_refuses_it(bytes in prop::collection::vec(1u8.., 1..600)) {
            let mut theirs = vec![0; bytes.len()];
            let mut ended = bytes.clone();
            ended.push(0);
            let expected = cobs::decode(&ended, &mut theirs).ok().map(|report| theirs[..report.frame_size()].to_vec());
            prop_assert_eq!(unstuffed(&bytes), expected);
        }
    }

    #[test]
    fn a_run_that_fills_its_block_stands_for_no_zero() {
        for length in [253, 254, 255, 508, 509] {
            let plain = vec![9; length];
            let mut out = vec![0; length + overhead(length)];
            let stuffed = stuff(&plain, &mut out).unwrap();
            assert!(!out[..stuffed].contains(&0));
            assert_eq!(unstuffed(&out[..stuffed]), Some(plain));
        }
        assert_eq!(stuff(&[1, 2, 3], &mut [0; 3]), None);
    }

    fn unstuffed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut copy = bytes.to_vec();
        unstuff(&mut copy).map(|end| copy[1..end].to_vec())
    }
}
