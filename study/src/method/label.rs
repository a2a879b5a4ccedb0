//! Methods in words.

use serde::Serialize;

use super::Method;

impl Method {
    /// The method and the settings given.
    pub fn label(&self) -> String {
        [vec![self.kind.name().to_owned()], self.settings()].concat().join(" ")
    }

    /// What is held of an Early Attack while alpha changes: its mode, and the other settings given.
    pub fn series(&self) -> String {
        let held = Self { alpha: None, mode: Some(self.mode.unwrap_or_default()), ..self.clone() };
        held.settings().join(" ")
    }

    fn settings(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.push(if name.is_empty() { value } else { format!("{name} {value}") });
            }
        };
        if self.universal {
            add("", Some("universal".to_owned()));
        }
        add("", self.mode.and_then(word));
        add("", self.norm.and_then(word));
        add("epsilon", self.epsilon.map(of_255));
        add("step", self.step.map(of_255));
        add("iterations", self.iterations.map(|count| count.to_string()));
        add("restarts", self.restarts.map(|count| count.to_string()));
        add("", self.random_start.then(|| "random-start".to_owned()));
        add("exits", self.exits.as_ref().and_then(word));
        for (name, value) in self.pieces() {
            add(name, Some(value));
        }
        add("alpha", self.alpha.map(|alpha| alpha.to_string()));
        add("c", self.c.map(|c| c.to_string()));
        words
    }
}

/// A setting as files have it, without quotes.
pub(super) fn word(setting: impl Serialize) -> Option<String> {
    let value = serde_json::to_value(setting).ok()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// `8/255` where the number is that.
fn of_255(value: f32) -> String {
    let steps = (value * 255.0).round();
    if steps >= 1.0 && (steps / 255.0 - value).abs() < 1e-6 {
        format!("{steps}/255")
    } else {
        value.to_string()
    }
}
