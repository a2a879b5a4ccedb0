//! Ways of placing images.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
