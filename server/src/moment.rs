//! Moments as people read and write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A wall-clock time in milliseconds since 1970, to the second, in UTC.
pub fn moment(time_ms: u64) -> String {
    let at = i64::try_from(time_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    Zoned::new(at, TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Milliseconds since 1970, of text: that number, or a date and a time as [`moment`] writes them or as RFC 3339 does. Without
/// a zone it is UTC; where it names a second, all of that second is meant.
pub fn time_ms(text: &str) -> Result<u64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let plain = text.strip_suffix("UTC").unwrap_or(text).trim();
    let at = match plain.parse::<Timestamp>() {
        Ok(at) => Ok(at),
        Err(_) => {
            plain.parse::<DateTime>().and_then(|civil| civil.to_zoned(TimeZone::UTC)).map(|zoned| zoned.timestamp())
        }
    };
    let ms = at.ok().and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let ms = ms
        .ok_or("write it like '2026-11-22 03:00:00 UTC', '2026-11-22T04:00:00+01:00', or in milliseconds since 1970")?;
    Ok(if ms % 1000 == 0 { ms + 999 } else { ms })
}

#[cfg(test)]
mod tests {
    use super::{moment, time_ms};

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (951_868_800_000, "2000-03-01 00:00:00 UTC"),
            (1_700_000_000_000, "2023-11-14 22:13:20 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(moment(ms), text);
            assert_eq!(time_ms(text), Ok(ms / 1000 * 1000 + 999), "{text}");
        }
        assert!(moment(u64::MAX).ends_with("UTC"), "any number is a moment");
    }

    #[test]
    fn times_are_read_in_the_forms_that_people_use() {
        for (text, ms) in [
            ("1700000000123", 1_700_000_000_123),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000_500),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_999),
            ("2023-11-14 22:13:20", 1_700_000_000_999),
            ("2023-11-14T22:13:20Z", 1_700_000_000_999),
        ] {
            assert_eq!(time_ms(text), Ok(ms), "{text}");
        }
        for wrong in ["", "yesterday", "2023-13-01 00:00:00", "1960-01-01 00:00:00 UTC", "-5"] {
            assert!(time_ms(wrong).unwrap_err().contains("write it like"), "{wrong}");
        }
    }
}
