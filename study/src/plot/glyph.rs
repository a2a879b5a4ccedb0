//! Shapes and hatches that tell series apart without colour, defined once for all drawings of a page.

use super::backend::short;
use super::ink::KINDS;

/// Half the size of a point, in units of the drawing.
const POINT: f64 = 3.4;

/// The id of a shape.
pub fn shape(kind: usize) -> String {
    format!("plot-shape{kind}")
}

/// The id of a hatch.
pub fn hatch(kind: usize) -> String {
    format!("plot-hatch{kind}")
}

/// Every shape and every hatch.
pub fn definitions() -> String {
    let each = (0..KINDS).map(|kind| marker(kind) + &pattern(kind));
    format!("<defs>{}</defs>\n", each.collect::<String>())
}

/// The pattern that fills bars; solid for the first.
fn pattern(kind: usize) -> String {
    let (turn, marks) = match kind {
        0 => ("", "<rect width=\"7\" height=\"7\" fill=\"currentColor\" fill-opacity=\".85\"/>"),
        1 => ("rotate(45)", "<rect width=\"3\" height=\"7\" fill=\"currentColor\"/>"),
        2 => ("", "<circle cx=\"3.5\" cy=\"3.5\" r=\"1.7\" fill=\"currentColor\"/>"),
        3 => ("rotate(-45)", "<rect width=\"1.6\" height=\"7\" fill=\"currentColor\"/>"),
        4 => ("", "<rect width=\"7\" height=\"2.4\" fill=\"currentColor\"/>"),
        5 => (
            "rotate(45)",
            "<rect width=\"1.4\" height=\"7\" fill=\"currentColor\"/><rect width=\"7\" height=\"1.4\" fill=\"currentColor\"/>",
        ),
        6 => ("", "<rect width=\"2\" height=\"7\" fill=\"currentColor\"/>"),
        _ => ("", ""),
    };
    format!(
        "<pattern id=\"{}\" class=\"s{kind}\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"{}\"><rect width=\"7\" height=\"7\" fill=\"currentColor\" fill-opacity=\".16\"/>{marks}</pattern>\n",
        hatch(kind),
        if turn.is_empty() { "translate(0)" } else { turn },
    )
}

/// The shape that marks points.
fn marker(kind: usize) -> String {
    let at = |(dx, dy): &(f64, f64)| format!("{} {}", short(dx * POINT), short(dy * POINT));
    let polygon = |corners: &[(f64, f64)]| {
        let corners: Vec<String> = corners.iter().map(at).collect();
        format!("<path class=\"point\" d=\"M{}Z\"/>", corners.join("L"))
    };
    let cross = |ends: [(f64, f64); 4]| {
        let [a, b, c, d] = ends.each_ref().map(at);
        format!("<path class=\"point open\" d=\"M{a}L{b}M{c}L{d}\"/>")
    };
    let drawn = match kind {
        0 => format!("<circle class=\"point\" r=\"{}\"/>", short(POINT)),
        1 => polygon(&[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)]),
        2 => polygon(&[(-0.95, -0.95), (0.95, -0.95), (0.95, 0.95), (-0.95, 0.95)]),
        3 => polygon(&[(0.0, -1.35), (1.35, 0.0), (0.0, 1.35), (-1.35, 0.0)]),
        4 => polygon(&[(0.0, 1.25), (1.15, -0.85), (-1.15, -0.85)]),
        5 => cross([(-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, -1.0)]),
        6 => cross([(-1.2, 0.0), (1.2, 0.0), (0.0, -1.2), (0.0, 1.2)]),
        _ => format!("<circle class=\"point open\" r=\"{}\"/>", short(POINT)),
    };
    format!(
        "<marker id=\"{}\" class=\"s{kind}\" markerUnits=\"userSpaceOnUse\" markerWidth=\"1\" markerHeight=\"1\" \
         overflow=\"visible\">{drawn}</marker>\n",
        shape(kind)
    )
}
