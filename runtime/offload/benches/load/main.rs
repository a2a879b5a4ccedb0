//! What a server does when more is asked of it than it can answer, and how it stands beside another.
//!
//!     offramp serve network.bundle --listen 127.0.0.1:8001 --threads 1 &
//!     cargo bench -p offramp-offload --bench load -- 127.0.0.1:8001 MODEL [CLIENTS [SECONDS [PID]]]
//!     cargo bench -p offramp-offload --bench load -- 127.0.0.1:8001 MODEL versus 127.0.0.1:9001 MODEL [CLIENTS [SECONDS [ROUNDS]]]
//!
//! The first: one client alone; then CLIENTS (16), each asking again as soon as it is answered: that is the capacity. Then 1.0, 1.5
//! and 3 times as many requests a second, each of one image and good for a second, whatever becomes of those before. SECONDS
//! (10) each. Prints Markdown; with PID, the server's memory at the start, in the middle and at the end, and the cores that it took.
//! Status 1 if a request got neither an answer nor a refusal.
//!
//! The second: ROUNDS (5) times A B B A, in each turn one client alone, then CLIENTS (16) at once, SECONDS (2) each. Prints both
//! and the ratios of the first to the second.
//!
//! Any server of the Open Inference Protocol will do. Without arguments it says what it lacks and ends.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and may fail anywhere")]

mod asking;
mod process;
mod versus;

use std::process::ExitCode;
use std::time::Duration;

use asking::{Asked, Outcome};
use offramp_runtime::statistics::percentile;
use process::Process;

const OVERLOADS: [f64; 3] = [1.0, 1.5, 3.0];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let number = |numbers: &[&str], at: usize, otherwise: u32| {
        numbers.get(at).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    match arguments[..] {
        [address, model, "versus", other, beside, ref more @ ..] => runtime.block_on(versus::measure(
            [(address, model), (other, beside)],
            number(more, 0, 16).max(1),
            seconds(number(more, 1, 2)),
            number(more, 2, 5),
        )),
        [address, model, ref more @ ..] => runtime.block_on(measure(
            (address, model),
            number(more, 0, 16).max(1),
            seconds(number(more, 1, 10)),
            Process(number(more, 2, 0)),
        )),
        _ => {
            println!("skipped: needs HOST:PORT MODEL, see the head of this file");
            ExitCode::SUCCESS
        }
    }
}

async fn measure(at: (&str, &str), clients: u32, window: Duration, server: Process) -> ExitCode {
    let asked = Asked::connect(at, clients).await;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{}, {} bytes an image, {clients} clients on a connection each, {} s each, {cores} cores for clients and server\n",
        at.1,
        asked.bytes(),
        window.as_secs(),
    );
    let table = Table { window };
    table.head();
    let (mut lost, start) = (0, server.resident());
    let alone = server.watch(window, asked.closed(1, window)).await;
    lost += table.row("1 client", alone);
    let together = server.watch(window, asked.closed(clients, window)).await;
    let capacity = together.0.answered.len() as f64 / window.as_secs_f64();
    lost += table.row(&format!("{clients} clients"), together);
    for overload in OVERLOADS {
        let outcome = server.watch(window, asked.open(window, capacity * overload)).await;
        lost += table.row(&format!("{overload} x capacity"), outcome);
    }
    let again = server.watch(window, asked.closed(1, window)).await;
    lost += table.row("1 client again", again);
    if let Some((start, end)) = start.zip(server.resident()) {
        println!("\nresident memory: {start:.1} MB before, {end:.1} MB after");
    }
    ExitCode::from(u8::from(lost > 0))
}

struct Table {
    window: Duration,
}

impl Table {
    fn head(&self) {
        let columns = "| load | sent | answered | refused | expired | lost | answers/s | answered ms p50, p99 \
                       | refused ms p50, p99, max | hint ms p50 | sent late ms p99 | cores: clients, server | RSS MB: start, middle, end |";
        println!("{columns}\n{}", "|---".repeat(13) + "|");
    }

    /// Prints one; gives how many requests were lost.
    fn row(&self, load: &str, (mut outcome, watched): (Outcome, process::Watched)) -> usize {
        println!(
            "| {load} | {} | {} | {} | {} | {} | {:.0} | {} | {} | {} | {} | {} | {} |",
            outcome.sent(),
            outcome.answered.len(),
            outcome.refused.len(),
            outcome.expired,
            outcome.lost.len(),
            outcome.answered.len() as f64 / self.window.as_secs_f64(),
            ms(&mut outcome.answered, &[50.0, 99.0]),
            ms(&mut outcome.refused, &[50.0, 99.0, 100.0]),
            ms(&mut outcome.hints, &[50.0]),
            ms(&mut outcome.late, &[99.0]),
            told(&[Some(watched.own), watched.servers], 2),
            told(&watched.resident, 1),
        );
        for status in outcome.lost.iter().take(3) {
            println!("lost: {status:?}");
        }
        outcome.lost.len()
    }
}

/// Percentiles of seconds, in milliseconds.
fn ms(seconds: &mut [f64], percents: &[f64]) -> String {
    seconds.sort_by(f64::total_cmp);
    let of = |percent: &f64| percentile(seconds, *percent).map(|seconds| seconds * 1e3);
    told(&percents.iter().map(of).collect::<Vec<_>>(), 2)
}

fn told(figures: &[Option<f64>], digits: usize) -> String {
    let of =
        |figure: &Option<f64>| figure.map_or_else(|| "-".to_owned(), |known| format!("{known:.digits$}"));
    figures.iter().map(of).collect::<Vec<_>>().join(", ")
}
