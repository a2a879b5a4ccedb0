//! Which iterate is the result.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which iterate is the result; the last one where none succeeds. Written as `first`, `first-after=N` or `nearest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// The first success: the paper.
    First,
    /// The first success after so many iterations: 200 in the published code.
    FirstAfter(usize),
    /// Of all successes the one nearest to the image in l2.
    Nearest,
}

/// Words that name no iterate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected first, first-after=N or nearest, got \"{found}\"")]
pub struct KeepError {
    found: String,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::FirstAfter(iterations) => write!(f, "first-after={iterations}"),
            Self::Nearest => f.write_str("nearest"),
        }
    }
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        let refused = || KeepError { found: text.to_owned() };
        match text {
            "first" => Ok(Self::First),
            "nearest" => Ok(Self::Nearest),
            _ => {
                let iterations = text.strip_prefix("first-after=").ok_or_else(refused)?;
                iterations.parse().map(Self::FirstAfter).map_err(|_| refused())
            }
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = KeepError;

    fn try_from(text: String) -> Result<Self, KeepError> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is_read() {
        for keep in [Keep::First, Keep::FirstAfter(200), Keep::Nearest] {
            assert_eq!(keep.to_string().parse(), Ok(keep));
        }
        for text in ["last", "first-after", "first-after=", "first-after=-1", "first-after 200", ""] {
            let error = text.parse::<Keep>().unwrap_err().to_string();
            assert_eq!(error, format!("expected first, first-after=N or nearest, got \"{text}\""));
        }
    }
}
