//! Figures as SVG.
//!
//! A drawing follows the reader's light or dark scheme, tells series apart by dashes, shapes and hatches beside colour,
//! and needs no fonts, no scripts and no network. It knows nothing of networks and exits: a [`Figure`] is all it gets.

mod backend;
mod category;
mod chart;
mod glyph;
mod ink;
mod label;
mod legend;
mod panel;
mod scale;
pub(crate) mod text;

use std::fmt::Write as _;

use crate::findings::{Figure, Mark};

pub use ink::rules;

/// A figure that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is no room for it.
    #[error("cannot lay out figure {name:?}")]
    Layout {
        /// The figure.
        name: String,
    },
}

/// For which page a figure is drawn: text keeps its size, so a narrow page has a drawing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// A desktop's or a sheet of paper's.
    Wide,
    /// A phone's.
    Narrow,
}

impl Page {
    /// Width of the drawing and height of the plot, to which title, legend and labels add theirs.
    fn size(self) -> (f64, f64) {
        match self {
            Self::Wide => (720.0, 270.0),
            Self::Narrow => (350.0, 190.0),
        }
    }

    /// Panels beside each other.
    fn columns(self) -> usize {
        match self {
            Self::Wide => 2,
            Self::Narrow => 1,
        }
    }

    fn font(self) -> f64 {
        match self {
            Self::Wide => 13.0,
            Self::Narrow => 12.0,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

/// Draws `figure` as an SVG document of its own, with its title, on paper that follows the reader's scheme.
///
/// # Errors
/// `Layout`.
pub fn svg(figure: &Figure) -> Result<String, PlotError> {
    draw(figure, &figure.name, Page::Wide, true)
}

/// Draws `figure` as an element for a page that has [`rules`] in its style sheet; `id` starts the ids in it.
///
/// # Errors
/// `Layout`.
pub fn element(figure: &Figure, id: &str, page: Page) -> Result<String, PlotError> {
    draw(figure, id, page, false)
}

fn draw(figure: &Figure, id: &str, page: Page, alone: bool) -> Result<String, PlotError> {
    let (width, _) = page.size();
    let font = page.font();
    let mut body = String::new();
    let mut height = 6.0;
    if alone {
        let size = font * 1.2;
        let title = text::escape(&text::cut(&figure.title, size, width - 16.0));
        let [size, line] = [size, height + font * 1.3].map(backend::short);
        let _ = writeln!(
            body,
            "<text class=\"heading\" font-size=\"{size}\" x=\"8\" y=\"{line}\">{title}</text>"
        );
        height += font * 2.0;
    }
    let panels = panel::panels(figure);
    if let [whole] = panels.as_slice() {
        height = plot(&mut body, whole, id, page, height)?;
    } else {
        let mut numbers = 0..;
        for row in panels.chunks(page.columns()) {
            let mut lowest = height;
            for (column, (panel, number)) in row.iter().zip(&mut numbers).enumerate() {
                let left = backend::short(column as f64 * (width - Page::Narrow.size().0));
                let _ = writeln!(body, "<g transform=\"translate({left} 0)\">");
                let end = plot(&mut body, panel, &format!("{id}-{number}"), Page::Narrow, height)?;
                body.push_str("</g>\n");
                lowest = end.max(lowest);
            }
            height = lowest + font * 1.2;
        }
    }
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot {}\" viewBox=\"0 0 {width} {}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-desc\" font-size=\"{font}\">",
        page.class(),
        backend::short(height),
    );
    let _ = writeln!(svg, "<title id=\"{id}-title\">{}</title>", text::escape(&figure.title));
    let _ = writeln!(svg, "<desc id=\"{id}-desc\">{}</desc>", text::escape(&description(figure)));
    if alone {
        let _ = writeln!(svg, "<style>{}</style>", rules());
        svg.push_str("<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
    }
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Draws one plot with its legend from `top` on, and returns where it ends.
fn plot(body: &mut String, figure: &Figure, id: &str, page: Page, top: f64) -> Result<f64, PlotError> {
    let (size, font) = (page.size(), page.font());
    let mut top = top;
    let bars = figure.series.iter().enumerate().filter(|(_, series)| series.mark == Mark::Bar);
    for (index, _) in bars {
        body.push_str(&glyph::pattern(id, chart::place(index)));
    }
    if figure.series.len() > 1 || figure.series.iter().any(|series| series.name != figure.title) {
        top += legend::draw(body, id, &figure.series, (top, size.0, font)) + 4.0;
    }
    chart::draw(body, figure, &chart::Frame { id, size, top: top + 4.0, font })
}

/// What a reader who does not see the figure is told.
fn description(figure: &Figure) -> String {
    let names: Vec<&str> = figure.series.iter().map(|series| series.name.as_str()).collect();
    format!(
        "{} Horizontal: {}. Vertical: {}. Shown: {}.",
        figure.caption,
        figure.x.label,
        figure.y.label,
        names.join(", ")
    )
}
