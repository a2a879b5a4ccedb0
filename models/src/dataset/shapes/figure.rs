//! An outline put somewhere on the picture.

use super::SIZE;
use super::outline::{Outline, UNIT};

/// One pixel, in picture coordinates.
pub const PIXEL: i32 = 256;

/// Full coverage of a pixel.
pub const COVERED: i32 = 256;

/// A whole turn.
pub const TURN: i32 = 1 << 16;

/// An outline with place, radius, stretch, lean, turn and softness.
#[derive(Clone, Copy)]
pub struct Figure {
    /// What is drawn.
    pub outline: Outline,
    /// Where its origin lies: `[x, y]` in 256ths of a pixel from the top left corner.
    pub centre: [i32; 2],
    /// Its radius in 256ths of a pixel, at least one pixel.
    pub radius: i32,
    /// Its width over its height, in 256ths, from 128 to 512.
    pub stretch: i32,
    /// How far it leans per unit of height, in 256ths.
    pub lean: i32,
    /// Clockwise turn, in 65536ths of a whole one.
    pub turn: i32,
    /// Half the width of the ramp between in and out, in 256ths of a pixel, above 0.
    pub softness: i32,
}

impl Figure {
    /// How it is drawn, ready for many pixels.
    pub fn placed(&self) -> Placed {
        let scale = |wave: i32, stretch: i32| wave * (UNIT / 4) / self.radius * PIXEL / stretch;
        let (cos, sin) = (sine(self.turn + TURN / 4), sine(self.turn));
        let (rows, columns) = ([cos, sin], [-sin, cos]);
        let down = columns.map(|wave| scale(wave, PIXEL));
        let across = rows.map(|wave| scale(wave, self.stretch));
        let across = [0, 1].map(|axis| across[axis] + down[axis] * self.lean / PIXEL);
        Placed { figure: *self, across, down }
    }
}

/// A figure with the map from picture coordinates to its own.
pub struct Placed {
    figure: Figure,
    across: [i32; 2],
    down: [i32; 2],
}

impl Placed {
    /// How much of pixel (`column`, `row`) is covered, from 0 to [`COVERED`].
    pub fn coverage(&self, column: usize, row: usize) -> i32 {
        let Figure { outline, centre, radius, softness, .. } = self.figure;
        let x = column as i32 * PIXEL + PIXEL / 2 - centre[0];
        let y = row as i32 * PIXEL + PIXEL / 2 - centre[1];
        let along = |axis: [i32; 2]| ((axis[0] * x + axis[1] * y) >> 12).clamp(-4 * UNIT, 4 * UNIT);
        let distance = (outline(along(self.across), along(self.down)) * (radius / 4)) >> 10;
        (COVERED / 2 - distance * (COVERED / 2) / softness).clamp(0, COVERED)
    }

    /// Columns or rows that may be covered: those within two radii of the origin.
    pub fn reach(&self, axis: usize) -> std::ops::Range<usize> {
        let reach = 2 * self.figure.radius + self.figure.softness;
        let pixel = |at: i32| (at / PIXEL).clamp(0, SIZE as i32) as usize;
        pixel(self.figure.centre[axis] - reach)..pixel(self.figure.centre[axis] + reach + PIXEL)
    }
}

/// Sine of a turn, times 16384, within 0.2 %. Source: Bhaskara I's rational approximation.
fn sine(turn: i32) -> i32 {
    let half = turn & (TURN / 2 - 1);
    let arc = (half * (TURN / 2 - half)) >> 15;
    let wave = (arc << 18) / ((5 << 15) - 4 * arc);
    if turn & (TURN / 2) == 0 { wave } else { -wave }
}

#[cfg(test)]
mod tests {
    use super::super::outline::bar;
    use super::*;

    #[test]
    fn sine_is_near_the_true_one() {
        for turn in (-TURN..TURN).step_by(97) {
            let truth = (f64::from(turn) / f64::from(TURN) * std::f64::consts::TAU).sin();
            assert!((f64::from(sine(turn)) / 16384.0 - truth).abs() < 0.002, "{turn}");
        }
    }

    #[test]
    fn bar_turned_by_a_quarter_lies_flat() {
        let centre = [16 * PIXEL, 16 * PIXEL];
        let upright =
            Figure { outline: bar, centre, radius: 8 * PIXEL, stretch: 256, lean: 0, turn: 0, softness: 128 };
        let flat = Figure { turn: TURN / 4, ..upright }.placed();
        let upright = upright.placed();
        assert_eq!((upright.coverage(15, 6), upright.coverage(6, 15)), (COVERED, 0));
        assert_eq!((flat.coverage(15, 6), flat.coverage(6, 15)), (0, COVERED));
    }
}
