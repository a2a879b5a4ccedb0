//! Axes in another order, blocks between channels and space.

use crate::shape::call::{Call, Ruled, axis};
use crate::shape::{Contradiction, Extent, Fact};

pub(super) fn transpose(call: &Call<'_>) -> Ruled {
    const BAD: Contradiction = Contradiction::Attribute { name: "perm" };
    let input = call.need(0)?;
    let perm = call.int_list("perm")?;
    let Some(extents) = &input.extents else {
        let unknown = perm.map(|perm| vec![Extent::Unknown; perm.len()]);
        return Ok(vec![Fact::new(input.dtype, unknown)]);
    };
    let rank = extents.len();
    let order: Vec<usize> = match perm {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.iter().map(|one| axis(*one, rank)).collect::<Result<_, _>>()?,
    };
    let mut once = order.clone();
    once.sort_unstable();
    once.dedup();
    if once.len() != rank || order.len() != rank {
        return Err(BAD);
    }
    let moved: Option<Vec<Extent>> = order.iter().map(|axis| extents.get(*axis).copied()).collect();
    Ok(vec![Fact::new(input.dtype, moved.ok_or(BAD)?)])
}

fn block(call: &Call<'_>) -> Result<(usize, usize), Contradiction> {
    let bad = Contradiction::Attribute { name: "blocksize" };
    match usize::try_from(call.need_int("blocksize")?) {
        Ok(side) if side > 0 => Ok((side, side.checked_mul(side).ok_or(Contradiction::Overflow)?)),
        _ => Err(bad),
    }
}

pub(super) fn depth_to_space(call: &Call<'_>) -> Ruled {
    let (side, area) = block(call)?;
    call.need(0)?;
    let extents = match call.extents_of_rank(0, 4)? {
        Some([batch, channels, height, width]) => {
            let scale = Extent::Known(side);
            Some(vec![*batch, channels.divided(area), height.times(scale)?, width.times(scale)?])
        }
        _ => None,
    };
    Ok(vec![Fact::new(call.dtype(0), extents)])
}

pub(super) fn space_to_depth(call: &Call<'_>) -> Ruled {
    let (side, area) = block(call)?;
    call.need(0)?;
    let extents = match call.extents_of_rank(0, 4)? {
        Some([batch, channels, height, width]) => {
            let channels = channels.times(Extent::Known(area))?;
            Some(vec![*batch, channels, height.divided(side), width.divided(side)])
        }
        _ => None,
    };
    Ok(vec![Fact::new(call.dtype(0), extents)])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, list, told};

    #[test]
    fn axes_are_permuted_or_reversed() {
        let perm = |perm: &[i64]| told("Transpose", 13, &[floats("b 3 4 5")], &[("perm", list(perm))]);
        assert_eq!(perm(&[0, 2, 3, 1]), "float32 [batch, 4, 5, 3]");
        assert_eq!(told("Transpose", 13, &[floats("b 3 4")], &[]), "float32 [4, 3, batch]");
        assert!(perm(&[0, 1, 1, 2]).starts_with("attribute perm"));
        assert!(perm(&[0, 1]).starts_with("attribute perm"));
    }

    #[test]
    fn blocks_move_between_channels_and_space() {
        let block = [("blocksize", Attribute::Int(2))];
        assert_eq!(told("DepthToSpace", 13, &[floats("b 12 4 5")], &block), "float32 [batch, 3, 8, 10]");
        assert_eq!(told("SpaceToDepth", 13, &[floats("b 3 8 10")], &block), "float32 [batch, 12, 4, 5]");
    }
}
