//! The ten figures as fields: negative inside, zero on the outline, nearly a distance close to it.
//!
//! Coordinates and values are fixed point, [`UNIT`] is the figure's radius; `v` points down. Unions are minima,
//! intersections maxima, and a field's negative is its outside.

use super::CLASSES;

/// One, in figure coordinates.
pub const UNIT: i32 = 4096;

/// A field over figure coordinates, each within five units of the origin.
pub type Outline = fn(i32, i32) -> i32;

/// The classes' outlines, by label.
pub const OUTLINES: [Outline; CLASSES] =
    [circle, ring, crescent, triangle, square, hexagon, star, cross, heart, arrow];

/// A long bar through the origin. No class.
pub fn bar(u: i32, v: i32) -> i32 {
    (u.abs() - milli(160)).max(v.abs() - milli(1600))
}

fn circle(u: i32, v: i32) -> i32 {
    disc(u, v, milli(900))
}

fn ring(u: i32, v: i32) -> i32 {
    disc(u, v, milli(980)).max(-disc(u, v, milli(520)))
}

fn crescent(u: i32, v: i32) -> i32 {
    let u = u - milli(160);
    disc(u, v, milli(1050)).max(-disc(u - milli(500), v, milli(850)))
}

fn triangle(u: i32, v: i32) -> i32 {
    v.max(times(u.abs(), 866) - v / 2) - milli(560)
}

fn square(u: i32, v: i32) -> i32 {
    u.abs().max(v.abs()) - milli(780)
}

fn hexagon(u: i32, v: i32) -> i32 {
    v.abs().max(times(u.abs(), 866) + v.abs() / 2) - milli(860)
}

/// A point is in a five-pointed star if at most one of the star's five lines has it on the outside.
fn star(u: i32, v: i32) -> i32 {
    let across = [times(u, 951), times(u, 588)];
    let down = [times(v, 309), times(v, 809)];
    let lines = [-v, across[0] - down[0], -across[0] - down[0], across[1] + down[1], -across[1] + down[1]];
    let (_, second) = lines.into_iter().fold((i32::MIN, i32::MIN), |(first, second), line| {
        if line > first { (line, first) } else { (first, second.max(line)) }
    });
    second - milli(390)
}

fn cross(u: i32, v: i32) -> i32 {
    let (u, v) = (u.abs(), v.abs());
    u.max(v).max(u.min(v) + milli(650)) - milli(980)
}

fn heart(u: i32, v: i32) -> i32 {
    let (u, v) = (u.abs(), v - milli(110));
    let lobe = disc(u - milli(440), v + milli(440), milli(622));
    lobe.min(times(u + v.abs(), 707) - milli(622))
}

fn arrow(u: i32, v: i32) -> i32 {
    let u = u.abs();
    let head = v.max(times(u, 762) - times(v + UNIT, 648));
    let shaft = (u - milli(290)).max((v - milli(400)).abs() - milli(600));
    head.min(shaft)
}

/// Agrees with the distance to the circle on it, and needs no root.
fn disc(u: i32, v: i32, radius: i32) -> i32 {
    (u * u + v * v - radius * radius) / (2 * radius)
}

const fn milli(thousandths: i32) -> i32 {
    thousandths * UNIT / 1000
}

fn times(value: i32, thousandths: i32) -> i32 {
    value * milli(thousandths) / UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_cover_similar_areas_within_1_3_units_of_the_origin() {
        const STEPS: i32 = 100;
        for outline in OUTLINES {
            let inside = |i: i32, j: i32| outline(i * UNIT * 2 / STEPS, j * UNIT * 2 / STEPS) < 0;
            let grid = || (-STEPS..=STEPS).flat_map(|j| (-STEPS..=STEPS).map(move |i| (i, j)));
            let area = grid().filter(|&(i, j)| inside(i, j)).count() as i32 * 4 * 100 / (STEPS * STEPS);
            assert!((140..=280).contains(&area), "covers {area} hundredths");
            let far = |&(i, j): &(i32, i32)| (i * i + j * j) * 400 > 169 * STEPS * STEPS;
            assert!(!grid().filter(far).any(|(i, j)| inside(i, j)));
        }
    }

    #[test]
    fn no_field_overflows_within_five_units() {
        for outline in OUTLINES.into_iter().chain([bar as Outline]) {
            for (u, v) in [(-5, -5), (-5, 5), (5, -5), (5, 5), (0, 5), (5, 0)] {
                assert!(outline(u * UNIT, v * UNIT) > 0);
            }
        }
    }
}
