//! `Attention` as one operator. Source: Attention-24.

use crate::shape::call::{Call, Ruled};
use crate::shape::{Contradiction, Extent, Fact};

/// Queries, keys and values, heads apart.
pub(crate) struct Heads {
    pub batch: Extent,
    pub query: Head,
    pub key: Head,
    pub value: Head,
    /// Keys of earlier calls included.
    pub keys: Extent,
}

/// `[batch, heads, length, width]` without its batch.
pub(crate) struct Head {
    pub heads: Extent,
    pub length: Extent,
    pub width: Extent,
}

/// `None` where a rank is not known.
pub(crate) fn heads(call: &Call<'_>) -> Result<Option<Heads>, Contradiction> {
    let read = |at: usize, attribute: &'static str| {
        Ok(match call.need(at)?.extents.as_deref() {
            Some([batch, heads, length, width]) => {
                Some((*batch, Head { heads: *heads, length: *length, width: *width }))
            }
            Some([batch, length, all]) => {
                let heads =
                    call.int(attribute)?.ok_or(Contradiction::MissingAttribute { name: attribute })?;
                let heads =
                    usize::try_from(heads).map_err(|_| Contradiction::Attribute { name: attribute })?;
                let (heads, width) = (Extent::Known(heads), all.divided(heads));
                Some((*batch, Head { heads, length: *length, width }))
            }
            Some(other) => return Err(Contradiction::Rank { input: at, expected: 4, found: other.len() }),
            None => None,
        })
    };
    let (query, key) = (read(0, "q_num_heads")?, read(1, "kv_num_heads")?);
    let value = read(2, "kv_num_heads")?;
    let (Some((batch, query)), Some((_, key)), Some((_, value))) = (query, key, value) else {
        return Ok(None);
    };
    query.width.agreed(key.width, "width of the keys")?;
    key.length.agreed(value.length, "number of values")?;
    let past = match call.input(4).map(|past| past.extents.as_deref()) {
        Some(Some([_, _, past, _])) => *past,
        Some(_) => Extent::Unknown,
        None => Extent::Known(0),
    };
    let keys = past.plus(key.length)?;
    Ok(Some(Heads { batch, query, key, value, keys }))
}

pub(super) fn attention(call: &Call<'_>) -> Ruled {
    let dtype = call.need(0)?.dtype;
    let Some(Heads { batch, query, key, value, keys }) = heads(call)? else {
        return Ok(vec![Fact::new(dtype, None)]);
    };
    let attended = match call.extents(0) {
        Some([_, _, _]) => vec![batch, query.length, query.heads.times(value.width)?],
        _ => vec![batch, query.heads, query.length, value.width],
    };
    let fact = |at: usize, extents: Vec<Extent>| Fact::new(call.dtype(at), extents);
    Ok(vec![
        Fact::new(dtype, attended),
        fact(1, vec![batch, key.heads, keys, key.width]),
        fact(2, vec![batch, value.heads, keys, value.width]),
        Fact::new(dtype, vec![batch, query.heads, query.length, keys]),
    ])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, told, told_all};

    #[test]
    fn heads_come_apart_or_together() {
        let apart = [floats("b 12 49 32"), floats("b 4 50 32"), floats("b 4 50 16")];
        assert_eq!(told("Attention", 23, &apart, &[]), "float32 [batch, 12, 49, 16]");
        let together = [floats("b 49 384"), floats("b 50 128"), floats("b 50 64")];
        let heads = [("q_num_heads", Attribute::Int(12)), ("kv_num_heads", Attribute::Int(4))];
        assert_eq!(
            told_all("Attention", 23, &together, &heads, 2),
            ["float32 [batch, 49, 192]", "float32 [batch, 4, 50, 32]"]
        );
    }

    #[test]
    fn queries_and_keys_are_as_wide() {
        let given = [floats("b 12 49 32"), floats("b 12 49 16"), floats("b 12 49 32")];
        assert_eq!(told("Attention", 23, &given, &[]), "width of the keys: expected 32, got 16");
    }
}
