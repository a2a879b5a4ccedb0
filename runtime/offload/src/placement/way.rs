//! Ways of placing images.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Auto, Budget, Budgeted, Config, Fixed, Place};

/// Where images are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Way {
    /// Always on the device.
    Local,
    /// By the server, after so many segments; 0 sends the image.
    After(usize),
    /// Wherever it is expected to be sooner done.
    Auto,
}

impl Way {
    /// Whoever places images this way, within `budget`, whose answers are of use for `deadline`; `None` where none is ever sent.
    pub fn place(self, deadline: Duration, budget: Budget) -> Option<Box<dyn Place>> {
        match self {
            Self::Local => None,
            Self::After(cut) => Some(Box::new(Budgeted::new(Fixed { cut }, budget))),
            Self::Auto => Some(Box::new(Budgeted::new(Auto::new(Config::new(deadline)), budget))),
        }
    }

    /// Whether images may be sent at a cut.
    pub fn sends_at(self, cut: usize) -> bool {
        match self {
            Self::Local => false,
            Self::After(after) => after == cut,
            Self::Auto => true,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::After(cut) => write!(f, "{cut}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// Text that names no way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected local, auto or the segments that run here, 0 or more; found \"{found}\"")]
pub struct NotAWay {
    /// The text.
    pub found: String,
}

impl FromStr for Way {
    type Err = NotAWay;

    fn from_str(text: &str) -> Result<Self, NotAWay> {
        match text {
            "local" => Ok(Self::Local),
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::After).map_err(|_| NotAWay { found: text.to_owned() }),
        }
    }
}

impl From<Way> for String {
    fn from(way: Way) -> Self {
        way.to_string()
    }
}

impl TryFrom<String> for Way {
    type Error = NotAWay;

    fn try_from(text: String) -> Result<Self, NotAWay> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_as_they_are_written() {
        for way in [Way::Local, Way::After(0), Way::After(12), Way::Auto] {
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        for text in ["", "-1", "Auto", "1.5", "after 1"] {
            assert_eq!(text.parse::<Way>(), Err(NotAWay { found: text.to_owned() }));
        }
    }
}
