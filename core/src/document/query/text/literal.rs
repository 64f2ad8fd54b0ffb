//! Values that are written as text in parentheses: `timestamp("…")`, `uuid("…")`, `bytes("…")`; and hexadecimal digits.

use alloc::vec::Vec;

use crate::env::calendar::days;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds since the beginning of 1970 of a moment as RFC 3339 has it. A year with a sign may have
/// fewer digits or more, as moments before the year 0 and beyond 9999 are shown; a date alone is its midnight, UTC.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, "00:00:00Z"),
    };
    let (year, month_day) = date.split_at_checked(date.len().checked_sub(6)?)?;
    let year = match year.strip_prefix(['+', '-']) {
        Some(digits) if year.starts_with('-') => -number(digits, 1..=6)?,
        Some(digits) => number(digits, 1..=6)?,
        None => number(year, 4..=4)?,
    };
    let mut parts = month_day.strip_prefix('-')?.split('-');
    let (month, day) = (number(parts.next()?, 2..=2)?, number(parts.next()?, 2..=2)?);
    let is_date = parts.next().is_none() && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    is_date.then_some(())?;

    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(at)?;
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, digits)) => (clock, micros(digits)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let mut part = |limit| number(parts.next()?, 2..=2).filter(|part| *part < limit);
    let seconds = part(24)? * 3600 + part(60)? * 60 + part(60)?;
    parts.next().is_none().then_some(())?;
    let seconds = days(year, month, day) * 86_400 + seconds - offset(zone)?;
    // Not the product first: the least moment has a fraction that brings it back into what 64 bits hold.
    i64::try_from(i128::from(seconds) * i128::from(MICROS_PER_SECOND) + i128::from(fraction)).ok()
}

/// The 16 bytes of a UUID: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub(super) fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut lens = [8, 4, 4, 4, 12].into_iter();
    let mut digits = alloc::string::String::with_capacity(32);
    for group in text.split('-') {
        (Some(group.len()) == lens.next()).then_some(())?;
        digits.push_str(group);
    }
    bytes(&digits)?.try_into().ok()
}

/// Two hexadecimal digits for each byte.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// Seconds that a zone is before UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let hours = number(hours, 2..=2).filter(|hours| *hours < 24)?;
    let minutes = number(minutes, 2..=2).filter(|minutes| *minutes < 60)?;
    let seconds = hours * 3600 + minutes * 60;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// One to six digits behind the point.
fn micros(digits: &str) -> Option<i64> {
    let missing = 6_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    Some(number(digits, 1..=6)? * 10_i64.pow(missing))
}

/// Nothing but digits, as many as there may be.
fn number(digits: &str, lens: core::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = lens.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
