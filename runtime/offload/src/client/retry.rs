//! How many requests may be sent twice.

/// A share of all requests, so that retries cannot double the load of peers that are in trouble.
#[derive(Debug)]
pub(super) struct RetryBudget {
    earned: f64,
    retries: u64,
}

/// Retries earned by a request.
const SHARE: f64 = 0.1;
/// Retries that can be kept for later.
const MOST: f64 = 10.0;

impl RetryBudget {
    /// One retry for the beginning.
    pub(super) fn new() -> Self {
        Self { earned: 1.0, retries: 0 }
    }

    /// A request was sent for the first time.
    pub(super) fn request(&mut self) {
        self.earned = (self.earned + SHARE).min(MOST);
    }

    /// Whether a request may be sent again; if so, this is a retry less.
    pub(super) fn retry(&mut self) -> bool {
        let may = self.earned >= 1.0;
        if may {
            self.earned -= 1.0;
            self.retries += 1;
        }
        may
    }

    /// Requests that were sent again.
    pub(super) fn retries(&self) -> u64 {
        self.retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_than_a_tenth_of_requests_and_one_are_sent_twice(fails in prop::collection::vec(any::<bool>(), 0..400)) {
            let mut budget = RetryBudget::new();
            let mut retries = 0;
            for (sent, fails) in fails.iter().enumerate() {
                budget.request();
                retries += usize::from(*fails && budget.retry());
                prop_assert!(retries as f64 <= 1.0 + 0.1 * (sent + 1) as f64 + 1e-9);
            }
        }
    }
}
