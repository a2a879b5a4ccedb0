//! Axes and marks, drawn with plotters.

use std::fmt::Write as _;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::style::{Color as _, IntoFont as _, ShapeStyle};

use super::backend::{FINE, Svg, short};
use super::category::Names;
use super::ink::Ink;
use super::label::Label;
use super::scale::{Room, Scale};
use super::{PlotError, text};
use crate::findings::{Axis, Figure, Mark, Series};

/// Lines of at most this many points show them.
const POINTED: usize = 30;
/// Areas of more series than this are not filled: nobody could tell what lies over what.
const FILLED: usize = 3;
/// The part of a category that its bars take.
const GROUP: f64 = 0.8;

/// Where the chart lies.
pub struct Frame<'a> {
    /// Prefix of ids.
    pub id: &'a str,
    /// Width of the drawing, height of the plot.
    pub size: (f64, f64),
    /// Where the label of the vertical axis begins.
    pub top: f64,
    /// Size of the font.
    pub font: f64,
}

/// The ink of the series at `index` in the legend.
pub fn place(index: usize) -> u8 {
    index.min(usize::from(u8::MAX)) as u8
}

/// Whether a line shows its points.
pub fn pointed(series: &Series) -> bool {
    series.points.len() <= POINTED
}

/// Whether areas are filled.
pub fn fills(series: &[Series]) -> bool {
    series.len() <= FILLED
}

type Context<'a, 'b> = ChartContext<'a, Svg<'b>, Cartesian2d<Scale, Scale>>;
type Drawn<'b> = Result<(), DrawingAreaErrorKind<<Svg<'b> as plotters_backend::DrawingBackend>::ErrorType>>;

/// Draws axes and series of `figure` into `body` and returns where the drawing ends.
///
/// # Errors
/// `Layout`.
pub fn draw(body: &mut String, figure: &Figure, frame: &Frame<'_>) -> Result<f64, PlotError> {
    let Frame { id, size: (width, height), mut top, font } = *frame;
    let upper = Label::new(&figure.y.label, font, width - 8.0);
    upper.draw(body, 4.0, top, "start");
    top += upper.height();
    let (bars, group) = groups(figure);
    let [x_room, y_room] = rooms(figure);
    // Height first: its ticks say how wide the labels beside the plot are.
    let rows = (height / (font * 2.6)).max(2.0) as usize;
    let y = Scale::new(&shortened(&figure.y, font, width * 0.3), values(figure, 1), y_room, rows)
        .thinned(rows + 4);
    let widest = y.labels().iter().map(|label| text::width(label, font)).fold(0.0, f64::max);
    // Long names aslant begin further left.
    let slanted = figure
        .x
        .categories
        .as_ref()
        .is_some_and(|names| names.iter().any(|name| text::width(name, font) > 70.0));
    let left = (widest + 16.0).max(if slanted { font * 4.5 } else { 0.0 }).min(width * 0.5);
    let right = 16.0;
    let x = (2..=9)
        .rev()
        .map(|ticks| Scale::new(&figure.x, values(figure, 0), x_room, ticks))
        .find(|x| {
            let needed: f64 = x.labels().iter().map(|label| text::width(label, font) + font).sum();
            needed <= width - left - right
        })
        .unwrap_or_else(|| Scale::new(&figure.x, values(figure, 0), x_room, 2));
    let slot =
        (width - left - right) / figure.x.categories.as_ref().map_or(1, |names| names.len().max(1)) as f64;
    let names = figure.x.categories.as_ref().map(|names| Names::new(names, font, slot, left));
    let bottom = names.as_ref().map_or(font * 1.9, |names| names.height(font));
    let plot = (width - left - right, height);

    let mut drawn = String::new();
    let backend = Svg::new(&mut drawn, id, (width, top + plot.1 + bottom));
    let layout = Layout { x: x.clone(), y: y.clone(), left, right, top, bottom, font, group, bars };
    chart(backend, figure, &layout, names.is_some())
        .map_err(|_| PlotError::Layout { name: figure.name.clone() })?;

    let [clip_x, clip_y, clip_width, clip_height] =
        [left - 1.0, top - 5.0, plot.0 + 6.0, plot.1 + 6.0].map(short);
    let _ = writeln!(
        body,
        "<clipPath id=\"{id}-clip\"><rect x=\"{clip_x}\" y=\"{clip_y}\" width=\"{clip_width}\" height=\"{clip_height}\"/></clipPath>"
    );
    body.push_str(&drawn);
    if let Some(names) = names {
        names.draw(body, font, top + plot.1, |index| left + plot.0 * x.share(index as f64));
    }
    if !figure.series.iter().any(|series| series.points.iter().any(|[a, b]| x.places(*a) && y.places(*b))) {
        let [at, line] = [left + plot.0 / 2.0, top + plot.1 / 2.0].map(short);
        let _ = writeln!(
            body,
            "<text class=\"empty\" text-anchor=\"middle\" x=\"{at}\" y=\"{line}\">no data</text>"
        );
    }
    let end = top + plot.1 + bottom;
    let lower = Label::new(&figure.x.label, font, plot.0 + 2.0 * right);
    lower.draw(body, left + plot.0 / 2.0, end, "middle");
    Ok(end + lower.height())
}

/// What is left free beyond the data, on both axes.
fn rooms(figure: &Figure) -> [Room; 2] {
    let (bars, group) = groups(figure);
    let ground = figure.series.iter().any(|series| matches!(series.mark, Mark::Bar | Mark::Area));
    let beside = if bars > 0 { group / 2.0 } else { 0.0 };
    [Room { beside, margin: bars == 0, ground: false }, Room { ground, margin: true, beside: 0.0 }]
}

struct Layout {
    x: Scale,
    y: Scale,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    font: f64,
    group: f64,
    bars: usize,
}

fn chart<'b>(backend: Svg<'b>, figure: &Figure, layout: &Layout, categories: bool) -> Drawn<'b> {
    let fine = |units: f64| (units * f64::from(FINE)).round() as i32;
    let root = backend.into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin_top(fine(layout.top))
        .margin_right(fine(layout.right))
        .x_label_area_size(fine(layout.bottom))
        .y_label_area_size(fine(layout.left))
        .build_cartesian_2d(layout.x.clone(), layout.y.clone())?;
    let words = ("sans-serif", f64::from(fine(layout.font))).into_font().color(&Ink::Text);
    let unnamed = |_: &f64| String::new();
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(Ink::Grid)
        .bold_line_style(Ink::Grid)
        .axis_style(Ink::Axis)
        .set_all_tick_mark_size(fine(4.0))
        .label_style(words);
    if layout.bars > 0 || categories {
        mesh.disable_x_mesh();
    }
    if categories {
        mesh.x_label_formatter(&unnamed);
    }
    mesh.draw()?;

    let of = |mark: Mark| figure.series.iter().enumerate().filter(move |(_, series)| series.mark == mark);
    for (bar, (index, series)) in of(Mark::Bar).enumerate() {
        let bar = if layout.bars > 1 { bar } else { 0 };
        let width = layout.group / layout.bars.max(1) as f64;
        let from = bar as f64 * width - layout.group / 2.0;
        let ground = layout.y.ground();
        let points = placed(series, layout);
        chart.draw_series(points.map(|[x, y]| {
            let corners = [(x + from + width * 0.04, ground), (x + from + width * 0.96, y)];
            Rectangle::new(corners, Ink::Bar(place(index)).filled())
        }))?;
    }
    for (index, series) in of(Mark::Area) {
        for run in runs(series, layout).into_iter().filter(|_| fills(&figure.series)) {
            let ground = layout.y.ground();
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let mut outline = vec![(first.0, ground)];
            outline.extend(&run);
            outline.push((last.0, ground));
            chart.draw_series([Polygon::new(outline, Ink::Area(place(index)))])?;
        }
        line(&mut chart, series, index, layout)?;
    }
    for (index, series) in of(Mark::Line) {
        line(&mut chart, series, index, layout)?;
    }
    for (index, series) in of(Mark::Point) {
        points(&mut chart, series, index, layout)?;
    }
    root.present()
}

fn line<'b>(chart: &mut Context<'_, 'b>, series: &Series, index: usize, layout: &Layout) -> Drawn<'b> {
    let marked = series.mark == Mark::Line && pointed(series);
    let ink = if marked { Ink::Marked(place(index)) } else { Ink::Line(place(index)) };
    let style = ShapeStyle::from(ink);
    chart.draw_series(runs(series, layout).into_iter().map(|run| PathElement::new(run, style))).map(|_| ())
}

fn points<'b>(chart: &mut Context<'_, 'b>, series: &Series, index: usize, layout: &Layout) -> Drawn<'b> {
    let style = Ink::Point(place(index)).filled();
    chart.draw_series(placed(series, layout).map(|[x, y]| Circle::new((x, y), 1, style))).map(|_| ())
}

fn placed<'a>(series: &'a Series, layout: &'a Layout) -> impl Iterator<Item = [f64; 2]> + 'a {
    series.points.iter().copied().filter(|[x, y]| layout.x.places(*x) && layout.y.places(*y))
}

/// The points of a line, apart where one has no place: a gap is not bridged.
fn runs(series: &Series, layout: &Layout) -> Vec<Vec<(f64, f64)>> {
    let points = series.points.as_slice();
    let apart = points.split(|[x, y]| !(layout.x.places(*x) && layout.y.places(*y)));
    apart.filter(|run| !run.is_empty()).map(|run| run.iter().map(|[x, y]| (*x, *y)).collect()).collect()
}

fn values(figure: &Figure, axis: usize) -> impl Iterator<Item = f64> + '_ {
    figure.series.iter().flat_map(|series| &series.points).filter_map(move |point| point.get(axis).copied())
}

/// How many bars stand beside each other, and how wide a group of them is.
fn groups(figure: &Figure) -> (usize, f64) {
    let bars: Vec<&Series> = figure.series.iter().filter(|series| series.mark == Mark::Bar).collect();
    let mut places: Vec<f64> = bars.iter().flat_map(|series| &series.points).map(|point| point[0]).collect();
    places.sort_by(f64::total_cmp);
    // Bars that never meet need no room beside each other.
    let beside =
        if places.windows(2).any(|pair| pair[0] == pair[1]) { bars.len() } else { bars.len().min(1) };
    if bars.is_empty() || figure.x.categories.is_some() {
        return (beside, if beside > 1 { GROUP } else { GROUP / 2.0 });
    }
    let apart = places.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
    let apart = apart.fold(f64::INFINITY, f64::min);
    (beside, if apart.is_finite() { apart * GROUP } else { GROUP })
}

/// `axis` with its categories cut to `room`.
fn shortened(axis: &Axis, font: f64, room: f64) -> Axis {
    let cut = |names: &Vec<String>| names.iter().map(|name| text::squeeze(name, font, room)).collect();
    Axis { categories: axis.categories.as_ref().map(cut), ..axis.clone() }
}
