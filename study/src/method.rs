//! An attack as asked for: every setting by name, those left out as published.

mod early;
mod label;

use offramp_runtime::policy::{PolicyError, PolicySpec};
use serde::{Deserialize, Serialize};

use crate::attack::{
    Ascent, Attack, Ball, BallError, Distance, EarlyMode, EarlyStart, Keep, Norm, PgdOptions, Universal,
    deepsloth, fgsm, mi_fgsm, pgd, universal_deepsloth,
};
use crate::loss::{Aim, CrossEntropy, EarlyExits, EarlyLoss, Loss, Rivals, TowardsUniform};

/// The attacks that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One step. Source: Goodfellow et al. 2015.
    Fgsm,
    /// Projected gradient ascent. Source: Madry et al. 2018.
    Pgd,
    /// The same with momentum. Source: Dong et al. 2018.
    MiFgsm,
    /// Early exits wrong, the final one unmoved. Source: the project's paper, §6.
    Early,
    /// Early exits in doubt. Source: Hong et al. 2021.
    Deepsloth,
}

/// Which exits cross-entropy is ascended at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The final one.
    #[default]
    Final,
    /// The mean over all.
    Avg,
    /// The one of greatest loss, at every step.
    Max,
    /// The one that answers under the deployed policy, at every step.
    Policy,
    /// These.
    #[serde(untagged)]
    Exits(Vec<usize>),
}

/// An attack and its settings; what is `None` is as published for the kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Which attack.
    #[serde(rename = "method")]
    pub kind: Kind,
    /// Greatest size of the perturbation, in `norm`, samples in [0, 1]. 8/255 for FGSM, PGD and MI-FGSM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f32>,
    /// How size is taken; linf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
    /// Length of one step; 2/255 for PGD and MI-FGSM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<f32>,
    /// Steps; 10 for PGD and MI-FGSM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// PGD starts at a random point of the ball.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub random_start: bool,
    /// PGD walks so many times and keeps the best; 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<usize>,
    /// Which exits are aimed at; the final one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exits: Option<Target>,
    /// The Early Attack's weight of the final label; 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f32>,
    /// The Early Attack's weight of the loss against the distance; 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c: Option<f32>,
    /// Which Early Attack; as coded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<EarlyMode>,
    /// Where the Early Attack's search starts; as in the mode, like all of the Early Attack's below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<EarlyStart>,
    /// How it takes the distance from the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// Exits that its loss drives the label's confidence down at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_exits: Option<EarlyExits>,
    /// Labels that the final exit's label is to lead over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rivals: Option<Rivals>,
    /// Which iterate is its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Whether the network sees every iterate as 8 bits would store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<bool>,
    /// Adam's, whose parameter is `w` of `(tanh w + 1) / 2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f32>,
    /// DeepSloth crafts one perturbation for all images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub universal: bool,
    /// Seed of all that is random.
    #[serde(default)]
    pub seed: u64,
}

/// A method, ready for one network.
pub struct Prepared {
    /// What walks.
    pub walk: Walk,
    /// What success is judged by.
    pub loss: Box<dyn Loss>,
}

/// The two ways to craft.
pub enum Walk {
    /// Every image for itself.
    PerImage(Box<dyn Attack>),
    /// One perturbation for all.
    Universal(Universal),
}

/// Settings that make no attack.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// A setting that the method does not have.
    #[error("{} has no {setting}: it belongs to {belongs}", .kind.name())]
    Foreign {
        /// The method.
        kind: Kind,
        /// The setting.
        setting: &'static str,
        /// The methods that have it.
        belongs: &'static str,
    },
    /// A setting out of range.
    #[error("{setting} is {expected}, got {found}")]
    Range {
        /// The setting.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A perturbation of no size.
    #[error(transparent)]
    Ball(#[from] BallError),
    /// The network lacks an exit that is aimed at.
    #[error("the network has exits 0 to {}, got exit {found}", .exits - 1)]
    Exit {
        /// Exits of the network.
        exits: usize,
        /// The exit.
        found: usize,
    },
    /// Nothing to fool early in a network without early exits.
    #[error("{} needs a network with an early exit, this one has only its final exit", .kind.name())]
    NoEarlyExit {
        /// The method.
        kind: Kind,
    },
    /// The deployed policy does not fit the network.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Kind {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fgsm => "fgsm",
            Self::Pgd => "pgd",
            Self::MiFgsm => "mi-fgsm",
            Self::Early => "early",
            Self::Deepsloth => "deepsloth",
        }
    }
}

impl Method {
    /// `kind` as published.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            epsilon: None,
            norm: None,
            step: None,
            iterations: None,
            random_start: false,
            restarts: None,
            exits: None,
            alpha: None,
            c: None,
            mode: None,
            start: None,
            distance: None,
            loss_exits: None,
            rivals: None,
            keep: None,
            rounding: None,
            learning_rate: None,
            universal: false,
            seed: 0,
        }
    }

    /// Whether the attack is about the final exit's own answers instead of the data's labels.
    pub fn needs_predictions(&self) -> bool {
        self.kind == Kind::Early
    }

    /// Whether the attack looks at labels at all.
    pub fn needs_labels(&self) -> bool {
        !matches!(self.kind, Kind::Early | Kind::Deepsloth)
    }

    /// Makes the attack for a network of `exits` exits that is deployed under `policy`.
    ///
    /// # Errors
    /// [`MethodError`] for a setting that is out of range or not the method's, an exit or policy that does not fit.
    pub fn prepare(&self, exits: usize, policy: &PolicySpec) -> Result<Prepared, MethodError> {
        self.check(exits)?;
        let (iterations, step) = (self.iterations.unwrap_or(10), self.step.unwrap_or(2.0 / 255.0));
        let norm = self.norm.unwrap_or(Norm::Linf);
        let ball = || Ball::new(norm, self.epsilon.unwrap_or(8.0 / 255.0));
        let aimed = || Ok::<_, MethodError>(Box::new(CrossEntropy::new(self.aim(exits, policy)?)));
        let per_image = |ascent: Ascent| Walk::PerImage(Box::new(ascent));
        Ok(match self.kind {
            Kind::Fgsm => Prepared { walk: per_image(fgsm(aimed()?, ball()?)), loss: aimed()? },
            Kind::Pgd => {
                let (random_start, seed) = (self.random_start, self.seed);
                let restarts = self.restarts.unwrap_or(1);
                let options = PgdOptions { step, iterations, random_start, restarts, seed };
                Prepared { walk: per_image(pgd(aimed()?, ball()?, options)), loss: aimed()? }
            }
            Kind::MiFgsm => {
                Prepared { walk: per_image(mi_fgsm(aimed()?, ball()?, step, iterations)), loss: aimed()? }
            }
            Kind::Deepsloth if self.universal => Prepared {
                walk: Walk::Universal(universal_deepsloth(self.epsilon, self.step, self.iterations)),
                loss: Box::new(TowardsUniform),
            },
            Kind::Deepsloth => {
                let walk = deepsloth(norm, self.epsilon, self.step, self.iterations, self.seed);
                Prepared { walk: per_image(walk), loss: Box::new(TowardsUniform) }
            }
            Kind::Early => {
                let attack = self.early();
                // Success is the paper's, whatever is minimised.
                let loss = EarlyLoss { exits: EarlyExits::Early, rivals: Rivals::All, ..attack.loss };
                Prepared { walk: Walk::PerImage(Box::new(attack)), loss: Box::new(loss) }
            }
        })
    }

    fn aim(&self, exits: usize, policy: &PolicySpec) -> Result<Aim, MethodError> {
        Ok(match self.exits.as_ref().unwrap_or(&Target::Final) {
            Target::Final => Aim::Final,
            Target::Avg => Aim::Average,
            Target::Max => Aim::Maximum,
            Target::Policy => Aim::Policy(policy.fit(exits)?),
            Target::Exits(chosen) => match chosen.iter().find(|exit| **exit >= exits) {
                Some(&found) => return Err(MethodError::Exit { exits, found }),
                None => Aim::Exits(chosen.clone()),
            },
        })
    }

    fn check(&self, exits: usize) -> Result<(), MethodError> {
        let kind = self.kind;
        let foreign = |setting, belongs| Err(MethodError::Foreign { kind, setting, belongs });
        let early = kind == Kind::Early;
        if (self.alpha.is_some() || self.c.is_some() || self.mode.is_some()) && !early {
            return foreign("alpha, c or mode", "early");
        }
        if let Some((setting, _)) = self.pieces().next().filter(|_| !early) {
            return foreign(setting, "early");
        }
        if self.universal && kind != Kind::Deepsloth {
            return foreign("universal perturbation", "deepsloth");
        }
        if (self.random_start || self.restarts.is_some()) && kind != Kind::Pgd {
            return foreign("random start or restarts", "pgd");
        }
        if self.exits.is_some() && !self.needs_labels() {
            return foreign("choice of exits", "fgsm, pgd and mi-fgsm");
        }
        if (self.epsilon.is_some() || self.norm.is_some() || self.step.is_some()) && early {
            return foreign("epsilon, norm or step", "fgsm, pgd, mi-fgsm and deepsloth");
        }
        if (self.step.is_some() || self.iterations.is_some()) && kind == Kind::Fgsm {
            return foreign("step or iterations", "pgd, mi-fgsm, early and deepsloth");
        }
        if self.universal && self.norm.is_some_and(|norm| norm != Norm::Linf) {
            return foreign("universal perturbation in l1 or l2", "linf");
        }
        if !self.needs_labels() && exits < 2 {
            return Err(MethodError::NoEarlyExit { kind });
        }
        if let Some(epsilon) = self.epsilon {
            Ball::new(self.norm.unwrap_or(Norm::Linf), epsilon)?;
        }
        let above_zero = |setting, value: Option<f32>| match value {
            Some(found) if !(found > 0.0 && found.is_finite()) => {
                Err(MethodError::Range { setting, expected: "a number above 0", found: found.to_string() })
            }
            _ => Ok(()),
        };
        above_zero("step", self.step)?;
        above_zero("c", self.c)?;
        above_zero("learning rate", self.learning_rate)?;
        if let Some(alpha) = self.alpha
            && !(alpha >= 0.0 && alpha.is_finite())
        {
            let expected = "a number from 0";
            return Err(MethodError::Range { setting: "alpha", expected, found: alpha.to_string() });
        }
        let rivals = match self.rivals {
            Some(Rivals::First(classes)) => Some(classes),
            _ => None,
        };
        let counts = [("iterations", self.iterations), ("restarts", self.restarts), ("rivals", rivals)];
        for (setting, count) in counts {
            if count == Some(0) {
                return Err(MethodError::Range { setting, expected: "1 or more", found: "0".to_owned() });
            }
        }
        match &self.exits {
            Some(Target::Exits(chosen)) if chosen.is_empty() => Err(MethodError::Range {
                setting: "exits",
                expected: "final, avg, max, policy or a list of exits",
                found: "an empty list".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
