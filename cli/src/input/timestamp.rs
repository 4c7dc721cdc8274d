//! How timestamps of an input are written.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::{Problem, shortened};

/// How timestamps are written; see `append --help`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TimestampFormat {
    /// Milliseconds since 1970, or RFC 3339.
    #[default]
    Auto,
    Rfc3339,
    /// A count since 1970: so many nanoseconds each.
    Unit {
        nanoseconds: i128,
    },
    /// A pattern with `%`; UTC where it holds no offset.
    Pattern(String),
}

impl FromStr for TimestampFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "milliseconds" => Ok(Self::Unit { nanoseconds: 1_000_000 }),
            "seconds" => Ok(Self::Unit { nanoseconds: 1_000_000_000 }),
            "microseconds" => Ok(Self::Unit { nanoseconds: 1_000 }),
            "nanoseconds" => Ok(Self::Unit { nanoseconds: 1 }),
            pattern if pattern.contains('%') && reads_itself(pattern) => Ok(Self::Pattern(pattern.to_owned())),
            pattern if pattern.contains('%') => Err("the pattern has no date, or something that cannot be read back: \
                                                     give one such as '%d.%m.%Y %H:%M:%S'"
                .to_owned()),
            _ => Err("give rfc3339, seconds, milliseconds, microseconds, nanoseconds, or a pattern such as \
                      '%d.%m.%Y %H:%M:%S'"
                .to_owned()),
        }
    }
}

impl TimestampFormat {
    /// Milliseconds since 1970.
    ///
    /// # Errors
    /// [`Problem::Timestamp`], [`Problem::TimestampPattern`].
    pub fn parse(&self, text: &str) -> Result<i64, Problem> {
        match self {
            Self::Auto => parse_timestamp(text),
            Self::Rfc3339 => text
                .parse()
                .ok()
                .and_then(millis)
                .ok_or_else(|| Problem::TimestampRfc3339 { text: format!("`{}`", shortened(text)) }),
            Self::Unit { nanoseconds } => parse_count(text, *nanoseconds)
                .ok_or_else(|| Problem::TimestampCount { text: format!("`{}`", shortened(text)) }),
            Self::Pattern(pattern) => parse_by(pattern, text).ok_or_else(|| Problem::TimestampPattern {
                text: format!("`{}`", shortened(text)),
                pattern: shortened(pattern),
            }),
        }
    }
}

/// A moment: milliseconds since 1970, or RFC 3339.
///
/// # Errors
/// [`Problem::Timestamp`].
pub fn parse_timestamp(text: &str) -> Result<i64, Problem> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let bad = || Problem::Timestamp { text: format!("`{}`", shortened(text)) };
    let time: Timestamp = text.parse().map_err(|_| bad())?;
    millis(time).ok_or_else(bad)
}

/// What lies between two milliseconds belongs to the earlier one.
fn millis(time: Timestamp) -> Option<i64> {
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).ok()
}

/// A whole number, or one with decimals such as `1357035300.25`.
fn parse_count(text: &str, nanoseconds: i128) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 18 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = i128::from(whole.parse::<i64>().ok()?).checked_mul(nanoseconds)?;
    let scale = 10i128.pow(decimals.len() as u32);
    let part = if decimals.is_empty() { 0 } else { decimals.parse::<i128>().ok()? * nanoseconds / scale };
    let total = if whole.starts_with('-') { size - part } else { size + part };
    i64::try_from(total.div_euclid(1_000_000)).ok()
}

/// Whether what is written by the pattern can be read by it, so that not each line has to tell.
fn reads_itself(pattern: &str) -> bool {
    let epoch = Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    strtime::format(pattern, &epoch).is_ok_and(|written| parse_by(pattern, &written).is_some())
}

fn parse_by(pattern: &str, text: &str) -> Option<i64> {
    let parsed = strtime::parse(pattern, text).ok()?;
    if let Ok(time) = parsed.to_timestamp() {
        return millis(time);
    }
    let at = match parsed.to_datetime() {
        Ok(at) => at,
        Err(_) => parsed.to_date().ok()?.at(0, 0, 0, 0),
    };
    millis(jiff::tz::TimeZone::UTC.to_timestamp(at).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_milliseconds_or_rfc_3339() {
        for (text, millis) in [
            ("-5", -5),
            ("1357035300000", 1_357_035_300_000),
            ("2013-01-01T10:15:00Z", 1_357_035_300_000),
            ("2013-01-01T05:15:00.0009-05:00", 1_357_035_300_000),
            ("1969-12-31T23:59:59.9999Z", -1),
        ] {
            assert_eq!(parse_timestamp(text).expect("good"), millis, "{text}");
        }
        for text in ["", "2013-01-01", "now", "99999999999999999999"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_forms_are_chosen_by_name() {
        for (format, text, millis) in [
            ("seconds", "1357035300", 1_357_035_300_000),
            ("seconds", "1357035300.2567", 1_357_035_300_256),
            ("seconds", "-0.5", -500),
            ("microseconds", "1357035300000999", 1_357_035_300_000),
            ("nanoseconds", "-1", -1),
            ("%d.%m.%Y %H:%M", "01.01.2013 10:15", 1_357_035_300_000),
            ("%Y-%m-%d", "2013-01-01", 1_356_998_400_000),
            ("%Y-%m-%d %H:%M:%S %z", "2013-01-01 05:15:00 -0500", 1_357_035_300_000),
        ] {
            let format: TimestampFormat = format.parse().expect("good");
            assert_eq!(format.parse(text).expect("good"), millis, "{text}");
        }
        let seconds: TimestampFormat = "seconds".parse().expect("good");
        for text in ["", "1.2.3", "1e3", "9223372036854775807", "2013-01-01T10:15:00Z"] {
            assert!(seconds.parse(text).is_err(), "{text}");
        }
        let refuses = |format: &str, text: &str| {
            let format: TimestampFormat = format.parse().expect("good");
            assert!(format.parse(text).is_err(), "{text}");
        };
        refuses("rfc3339", "1357035300000");
        refuses("milliseconds", "2013-01-01T10:15:00Z");
        for pattern in ["yyyy-mm-dd", "%", "%!", "%H:%M"] {
            assert!(pattern.parse::<TimestampFormat>().is_err(), "{pattern}");
        }
    }
}
