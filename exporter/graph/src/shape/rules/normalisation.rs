//! Normalisations that have more than one output.

use crate::shape::call::{Call, Ruled, axis};
use crate::shape::extent::FLOAT32;
use crate::shape::{Contradiction, Extent, Fact};

/// `BatchNormalization`: the running statistics follow in training mode.
pub(super) fn batch(call: &Call<'_>) -> Ruled {
    let image = call.need(0)?;
    let mut channels = match image.extents.as_deref() {
        Some([_, channels, ..]) => *channels,
        Some([_]) => Extent::Known(1),
        Some([]) => return Err(Contradiction::Rank { input: 0, expected: 1, found: 0 }),
        None => Extent::Unknown,
    };
    for at in 1..5 {
        call.need(at)?;
        if let Some([length]) = call.extents_of_rank(at, 1)? {
            channels = length.agreed(channels, "channels of the image, given the statistics")?;
        }
    }
    let statistics = |at: usize| Fact::new(call.dtype(at), vec![channels]);
    Ok(vec![image.like(), statistics(3), statistics(4), statistics(3), statistics(4)])
}

/// `LayerNormalization`: output, mean, inverse deviation.
pub(super) fn layer(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let statistics = match &input.extents {
        Some(extents) => {
            let first = axis(call.int_or("axis", -1)?, extents.len())?;
            let one = |(at, extent): (usize, &Extent)| if at < first { *extent } else { Extent::Known(1) };
            Some(extents.iter().enumerate().map(one).collect::<Vec<_>>())
        }
        None => None,
    };
    let dtype = call.element_type("stash_type", Some(FLOAT32))?;
    Ok(vec![input.like(), Fact::new(dtype, statistics.clone()), Fact::new(dtype, statistics)])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, told_all};

    #[test]
    fn batch_normalisation_needs_one_statistic_per_channel() {
        let given = |length: &str| [floats("b 8 4 4"), floats(length), floats("8"), floats("8"), floats("8")];
        let told =
            told_all("BatchNormalization", 15, &given("8"), &[("training_mode", Attribute::Int(1))], 3);
        assert_eq!(told, ["float32 [batch, 8, 4, 4]", "float32 [8]", "float32 [8]"]);
        assert_eq!(
            told_all("BatchNormalization", 15, &given("9"), &[], 1),
            ["channels of the image, given the statistics: expected 9, got 8"]
        );
    }

    #[test]
    fn layer_normalisation_gives_statistics_of_what_it_normalised() {
        let with = [("axis", Attribute::Int(-2))];
        let told = told_all("LayerNormalization", 17, &[floats("b 7 4 5"), floats("4 5")], &with, 3);
        assert_eq!(
            told,
            ["float32 [batch, 7, 4, 5]", "float32 [batch, 7, 1, 1]", "float32 [batch, 7, 1, 1]"]
        );
    }
}
