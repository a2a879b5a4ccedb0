//! What an image costs: subjects of a comparison as loads of a meter's protocol.

mod per_exit;

use std::error::Error;
use std::time::{Duration, Instant};

use offramp_meter::protocol::{Load, Work};

use super::Subject;
pub use per_exit::{ExitEnergies, ExitEnergy, Exits, HELD_OUT};

/// A subject that works for as long as it is told, on one input after the other.
pub struct Metered<'s, 'a, E> {
    subject: &'s mut Subject<'a, E>,
    exits: usize,
    next: usize,
}

impl<'s, 'a, E> Metered<'s, 'a, E> {
    /// `subject`, which stops at one of `exits` exits. It begins with its first input and goes on where it stopped.
    pub fn new(subject: &'s mut Subject<'a, E>, exits: usize) -> Self {
        Self { subject, exits, next: 0 }
    }
}

impl<E: Error + Send + Sync + 'static> Load for Metered<'_, '_, E> {
    fn name(&self) -> &str {
        &self.subject.name
    }

    fn run(&mut self, time: Duration) -> Result<Work, Box<dyn Error + Send + Sync>> {
        work(time, self.exits, || {
            let input = self.next;
            self.next = input.wrapping_add(1);
            (self.subject.run)(input).map(|sample| sample.exit)
        })
    }
}

/// Runs `image` until `time` is over, at least once, and counts where it stopped.
fn work<E: Error + Send + Sync + 'static>(
    time: Duration,
    exits: usize,
    mut image: impl FnMut() -> Result<usize, E>,
) -> Result<Work, Box<dyn Error + Send + Sync>> {
    let started = Instant::now();
    let mut work = Work { images: 0, exits: vec![0; exits] };
    loop {
        let exit = image()?;
        work.images += 1;
        if let Some(count) = work.exits.get_mut(exit) {
            *count += 1;
        }
        if started.elapsed() >= time {
            return Ok(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Sample;

    #[test]
    fn a_metered_subject_goes_on_where_it_stopped_and_counts_its_exits() {
        let mut seen = Vec::new();
        let mut subject = Subject::<std::io::Error> {
            name: "a".to_owned(),
            run: Box::new(|input| {
                seen.push(input);
                Ok(Sample { exit: input % 2, latency: Duration::ZERO })
            }),
        };
        let mut load = Metered::new(&mut subject, 2);
        let first = load.run(Duration::ZERO).unwrap();
        assert_eq!(first, Work { images: 1, exits: vec![1, 0] });
        let second = load.run(Duration::from_millis(2)).unwrap();
        assert_eq!(second.exits.iter().sum::<u64>(), second.images);
        drop(subject);
        assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_subject_that_fails_ends_the_window() {
        let mut subject = Subject::<std::io::Error> {
            name: "a".to_owned(),
            run: Box::new(|_| Err(std::io::ErrorKind::Other.into())),
        };
        assert!(Metered::new(&mut subject, 1).run(Duration::ZERO).is_err());
    }
}
