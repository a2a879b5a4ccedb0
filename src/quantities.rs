//! Numbers as flags take them; what is out of range never gets past the command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use offramp_offload::placement::Way;
use offramp_runtime::backend::slowed::Scale;
use offramp_runtime::confidence::Threshold;
use offramp_runtime::pacing::{MonotonicClock, Pacer};

fn number<T: FromStr>(text: &str, holds: impl Fn(&T) -> bool, expected: &str) -> Result<T, String> {
    text.trim().parse().ok().filter(holds).ok_or_else(|| format!("expected {expected}"))
}

/// How many: 1 or more.
pub fn count(text: &str) -> Result<NonZeroUsize, String> {
    number(text, |_| true, "a whole number, 1 or more")
}

/// How many windows: 1 or more.
pub fn windows(text: &str) -> Result<NonZeroU32, String> {
    number(text, |_| true, "a whole number, 1 or more")
}

/// A folder that is there.
pub fn folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() { Ok(path) } else { Err("there is no such folder".to_owned()) }
}

/// Where to listen; of a name's addresses the first, of the older kind if there is one.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let refused = |why: &dyn std::fmt::Display| format!("expected HOST:PORT, 127.0.0.1:8001 say ({why})");
    let addresses: Vec<_> = text.to_socket_addrs().map_err(|error| refused(&error))?.collect();
    let older = addresses.iter().find(|address| address.is_ipv4());
    older.or(addresses.first()).copied().ok_or_else(|| refused(&"no such host"))
}

/// A position: 0 or more.
pub fn index(text: &str) -> Result<usize, String> {
    number(text, |_| true, "a whole number, 0 or more")
}

/// Where images leave: a number of segments, or wherever it pays.
pub fn cut_or_auto(text: &str) -> Result<Way, String> {
    let way = text.parse().ok().filter(|way| *way != Way::Local);
    way.ok_or_else(|| "expected a number of segments, 0 or more, or auto".to_owned())
}

/// How many times slower a device is emulated.
pub fn scale(text: &str) -> Result<Scale, String> {
    let scale = number(text, |_| true, "a number from 1 to 1000")?;
    Scale::new(scale).map_err(|error| error.to_string())
}

/// A threshold of confidence.
pub fn threshold(text: &str) -> Result<Threshold, String> {
    let value = number(text, |_| true, "a number from 0 to 1")?;
    Threshold::new(value).map_err(|_| "expected a number from 0 to 1".to_owned())
}

/// A part of a whole, in [0, 1].
pub fn fraction(text: &str) -> Result<f64, String> {
    number(text, |value| (0.0..=1.0).contains(value), "a fraction from 0 to 1")
}

/// A finite amount above 0.
pub fn amount(text: &str) -> Result<f64, String> {
    number(text, |value: &f64| value.is_finite() && *value > 0.0, "a number above 0")
}

/// A time above 0, in milliseconds.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    let expected = "a number of milliseconds above 0";
    let longest = Duration::from_secs(24 * 60 * 60).as_secs_f64() * 1e3;
    let millis = number(text, |value: &f64| *value > 0.0 && *value <= longest, expected)?;
    Ok(Duration::from_secs_f64(millis / 1e3))
}

/// A time above 0, in seconds.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let expected = "a number of seconds above 0";
    let longest = Duration::from_secs(7 * 24 * 60 * 60).as_secs_f64();
    let seconds = number(text, |value: &f64| *value > 0.0 && *value <= longest, expected)?;
    Ok(Duration::from_secs_f64(seconds))
}

/// Samples per second that a meter can be asked for.
pub fn sampling(text: &str) -> Result<f64, String> {
    number(text, |hz| (0.001..=1e6).contains(hz), "a number of samples per second, 0.001 to 1000000")
}

/// A time that is not shorter than a millisecond.
pub fn interval(text: &str) -> Result<Duration, String> {
    number(
        text,
        |seconds: &f64| (0.001..=604_800.0).contains(seconds),
        "a number of seconds, 0.001 to 604800",
    )
    .map(Duration::from_secs_f64)
}

/// Frames per second.
pub fn rate(text: &str) -> Result<f64, String> {
    let expected = "a number of frames per second above 0";
    number(text, |hz| Pacer::new(*hz, MonotonicClock::default()).is_ok(), expected)
}

/// A difference that is allowed: finite, 0 or more.
#[cfg(feature = "full")]
pub fn tolerance(text: &str) -> Result<f32, String> {
    number(text, |value: &f32| value.is_finite() && *value >= 0.0, "a number, 0 or more")
}

/// A channel's mean.
#[cfg(feature = "full")]
pub fn mean(text: &str) -> Result<f32, String> {
    number(text, |value: &f32| value.is_finite(), "one number per channel, with commas between them")
}

/// A channel's standard deviation.
#[cfg(feature = "full")]
pub fn deviation(text: &str) -> Result<f32, String> {
    let expected = "one number above 0 per channel, with commas between them";
    number(text, |value: &f32| value.is_finite() && *value > 0.0, expected)
}

/// The values of black and white.
#[cfg(feature = "full")]
pub fn range(text: &str) -> Result<[f32; 2], String> {
    let expected = "two numbers with a comma between them, the lower first: 0,255";
    let bound = |text| number(text, |value: &f32| value.is_finite(), expected);
    let (low, high) = text.split_once(',').ok_or_else(|| format!("expected {expected}"))?;
    let range = [bound(low)?, bound(high)?];
    if range[0] < range[1] { Ok(range) } else { Err(format!("expected {expected}")) }
}

/// A finite number, 0 or more, or a ratio of two: 8/255.
#[cfg(feature = "full")]
pub fn ratio(text: &str) -> Result<f32, String> {
    let expected = "a number, 0 or more, or a ratio like 8/255";
    let part = |text| number(text, |value: &f32| value.is_finite() && *value >= 0.0, expected);
    let value = match text.split_once('/') {
        Some((above, below)) => part(above)? / part(below)?,
        None => part(text)?,
    };
    if value.is_finite() { Ok(value) } else { Err(format!("expected {expected}")) }
}

/// A cut, by the segments before it.
#[cfg(feature = "full")]
pub fn cut(text: &str) -> Result<usize, String> {
    number(
        text,
        |_| true,
        "whole numbers with commas between them, 0 or more; the model comes before --tails",
    )
}
