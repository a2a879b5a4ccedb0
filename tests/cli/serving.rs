//! `offramp serve` as a process, for devices that are processes too.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{json, root, text};

/// Long enough for every step of a process on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `offramp serve` that answers; killed when dropped.
pub struct Serving {
    child: Child,
    /// What it printed when it was ready.
    pub ready: Value,
}

impl Serving {
    /// On a free port, nothing of its stderr kept.
    pub fn start(bundle: &Path, flags: &[&str]) -> Self {
        Self::with(&[bundle], &[&["--listen", "127.0.0.1:0"], flags].concat(), Stdio::null())
    }

    /// On a free port, its stderr in `log`.
    pub fn logged(bundle: &Path, flags: &[&str], log: &Path) -> Self {
        let log = File::create(log).unwrap();
        Self::with(&[bundle], &[&["--listen", "127.0.0.1:0"], flags].concat(), log.into())
    }

    pub fn with(bundles: &[&Path], flags: &[&str], stderr: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
        command.arg("serve").args(bundles).args(["--backend", "tract", "--json"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it is not ready: {line:?}"));
        Self { child, ready }
    }

    pub fn socket(&self) -> SocketAddr {
        self.ready["listening"].as_str().unwrap().parse().unwrap()
    }

    /// For `--offload`, without TLS.
    pub fn address(&self) -> String {
        format!("grpc://{}", self.socket())
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// How it ended by itself.
    pub fn ended(mut self) -> ExitStatus {
        let mut ended = None;
        until(|| {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    /// What Prometheus would read.
    pub fn metrics(&self) -> String {
        let address: SocketAddr = self.ready["metrics"].as_str().unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: offramp\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Requests that were answered, known questions included.
    pub fn answered(&self) -> u64 {
        let text = self.metrics();
        let answered = text.lines().filter(|line| line.contains("outcome=\"answered\"} "));
        answered.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// Status and stderr of a server that must not start.
pub fn refused(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
    command.arg("serve").args(arguments).args(["--listen", "127.0.0.1:0", "--backend", "tract"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // One that starts all the same is killed.
    let mut serving = Serving { child, ready: Value::Null };
    let mut status = None;
    until(|| {
        status = serving.child.try_wait().unwrap();
        status.is_some()
    });
    let mut told = String::new();
    serving.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (status.unwrap().code().unwrap(), told)
}

/// Waits until something holds, not for ever.
pub fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The shipped network as a bundle called `name` with tails that take the image.
pub fn bundle_with_tail(folder: &Path, name: &str) -> PathBuf {
    let (out, model) = (folder.join(name), root().join("models/zoo/shapes-sdn.onnx"));
    let split = ["split", text(&model), "-o", text(&out), "--name", name, "--backend", "tract"];
    json(&[&split[..], &["--tails", "0", "--json"]].concat());
    out
}
