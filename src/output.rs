//! Data to stdout, progress to stderr.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// What cannot be written when data cannot be printed.
const STDOUT: &str = "cannot write to stdout";

/// Prints one JSON object and a line end.
///
/// # Errors
/// When stdout cannot be written.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    // Not straight into stdout: the error of a closed pipe must stay an io::Error.
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).context(STDOUT)
}

/// Prints text for people.
///
/// # Errors
/// When stdout cannot be written.
pub fn text(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", plain(text)).and_then(|()| out.flush()).context(STDOUT)
}

/// Prints one JSON object on one line, for those who read lines while the command runs.
///
/// # Errors
/// When stdout cannot be written.
pub fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    text(serde_json::to_string(value)?)
}

/// Says something beside the data. What cannot be said is left unsaid: stderr may be a file on a full disk.
pub fn note(text: impl std::fmt::Display) {
    let _unsaid = writeln!(io::stderr(), "{}", plain(text));
}

/// Text without orders to the terminal: what devices, peers and files call themselves is printed too.
fn plain(text: impl std::fmt::Display) -> String {
    let mut text = text.to_string();
    if text.chars().any(is_order) {
        text = text.chars().map(|one| if is_order(one) { '\u{fffd}' } else { one }).collect();
    }
    text
}

fn is_order(one: char) -> bool {
    one.is_control() && one != '\n' && one != '\t'
}

/// A bar over `total` steps, drawn only on a terminal.
pub fn progress(total: u64, what: &'static str) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what);
    let template = "{msg:>12} [{bar:32}] {pos}/{len} {per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A spinner for work whose length is unknown, drawn only on a terminal.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_gives_the_terminal_no_orders() {
        assert_eq!(plain("a\u{1b}[2Jb\r\u{7}c\n\td \u{fc}"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\n\td \u{fc}");
    }
}
