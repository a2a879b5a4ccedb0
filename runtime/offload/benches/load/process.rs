//! Memory and cores of a server, where the system tells, and the cores that asking takes.

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A process by its number; 0 is none.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

/// What was seen during a window.
pub(crate) struct Watched {
    /// Megabytes at the start, in the middle and at the end.
    pub(crate) resident: [Option<f64>; 3],
    /// Cores that the server kept busy.
    pub(crate) servers: Option<f64>,
    /// Cores that this process kept busy.
    pub(crate) own: f64,
}

impl Process {
    /// Looks at the process while something is done that takes about `window`.
    pub(crate) async fn watch<T>(self, window: Duration, what: impl Future<Output = T>) -> (T, Watched) {
        let began = Instant::now();
        let (start, servers, own) = (self.resident(), self.busy(), spent("self"));
        let middle = async {
            tokio::time::sleep(window / 2).await;
            self.resident()
        };
        let (done, middle) = tokio::join!(what, middle);
        let took = began.elapsed().as_secs_f64();
        let cores = |before: Option<f64>, after: Option<f64>| Some((after? - before?) / took);
        let watched = Watched {
            resident: [start, middle, self.resident()],
            servers: cores(servers, self.busy()),
            own: cores(own, spent("self")).unwrap_or(f64::NAN),
        };
        (done, watched)
    }

    fn busy(self) -> Option<f64> {
        spent(&self.0.to_string())
    }

    /// Megabytes of memory that it holds.
    pub(crate) fn resident(self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes / 1e3)
    }
}

/// Seconds that a process' threads, those that have ended included, ran on all cores.
fn spent(process: &str) -> Option<f64> {
    /// What Linux counts in, whatever its own clock: a hundredth of a second.
    const TICKS: f64 = 100.0;
    let path = PathBuf::from("/proc").join(process).join("stat");
    let stat = std::fs::read_to_string(path).ok()?;
    // A name in parentheses may hold anything; user and system time are the 12th and 13th field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}
