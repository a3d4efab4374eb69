//! Single values of the command line: what they look like, and how far they go.
//!
//! Each gives what was meant, or a sentence that says how it is written. Knows no flag by name.

use std::time::Duration;

use kith::limits::TEXT_BYTES;

use crate::bounds::{CLIENTS, RAW_LEAST, TURN_LEAST};
use crate::scenario::Restart;

/// `50ms`, `10s`, `2m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err("a time looks like 50ms, 10s or 2m".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "this is no number")?;
    match number * unit {
        // A day, and nothing that is no number.
        seconds if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a time is at most a day".to_owned()),
    }
}

/// Messages per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    within(text, 1_000_000.0).ok_or_else(|| "a rate is from 0 to 1000000 a second".to_owned())
}

/// From nobody, 0, to everybody, 1.
pub fn parse_share(text: &str) -> Result<f64, String> {
    within(text, 1.0).ok_or_else(|| "a share is from 0 to 1".to_owned())
}

fn within(text: &str, most: f64) -> Option<f64> {
    let number = text.parse().ok()?;
    (0.0..=most).contains(&number).then_some(number)
}

/// Bytes of a message; what it has to carry differs, and is looked at when that is known.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|size| (RAW_LEAST..=TEXT_BYTES).contains(size))
        .ok_or_else(|| format!("a message has {RAW_LEAST} to {TEXT_BYTES} bytes"))
}

/// Any number of them, none too.
pub fn parse_count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("this is a whole number from 0 to {}", u32::MAX))
}

/// One at least.
pub fn parse_some(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("this is a whole number from 1 to {}", u32::MAX))
}

/// How many come.
pub fn parse_clients(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=CLIENTS).contains(number))
        .ok_or_else(|| format!("there are 1 to {CLIENTS} clients"))
}

/// A time that something takes again and again, and that is therefore not too short.
pub fn parse_turn(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    (time >= TURN_LEAST)
        .then_some(time)
        .ok_or_else(|| format!("this takes {} ms at least", TURN_LEAST.as_millis()))
}

/// What happens to the server.
pub fn parse_restart(text: &str) -> Result<Restart, String> {
    let mut all = Restart::NAMES.into_iter();
    let found = all.find(|(name, _)| *name == text);
    found
        .map(|(_, restart)| restart)
        .ok_or_else(|| "this is one of never, drain, kill, both".to_owned())
}
