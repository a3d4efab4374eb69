//! `google.protobuf.Timestamp`, in both formats.
//!
//! Floor 2. Ours instead of a library's because the JSON must be RFC 3339 with a `Z` and with 0, 3,
//! 6 or 9 digits after the point (the proto3 JSON mapping); pbjson-types writes `+00:00`.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock::UnixMillis;

/// A moment of the wall clock. The default is 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Since 1970, negative before.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// 0 to 999,999,999, counted forwards also before 1970.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// What RFC 3339 can write and `timestamp.proto` allows: the years 1 to 9999, in seconds.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl From<UnixMillis> for Timestamp {
    /// A clock that is out of the range counts as the nearest end of it: a wrong clock must not
    /// make a message that no client can read.
    fn from(at: UnixMillis) -> Self {
        let millis = at.0.clamp(*RANGE.start() * 1000, *RANGE.end() * 1000 + 999);
        Self {
            seconds: millis.div_euclid(1000),
            nanos: millis.rem_euclid(1000) as i32 * 1_000_000,
        }
    }
}

/// The longest text of a timestamp, in bytes.
const TEXT: usize = "2026-11-20T10:00:00.000000000Z".len();

impl Timestamp {
    /// Writes it as RFC 3339 into `text`, if it is a moment of the years 1 to 9999.
    fn write(self, text: &mut [u8; TEXT]) -> Option<&str> {
        if !RANGE.contains(&self.seconds) || !(0..1_000_000_000).contains(&self.nanos) {
            return None;
        }
        let at = OffsetDateTime::from_unix_timestamp(self.seconds).ok()?;
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        text.copy_from_slice(b"0000-00-00T00:00:00.000000000Z");
        digits(&mut text[0..4], year.unsigned_abs());
        digits(&mut text[5..7], u8::from(month).into());
        digits(&mut text[8..10], day.into());
        digits(&mut text[11..13], hour.into());
        digits(&mut text[14..16], minute.into());
        digits(&mut text[17..19], second.into());
        digits(&mut text[20..29], self.nanos.unsigned_abs());
        let end = match self.nanos {
            0 => 19,
            nanos if nanos % 1_000_000 == 0 => 23,
            nanos if nanos % 1000 == 0 => 26,
            _ => 29,
        };
        text[end] = b'Z';
        std::str::from_utf8(&text[..=end]).ok()
    }
}

/// Writes `value` in decimal, filled up with zeros on the left.
fn digits(text: &mut [u8], mut value: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.write(&mut [0; TEXT]) {
            Some(text) => serializer.serialize_str(text),
            None => Err(ser::Error::custom(
                "a timestamp outside the years 1 to 9999",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time as in RFC 3339, like 2026-11-20T10:00:00Z")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let at = OffsetDateTime::parse(text, &Rfc3339).map_err(E::custom)?;
                Ok(Timestamp {
                    seconds: at.unix_timestamp(),
                    nanos: at.nanosecond() as i32,
                })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_rfc_3339_with_no_more_digits_than_it_needs() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_168_800_000, "2026-11-20T10:00:00Z"),
            (1_795_168_800_120, "2026-11-20T10:00:00.120Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (i64::MIN, "0001-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            let at = Timestamp::from(UnixMillis(millis));
            let json = serde_json::to_string(&at).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<Timestamp>(&json).unwrap(),
                at,
                "{text}"
            );
        }
    }

    #[test]
    fn a_timestamp_that_nobody_could_mean_is_an_error() {
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
            assert!(serde_json::to_string(&Timestamp { seconds, nanos }).is_err());
        }
        for text in [
            "\"\"",
            "\"yesterday\"",
            "\"2026-13-01T00:00:00Z\"",
            "0",
            "null",
        ] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
    }
}
