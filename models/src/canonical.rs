//! JSON with one spelling, for digests.

use serde_json::Value;

use crate::Sha256;

impl Sha256 {
    /// Digest of the canonical JSON of `value`: keys sorted by bytes, no white space, numbers as `serde_json` prints them.
    pub fn of_json(value: &Value) -> Self {
        let mut text = String::new();
        canonical(value, &mut text);
        Self::of(text.as_bytes())
    }
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_bytes());
            list(out, ['{', '}'], entries, |(key, value), out| {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, out);
            });
        }
        Value::Array(items) => list(out, ['[', ']'], items, canonical),
        leaf => out.push_str(&leaf.to_string()),
    }
}

fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_sorts_keys_and_drops_white_space() {
        let mut text = String::new();
        canonical(&serde_json::json!({"b": [1, {"z": null, "a": "x\"y"}], "a": 0.5}), &mut text);
        assert_eq!(text, r#"{"a":0.5,"b":[1,{"a":"x\"y","z":null}]}"#);
    }
}
