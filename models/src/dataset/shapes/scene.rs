//! What one picture shows, drawn at random within what its difficulty allows.

use super::canvas::{Canvas, Colour, DAYLIGHT};
use super::figure::{Figure, PIXEL, TURN};
use super::outline::{OUTLINES, bar};
use super::random::Random;
use super::{CLASSES, SIZE};

/// How far a picture may depart from a plain one.
#[derive(Clone, Copy)]
pub struct Difficulty(u8);

impl Difficulty {
    /// Draws one, all being equally likely.
    pub fn draw(random: &mut Random) -> Self {
        Self(random.below(256) as u8)
    }

    /// From 0, plain, to 255.
    pub fn level(self) -> u8 {
        self.0
    }

    /// The value between those of the plainest and the hardest picture.
    fn between(self, plain: i32, hard: i32) -> i32 {
        plain + (hard - plain) * i32::from(self.0) / 255
    }
}

/// The makings of one picture.
pub struct Scene {
    /// Decides everything but the difficulty.
    pub random: Random,
    /// Bounds what is decided.
    pub difficulty: Difficulty,
}

impl Scene {
    /// Paints the figure of class `label` with all that surrounds, covers and lights it.
    pub fn paint(mut self, label: usize, canvas: &mut Canvas) {
        let ground = self.ground(canvas);
        let figure = self.figure(label);
        self.clutter(label, &figure, ground, canvas);
        let contrast = self.difficulty.between(150, 64);
        let colour = self.contrasting(ground, contrast);
        canvas.paint(&figure, colour);
        self.bars(&figure, ground, canvas);
        self.light(canvas);
        let grain = self.difficulty.between(6, 40);
        canvas.grain(self.random.between(grain / 2, grain), &mut self.random);
    }

    /// Clouds around one colour.
    fn ground(&mut self, canvas: &mut Canvas) -> Colour {
        const CELL: i32 = 8;
        const KNOTS: usize = SIZE / CELL as usize + 1;
        let colour = [(); 3].map(|()| self.random.between(30, 225));
        let depth = self.difficulty.between(6, 40);
        let knots = [(); KNOTS].map(|()| [(); KNOTS].map(|()| self.random.between(-depth, depth)));
        canvas.fill(|column, row| {
            let (i, j) = ((column / CELL) as usize, (row / CELL) as usize);
            let (right, down) = (column % CELL, row % CELL);
            let along = |knots: &[i32; KNOTS]| knots[i] * (CELL - right) + knots[i + 1] * right;
            let cloud = (along(&knots[j]) * (CELL - down) + along(&knots[j + 1]) * down) / (CELL * CELL);
            colour.map(|level| level + cloud)
        });
        colour
    }

    /// The figure that the label names.
    fn figure(&mut self, label: usize) -> Figure {
        let Self { random, difficulty } = self;
        let radius = random.between(difficulty.between(10, 6) * PIXEL, difficulty.between(12, 10) * PIXEL);
        let shift = (difficulty.between(2, 7) * PIXEL).min(SIZE as i32 * PIXEL / 2 - radius);
        let middle = SIZE as i32 * PIXEL / 2;
        let turn = difficulty.between(TURN / 40, TURN / 2);
        let stretch = difficulty.between(10, 90);
        let lean = difficulty.between(4, 60);
        Figure {
            outline: OUTLINES[label],
            centre: [(); 2].map(|()| middle + random.between(-shift, shift)),
            radius,
            stretch: PIXEL + random.between(-stretch, stretch),
            lean: random.between(-lean, lean),
            turn: random.between(-turn, turn),
            softness: random.between(PIXEL / 2, difficulty.between(PIXEL / 2, PIXEL * 3 / 2)),
        }
    }

    /// Small figures of other classes behind the one that counts.
    fn clutter(&mut self, label: usize, figure: &Figure, ground: Colour, canvas: &mut Canvas) {
        let most = self.difficulty.between(0, 8);
        for _ in 0..self.random.between(0, most) {
            let other = (label + 1 + self.random.below(CLASSES as u32 - 1) as usize) % CLASSES;
            let colour = self.contrasting(ground, 70);
            let small = Figure {
                outline: OUTLINES[other],
                centre: [(); 2].map(|()| self.random.between(0, SIZE as i32 * PIXEL)),
                radius: figure.radius * self.random.between(20, 45) / 100,
                turn: self.random.between(0, TURN),
                ..*figure
            };
            canvas.paint(&small, colour);
        }
    }

    /// Bars before the figure.
    fn bars(&mut self, figure: &Figure, ground: Colour, canvas: &mut Canvas) {
        let most = self.difficulty.between(0, 3);
        for _ in 0..self.random.between(0, most) {
            let colour = self.contrasting(ground, 60);
            let offset = figure.radius * 3 / 4;
            let bar = Figure {
                outline: bar,
                centre: figure.centre.map(|at| at + self.random.between(-offset, offset)),
                radius: self.random.between(5 * PIXEL, 12 * PIXEL),
                stretch: PIXEL,
                turn: self.random.between(0, TURN),
                ..*figure
            };
            canvas.paint(&bar, colour);
        }
    }

    /// Light that falls off to one side, and on hard pictures a shadow's edge.
    fn light(&mut self, canvas: &mut Canvas) {
        let slope = self.difficulty.between(1, 9);
        let exposure = DAYLIGHT + self.difficulty.between(10, 60) * self.random.between(-256, 256) / 256;
        let fall = [(); 2].map(|()| self.random.between(-slope, slope));
        let edge = [self.random.between(-256, 256), self.random.between(-256, 256)];
        let from = self.random.between(-12, 12) * 256;
        let shade = DAYLIGHT - self.random.between(0, self.difficulty.between(0, 90));
        canvas.light(|column, row| {
            let (x, y) = (column - SIZE as i32 / 2, row - SIZE as i32 / 2);
            let light = exposure + fall[0] * x + fall[1] * y;
            if edge[0] * x + edge[1] * y > from { light * shade / DAYLIGHT } else { light }
        });
    }

    /// A colour that differs from `from` by `distance` grey levels in one channel at least, where there is room.
    fn contrasting(&mut self, from: Colour, distance: i32) -> Colour {
        let mut direction = [(); 3].map(|()| self.random.between(-distance, distance));
        direction[self.random.below(3) as usize] = distance * self.random.sign();
        let mut colour = from;
        for (level, step) in colour.iter_mut().zip(direction) {
            let there = *level + step;
            *level = if (0..256).contains(&there) { there } else { *level - step };
        }
        colour.map(|level| level.clamp(0, 255))
    }
}
