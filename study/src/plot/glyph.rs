//! Shapes and hatches that tell series apart without colour.

use super::backend::short;
use super::ink::{Ink, colour};

const HATCHES: usize = 6;

/// The hatch of a series' bars.
pub fn hatch(series: u8) -> usize {
    usize::from(series)
}

/// The pattern that fills the bars of `series`; solid for the first.
pub fn pattern(id: &str, series: u8) -> String {
    let (turn, marks) = match usize::from(series) % HATCHES {
        0 => ("", "<rect width=\"7\" height=\"7\" fill=\"currentColor\" fill-opacity=\".85\"/>"),
        1 => ("rotate(45)", "<rect width=\"3\" height=\"7\" fill=\"currentColor\"/>"),
        2 => ("", "<circle cx=\"3.5\" cy=\"3.5\" r=\"1.7\" fill=\"currentColor\"/>"),
        3 => ("rotate(-45)", "<rect width=\"1.6\" height=\"7\" fill=\"currentColor\"/>"),
        4 => ("", "<rect width=\"7\" height=\"2.4\" fill=\"currentColor\"/>"),
        _ => (
            "rotate(45)",
            "<rect width=\"1.4\" height=\"7\" fill=\"currentColor\"/><rect width=\"7\" height=\"1.4\" fill=\"currentColor\"/>",
        ),
    };
    format!(
        "<pattern id=\"{id}-hatch{series}\" class=\"s{}\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"{}\"><rect width=\"7\" height=\"7\" fill=\"currentColor\" fill-opacity=\".16\"/>{marks}</pattern>\n",
        colour(series),
        if turn.is_empty() { "translate(0)" } else { turn },
    )
}

/// A point of `series` at `x`, `y`, with half the size `r`.
pub fn point(series: u8, (x, y): (f64, f64), r: f64, attributes: &str) -> String {
    let shape = (usize::from(series) + usize::from(series) / 8) % 8;
    let at = |dx: f64, dy: f64| format!("{} {}", short(x + dx * r), short(y + dy * r));
    let polygon = |corners: &[(f64, f64)]| {
        let corners: Vec<String> = corners.iter().map(|(dx, dy)| at(*dx, *dy)).collect();
        format!("M{}Z", corners.join("L"))
    };
    let data = match shape {
        0 => {
            let [cx, cy, r] = [x, y, r].map(short);
            return format!(
                "<circle class=\"{}\"{attributes} cx=\"{cx}\" cy=\"{cy}\" r=\"{r}\"/>\n",
                Ink::Point(series).classes()
            );
        }
        1 => polygon(&[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)]),
        2 => polygon(&[(-0.95, -0.95), (0.95, -0.95), (0.95, 0.95), (-0.95, 0.95)]),
        3 => polygon(&[(0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)]),
        4 => polygon(&[(0.0, 1.25), (1.15, -0.85), (-1.15, -0.85)]),
        5 => format!("M{}L{}M{}L{}", at(-1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0), at(1.0, -1.0)),
        6 => format!("M{}L{}M{}L{}", at(-1.2, 0.0), at(1.2, 0.0), at(0.0, -1.2), at(0.0, 1.2)),
        _ => polygon(&[(0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)]),
    };
    let open = if shape >= 5 { " open" } else { "" };
    format!("<path class=\"{}{open}\"{attributes} d=\"{data}\"/>\n", Ink::Point(series).classes())
}
