//! Figures of many series in panels of few, on the same axes.

use super::chart;
use crate::findings::{Axis, Figure};

/// Series that one plot holds.
const MOST: usize = 8;
/// Series of a panel, where there are more.
const FEW: usize = 6;

/// `figure` alone, or in panels.
pub fn panels(figure: &Figure) -> Vec<Figure> {
    if figure.series.len() <= MOST {
        return vec![figure.clone()];
    }
    let [x, y] = chart::ends(figure);
    let fixed = |axis: &Axis, ends| Axis { ends: Some(ends), ..axis.clone() };
    let panels = figure.series.len().div_ceil(FEW);
    let panel = |series: &[_]| Figure {
        x: fixed(&figure.x, x),
        y: fixed(&figure.y, y),
        series: series.to_vec(),
        name: figure.name.clone(),
        title: figure.title.clone(),
        caption: figure.caption.clone(),
    };
    figure.series.chunks(figure.series.len().div_ceil(panels)).map(panel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Mark, Series};

    #[test]
    fn panels_hold_every_series_once_on_axes_that_hold_them_all() {
        let axis = || Axis { label: String::new(), ends: None, categories: None, logarithmic: false };
        let series = |index: usize| Series {
            name: index.to_string(),
            mark: Mark::Line,
            points: vec![[0.0, 0.0], [1.0, index as f64]],
        };
        let text = String::new;
        let (name, title, caption) = (text(), text(), text());
        let figure =
            Figure { name, title, caption, x: axis(), y: axis(), series: (0..20).map(series).collect() };
        let panels = panels(&figure);
        let names: Vec<&str> =
            panels.iter().flat_map(|one| &one.series).map(|one| one.name.as_str()).collect();
        assert_eq!(names, (0..20).map(|index| index.to_string()).collect::<Vec<_>>());
        assert_eq!(panels.len(), 4);
        for panel in &panels {
            assert_eq!(panel.y.ends, panels[0].y.ends);
            assert!(panel.y.ends.is_some_and(|[low, high]| low <= 0.0 && high >= 19.0));
        }
    }
}
