//! More light: a greater value in HSV, hue and saturation as they were.
//!
//! The conversions are those of scikit-image, step by step: a shorter way rounds otherwise, and the cut to uint8 shows it.

use offramp_models::dataset::Chw;

use super::is_colour;

/// Adds `amount` to the value of every pixel; grey pictures are all value. A fourth plane, alpha, is left alone.
pub(super) fn raise(amount: f64, shape: Chw, samples: &mut [f64]) {
    let size = shape.height * shape.width;
    if !is_colour(shape) {
        let (grey, _) = samples.split_at_mut(size.min(samples.len()));
        grey.iter_mut().for_each(|sample| *sample += amount);
        return;
    }
    let (red, rest) = samples.split_at_mut(size);
    let (green, rest) = rest.split_at_mut(size);
    for ((red, green), blue) in red.iter_mut().zip(green).zip(rest) {
        let (hue, saturation, value) = hsv([*red, *green, *blue]);
        [*red, *green, *blue] = rgb(hue, saturation, (value + amount).clamp(0.0, 1.0));
    }
}

fn hsv([red, green, blue]: [f64; 3]) -> (f64, f64, f64) {
    let value = red.max(green).max(blue);
    let delta = value - red.min(green).min(blue);
    if delta == 0.0 {
        return (0.0, 0.0, value);
    }
    // Where two planes are the greatest, the later one decides.
    let sixths = if blue == value {
        4.0 + (red - green) / delta
    } else if green == value {
        2.0 + (blue - red) / delta
    } else {
        (green - blue) / delta
    };
    ((sixths / 6.0).rem_euclid(1.0), delta / value, value)
}

fn rgb(hue: f64, saturation: f64, value: f64) -> [f64; 3] {
    let sector = (hue * 6.0).floor();
    let fraction = hue * 6.0 - sector;
    let low = value * (1.0 - saturation);
    let falling = value * (1.0 - fraction * saturation);
    let rising = value * (1.0 - (1.0 - fraction) * saturation);
    match sector as i64 % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_same_colour() {
        for colour in [[0.1, 0.5, 0.9], [0.9, 0.5, 0.1], [0.3, 0.3, 0.2], [0.2, 0.7, 0.7], [1.0, 0.0, 1.0]] {
            let (hue, saturation, value) = hsv(colour);
            for (found, expected) in rgb(hue, saturation, value).into_iter().zip(colour) {
                assert!((found - expected).abs() < 1e-12, "{colour:?}");
            }
        }
    }

    #[test]
    fn light_scales_a_colour_and_turns_black_grey() {
        let shape = Chw { channels: 3, height: 1, width: 2 };
        // Planes: red of both pixels, green of both, blue of both; the second pixel is black.
        let mut samples = [0.4, 0.0, 0.2, 0.0, 0.1, 0.0];
        raise(0.2, shape, &mut samples);
        for (found, expected) in samples.into_iter().zip([0.6, 0.2, 0.3, 0.2, 0.15, 0.2]) {
            assert!((found - expected).abs() < 1e-12, "{samples:?}");
        }
    }
}
