//! Names of categories below an axis: side by side, in lines, or aslant where they are long.

use std::fmt::Write as _;

use super::backend::short;
use super::text;

/// Sine and cosine of the slant.
const SLANT: (f64, f64) = (0.5736, 0.8192);
const DEGREES: i32 = -35;
/// Lines of a name that is broken.
const LINES: usize = 5;

/// Names as they will be written.
pub enum Names {
    /// Each over one or more lines.
    Level(Vec<Vec<String>>),
    /// Aslant, every so many.
    Slanted(Vec<String>, usize),
}

impl Names {
    /// Lays out `names` for slots of width `slot`; `left` is the room beside the first.
    pub fn new(names: &[String], size: f64, slot: f64, left: f64) -> Self {
        let room = slot - size * 0.6;
        let level: Vec<Vec<String>> = names.iter().map(|name| text::lines(name, size, room)).collect();
        if level
            .iter()
            .all(|lines| lines.len() <= LINES && lines.iter().all(|line| text::width(line, size) <= room))
        {
            return Self::Level(level);
        }
        let longest =
            |index: usize| ((left + slot * (index as f64 + 0.5)) / SLANT.1).clamp(size * 3.0, size * 13.0);
        let stride = (size * 1.3 / slot.max(0.1)).ceil().max(1.0) as usize;
        let names = names.iter().enumerate().map(|(index, name)| text::squeeze(name, size, longest(index)));
        Self::Slanted(names.collect(), stride)
    }

    /// The height that they need.
    pub fn height(&self, size: f64) -> f64 {
        match self {
            Self::Level(names) => {
                names.iter().map(Vec::len).max().unwrap_or(1) as f64 * size * 1.2 + size * 0.5
            }
            Self::Slanted(names, _) => {
                let longest = names.iter().map(|name| text::width(name, size)).fold(0.0, f64::max);
                longest * SLANT.0 + size * 1.5
            }
        }
    }

    /// Writes them below `y`, the one with index i centred at `at(i)`.
    pub fn draw(&self, body: &mut String, size: f64, y: f64, at: impl Fn(usize) -> f64) {
        match self {
            Self::Level(names) => {
                for (index, lines) in names.iter().enumerate() {
                    for (row, line) in lines.iter().enumerate() {
                        let [x, y] = [at(index), y + size * (1.25 + 1.2 * row as f64)].map(short);
                        let line = text::escape(line);
                        let _ = writeln!(
                            body,
                            "<text class=\"text\" text-anchor=\"middle\" x=\"{x}\" y=\"{y}\">{line}</text>"
                        );
                    }
                }
            }
            Self::Slanted(names, stride) => {
                for (index, name) in names.iter().enumerate().step_by(*stride) {
                    let [x, y] = [at(index) + size * 0.3, y + size * 1.1].map(short);
                    let name = text::escape(name);
                    let _ = writeln!(
                        body,
                        "<text class=\"text\" text-anchor=\"end\" x=\"{x}\" y=\"{y}\" \
                         transform=\"rotate({DEGREES} {x} {y})\">{name}</text>"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_level_where_they_fit_and_aslant_where_not() {
        assert!(matches!(Names::new(&names(&["0", "1"]), 12.0, 60.0, 40.0), Names::Level(_)));
        let long = names(&["resnet56-cifar10-with-early-exits"; 12]);
        assert!(matches!(Names::new(&long, 12.0, 40.0, 40.0), Names::Slanted(_, 1)));
    }

    #[test]
    fn names_that_are_too_many_are_written_every_so_often() {
        let many = names(&["exit"; 200]);
        let Names::Slanted(_, stride) = Names::new(&many, 12.0, 3.0, 40.0) else { panic!("level") };
        assert!(stride as f64 * 3.0 >= 12.0);
    }
}
