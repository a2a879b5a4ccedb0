//! Recurrent layers.

use crate::shape::call::{Call, Ruled};
use crate::shape::{Contradiction, Extent, Fact};

/// `LSTM`, `GRU`, `RNN`: the sequence of states, the last state, the last cell. Source: LSTM-14.
pub(super) fn recurrent(call: &Call<'_>) -> Ruled {
    let dtype = call.need(0)?.dtype;
    let hidden = usize::try_from(call.need_int("hidden_size")?);
    let hidden = Extent::Known(hidden.map_err(|_| Contradiction::Attribute { name: "hidden_size" })?);
    let both = call.text("direction")? == Some(b"bidirectional");
    let directions = Extent::Known(if both { 2 } else { 1 });
    let batch_first = call.int_or("layout", 0)? != 0;
    let (first, second) = match call.extents_of_rank(0, 3)? {
        Some([first, second, _]) => (*first, *second),
        _ => (Extent::Unknown, Extent::Unknown),
    };
    let (states, last) = if batch_first {
        (vec![first, second, directions, hidden], vec![first, directions, hidden])
    } else {
        (vec![first, directions, second, hidden], vec![directions, second, hidden])
    };
    Ok(vec![Fact::new(dtype, states), Fact::new(dtype, last.clone()), Fact::new(dtype, last)])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, text, told_all};

    #[test]
    fn states_come_per_step_and_direction() {
        let with = [("hidden_size", Attribute::Int(16)), ("direction", text("bidirectional"))];
        let given = [floats("9 5 8"), floats("2 64 8"), floats("2 64 16")];
        assert_eq!(
            told_all("LSTM", 14, &given, &with, 3),
            ["float32 [9, 2, 5, 16]", "float32 [2, 5, 16]", "float32 [2, 5, 16]"]
        );
    }
}
