//! Requests of one model that wait: a bounded number, the earliest deadline first.
//!
//! Requests arrive on the network's threads and leave on the model's thread, which takes as many at once as fit into a
//! batch. A request whose deadline has passed or whose client is gone never leaves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::refusal::Refusal;

/// After so many batches of one request, none is waited for any more.
const ALONE: u32 = 8;

/// A request, in the model's hands.
#[derive(Debug)]
pub(super) struct Job {
    /// Bytes of every input, in the signature's order.
    pub(super) inputs: Vec<Bytes>,
    /// Images in all of them.
    pub(super) images: usize,
    /// The signature's outputs that are wanted.
    pub(super) outputs: Vec<usize>,
    /// When the answer is of no use any more.
    pub(super) deadline: Instant,
    /// Where the answer goes: bytes of every output that is wanted.
    pub(super) reply: oneshot::Sender<Result<Vec<Bytes>, Refusal>>,
}

/// How many requests run together, and how many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Images in a batch.
    pub(super) images: usize,
    /// Whether requests can be joined; else a batch is one request.
    pub(super) joins: bool,
    /// How long an idle model waits for company of a request.
    pub(super) delay: Duration,
    /// Requests that wait.
    pub(super) waiting: usize,
}

/// Why a request was not taken; it comes back.
#[derive(Debug)]
pub(super) enum Refused {
    /// So many wait already.
    Full(usize),
    /// The model does not run any more.
    Closed,
}

/// The queue of one model.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    arrival: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BinaryHeap<Reverse<Waiting>>,
    arrived: u64,
    closed: bool,
    /// The model has found no request to take.
    idle: bool,
    /// The model holds requests of a batch.
    busy: bool,
    /// A request has arrived while others waited or ran, since the last batch was taken.
    company: bool,
    /// How many batches in a row ran without company.
    alone: u32,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), arrival: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request wait.
    pub(super) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.limits.waiting {
            // Those who have left may still stand in line.
            state.waiting.retain(|Reverse(waiting)| !waiting.job.reply.is_closed());
        }
        let waiting = state.waiting.len();
        if waiting >= self.limits.waiting {
            return Err(Refused::Full(waiting));
        }
        state.company |= state.busy || waiting > 0;
        state.arrived += 1;
        let number = state.arrived;
        state.waiting.push(Reverse(Waiting { number, job }));
        drop(state);
        self.arrival.notify_one();
        Ok(())
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether requests are taken.
    pub(super) fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Takes no more requests; [`Queue::take`] ends when the last of those that wait is taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_all();
    }

    /// Takes no more requests and forgets those that wait.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let forgotten = std::mem::take(&mut state.waiting);
        drop(state);
        drop(forgotten);
    }

    /// Waits for requests and moves one batch of them to `batch`, in the order of their deadlines. Where several are
    /// taken, their images fit into a batch. False when there will be none.
    ///
    /// An idle model waits a little for company, but only where there has been company lately: a client that sends one
    /// request after the other would pay for what never comes.
    pub(super) fn take(&self, batch: &mut Vec<Job>) -> bool {
        let mut state = self.lock();
        state.busy = false;
        let mut room = self.limits.images;
        loop {
            state.fill(batch, &mut room, self.limits.joins);
            if !batch.is_empty() {
                break;
            }
            if state.closed {
                return false;
            }
            state.idle = true;
            state = self.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.busy = true;
        if std::mem::take(&mut state.idle) && state.alone < ALONE {
            let until = Instant::now() + self.limits.delay;
            while room > 0 && !state.closed && state.waiting.is_empty() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.arrival.wait_timeout(state, left);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                state.fill(batch, &mut room, self.limits.joins);
            }
        }
        let company = std::mem::take(&mut state.company) || batch.len() > 1;
        state.alone = if company { 0 } else { state.alone.saturating_add(1) };
        true
    }
}

impl State {
    /// Moves requests to `batch` as long as the next one fits into `room`, and answers those that are late.
    fn fill(&mut self, batch: &mut Vec<Job>, room: &mut usize, joins: bool) {
        while let Some(Reverse(next)) = self.waiting.peek() {
            let late = next.job.deadline <= Instant::now();
            if !late && !next.job.reply.is_closed() && next.job.images > *room {
                return;
            }
            let Some(Reverse(Waiting { job, .. })) = self.waiting.pop() else { return };
            if late {
                // Nobody may be listening any more.
                let _gone = job.reply.send(Err(Refusal::Expired));
            } else if !job.reply.is_closed() {
                *room = if joins { *room - job.images } else { 0 };
                batch.push(job);
            }
        }
    }
}

/// Ordered by deadline, then by arrival.
#[derive(Debug)]
struct Waiting {
    number: u64,
    job: Job,
}

impl Waiting {
    fn key(&self) -> (Instant, u64) {
        (self.job.deadline, self.number)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    type Answer = oneshot::Receiver<Result<Vec<Bytes>, Refusal>>;

    const SOON: Duration = Duration::from_secs(60);

    fn queue(images: usize, waiting: usize) -> Queue {
        Queue::new(Limits { images, joins: true, delay: Duration::ZERO, waiting })
    }

    /// A request of so many images, known by what it brings.
    fn job(name: u8, images: usize, deadline: Instant) -> (Job, Answer) {
        let (reply, answer) = oneshot::channel();
        (Job { inputs: vec![vec![name].into()], images, outputs: vec![], deadline, reply }, answer)
    }

    fn names(batch: &[Job]) -> Vec<u8> {
        batch.iter().map(|job| job.inputs[0][0]).collect()
    }

    fn take(queue: &Queue) -> Vec<u8> {
        let mut batch = Vec::new();
        queue.take(&mut batch);
        names(&batch)
    }

    proptest! {
        #[test]
        fn the_earliest_deadline_goes_first_and_ties_go_by_arrival(
            deadlines in prop::collection::vec(0..6_u64, 1..40),
        ) {
            let (queue, now) = (queue(1, 64), Instant::now());
            let mut answers = Vec::new();
            for (name, deadline) in (0..).zip(&deadlines) {
                let (job, answer) = job(name, 1, now + SOON + Duration::from_millis(*deadline));
                queue.push(job).unwrap();
                answers.push(answer);
            }
            let mut expected: Vec<u8> = (0..).take(deadlines.len()).collect();
            expected.sort_by_key(|name| deadlines[usize::from(*name)]);
            let taken: Vec<u8> = expected.iter().flat_map(|_| take(&queue)).collect();
            prop_assert_eq!(taken, expected);
        }

        #[test]
        fn a_batch_holds_no_more_images_than_fit_and_nothing_is_lost(
            sizes in prop::collection::vec(1..=5_usize, 1..40),
        ) {
            let (queue, deadline) = (queue(5, 64), Instant::now() + SOON);
            let mut answers = Vec::new();
            for (name, images) in (0..).zip(&sizes) {
                let (job, answer) = job(name, *images, deadline);
                queue.push(job).unwrap();
                answers.push(answer);
            }
            queue.close();
            let (mut batch, mut taken) = (Vec::new(), Vec::new());
            while queue.take(&mut batch) {
                prop_assert!((1..=5).contains(&batch.iter().map(|job| job.images).sum::<usize>()));
                taken.extend(names(&batch));
                batch.clear();
            }
            prop_assert_eq!(taken, (0..).take(sizes.len()).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn what_is_late_is_answered_so_and_what_nobody_waits_for_is_dropped() {
        let (queue, now) = (queue(8, 8), Instant::now());
        let (late, mut late_answer) = job(0, 1, now);
        let (gone, gone_answer) = job(1, 1, now + SOON);
        let (good, _good_answer) = job(2, 1, now + SOON);
        for job in [late, gone, good] {
            queue.push(job).unwrap();
        }
        drop(gone_answer);
        assert_eq!(take(&queue), [2]);
        assert!(matches!(late_answer.try_recv(), Ok(Err(Refusal::Expired))));
    }

    #[test]
    fn the_queue_is_bounded_and_those_who_left_make_room() {
        let (queue, deadline) = (queue(1, 2), Instant::now() + SOON);
        let (first, answer) = job(0, 1, deadline);
        let (second, _kept) = job(1, 1, deadline);
        queue.push(first).unwrap();
        queue.push(second).unwrap();
        let (third, _refused) = job(2, 1, deadline);
        assert!(matches!(queue.push(third), Err(Refused::Full(2))));
        drop(answer);
        let (fourth, _taken) = job(3, 1, deadline);
        queue.push(fourth).unwrap();
        assert_eq!([take(&queue), take(&queue)].concat(), [1, 3]);
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_an_abandoned_one_nothing() {
        let (closed, deadline) = (queue(1, 2), Instant::now() + SOON);
        let (job_, _answer) = job(0, 1, deadline);
        closed.push(job_).unwrap();
        closed.close();
        let (job_, _refused) = job(1, 1, deadline);
        assert!(matches!(closed.push(job_), Err(Refused::Closed)));
        assert!(!closed.is_open());
        assert_eq!((take(&closed), take(&closed)), (vec![0], vec![]));

        let abandoned = queue(1, 2);
        let (job_, mut answer) = job(0, 1, deadline);
        abandoned.push(job_).unwrap();
        abandoned.abandon();
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(take(&abandoned).is_empty());
    }

    #[test]
    fn requests_that_cannot_be_joined_go_one_by_one() {
        let limits = Limits { images: 8, joins: false, delay: Duration::ZERO, waiting: 8 };
        let (queue, deadline) = (Queue::new(limits), Instant::now() + SOON);
        let (first, _first) = job(0, 3, deadline);
        let (second, _second) = job(1, 1, deadline);
        queue.push(first).unwrap();
        queue.push(second).unwrap();
        assert_eq!((take(&queue), take(&queue)), (vec![0], vec![1]));
    }

    /// A model that takes one batch, and has found none yet.
    fn idle(queue: &Arc<Queue>) -> thread::JoinHandle<Vec<u8>> {
        let own = Arc::clone(queue);
        let model = thread::spawn(move || take(&own));
        while !queue.lock().idle {
            thread::yield_now();
        }
        model
    }

    #[test]
    fn an_idle_model_waits_for_company_until_the_batch_is_full() {
        let limits = Limits { images: 2, joins: true, delay: SOON, waiting: 8 };
        let (queue, deadline) = (Arc::new(Queue::new(limits)), Instant::now() + SOON);
        let model = idle(&queue);
        let (first, _first) = job(0, 1, deadline);
        queue.push(first).unwrap();
        while queue.len() > 0 {
            thread::yield_now();
        }
        let (second, _second) = job(1, 1, deadline);
        queue.push(second).unwrap();
        assert_eq!(model.join().unwrap(), [0, 1]);
    }

    #[test]
    fn a_model_that_has_been_busy_waits_for_nobody() {
        let limits = Limits { images: 8, joins: true, delay: SOON, waiting: 8 };
        let (queue, began) = (Queue::new(limits), Instant::now());
        let (first, _first) = job(0, 1, began + SOON);
        queue.push(first).unwrap();
        assert_eq!(take(&queue), [0]);
        assert!(began.elapsed() < SOON / 2);
    }

    #[test]
    fn company_that_never_comes_is_waited_for_no_more() {
        let began = Instant::now();
        let one = |queue: &Arc<Queue>| {
            let model = idle(queue);
            let (job, _answer) = job(0, 1, began + SOON);
            queue.push(job).unwrap();
            assert_eq!(model.join().unwrap(), [0]);
        };
        let limits = Limits { images: 8, joins: true, delay: Duration::ZERO, waiting: 8 };
        let queue = Arc::new(Queue::new(limits));
        (0..ALONE).for_each(|_| one(&queue));
        assert_eq!(queue.lock().alone, ALONE);
        let patient = Arc::new(Queue::new(Limits { delay: SOON, ..limits }));
        patient.lock().alone = ALONE;
        one(&patient);
        assert!(began.elapsed() < SOON / 2, "it waited");
    }

    #[test]
    fn one_that_comes_while_another_runs_is_company() {
        let limits = Limits { images: 8, joins: true, delay: Duration::ZERO, waiting: 8 };
        let (queue, deadline) = (Queue::new(limits), Instant::now() + SOON);
        queue.lock().alone = ALONE;
        let (first, _first) = job(0, 1, deadline);
        let (second, _second) = job(1, 1, deadline);
        queue.push(first).unwrap();
        assert_eq!(take(&queue), [0]);
        queue.push(second).unwrap();
        assert_eq!(take(&queue), [1]);
        assert_eq!(queue.lock().alone, 0);
    }
}
