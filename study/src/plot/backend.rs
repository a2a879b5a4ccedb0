//! plotters' drawing calls as SVG: strokes carry classes instead of colours, and text is left to the reader's fonts.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

use super::ink::Ink;
use super::text;

/// Backend coordinates in one unit of the drawing: plotters counts whole pixels, readers zoom in.
pub const FINE: i32 = 10;

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Appends SVG elements to a string: one path for all neighbouring strokes of one ink.
pub struct Svg<'a> {
    body: &'a mut String,
    /// Prefix of the ids in the document.
    id: &'a str,
    size: (u32, u32),
    /// The path under way.
    stroke: Option<(Ink, String)>,
    /// Whether what is drawn ends where the plot ends.
    clipped: bool,
}

impl<'a> Svg<'a> {
    /// A backend for a drawing of `width` times `height` units, which draws into `body`; [`Self::present`] ends it.
    pub fn new(body: &'a mut String, id: &'a str, (width, height): (f64, f64)) -> Self {
        let fine = |units: f64| (units * f64::from(FINE)) as u32;
        Self { body, id, size: (fine(width), fine(height)), stroke: None, clipped: false }
    }

    fn ink(style: &impl BackendStyle) -> Ink {
        Ink::of(style.color().rgb)
    }

    /// Ends the path under way and opens or closes the group of what is of the data.
    fn turn_to(&mut self, clipped: bool) {
        if let Some((ink, data)) = self.stroke.take() {
            let _ = writeln!(self.body, "<path class=\"{}\" d=\"{data}\"/>", ink.classes());
        }
        if clipped && !self.clipped {
            let _ = writeln!(self.body, "<g clip-path=\"url(#{}-clip)\">", self.id);
        } else if self.clipped && !clipped {
            self.body.push_str("</g>\n");
        }
        self.clipped = clipped;
    }

    /// The data of a path of `ink`, that under way if it has the same.
    fn stroke(&mut self, ink: Ink) -> &mut String {
        if self.stroke.as_ref().is_none_or(|(under_way, _)| *under_way != ink) {
            self.turn_to(ink.is_data());
        }
        let (_, data) = self.stroke.get_or_insert_with(|| (ink, String::new()));
        data
    }

    fn path(&mut self, points: impl IntoIterator<Item = BackendCoord>, ink: Ink, close: bool) {
        let data = self.stroke(ink);
        let mut last = None;
        for point in points {
            if last == Some(point) {
                continue;
            }
            let (x, y) = place(point);
            let _ = write!(data, "{}{} {}", if last.is_none() { "M" } else { "L" }, short(x), short(y));
            last = Some(point);
        }
        if close && last.is_some() {
            data.push('Z');
        }
    }
}

fn place((x, y): BackendCoord) -> (f64, f64) {
    (f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE))
}

/// A coordinate to a tenth, without needless zeros.
pub fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
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
        self.turn_to(false);
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
        self.turn_to(ink.is_data());
        let ((x0, y0), (x1, y1)) = (place(upper_left), place(bottom_right));
        let [x, y, width, height] = [x0.min(x1), y0.min(y1), (x1 - x0).abs(), (y1 - y0).abs()].map(short);
        let classes = ink.classes();
        let _ = writeln!(
            self.body,
            "<rect class=\"{classes}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        );
        Ok(())
    }

    /// A point: style sheets mark it with its series' shape, the same size for all.
    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        _radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        self.path([center], Self::ink(style), false);
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
        self.turn_to(false);
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        let drop = match style.anchor().v_pos {
            VPos::Top => ".8em",
            VPos::Center => ".35em",
            VPos::Bottom => "-.25em",
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
