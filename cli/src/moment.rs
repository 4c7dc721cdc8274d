//! Moments as users name them: a time ago, or a time.

use std::str::FromStr;

use crate::input::parse_timestamp;

/// A moment that may depend on the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So many milliseconds ago.
    Ago(i64),
    /// In milliseconds since 1970.
    At(i64),
}

impl Moment {
    /// In milliseconds since 1970, where it is `now`.
    pub fn at(self, now: i64) -> i64 {
        match self {
            Self::Ago(millis) => now.saturating_sub(millis),
            Self::At(millis) => millis,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(millis) = parse_timestamp(text) {
            return Ok(Self::At(millis));
        }
        duration(text).map(Self::Ago).ok_or_else(|| {
            "give a time ago such as 90s, 15m, 1h, 2d or 1w, or a time such as 2013-01-01T10:15:00Z".to_owned()
        })
    }
}

/// Milliseconds of `15m` and the like.
fn duration(text: &str) -> Option<i64> {
    let millis = match text.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        _ => return None,
    };
    let count = &text[..text.len() - 1];
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    count.parse::<i64>().ok()?.checked_mul(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_a_time_ago_or_a_time() {
        for (text, millis) in [
            ("90s", 1_000_000_000 - 90_000),
            ("15m", 1_000_000_000 - 900_000),
            ("1h", 1_000_000_000 - 3_600_000),
            ("2d", 1_000_000_000 - 172_800_000),
            ("1w", 1_000_000_000 - 604_800_000),
            ("-5", -5),
            ("1970-01-01T00:00:01Z", 1_000),
        ] {
            assert_eq!(text.parse::<Moment>().expect("good").at(1_000_000_000), millis, "{text}");
        }
        for text in ["", "h", "1.5h", "-1h", "1y", "1 h", "1é", "99999999999999999w", "yesterday"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
