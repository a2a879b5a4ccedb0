//! Least squares without negative coefficients, for the few unknowns that exits are.
//!
//! Source: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23, on the normal equations of scaled columns.

/// Where the squares are least.
pub(super) struct Solution {
    /// One per column, none negative.
    pub values: Vec<f64>,
    /// Columns that are not held at zero.
    pub free: Vec<usize>,
    /// The inverse of those columns' normal matrix, in the order of `free`.
    pub inverse: Vec<Vec<f64>>,
}

/// Columns whose normal matrix, scaled to ones on its diagonal, leaves less than this in a pivot cannot be told apart.
const SINGULAR: f64 = 1e-10;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves `rows` times the values for `targets`; `None` when columns cannot be told apart. No column is all zeros.
pub(super) fn least_squares(rows: &[Vec<f64>], targets: &[f64]) -> Option<Solution> {
    let columns = rows.first()?.len();
    let column = |at: usize| -> Vec<f64> { rows.iter().map(|row| row[at]).collect() };
    let scale: Vec<f64> = (0..columns).map(|at| dot(&column(at), &column(at)).sqrt()).collect();
    let normal: Vec<Vec<f64>> = (0..columns)
        .map(|i| (0..columns).map(|j| dot(&column(i), &column(j)) / (scale[i] * scale[j])).collect())
        .collect();
    let right: Vec<f64> = (0..columns).map(|at| dot(&column(at), targets) / scale[at]).collect();
    let largest = right.iter().fold(0.0_f64, |largest, entry| largest.max(entry.abs()));
    invert(&normal, &(0..columns).collect::<Vec<_>>())?;

    let (mut values, mut free) = (vec![0.0; columns], Vec::new());
    // Every round frees a column for good or for bad; the bound only guards against rounding that frees one for ever.
    for _ in 0..10 * columns {
        let slope = |at: usize| right[at] - dot(&normal[at], &values);
        let held = (0..columns).filter(|at| !free.contains(at));
        let steepest = held.max_by(|a, b| slope(*a).total_cmp(&slope(*b)));
        match steepest {
            Some(at) if slope(at) > 1e-12 * largest => free.push(at),
            _ => break,
        }
        loop {
            free.sort_unstable();
            let inverse = invert(&normal, &free)?;
            let wanted: Vec<f64> = free.iter().map(|at| right[*at]).collect();
            let trial: Vec<f64> = inverse.iter().map(|row| dot(row, &wanted)).collect();
            if trial.iter().all(|value| *value > 0.0) {
                free.iter().zip(trial).for_each(|(at, value)| values[*at] = value);
                break;
            }
            // As far towards the trial as nothing turns negative; what arrives at zero is held there.
            let steps = free.iter().zip(&trial).filter(|(_, trial)| **trial <= 0.0);
            let step = steps.map(|(at, trial)| values[*at] / (values[*at] - trial)).fold(1.0, f64::min);
            for (at, trial) in free.iter().zip(&trial) {
                values[*at] += step * (trial - values[*at]);
            }
            free.retain(|at| values[*at] > 1e-15 * largest);
            (0..columns).filter(|at| !free.contains(at)).for_each(|at| values[at] = 0.0);
            if free.is_empty() {
                break;
            }
        }
    }
    let inverse = invert(&normal, &free)?;
    let unscaled = free.iter().zip(&inverse);
    let inverse = unscaled
        .map(|(i, row)| free.iter().zip(row).map(|(j, entry)| entry / (scale[*i] * scale[*j])).collect());
    Some(Solution {
        inverse: inverse.collect(),
        values: values.iter().zip(&scale).map(|(v, s)| v / s).collect(),
        free,
    })
}

/// The inverse of the rows and columns `of` of a matrix with ones on its diagonal, by Gauss and Jordan.
fn invert(matrix: &[Vec<f64>], of: &[usize]) -> Option<Vec<Vec<f64>>> {
    let size = of.len();
    let mut work: Vec<Vec<f64>> = of
        .iter()
        .enumerate()
        .map(|(at, i)| {
            let unit = (0..size).map(|j| f64::from(u8::from(j == at)));
            of.iter().map(|j| matrix[*i][*j]).chain(unit).collect()
        })
        .collect();
    for at in 0..size {
        let best = (at..size).max_by(|a, b| work[*a][at].abs().total_cmp(&work[*b][at].abs()))?;
        work.swap(at, best);
        let pivot = work[at][at];
        if pivot.abs() < SINGULAR {
            return None;
        }
        work[at].iter_mut().for_each(|entry| *entry /= pivot);
        let row = work[at].clone();
        for (_, target) in work.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let factor = target[at];
            target.iter_mut().zip(&row).for_each(|(entry, of_row)| *entry -= factor * of_row);
        }
    }
    Some(work.into_iter().map(|row| row[size..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn positive_answers_are_those_of_plain_least_squares() {
        let rows = vec![vec![1.0, 0.0], vec![0.0, 2.0], vec![1.0, 1.0]];
        let solution = least_squares(&rows, &[3.0, 8.0, 7.0]).unwrap();
        close(&solution.values, &[3.0, 4.0]);
        // The inverse of [[2, 1], [1, 5]].
        close(&solution.inverse[0], &[5.0 / 9.0, -1.0 / 9.0]);
        assert_eq!(solution.free, [0, 1]);
    }

    #[test]
    fn what_would_be_negative_is_zero_and_the_rest_is_fitted_anew() {
        let rows = vec![vec![1.0, 1.0], vec![1.0, 2.0], vec![1.0, 3.0]];
        let solution = least_squares(&rows, &[3.0, 2.0, 1.0]).unwrap();
        // Plain least squares has a slope of -1; without it, the mean.
        close(&solution.values, &[2.0, 0.0]);
        assert_eq!(solution.free, [0]);
        close(&least_squares(&rows, &[-1.0, -1.0, -1.0]).unwrap().values, &[0.0, 0.0]);
    }

    #[test]
    fn columns_that_are_multiples_are_refused() {
        let rows = vec![vec![1.0, 2.0], vec![2.0, 4.0], vec![3.0, 6.0]];
        assert!(least_squares(&rows, &[1.0, 2.0, 3.0]).is_none());
    }
}
