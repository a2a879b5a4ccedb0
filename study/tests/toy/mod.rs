//! A small network of three exits with its gradient by hand: `h[0] = tanh(A x)`, `h[k] = tanh(B[k] h[k-1])`,
//! `logits[k] = C[k] h[k]`.

use offramp_study::oracle::{Oracle, OracleError};

pub const SAMPLES: usize = 12;
pub const EXITS: usize = 3;
pub const CLASSES: usize = 4;
const WIDTH: usize = 8;

/// Row-major matrices from a fixed linear congruential sequence.
struct Matrix {
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    fn drawn(rows: usize, columns: usize, scale: f64, state: &mut u64) -> Self {
        let mut draw = || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((*state >> 33) as f64 / f64::from(1_u32 << 31) * 2.0 - 1.0) * scale
        };
        Self { columns, values: (0..rows * columns).map(|_| draw()).collect() }
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        self.values
            .chunks_exact(self.columns)
            .map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
            .collect()
    }

    fn apply_transposed(&self, y: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; self.columns];
        for (row, y) in self.values.chunks_exact(self.columns).zip(y) {
            x.iter_mut().zip(row).for_each(|(x, a)| *x += a * y);
        }
        x
    }
}

pub struct Toy {
    layers: Vec<Matrix>,
    heads: Vec<Matrix>,
    /// Activations of the latest forward pass, `[images][layer]`.
    seen: Vec<Vec<Vec<f64>>>,
    /// Forward and backward passes so far.
    pub passes: (usize, usize),
    /// The sizes of batches seen.
    pub batches: Vec<usize>,
}

impl Toy {
    pub fn new() -> Self {
        let mut state = 7;
        let layer =
            |k, state: &mut u64| Matrix::drawn(WIDTH, if k == 0 { SAMPLES } else { WIDTH }, 0.9, state);
        let layers = (0..EXITS).map(|k| layer(k, &mut state)).collect();
        let heads = (0..EXITS).map(|_| Matrix::drawn(CLASSES, WIDTH, 2.0, &mut state)).collect();
        Self { layers, heads, seen: Vec::new(), passes: (0, 0), batches: Vec::new() }
    }

    /// Logits of one image by exit.
    pub fn logits(&mut self, pixels: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; pixels.len() / SAMPLES * EXITS * CLASSES];
        self.forward(pixels, &mut logits).unwrap();
        logits
    }
}

impl Oracle for Toy {
    fn exits(&self) -> usize {
        EXITS
    }

    fn classes(&self) -> usize {
        CLASSES
    }

    fn samples(&self) -> usize {
        SAMPLES
    }

    fn forward(&mut self, pixels: &[f32], logits: &mut [f32]) -> Result<(), OracleError> {
        self.passes.0 += 1;
        self.batches.push(pixels.len() / SAMPLES);
        self.seen.clear();
        for (image, logits) in pixels.chunks_exact(SAMPLES).zip(logits.chunks_exact_mut(EXITS * CLASSES)) {
            let mut x: Vec<f64> = image.iter().map(|x| f64::from(*x)).collect();
            let mut activations = Vec::new();
            for ((layer, head), logits) in
                self.layers.iter().zip(&self.heads).zip(logits.chunks_exact_mut(CLASSES))
            {
                x = layer.apply(&x).into_iter().map(f64::tanh).collect();
                logits.iter_mut().zip(head.apply(&x)).for_each(|(into, logit)| *into = logit as f32);
                activations.push(x.clone());
            }
            self.seen.push(activations);
        }
        Ok(())
    }

    fn backward(&mut self, cotangents: &[f32], gradient: &mut [f32]) -> Result<(), OracleError> {
        self.passes.1 += 1;
        let images = self.seen.iter().zip(cotangents.chunks_exact(EXITS * CLASSES));
        for ((activations, cotangents), gradient) in images.zip(gradient.chunks_exact_mut(SAMPLES)) {
            let mut above = vec![0.0; WIDTH];
            for exit in (0..EXITS).rev() {
                let cotangents: Vec<f64> =
                    cotangents[exit * CLASSES..(exit + 1) * CLASSES].iter().map(|c| f64::from(*c)).collect();
                let through_head = self.heads[exit].apply_transposed(&cotangents);
                let inner: Vec<f64> = above
                    .iter()
                    .zip(through_head)
                    .zip(&activations[exit])
                    .map(|((above, head), h)| (above + head) * (1.0 - h * h))
                    .collect();
                above = self.layers[exit].apply_transposed(&inner);
            }
            gradient.iter_mut().zip(above).for_each(|(into, g)| *into = g as f32);
        }
        Ok(())
    }
}

/// Pixels of `images` pictures in [0, 1], some of them black or white.
pub fn pixels(images: usize) -> Vec<f32> {
    (0..images * SAMPLES).map(|at| ((at * 7919 + 13) % 101) as f32 / 100.0).collect()
}
