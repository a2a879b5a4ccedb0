//! Figures of a row, from recordings alone.

use offramp_runtime::policy::Policy;
use offramp_runtime::replay::Replay;

use super::row::{Figures, RowExit};
use crate::adversarial::SetManifest;
use crate::metrics::efficacy::Efficacy;

/// What `policy` makes of the benign images and of the input, and what is known of the set.
pub(super) fn figures(
    [benign, input]: [&Replay; 2],
    policy: &dyn Policy,
    macs: &[u64],
    set: Option<&SetManifest>,
) -> Figures {
    let sides = [benign.evaluate(policy, macs), input.evaluate(policy, macs)];
    let by_exit = [accuracy_by_exit(benign), accuracy_by_exit(input)];
    let costs: Vec<f64> = macs.iter().map(|macs| *macs as f64).collect();
    // With one exit there is no placing to be efficient in.
    let efficacy =
        |counts: &[usize]| Efficacy::of(counts, &costs).filter(|_| counts.len() > 1).map(|of| of.raw);
    let both = |[a, b]: [Option<f64>; 2]| Some([a?, b?]);
    let exits = (0..benign.exits()).map(|exit| RowExit {
        exit,
        accuracy: both([0, 1].map(|side| by_exit[side].get(exit).copied().flatten())),
        count: [0, 1].map(|side| sides[side].counts.get(exit).copied().unwrap_or(0)),
    });
    Figures {
        images: benign.labels().len(),
        exits: exits.collect(),
        accuracy: both([sides[0].accuracy, sides[1].accuracy]),
        mean_exit: [sides[0].mean_exit, sides[1].mean_exit],
        macs_fraction: [sides[0].macs_fraction, sides[1].macs_fraction],
        efficacy: [0, 1].map(|side| efficacy(&sides[side].counts)),
        size: set.map(|set| set.summary.size),
        attackable: set.and_then(|set| set.summary.attackable),
        success: set.and_then(|set| set.summary.success),
    }
}

/// By exit: the fraction of labelled images that are labelled rightly if all stop there.
fn accuracy_by_exit(replay: &Replay) -> Vec<Option<f64>> {
    let labelled = replay.labels().iter().flatten().count();
    let right = |exit: usize| {
        let images = replay.images().zip(replay.labels());
        images
            .filter(|(predictions, label)| {
                predictions.get(exit).map(|p| p.label()) == **label && label.is_some()
            })
            .count()
    };
    (0..replay.exits()).map(|exit| (labelled > 0).then(|| right(exit) as f64 / labelled as f64)).collect()
}
