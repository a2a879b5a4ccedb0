//! Errors with what caused them.

use std::error::Error;
use std::fmt;

/// An error and its causes on one line: `cannot read a.onnx: permission denied`.
#[derive(Clone, Copy, Debug)]
pub struct Causes<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(next) = cause {
            write!(f, ": {next}")?;
            cause = next.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bundle, BundleError};

    #[test]
    fn every_cause_follows_its_effect() {
        let error: BundleError = Bundle::open("/nowhere").unwrap_err();
        let text = Causes(&error).to_string();
        assert!(text.starts_with("cannot read /nowhere/manifest.json: "), "{text}");
        assert_eq!(text.matches(": ").count(), 1, "{text}");
    }
}
