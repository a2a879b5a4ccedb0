//! How long segments take here, as far as they have run.

use std::ops::RangeFrom;
use std::time::Duration;

/// Seconds per image of every segment: a smoothed mean and a smoothed deviation.
///
/// Source: the round-trip estimator of RFC 6298, gains 1/8 and 1/4, lateness at four deviations.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    segments: Vec<Option<Expected>>,
    /// [`Pace::ahead`]'s answer, kept so that asking allocates nothing.
    ahead: Vec<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    mean: f64,
    deviation: f64,
}

impl Pace {
    pub(super) fn new(segments: usize) -> Self {
        Self { segments: vec![None; segments], ahead: vec![Duration::ZERO; segments] }
    }

    /// Notes that a segment took `took` for `images`.
    pub(super) fn note(&mut self, segment: usize, images: usize, took: Duration) {
        let took = took.as_secs_f64() / images.max(1) as f64;
        let Some(slot) = self.segments.get_mut(segment) else { return };
        *slot = Some(match slot {
            None => Expected { mean: took, deviation: took / 2.0 },
            Some(Expected { mean, deviation }) => {
                let error = took - *mean;
                Expected {
                    mean: *mean + error / 8.0,
                    deviation: *deviation + (error.abs() - *deviation) / 4.0,
                }
            }
        });
    }

    /// How long `segment` is expected to take; zero where it has never run.
    pub(super) fn mean(&self, segment: usize, images: usize) -> Duration {
        let expected = self.segments.get(segment).copied().flatten();
        expected.map_or(Duration::ZERO, |expected| seconds(expected.mean, images))
    }

    /// How long each segment from this one on is expected to take.
    pub(super) fn ahead(&mut self, from: usize, images: usize) -> &[Duration] {
        for segment in from..self.segments.len() {
            self.ahead[segment] = self.mean(segment, images);
        }
        self.ahead.get(from..).unwrap_or_default()
    }

    /// How long the segments may take together if they take long; `None` if one has never run.
    pub(super) fn late(&self, segments: RangeFrom<usize>, images: usize) -> Option<Duration> {
        let mut late = 0.0;
        for expected in self.segments.get(segments).unwrap_or_default() {
            // Deviations of segments of one device go together: a busy device is late in all of them.
            late += expected.map(|expected| expected.mean + 4.0 * expected.deviation)?;
        }
        Some(seconds(late, images))
    }
}

fn seconds(per_image: f64, images: usize) -> Duration {
    Duration::try_from_secs_f64(per_image * images as f64).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_has_never_run_is_expected_to_take_no_time() {
        let pace = Pace::new(2);
        assert_eq!(pace.mean(0, 1), Duration::ZERO);
        assert_eq!(pace.late(0.., 8), None);
        assert_eq!(pace.mean(7, 1), Duration::ZERO);
    }

    #[test]
    fn a_steady_segment_is_expected_to_go_on_so_and_scales_with_images() {
        let mut pace = Pace::new(3);
        for _ in 0..200 {
            pace.note(1, 2, 10 * MS);
            pace.note(2, 1, MS);
        }
        assert_eq!(pace.mean(1, 1).as_micros(), 5_000);
        assert_eq!(pace.mean(1, 4).as_micros(), 20_000);
        let late = pace.late(1.., 1).unwrap();
        assert!(late >= 6 * MS && late < Duration::from_micros(6_010), "{late:?}");
        assert_eq!(pace.ahead(1, 1).len(), 2);
    }

    #[test]
    fn a_segment_that_varies_is_late_by_more_than_its_mean() {
        let mut pace = Pace::new(1);
        for round in 0..200 {
            pace.note(0, 1, if round % 10 == 0 { 30 * MS } else { 10 * MS });
        }
        assert!(pace.late(0.., 1).unwrap() > pace.mean(0, 1) + 5 * MS);
    }
}
