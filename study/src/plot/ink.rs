//! What things are drawn with: names that style sheets give colours to.
//!
//! Colours follow the reader's light or dark scheme, so a drawing says what a stroke *is*, never its colour.

use plotters::style::Color;
use plotters_backend::BackendColor;

use super::glyph;
use crate::findings::MOST_SERIES;

/// Colours, and the dashes, shapes and hatches that go with them: as many as a figure has series.
pub const KINDS: usize = MOST_SERIES;

/// Colours of series on white; told apart by readers with any colour vision, after Okabe and Ito, darkened to a contrast of 3
/// and more.
const LIGHT: [&str; KINDS] =
    ["#0072b2", "#c75000", "#00805f", "#a8478f", "#8f6b00", "#4b3fa8", "#1f8299", "#5c5c5c"];

/// The same on black.
const DARK: [&str; KINDS] =
    ["#56b4e9", "#ff9142", "#2fc79a", "#e794c8", "#e8bd3a", "#a9a0ff", "#6fd3e6", "#b8b8b8"];

/// Dash patterns of lines; the first is solid.
const DASHES: [&str; KINDS] = ["", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "9 2 2 2 2 2", "1 2"];

/// What a stroke is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Words.
    Text,
    /// An axis and its ticks.
    Axis,
    /// The grid.
    Grid,
    /// The line of a series, by its place in the legend.
    Line(u8),
    /// The same with its points.
    Marked(u8),
    /// What lies below it.
    Area(u8),
    /// A bar.
    Bar(u8),
    /// A point.
    Point(u8),
}

impl Ink {
    /// The ink with the code `rgb`.
    pub fn of((kind, series, _): (u8, u8, u8)) -> Self {
        match kind {
            1 => Self::Axis,
            2 => Self::Grid,
            3 => Self::Line(series),
            4 => Self::Area(series),
            5 => Self::Bar(series),
            6 => Self::Point(series),
            7 => Self::Marked(series),
            _ => Self::Text,
        }
    }

    /// Its classes in style sheets.
    pub fn classes(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Axis => "axis".into(),
            Self::Grid => "grid".into(),
            Self::Line(series) => format!("line d{0} s{0}", kind(series)),
            Self::Marked(series) => format!("line d{0} s{0} m{0}", kind(series)),
            Self::Area(series) => format!("area s{}", kind(series)),
            Self::Bar(series) => format!("bar s{0} b{0}", kind(series)),
            Self::Point(series) => format!("m{}", kind(series)),
        }
    }

    /// Whether it is of the data, and ends where the plot ends.
    pub fn is_data(self) -> bool {
        !matches!(self, Self::Text | Self::Axis | Self::Grid)
    }
}

impl Color for Ink {
    fn to_backend_color(&self) -> BackendColor {
        let rgb = match *self {
            Self::Text => (0, 0, 0),
            Self::Axis => (1, 0, 0),
            Self::Grid => (2, 0, 0),
            Self::Line(series) => (3, series, 0),
            Self::Area(series) => (4, series, 0),
            Self::Bar(series) => (5, series, 0),
            Self::Point(series) => (6, series, 0),
            Self::Marked(series) => (7, series, 0),
        };
        BackendColor { alpha: 1.0, rgb }
    }
}

/// Which colour, dashes, shape and hatch a series has.
fn kind(series: u8) -> usize {
    usize::from(series) % KINDS
}

/// The rules that give inks their looks, for readers of light and dark pages; print is light.
pub fn rules() -> String {
    let mut rules = String::from(
        ".plot{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
         .plot .paper{fill:#fff}\
         .plot .text{fill:#3d434b}.plot .heading{fill:#14171a;font-weight:600}.plot .empty{fill:#6b727b}\
         .plot .axis{stroke:#8a919a;stroke-width:1;fill:none}\
         .plot .grid{stroke:#e4e7eb;stroke-width:1;fill:none}\
         .plot .line{stroke:currentColor;stroke-width:2;fill:none;stroke-linejoin:round}\
         .plot .area{fill:currentColor;fill-opacity:.14}\
         .plot .bar{stroke:currentColor;stroke-width:1}\
         .plot .point{fill:currentColor;stroke:currentColor;stroke-width:1.2}\
         .plot .open{fill:none;stroke-width:1.8}",
    );
    for (index, dashes) in DASHES.iter().enumerate().skip(1) {
        rules.push_str(&format!(".plot .d{index}{{stroke-dasharray:{dashes}}}"));
    }
    let palette = |colours: [&str; KINDS]| {
        let rule = |(index, colour): (usize, &&str)| format!(".plot .s{index}{{color:{colour}}}");
        colours.iter().enumerate().map(rule).collect::<String>()
    };
    for kind in 0..KINDS {
        let [shape, hatch] = [glyph::shape(kind), glyph::hatch(kind)];
        rules
            .push_str(&format!(".plot .m{kind}{{marker:url(#{shape})}}.plot .b{kind}{{fill:url(#{hatch})}}"));
    }
    rules.push_str(&palette(LIGHT));
    rules.push_str("@media screen and (prefers-color-scheme:dark){.plot .paper{fill:#15181c}");
    rules.push_str(
        ".plot .text{fill:#c3c9d1}.plot .heading{fill:#eef0f3}.plot .empty{fill:#98a0aa}\
         .plot .axis{stroke:#6a727c}.plot .grid{stroke:#2b3037}",
    );
    rules.push_str(&palette(DARK));
    rules.push('}');
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ink_survives_being_a_colour() {
        let inks = [
            Ink::Text,
            Ink::Axis,
            Ink::Grid,
            Ink::Line(3),
            Ink::Marked(7),
            Ink::Area(200),
            Ink::Bar(1),
            Ink::Point(255),
        ];
        for ink in inks {
            assert_eq!(Ink::of(ink.to_backend_color().rgb), ink);
        }
    }

    #[test]
    fn series_differ_in_colour_and_without_colour() {
        for inks in [LIGHT, DARK, DASHES] {
            let different: std::collections::HashSet<&str> = inks.into_iter().collect();
            assert_eq!(different.len(), KINDS);
        }
    }

    #[test]
    fn every_colour_stands_out_from_its_paper() {
        let luminance = |hex: &str| {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        // WCAG 2.1, 1.4.11: graphics need a contrast of 3.
        for colour in LIGHT {
            assert!(1.05 / (luminance(colour) + 0.05) >= 3.0, "{colour}");
        }
        for colour in DARK {
            assert!((luminance(colour) + 0.05) / (luminance("#15181c") + 0.05) >= 3.0, "{colour}");
        }
    }
}
