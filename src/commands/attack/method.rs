//! The attack and its settings, as flags.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use offramp_study::attack::{EarlyMode, Norm};
use offramp_study::method::{Kind, Method, Target};

use super::early::EarlyFlags;
use crate::{output, quantities};

/// The attack and its settings; those left out are as published.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Attack")]
pub struct MethodFlags {
    /// Which attack
    #[arg(long, value_enum)]
    method: MethodKind,
    /// Greatest size of the perturbation in --norm, samples in [0, 1]; 8/255 is understood [default: 8/255, which is meant
    /// for linf; deepsloth: as published for the norm]
    #[arg(long, value_name = "E", value_parser = quantities::ratio)]
    epsilon: Option<f32>,
    /// How size is taken [default: linf]; with l2 or l1, give fgsm, pgd and mi-fgsm --epsilon and --step too
    #[arg(long, value_enum)]
    norm: Option<NormKind>,
    /// Length of one step in --norm [default: 2/255, which is meant for linf; deepsloth: as published for the norm]
    #[arg(long, value_name = "S", value_parser = quantities::ratio)]
    step: Option<f32>,
    /// Steps [default: 10; early and deepsloth: as published]
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    iterations: Option<NonZeroUsize>,
    /// pgd: start at a random point
    #[arg(long)]
    random_start: bool,
    /// pgd: walks per image, the best of which is kept
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    restarts: Option<NonZeroUsize>,
    /// fgsm, pgd, mi-fgsm: exits aimed at: final, avg, max, policy (the deployed one) or K,.. [default: final]
    #[arg(long, value_name = "EXITS", value_parser = target)]
    exits: Option<Target>,
    /// early: weight of the final label [default: 1]
    #[arg(long, value_name = "A", value_parser = quantities::ratio)]
    alpha: Option<f32>,
    /// early: weight of the loss against the distance [default: 50]
    #[arg(long, value_name = "C", value_parser = quantities::ratio)]
    c: Option<f32>,
    /// early: which version of it [default: as-coded]
    #[arg(long, value_enum)]
    mode: Option<ModeKind>,
    /// deepsloth: one perturbation for all images
    #[arg(long)]
    universal: bool,
    /// Seed of all that is random
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    early: EarlyFlags,
}

/// Attacks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodKind {
    /// One step
    Fgsm,
    /// Projected gradient ascent
    Pgd,
    /// The same with momentum
    MiFgsm,
    /// Early exits wrong, the final label kept
    Early,
    /// Early exits in doubt, so that images leave late
    Deepsloth,
}

/// Norms.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NormKind {
    /// The largest change
    Linf,
    /// The root of the sum of squares
    L2,
    /// The sum of changes
    L1,
}

/// Early Attacks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeKind {
    /// The authors' code
    AsCoded,
    /// The paper's text
    AsPublished,
    /// From the image, nearest success, sure of 8 bits
    Improved,
}

fn target(text: &str) -> Result<Target, String> {
    let expected = || "expected final, avg, max, policy or exits with commas between them: 0,2".to_owned();
    Ok(match text {
        "final" => Target::Final,
        "avg" => Target::Avg,
        "max" => Target::Max,
        "policy" => Target::Policy,
        list => {
            let exits = list.split(',').map(|exit| exit.trim().parse());
            Target::Exits(exits.collect::<Result<_, _>>().map_err(|_| expected())?)
        }
    })
}

impl MethodFlags {
    /// The attack that was asked for.
    pub fn method(&self) -> Method {
        let kind = match self.method {
            MethodKind::Fgsm => Kind::Fgsm,
            MethodKind::Pgd => Kind::Pgd,
            MethodKind::MiFgsm => Kind::MiFgsm,
            MethodKind::Early => Kind::Early,
            MethodKind::Deepsloth => Kind::Deepsloth,
        };
        let norm = self.norm.map(|norm| match norm {
            NormKind::Linf => Norm::Linf,
            NormKind::L2 => Norm::L2,
            NormKind::L1 => Norm::L1,
        });
        let mode = self.mode.map(|mode| match mode {
            ModeKind::AsCoded => EarlyMode::AsCoded,
            ModeKind::AsPublished => EarlyMode::AsPublished,
            ModeKind::Improved => EarlyMode::Improved,
        });
        let method = Method {
            kind,
            epsilon: self.epsilon,
            norm,
            step: self.step,
            iterations: self.iterations.map(NonZeroUsize::get),
            random_start: self.random_start,
            restarts: self.restarts.map(NonZeroUsize::get),
            exits: self.exits.clone(),
            alpha: self.alpha,
            c: self.c,
            mode,
            universal: self.universal,
            seed: self.seed,
            ..Method::new(kind)
        };
        self.early.put_on(method)
    }

    /// Says on stderr when the defaults, which are meant for linf, leave a budget in another norm out of reach.
    pub fn warn_of_small_steps(&self) {
        let norm = match self.norm {
            Some(NormKind::L2) => "l2",
            Some(NormKind::L1) => "l1",
            _ => return,
        };
        let steps = matches!(self.method, MethodKind::Pgd | MethodKind::MiFgsm) && self.step.is_none();
        let missing = match (self.epsilon.is_none(), steps) {
            _ if matches!(self.method, MethodKind::Deepsloth | MethodKind::Early) => return,
            (true, true) => "--epsilon and --step",
            (true, false) => "--epsilon",
            (false, true) => "--step",
            (false, false) => return,
        };
        output::note(format!("note: the default of {missing} is meant for linf and is very small in {norm}"));
    }
}
