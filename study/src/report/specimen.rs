//! Rows of pictures: as the image was, as it is stored, and what changed, amplified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use maud::{Markup, html};

use super::ReportError;
use crate::findings::Specimen;

/// No difference is amplified more.
const MOST: i32 = 64;
/// The grey of no difference.
const MIDDLE: i32 = 128;

/// All `specimens`, those of one set together.
///
/// # Errors
/// `Picture`.
pub fn grid(specimens: &[Specimen]) -> Result<Markup, ReportError> {
    let mut sets: Vec<(&str, Vec<Markup>)> = Vec::new();
    for specimen in specimens {
        let card = card(specimen)?;
        match sets.iter_mut().find(|(set, _)| *set == specimen.set) {
            Some((_, cards)) => cards.push(card),
            None => sets.push((&specimen.set, vec![card])),
        }
    }
    Ok(html! {
        @for (set, cards) in &sets {
            h4 { (set) }
            div.specimens { @for card in cards { (card) } }
        }
    })
}

fn card(specimen: &Specimen) -> Result<Markup, ReportError> {
    let Specimen { set, index, shape, benign, stored, exits, predicted, label } = specimen;
    let failed = |source| ReportError::Picture { set: set.clone(), index: *index, source };
    let (factor, difference) = difference(benign, stored);
    let pictures = [
        ("original".to_owned(), uri(benign, *shape).map_err(failed)?),
        ("as stored".to_owned(), uri(stored, *shape).map_err(failed)?),
        (
            factor.map_or("no difference".into(), |factor| format!("difference ×{factor}")),
            uri(&difference, *shape).map_err(failed)?,
        ),
    ];
    let later = exits[1].cmp(&exits[0]);
    Ok(html! {
        div.specimen {
            div.pictures {
                @for (what, uri) in &pictures {
                    figure {
                        img src=(uri) width=(shape[2]) height=(shape[1]) alt={ "image " (index) ", " (what) };
                        figcaption { (what) }
                    }
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

/// Planes of samples as a PNG in a data URI; pictures of other than three channels are shown as grey means.
fn uri(samples: &[u8], [channels, height, width]: [usize; 3]) -> Result<String, image::ImageError> {
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
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&pixels, width as u32, height as u32, colour)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png)))
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
    fn a_data_uri_holds_the_samples_pixel_by_pixel() {
        let planes = [1, 2, 11, 12, 21, 22];
        let uri = uri(&planes, [3, 1, 2]).unwrap();
        let png = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8().into_raw(), [1, 11, 21, 2, 12, 22]);
    }
}
