//! The Early Attack as asked for: its mode, and what is set in place of the mode's own.

use super::Method;
use super::label::word;
use crate::attack::Early;
use crate::loss::EarlyLoss;

impl Method {
    /// The Early Attack of these settings.
    pub fn early(&self) -> Early {
        let mode = self.mode.unwrap_or_default().attack(self.alpha.unwrap_or(1.0), self.seed);
        Early {
            loss: EarlyLoss {
                alpha: mode.loss.alpha,
                exits: self.loss_exits.unwrap_or(mode.loss.exits),
                rivals: self.rivals.unwrap_or(mode.loss.rivals),
            },
            c: self.c.unwrap_or(mode.c),
            distance: self.distance.unwrap_or(mode.distance),
            start: self.start.unwrap_or(mode.start),
            keep: self.keep.unwrap_or(mode.keep),
            rounding: self.rounding.unwrap_or(mode.rounding),
            iterations: self.iterations.unwrap_or(mode.iterations),
            learning_rate: self.learning_rate.unwrap_or(mode.learning_rate),
            seed: mode.seed,
        }
    }

    /// What only the Early Attack has and is set here, by name.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&'static str, String)> {
        let on = |on: bool| if on { "on" } else { "off" }.to_owned();
        let pieces = [
            ("start", self.start.and_then(word)),
            ("distance", self.distance.and_then(word)),
            ("loss exits", self.loss_exits.and_then(word)),
            ("rivals", self.rivals.and_then(word)),
            ("keep", self.keep.and_then(word)),
            ("rounding", self.rounding.map(on)),
            ("learning rate", self.learning_rate.map(|rate| rate.to_string())),
        ];
        pieces.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{Distance, EarlyMode, EarlyStart, Keep};
    use crate::loss::{EarlyExits, Rivals};
    use crate::method::Kind;

    fn of(mode: EarlyMode) -> Method {
        Method { mode: Some(mode), ..Method::new(Kind::Early) }
    }

    #[test]
    fn every_piece_changes_what_it_names_and_nothing_else() {
        for mode in [EarlyMode::AsCoded, EarlyMode::AsPublished, EarlyMode::Improved] {
            let (method, attack) = (of(mode), of(mode).early());
            assert_eq!(attack, mode.attack(1.0, 0));
            for start in [EarlyStart::Noise, EarlyStart::Image] {
                let found = Method { start: Some(start), ..method.clone() }.early();
                assert_eq!(found, Early { start, ..attack.clone() });
            }
            for distance in [Distance::SquaredNormalised, Distance::Squared, Distance::Norm] {
                let found = Method { distance: Some(distance), ..method.clone() }.early();
                assert_eq!(found, Early { distance, ..attack.clone() });
            }
            for exits in [EarlyExits::Early, EarlyExits::All] {
                let found = Method { loss_exits: Some(exits), ..method.clone() }.early();
                assert_eq!(found, Early { loss: EarlyLoss { exits, ..attack.loss }, ..attack.clone() });
            }
            for rivals in [Rivals::All, Rivals::First(3)] {
                let found = Method { rivals: Some(rivals), ..method.clone() }.early();
                assert_eq!(found, Early { loss: EarlyLoss { rivals, ..attack.loss }, ..attack.clone() });
            }
            for keep in [Keep::First, Keep::FirstAfter(7), Keep::Nearest] {
                let found = Method { keep: Some(keep), ..method.clone() }.early();
                assert_eq!(found, Early { keep, ..attack.clone() });
            }
            for rounding in [false, true] {
                let found = Method { rounding: Some(rounding), ..method.clone() }.early();
                assert_eq!(found, Early { rounding, ..attack.clone() });
            }
            let found = Method { learning_rate: Some(0.5), ..method }.early();
            assert_eq!(found, Early { learning_rate: 0.5, ..attack });
        }
    }

    #[test]
    fn as_coded_becomes_the_other_modes_piece_by_piece() {
        let coded = of(EarlyMode::AsCoded);
        let published = Method {
            distance: Some(Distance::Norm),
            loss_exits: Some(EarlyExits::All),
            rivals: Some(Rivals::All),
            keep: Some(Keep::First),
            ..coded.clone()
        };
        assert_eq!(published.early(), EarlyMode::AsPublished.attack(1.0, 0));
        let improved = Method {
            start: Some(EarlyStart::Image),
            rivals: Some(Rivals::All),
            keep: Some(Keep::Nearest),
            rounding: Some(true),
            iterations: Some(300),
            ..coded
        };
        assert_eq!(improved.early(), EarlyMode::Improved.attack(1.0, 0));
    }
}
