//! What axes show: horizontal words, over two lines where they are long.

use std::fmt::Write as _;

use super::backend::short;
use super::text;

/// Distance of lines, in sizes of the font.
const LINE: f64 = 1.25;

/// The label of an axis.
pub struct Label {
    lines: Vec<String>,
    size: f64,
}

impl Label {
    /// Breaks `words` into at most two lines within `room`.
    pub fn new(words: &str, size: f64, room: f64) -> Self {
        let mut lines = text::lines(words, size, room);
        if lines.len() > 2 {
            let rest = lines.split_off(1).join(" ");
            lines.push(text::cut(&rest, size, room));
        }
        let lines = lines.into_iter().map(|line| text::cut(&line, size, room)).collect();
        Self { lines, size }
    }

    /// Its height with the gap beside it.
    pub fn height(&self) -> f64 {
        if self.lines.is_empty() { 0.0 } else { (self.lines.len() as f64 * LINE + 0.55) * self.size }
    }

    /// Writes it at `x` from `top` on, with SVG's `anchor`.
    pub fn draw(&self, body: &mut String, x: f64, top: f64, anchor: &str) {
        for (index, line) in self.lines.iter().enumerate() {
            let [x, y] = [x, top + (index as f64 * LINE + 0.95) * self.size].map(short);
            let line = text::escape(line);
            let _ = writeln!(
                body,
                "<text class=\"text\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y}\">{line}</text>"
            );
        }
    }
}
