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
