//! Figures, drawn twice: text keeps its size, so narrow columns have a drawing of their own.

use maud::{Markup, PreEscaped, html};

use crate::findings::Figure;
use crate::plot::{self, Page, PlotError};

/// `figure` for a wide and for a narrow column, without title and caption; ids in it start with `id`.
///
/// # Errors
/// When it cannot be drawn.
pub fn figure(figure: &Figure, id: &str) -> Result<Markup, PlotError> {
    let wide = plot::element(figure, &format!("{id}-wide"), Page::Wide)?;
    let narrow = plot::element(figure, &format!("{id}-narrow"), Page::Narrow)?;
    Ok(html! { div.drawing { (PreEscaped(wide)) (PreEscaped(narrow)) } })
}
