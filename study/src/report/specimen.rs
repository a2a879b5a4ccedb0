//! Rows of pictures: as the image was, as it is stored, and what changed, amplified. A picture that stands in many places
//! is in the file once.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use maud::{Markup, html};

use super::ReportError;
use crate::findings::Specimen;

/// No difference is amplified more.
const MOST: i32 = 64;
/// The grey of no difference.
const MIDDLE: i32 = 128;
/// Sets whose pictures are open to see.
const OPEN: usize = 4;

/// The pictures of a page so far.
struct Gallery<'a> {
    /// Prefix of ids.
    id: &'a str,
    /// By PNG: its number and its size.
    pictures: HashMap<Vec<u8>, usize>,
    definitions: Vec<Markup>,
}

/// All `specimens`, those of one set together; ids start with `id`.
///
/// # Errors
/// `Picture`.
pub fn grid(specimens: &[Specimen], id: &str) -> Result<Markup, ReportError> {
    let mut gallery = Gallery { id, pictures: HashMap::new(), definitions: Vec::new() };
    let mut sets: Vec<(&str, Vec<Markup>)> = Vec::new();
    for specimen in specimens {
        let card = card(specimen, &mut gallery)?;
        match sets.iter_mut().find(|(set, _)| *set == specimen.set) {
            Some((_, cards)) => cards.push(card),
            None => sets.push((&specimen.set, vec![card])),
        }
    }
    let rest = sets.split_off(sets.len().min(OPEN));
    let shown = |sets: &[(&str, Vec<Markup>)]| {
        html! {
            div.sets {
                @for (set, cards) in sets {
                    div {
                        h4 { (set) }
                        div.specimens { @for card in cards { (card) } }
                    }
                }
            }
        }
    };
    Ok(html! {
        svg.definitions width="0" height="0" aria-hidden="true" {
            defs { @for picture in &gallery.definitions { (picture) } }
        }
        (shown(&sets))
        @if !rest.is_empty() {
            details.fold {
                summary { (super::counted(rest.len(), "more set")) }
                (shown(&rest))
            }
        }
    })
}

impl Gallery<'_> {
    /// Shows `samples`, which `alt` describes.
    fn show(&mut self, samples: &[u8], shape: [usize; 3], alt: &str) -> Result<Markup, image::ImageError> {
        let (png, [_, height, width]) = (png(samples, shape)?, shape);
        let next = self.pictures.len();
        let number = *self.pictures.entry(png).or_insert_with_key(|png| {
            let uri = format!("data:image/png;base64,{}", STANDARD.encode(png));
            self.definitions.push(html! {
                image id={ (self.id) "picture" (next) } width=(width) height=(height) href=(uri) {}
            });
            next
        });
        Ok(html! {
            svg.picture viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(alt) {
                use href={ "#" (self.id) "picture" (number) } {}
            }
        })
    }
}

fn card(specimen: &Specimen, gallery: &mut Gallery<'_>) -> Result<Markup, ReportError> {
    let Specimen { set, index, shape, benign, stored, exits, predicted, label } = specimen;
    let failed = |source| ReportError::Picture { set: set.clone(), index: *index, source };
    let (factor, difference) = difference(benign, stored);
    let amplified = factor.map_or("no difference".into(), |factor| format!("difference ×{factor}"));
    let mut pictures = Vec::new();
    for (what, samples) in [("original", benign.as_slice()), ("as stored", stored), (&amplified, &difference)]
    {
        let picture = gallery.show(samples, *shape, &format!("image {index}, {what}")).map_err(failed)?;
        pictures.push((what, picture));
    }
    let later = exits[1].cmp(&exits[0]);
    Ok(html! {
        div.specimen {
            div.pictures {
                @for (what, picture) in &pictures {
                    figure { (picture) figcaption { (what) } }
                }
            }
            dl {
                div { dt { "image" } dd { (index) } }
                @if let Some(label) = label { div { dt { "truth" } dd { (label) } } }
                div { dt { "label" } dd .changed[predicted[0] != predicted[1]] {
                    (predicted[0]) @if predicted[0] != predicted[1] { " → " (predicted[1]) }
                } }
                div { dt { "exit" } dd .changed[later.is_ne()] {
                    (exits[0]) @if later.is_ne() { " → " (exits[1]) @if later.is_gt() { " (later)" } @else { " (earlier)" } }
                } }
            }
        }
    })
}

/// What changed, about a middle grey, and by how much it is amplified; no factor where nothing changed.
fn difference(benign: &[u8], stored: &[u8]) -> (Option<i32>, Vec<u8>) {
    let changes = || benign.iter().zip(stored).map(|(before, after)| i32::from(*after) - i32::from(*before));
    let largest = changes().map(i32::abs).max().unwrap_or(0);
    let factor = if largest == 0 { None } else { Some((127 / largest).clamp(1, MOST)) };
    let grey = |change: i32| (MIDDLE + change * factor.unwrap_or(1)).clamp(0, 255) as u8;
    (factor, changes().map(grey).collect())
}

/// Planes of samples as a PNG, the smallest that its filters give; pictures of other than three channels are shown as grey
/// means.
fn png(samples: &[u8], [channels, height, width]: [usize; 3]) -> Result<Vec<u8>, image::ImageError> {
    let plane = height * width;
    let sample = |channel: usize, at: usize| samples.get(channel * plane + at).copied().unwrap_or(0);
    let (pixels, colour): (Vec<u8>, _) = if channels == 3 {
        let pixels = (0..plane).flat_map(|at| (0..3).map(move |channel| (channel, at)));
        (pixels.map(|(channel, at)| sample(channel, at)).collect(), ExtendedColorType::Rgb8)
    } else {
        let mean = |at| {
            (0..channels).map(|channel| usize::from(sample(channel, at))).sum::<usize>() / channels.max(1)
        };
        ((0..plane).map(|at| mean(at) as u8).collect(), ExtendedColorType::L8)
    };
    let encoded = |filter| {
        let mut png = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, filter);
        encoder.write_image(&pixels, width as u32, height as u32, colour)?;
        Ok::<_, image::ImageError>(png)
    };
    // Photographs want a filter, differences of few values none.
    let [plain, filtered] = [encoded(FilterType::NoFilter)?, encoded(FilterType::Adaptive)?];
    Ok(if plain.len() <= filtered.len() { plain } else { filtered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_reaches_the_end_of_the_range() {
        let (factor, shown) = difference(&[10, 20, 30], &[18, 12, 30]);
        assert_eq!((factor, shown), (Some(15), vec![248, 8, 128]));
        assert_eq!(difference(&[0, 255], &[255, 0]), (Some(1), vec![255, 0]));
        assert_eq!(difference(&[7], &[7]), (None, vec![128]));
    }

    #[test]
    fn a_png_holds_the_samples_pixel_by_pixel() {
        let png = png(&[1, 2, 11, 12, 21, 22], [3, 1, 2]).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8().into_raw(), [1, 11, 21, 2, 12, 22]);
    }

    #[test]
    fn a_picture_that_stands_in_many_places_is_in_the_file_once() {
        let specimen = |set: &str, after: u8| Specimen {
            set: set.to_owned(),
            index: 0,
            shape: [1, 1, 2],
            benign: vec![1, 2],
            stored: vec![1, after],
            exits: [0, 0],
            predicted: ["a".into(), "a".into()],
            label: None,
        };
        let html = grid(&[specimen("one", 9), specimen("two", 30)], "x-").unwrap().into_string();
        assert_eq!(html.matches("data:image/png").count(), 5);
        assert_eq!(html.matches("href=\"#x-picture0\"").count(), 2);
    }
}
