//! The legend: a strip above the plot, where no data is.

use std::fmt::Write as _;

use super::backend::short;
use super::ink::Ink;
use super::text;
use crate::findings::{Mark, Series};

/// Width of the sample before a name.
const SAMPLE: f64 = 28.0;
/// Between sample and name, and between entries.
const GAP: f64 = 7.0;

/// Draws the names of `series` into `body` from `top` on and returns the height that they took.
pub fn draw(body: &mut String, series: &[Series], (top, width, size): (f64, f64, f64)) -> f64 {
    let row = size * 1.65;
    let (mut x, mut y) = (GAP, top);
    for (index, one) in series.iter().enumerate() {
        let place = super::chart::place(index);
        let name = text::squeeze(&one.name, size, width - SAMPLE - 3.0 * GAP);
        let entry = SAMPLE + GAP + text::width(&name, size) + 2.0 * GAP;
        if x > GAP && x + entry > width {
            (x, y) = (GAP, y + row);
        }
        let middle = y + row / 2.0;
        sample(body, one, place, super::chart::fills(series), (x, middle));
        let [at, line] = [x + SAMPLE + GAP, middle].map(short);
        let whole = if name == one.name {
            String::new()
        } else {
            format!("<title>{}</title>", text::escape(&one.name))
        };
        let name = text::escape(&name);
        let _ =
            writeln!(body, "<text class=\"text\" x=\"{at}\" y=\"{line}\" dy=\".35em\">{whole}{name}</text>");
        x += entry;
    }
    y + row - top
}

fn sample(body: &mut String, series: &Series, place: u8, filled: bool, (x, y): (f64, f64)) {
    let classes = |ink: Ink| ink.classes();
    let line = |body: &mut String| {
        let [from, to, at] = [x, x + SAMPLE, y].map(short);
        let _ = writeln!(body, "<path class=\"{}\" d=\"M{from} {at}H{to}\"/>", classes(Ink::Line(place)));
    };
    let point = |body: &mut String| {
        let [at, y] = [x + SAMPLE / 2.0, y].map(short);
        let _ = writeln!(body, "<path class=\"{}\" d=\"M{at} {y}\"/>", classes(Ink::Point(place)));
    };
    match series.mark {
        Mark::Line => {
            line(body);
            if super::chart::pointed(series) {
                point(body);
            }
        }
        Mark::Area if !filled => line(body),
        Mark::Area => {
            let [from, at] = [x, y].map(short);
            let _ = writeln!(
                body,
                "<rect class=\"{}\" x=\"{from}\" y=\"{at}\" width=\"{SAMPLE}\" height=\"5\"/>",
                classes(Ink::Area(place))
            );
            line(body);
        }
        Mark::Point => point(body),
        Mark::Bar => {
            let [from, at] = [x + 6.0, y - 5.5].map(short);
            let _ = writeln!(
                body,
                "<rect class=\"{}\" x=\"{from}\" y=\"{at}\" width=\"18\" height=\"11\"/>",
                classes(Ink::Bar(place))
            );
        }
    }
}
