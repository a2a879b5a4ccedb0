//! plotters' drawing calls as SVG: strokes carry classes instead of colours, and text is left to the reader's fonts.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

use super::ink::Ink;
use super::{glyph, text};

/// Backend coordinates in one unit of the drawing: plotters counts whole pixels, readers zoom in.
pub const FINE: i32 = 20;

/// Half the size of a point, in units of the drawing.
const POINT: f64 = 3.4;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Appends SVG elements to a string.
pub struct Svg<'a> {
    body: &'a mut String,
    /// Prefix of the ids in the document.
    id: &'a str,
    size: (u32, u32),
}

impl<'a> Svg<'a> {
    /// A backend for a drawing of `width` times `height` units, which draws into `body`.
    pub fn new(body: &'a mut String, id: &'a str, (width, height): (f64, f64)) -> Self {
        let fine = |units: f64| (units * f64::from(FINE)) as u32;
        Self { body, id, size: (fine(width), fine(height)) }
    }

    fn ink(style: &impl BackendStyle) -> Ink {
        Ink::of(style.color().rgb)
    }

    /// What is of the data ends where the plot ends.
    fn clip(&self, ink: Ink) -> String {
        match ink {
            Ink::Line(_) | Ink::Area(_) | Ink::Bar(_) | Ink::Point(_) => {
                format!(" clip-path=\"url(#{}-clip)\"", self.id)
            }
            Ink::Text | Ink::Axis | Ink::Grid => String::new(),
        }
    }

    fn path(&mut self, points: impl IntoIterator<Item = BackendCoord>, ink: Ink, close: bool) {
        let mut data = String::new();
        let mut last = None;
        for point in points {
            if last == Some(point) {
                continue;
            }
            let (x, y) = place(point);
            let _ = write!(data, "{}{} {}", if last.is_none() { "M" } else { "L" }, short(x), short(y));
            last = Some(point);
        }
        if last.is_none() {
            return;
        }
        if close {
            data.push('Z');
        }
        let (classes, clip) = (ink.classes(), self.clip(ink));
        let _ = writeln!(self.body, "<path class=\"{classes}\"{clip} d=\"{data}\"/>");
    }
}

fn place((x, y): BackendCoord) -> (f64, f64) {
    (f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE))
}

/// A coordinate to a twentieth, without needless zeros.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl DrawingBackend for Svg<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect(point, (point.0 + FINE, point.1 + FINE), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.path([from, to], Self::ink(style), false);
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        self.path(path, Self::ink(style), false);
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        let ink = Self::ink(style);
        let fill = match ink {
            Ink::Bar(series) => format!(" fill=\"url(#{}-hatch{})\"", self.id, glyph::hatch(series)),
            _ => String::new(),
        };
        let ((x0, y0), (x1, y1)) = (place(upper_left), place(bottom_right));
        let (classes, clip) = (ink.classes(), self.clip(ink));
        let [x, y, width, height] = [x0.min(x1), y0.min(y1), (x1 - x0).abs(), (y1 - y0).abs()].map(short);
        let _ = writeln!(
            self.body,
            "<rect class=\"{classes}\"{clip}{fill} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        );
        Ok(())
    }

    /// A point: its shape is its series', its size the same for all.
    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        _radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        if let ink @ Ink::Point(series) = Self::ink(style) {
            let clip = self.clip(ink);
            self.body.push_str(&glyph::point(series, place(center), POINT, &clip));
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vert: I,
        style: &S,
    ) -> Drawn {
        self.path(vert, Self::ink(style), true);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, words: &str, style: &S, pos: BackendCoord) -> Drawn {
        if words.is_empty() {
            return Ok(());
        }
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        let drop = match style.anchor().v_pos {
            VPos::Top => "0.8em",
            VPos::Center => "0.35em",
            VPos::Bottom => "-0.25em",
        };
        let ((x, y), words) = (place(pos), text::escape(words));
        let [x, y] = [x, y].map(short);
        let turn = match style.transform() {
            FontTransform::None => String::new(),
            FontTransform::Rotate90 => format!(" transform=\"rotate(90 {x} {y})\""),
            FontTransform::Rotate180 => format!(" transform=\"rotate(180 {x} {y})\""),
            FontTransform::Rotate270 => format!(" transform=\"rotate(-90 {x} {y})\""),
        };
        let _ = writeln!(
            self.body,
            "<text class=\"text\" x=\"{x}\" y=\"{y}\" dy=\"{drop}\" text-anchor=\"{anchor}\"{turn}>{words}</text>"
        );
        Ok(())
    }
}
