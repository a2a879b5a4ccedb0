//! Two servers in turns.

use std::process::ExitCode;
use std::time::Duration;

use offramp_runtime::statistics::{Bootstrap, median_interval, ratio_of_medians};

use super::asking::{Asked, Outcome};

/// What the turns of one server came to.
#[derive(Default)]
struct Turns {
    /// Seconds of whole calls by one client, by turn.
    alone: Vec<Vec<f64>>,
    /// Seconds of whole calls by all clients, by turn.
    together: Vec<Vec<f64>>,
    /// Answers a second to all clients, by turn.
    rates: Vec<Vec<f64>>,
    refused: usize,
    expired: usize,
    lost: usize,
}

impl Turns {
    fn count(&mut self, outcome: &Outcome) {
        self.refused += outcome.refused.len();
        self.expired += outcome.expired;
        self.lost += outcome.lost.len();
    }
}

/// Asks two models, given by their servers' addresses and their names, A B B A.
pub(crate) async fn measure(of: [(&str, &str); 2], clients: u32, window: Duration, rounds: u32) -> ExitCode {
    let asked = [Asked::connect(of[0], clients).await, Asked::connect(of[1], clients).await];
    let mut turns = [Turns::default(), Turns::default()];
    // What is set up with the first requests is not measured.
    for asked in &asked {
        asked.closed(clients, window / 2).await;
        asked.closed(1, window / 2).await;
    }
    for _ in 0..rounds {
        for at in [0, 1, 1, 0] {
            let (asked, turns) = (&asked[at], &mut turns[at]);
            let alone = asked.closed(1, window).await;
            turns.count(&alone);
            turns.alone.push(alone.answered);
            let together = asked.closed(clients, window).await;
            turns.count(&together);
            turns.rates.push(vec![together.answered.len() as f64 / window.as_secs_f64()]);
            turns.together.push(together.answered);
        }
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{} and {} bytes an image, {rounds} times A B B A, {} s for one client and {} s for {clients} in each turn, {cores} cores\n",
        asked[0].bytes(),
        asked[1].bytes(),
        window.as_secs(),
        window.as_secs(),
    );
    let [first, second] = &turns;
    println!("| | {} | {} | ratio | 95 % |\n|---|---|---|---|---|", of[0].0, of[1].0);
    row("1 client, whole call, ms p50", 1e3, &first.alone, &second.alone);
    row(&format!("{clients} clients, whole call, ms p50"), 1e3, &first.together, &second.together);
    row(&format!("{clients} clients, answers/s"), 1.0, &first.rates, &second.rates);
    println!("| refused | {} | {} | | |", first.refused, second.refused);
    println!("| expired | {} | {} | | |", first.expired, second.expired);
    println!("| lost | {} | {} | | |\n", first.lost, second.lost);
    for (turns, (address, _)) in turns.iter().zip(of) {
        let rates: Vec<String> = turns.rates.iter().flatten().map(|rate| format!("{rate:.0}")).collect();
        println!("answers/s by turn, {address}: {}", rates.join(" "));
    }
    ExitCode::from(u8::from(first.lost + second.lost > 0))
}

fn row(what: &str, scale: f64, first: &[Vec<f64>], second: &[Vec<f64>]) {
    let bootstrap = Bootstrap::default();
    let median = |turns| median_interval(turns, bootstrap).expect("answers").estimate * scale;
    let ratio = ratio_of_medians(first, second, bootstrap).expect("answers");
    println!(
        "| {what} | {:.3} | {:.3} | {:.3} | {:.3} to {:.3} |",
        median(first),
        median(second),
        ratio.estimate,
        ratio.low,
        ratio.high
    );
}
