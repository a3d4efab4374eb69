//! Numbers as people read them: the same in the summary, on the terminal and on the page.

use crate::bounds::QUOTED;

/// With a comma for each thousand: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of which the first three digits matter: `0.042`, `4.20`, `42.0`, `4,200`.
pub fn three(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        n if n < 0.9995 => format!("{number:.3}"),
        n if n < 9.995 => format!("{number:.2}"),
        n if n < 99.95 => format!("{number:.1}"),
        _ => count(number.round().max(0.0) as u64),
    }
}

/// A number that somebody gave, as it was given: `60`, `2.5`.
pub fn given(number: f64) -> String {
    if number < 1000.0 {
        format!("{}", (number * 1000.0).round() / 1000.0)
    } else {
        count(number.round() as u64)
    }
}

/// Milliseconds, in the unit that suits them.
pub fn ms(ms: f64) -> String {
    match ms {
        n if n < 0.9995 => format!("{:.0} µs", n * 1000.0),
        n if n < 999.5 => format!("{} ms", three(n)),
        n => format!("{} s", three(n / 1000.0)),
    }
}

/// Microseconds, in the unit that suits them.
pub fn us(us: f64) -> String {
    match us {
        n if n < 999.5 => format!("{} µs", three(n)),
        n => ms(n / 1000.0),
    }
}

/// Bytes, in the unit that suits them.
pub fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let (unit, name) = match bytes {
        n if n < 10_000.0 => return format!("{} B", count(n as u64)),
        n if n < 1_048_576.0 => (1024.0, "KiB"),
        n if n < 1_073_741_824.0 => (1_048_576.0, "MiB"),
        _ => (1_073_741_824.0, "GiB"),
    };
    format!("{} {name}", three(bytes / unit))
}

/// A share, in percent.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from(percent < 9.95);
    format!("{percent:.digits$} %")
}

/// Seconds: `0.5 s`, `12 s`, `3 min 20 s`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        n if n < 9.95 => format!("{n:.1} s"),
        n if n < 99.5 => format!("{n:.0} s"),
        n => {
            let whole = n.round() as u64;
            format!("{} min {} s", whole / 60, whole % 60)
        }
    }
}

/// Somebody else's words, short and on one line: a server's text that is shown on a terminal must
/// not be able to move its cursor.
pub fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(QUOTED).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_units() {
        for (found, expected) in [
            (count(0), "0"),
            (count(999), "999"),
            (count(1_234_567), "1,234,567"),
            (three(0.0), "0"),
            (three(0.0421), "0.042"),
            (three(9.994), "9.99"),
            (three(9.996), "10.0"),
            (three(4200.4), "4,200"),
            (given(60.0), "60"),
            (given(2.5), "2.5"),
            (given(4000.0), "4,000"),
            (ms(0.0421), "42 µs"),
            (ms(42.0), "42.0 ms"),
            (ms(999.4), "999 ms"),
            (ms(1500.0), "1.50 s"),
            (us(0.9), "0.900 µs"),
            (us(1500.0), "1.50 ms"),
            (bytes(611), "611 B"),
            (bytes(9999), "9,999 B"),
            (bytes(10_240), "10.0 KiB"),
            (bytes(40_000_000), "38.1 MiB"),
            (bytes(3 << 30), "3.00 GiB"),
            (percent(0.042), "4.2 %"),
            (percent(1.5), "150 %"),
            (seconds(0.5), "0.5 s"),
            (seconds(12.3), "12 s"),
            (seconds(200.0), "3 min 20 s"),
        ] {
            assert_eq!(found, expected);
        }
    }
}
