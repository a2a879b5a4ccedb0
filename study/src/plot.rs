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
mod scale;
pub(crate) mod text;

use std::fmt::Write as _;

use crate::findings::Figure;

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

/// How large a figure is drawn.
struct Page {
    /// Width of the drawing and height of the plot, to which title, legend and labels add theirs.
    size: (f64, f64),
    font: f64,
}

/// A drawing of its own.
const SHEET: Page = Page { size: (720.0, 270.0), font: 13.0 };

/// A drawing among words: as wide as a phone, or half as wide as a desktop's column.
const COLUMN: Page = Page { size: (440.0, 200.0), font: 13.0 };

/// Draws `figure` as an SVG document of its own, with its title, on paper that follows the reader's scheme.
///
/// # Errors
/// `Layout`.
pub fn svg(figure: &Figure) -> Result<String, PlotError> {
    let mut body = format!("<style>{}</style>\n{}", rules(), glyph::definitions());
    body.push_str("<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n");
    let size = SHEET.font * 1.2;
    let title = text::escape(&text::cut(&figure.title, size, SHEET.size.0 - 16.0));
    let [size, line] = [size, SHEET.font * 1.75].map(backend::short);
    let _ =
        writeln!(body, "<text class=\"heading\" font-size=\"{size}\" x=\"8\" y=\"{line}\">{title}</text>");
    draw(figure, &figure.name, &SHEET, body, SHEET.font * 2.0)
}

/// Draws `figure` as an element for a page that has [`rules`] in its style sheet and [`definitions`] in its body; `id`
/// starts the ids in it.
///
/// # Errors
/// `Layout`.
pub fn element(figure: &Figure, id: &str) -> Result<String, PlotError> {
    draw(figure, id, &COLUMN, String::new(), 0.0)
}

/// Shapes and hatches of all elements of a page, as an element that shows nothing.
pub fn definitions() -> String {
    format!(
        "<svg class=\"plot\" width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\">{}</svg>",
        glyph::definitions()
    )
}

/// Draws `figure` below `top` on what is in `body` already.
fn draw(figure: &Figure, id: &str, page: &Page, mut body: String, top: f64) -> Result<String, PlotError> {
    let Page { size, font } = *page;
    let mut top = top + 6.0;
    if figure.series.len() > 1 || figure.series.iter().any(|series| series.name != figure.title) {
        top += legend::draw(&mut body, &figure.series, (top, size.0, font)) + 4.0;
    }
    let height = chart::draw(&mut body, figure, &chart::Frame { id, size, top: top + 4.0, font })?;
    let (width, height) = (backend::short(size.0), backend::short(height));
    let (title, description) = (text::escape(&figure.title), text::escape(&description(figure)));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-desc\" font-size=\"{font}\">\n\
         <title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-desc\">{description}</desc>\n{body}</svg>\n"
    ))
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
