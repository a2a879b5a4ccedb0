//! The attack as published, as coded, and as we would have it.

use serde::{Deserialize, Serialize};

use super::{Distance, Early, EarlyStart, Keep};
use crate::loss::{EarlyExits, EarlyLoss, Rivals};

/// Which Early Attack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyMode {
    /// The authors' code: starts in noise, squared distance of normalised pictures, `L2` over early exits, ten rivals,
    /// the first success from iteration 200 on of at most 1000.
    #[default]
    AsCoded,
    /// The paper's text: starts in noise, l2 norm on [0, 1], `L2` over all exits, every rival, the first success.
    AsPublished,
    /// Starts at the image, shows the network what 8 bits keep, and returns the success nearest to the image.
    Improved,
}

/// `c` of the paper and the code.
pub const C: f32 = 50.0;

impl EarlyMode {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsCoded => "as-coded",
            Self::AsPublished => "as-published",
            Self::Improved => "improved",
        }
    }

    /// The attack in this mode. The paper leaves iterations and rate open; the code's 1000 and 0.01 serve there too.
    pub fn attack(self, alpha: f32, seed: u64) -> Early {
        let coded = Early {
            loss: EarlyLoss { alpha, exits: EarlyExits::Early, rivals: Rivals::First(10) },
            c: C,
            distance: Distance::SquaredNormalised,
            start: EarlyStart::Noise,
            keep: Keep::FirstAfter(200),
            rounding: false,
            iterations: 1000,
            learning_rate: 0.01,
            seed,
        };
        match self {
            Self::AsCoded => coded,
            Self::AsPublished => Early {
                loss: EarlyLoss { alpha, exits: EarlyExits::All, rivals: Rivals::All },
                distance: Distance::Norm,
                keep: Keep::First,
                ..coded
            },
            Self::Improved => Early {
                loss: EarlyLoss { alpha, exits: EarlyExits::Early, rivals: Rivals::All },
                start: EarlyStart::Image,
                keep: Keep::Nearest,
                rounding: true,
                iterations: 300,
                ..coded
            },
        }
    }
}
