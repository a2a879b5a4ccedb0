//! What an answer of a peer takes, learned from those that came.

use std::array::from_fn;

use super::change::ChangeDetector;

/// Bytes are counted in these, so that all three numbers are of like size.
const BLOCK: f64 = 16_384.0;
/// How much of what was learned is left when something is learned: some twenty answers count.
const KEPT: f64 = 0.97;
/// A time is never expected more exactly than this share of it, nor less exactly than that.
const NOISE: (f64, f64) = (0.03, 0.4);
/// So many answers are awaited with suspicion when all was begun anew: a number each.
const FRESH: usize = 3;
/// Below this, times are told apart no more: a scheduler's moods.
const FINEST: f64 = 5e-4;

/// What a request is, as far as its time depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Question {
    /// Bytes sent.
    pub(super) bytes: f64,
    /// Seconds that the device would take for what is asked.
    pub(super) local: f64,
}

/// An expected time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// Seconds.
    pub(super) seconds: f64,
    /// Standard deviation of the expectation, not of single answers, in seconds.
    pub(super) deviation: f64,
}

/// Seconds of an answer = round trip + bytes × seconds per byte + the device's seconds × the peer's share of them.
///
/// Three numbers, none negative, fitted to past answers by weighted least squares in information form: errors count relative to
/// the time expected, and what was long ago is forgotten towards a weak belief in the present numbers. When times change, only
/// that weak belief is kept: each of the three might then be the reason.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    /// Inverse covariance of the numbers.
    information: Matrix,
    /// The same times the numbers' unconstrained fit.
    evidence: Vector,
    numbers: Vector,
    /// The weak belief: the numbers' inverse variances.
    weak: Vector,
    /// Mean square of relative surprises.
    noise: f64,
    /// Surprises in it.
    answers: f64,
    change: ChangeDetector,
    /// Answers since all was begun anew.
    fresh: usize,
}

type Vector = [f64; 3];
type Matrix = [[f64; 3]; 3];

impl Cost {
    /// Before anything is known: 30 ms round trip, 10 Mbit/s, a peer five times faster, none of it with confidence.
    pub(super) fn new() -> Self {
        let weak = [1.0 / (0.1 * 0.1), 1.0 / (0.1 * 0.1), 1.0];
        let mut cost = Self {
            information: [[0.0; 3]; 3],
            evidence: [0.0; 3],
            numbers: [0.03, 0.0131, 0.2],
            weak,
            noise: 0.01,
            answers: 0.0,
            change: ChangeDetector::default(),
            fresh: 0,
        };
        cost.forget(0.0);
        cost
    }

    /// How long the answer to `question` is expected to take.
    pub(super) fn expect(&self, question: Question) -> Expected {
        let row = row(question);
        let spread = solve(&self.information, &row, [true; 3]).map_or(0.0, |solved| dot(&row, &solved));
        Expected { seconds: dot(&row, &self.numbers), deviation: spread.max(0.0).sqrt() }
    }

    /// Learns that an answer took so many seconds, of which the peer says that it spent `server`.
    pub(super) fn learn(&mut self, question: Question, took: f64, server: Option<f64>) {
        let expected = self.expect(question).seconds.max(FINEST);
        let surprise = (took - expected) / self.spread(question, expected);
        if self.change.is_change(surprise) {
            self.begin_anew(question, took, server.is_some());
        } else {
            self.note_noise((took - expected) / expected);
            self.forget(KEPT);
        }
        // A surprise that no second one has confirmed moves nothing far.
        let most = 3.0 * self.spread(question, expected);
        let [_, bytes, local] = row(question);
        match server {
            None => self.add([1.0, bytes, local], took.clamp(expected - most, expected + most)),
            Some(server) => {
                let network = (took - server).max(0.0);
                let expected = dot(&[1.0, bytes, 0.0], &self.numbers);
                self.add([1.0, bytes, 0.0], network.clamp(expected - most, expected + most));
                if local > 0.0 {
                    self.add([0.0, 0.0, local], server);
                }
            }
        }
        self.fit();
        self.fresh += 1;
    }

    /// Learns that an answer would have taken longer than `after` seconds.
    pub(super) fn learn_at_least(&mut self, question: Question, after: f64) {
        let expected = self.expect(question);
        if expected.seconds < after {
            self.change = ChangeDetector::default();
            self.begin_anew(question, after, false);
        }
        // It was not less, whatever was thought possible.
        if expected.seconds - expected.deviation < after {
            self.add(row(question), expected.seconds.max(after));
            self.fit();
        }
    }

    /// Whether the next answer would tell much: the latest ones make a change likely, or one was just believed.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.fresh < FRESH || self.change.is_suspicious()
    }

    /// Standard deviation of an answer's time.
    fn spread(&self, question: Question, expected: f64) -> f64 {
        let noise = self.noise.sqrt() * expected.max(FINEST);
        noise.max(FINEST).hypot(self.expect(question).deviation)
    }

    /// Takes a relative surprise; a large one may be a change, which is no noise.
    fn note_noise(&mut self, relative: f64) {
        self.answers += 1.0;
        let square = (relative * relative).min(4.0 * self.noise);
        self.noise += (square - self.noise) / self.answers.clamp(4.0, 16.0);
        self.noise = self.noise.clamp(NOISE.0 * NOISE.0, NOISE.1 * NOISE.1);
    }

    /// Keeps a part of what was learned and mixes the weak belief in the present numbers into it.
    fn forget(&mut self, kept: f64) {
        for (i, row) in self.information.iter_mut().enumerate() {
            row.iter_mut().for_each(|element| *element *= kept);
            let mixed = (1.0 - kept) * self.weak[i];
            row[i] += mixed;
            self.evidence[i] = kept * self.evidence[i] + mixed * self.numbers[i];
        }
    }

    /// Forgets all but the present numbers, each of which may have become as much as explains `took` alone. A peer's own share
    /// is kept where it was told apart.
    fn begin_anew(&mut self, question: Question, took: f64, told_apart: bool) {
        let known =
            solve(&self.information, &[0.0, 0.0, 1.0], [true; 3]).map_or(f64::INFINITY, |solved| solved[2]);
        for ((weak, number), share) in self.weak.iter_mut().zip(self.numbers).zip(row(question)) {
            let deviation = (2.0 * number).max(if share > 0.0 { took / share } else { 0.0 });
            *weak = 1.0 / (deviation * deviation).max(f64::MIN_POSITIVE);
        }
        self.fresh = 0;
        self.forget(0.0);
        if told_apart && known.is_finite() && known > 0.0 {
            self.information[2][2] = 1.0 / known;
            self.evidence[2] = self.numbers[2] / known;
        }
    }

    fn add(&mut self, row: Vector, seconds: f64) {
        let expected = dot(&row, &self.numbers).max(seconds).max(FINEST);
        let weight = 1.0 / (self.noise * expected * expected).max(FINEST * FINEST);
        for ((information, evidence), element) in self.information.iter_mut().zip(&mut self.evidence).zip(row)
        {
            information.iter_mut().zip(row).for_each(|(sum, other)| *sum += weight * element * other);
            *evidence += weight * element * seconds;
        }
    }

    /// The best numbers, none negative: the best of the fits that hold some at zero.
    fn fit(&mut self) {
        let mut best = f64::NEG_INFINITY;
        for held in 0..8_u8 {
            let free = [0, 1, 2].map(|number| held >> number & 1 == 0);
            let Some(solved) = solve(&self.information, &self.evidence, free) else { continue };
            let gain = dot(&self.evidence, &solved);
            if solved.iter().all(|number| *number >= 0.0) && gain > best {
                (best, self.numbers) = (gain, solved);
            }
        }
    }
}

fn row(question: Question) -> Vector {
    [1.0, question.bytes / BLOCK, question.local]
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `x` with `matrix x = right` in the free numbers, and zero in the others; `None` where that is not to be had. By
/// elimination, without exchanges: the matrix is positive definite.
fn solve(matrix: &Matrix, right: &Vector, free: [bool; 3]) -> Option<Vector> {
    let element = |i: usize, j: usize| match (free[i], j) {
        (true, 3) => right[i],
        (true, _) if free[j] => matrix[i][j],
        _ => f64::from(u8::from(i == j)),
    };
    let mut rows: [[f64; 4]; 3] = from_fn(|i| from_fn(|j| element(i, j)));
    for pivot in 0..3 {
        let row = rows[pivot];
        if !(row[pivot].is_finite() && row[pivot] > 0.0) {
            return None;
        }
        for (_, other) in rows.iter_mut().enumerate().filter(|(at, _)| *at != pivot) {
            let factor = other[pivot] / row[pivot];
            other.iter_mut().zip(row).for_each(|(element, above)| *element -= factor * above);
        }
    }
    Some(from_fn(|i| rows[i][3] / rows[i][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(bytes: f64, local: f64) -> Question {
        Question { bytes, local }
    }

    /// Learns from answers that take exactly what they should.
    fn taught(round_trip: f64, per_byte: f64, share: f64, told: bool) -> Cost {
        let mut cost = Cost::new();
        for request in 0..60 {
            let question = [question(3e3, 0.04), question(16e3, 0.03), question(1e3, 0.01)][request % 3];
            let server = share * question.local;
            let took = round_trip + per_byte * question.bytes + server;
            cost.learn(question, took, told.then_some(server));
        }
        cost
    }

    #[test]
    fn round_trip_rate_and_share_are_learned_together_from_sizes_and_times() {
        for told in [true, false] {
            let cost = taught(0.012, 8e-7, 0.2, told);
            for (question, expected) in
                [(question(3e3, 0.04), 0.0224), (question(64e3, 0.02), 0.0672), (question(0.0, 0.0), 0.012)]
            {
                let found = cost.expect(question).seconds;
                assert!((found / expected - 1.0).abs() < 0.05, "{found} for {expected}, told apart: {told}");
            }
        }
    }

    #[test]
    fn a_slower_link_is_believed_after_two_answers() {
        let mut cost = taught(0.01, 8e-8, 0.1, true);
        let asked = question(16e3, 0.02);
        let now = 0.01 + 8e-6 * 16e3 + 0.002;
        cost.learn(asked, now, Some(0.002));
        assert!(cost.is_in_doubt());
        assert!(cost.expect(asked).seconds < 0.5 * now, "one answer may be a stall");
        cost.learn(asked, now, Some(0.002));
        let found = cost.expect(asked).seconds;
        assert!((found / now - 1.0).abs() < 0.1, "{found} for {now}");
        // Whether it is the round trip or the rate is open, so a smaller message may pay.
        let small = cost.expect(question(1e3, 0.02));
        assert!(small.seconds - small.deviation < 0.06, "{small:?}");
    }

    #[test]
    fn a_faster_link_is_believed_after_two_answers() {
        let mut cost = taught(0.02, 8e-6, 0.1, false);
        let asked = question(16e3, 0.02);
        let now = 0.02 + 8e-8 * 16e3 + 0.002;
        cost.learn(asked, now, None);
        cost.learn(asked, now, None);
        let found = cost.expect(asked).seconds;
        assert!(found < 1.3 * now, "{found} for {now}");
    }

    #[test]
    fn an_answer_that_did_not_come_is_believed_at_once_and_only_if_it_is_news() {
        let mut cost = taught(0.01, 8e-8, 0.1, true);
        let asked = question(16e3, 0.02);
        let before = cost.expect(asked);
        cost.learn_at_least(asked, 0.001);
        assert_eq!(cost.expect(asked), before);
        cost.learn_at_least(asked, 0.9);
        assert!(cost.expect(asked).seconds > 0.8, "{:?}", cost.expect(asked));
    }

    #[test]
    fn the_best_fit_has_no_negative_number() {
        let mut cost = Cost::new();
        for _ in 0..50 {
            // Larger and faster: no round trip, rate and share explain that.
            cost.learn(question(1e3, 0.02), 0.03, None);
            cost.learn(question(16e3, 0.02), 0.01, None);
        }
        assert!(cost.numbers.iter().all(|number| *number >= 0.0), "{:?}", cost.numbers);
        assert!(cost.expect(question(8e3, 0.02)).seconds.is_finite());
    }
}
