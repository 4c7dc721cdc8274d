//! Dates as S3 writes them: in UTC, to the second.

use std::time::SystemTime;

/// The last second of the year 9999: dates have four digits for a year.
const LAST_SECOND: u64 = 253_402_300_799;

/// As in S3's answers: `2013-05-24T00:00:00Z`. Times before 1970 or after 9999 become the nearest within.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = civil(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// As in signatures (ISO 8601's basic format): `20130524T000000Z`. The first eight characters are the day.
pub(crate) fn basic(time: SystemTime) -> String {
    rfc3339(time).replace(['-', ':'], "")
}

/// Seconds since 1970 of a time that [`rfc3339`] can show.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST_SECOND)
}

fn civil(time: SystemTime) -> [u64; 6] {
    let seconds = seconds(time);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days since 1970, counted in years that begin in March (so that the leap day is the last).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    [year, month, day, second / 3_600, second / 60 % 60, second % 60]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_369_353_600, "2013-05-24T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(time), date);
            assert_eq!(basic(time), date.replace(['-', ':'], ""));
        }
    }
}
