//! Instants written as text: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS[.fraction]` and RFC 3339.

use jiff::civil::{Date, Time};
use model::Timestamp;

use crate::error::PlanError;
use crate::window::Zone;

const SECOND_NS: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Whether a text has the shape of a date, perhaps with something after it.
pub(crate) fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// Nanoseconds since the epoch of a text that looks like a time. Without a zone in the text it is in `zone`, or else in
/// UTC.
///
/// # Errors
/// `invalid timestamp string`
pub(crate) fn parse_time(text: &str, zone: Option<&Zone>) -> Result<i128, PlanError> {
    let invalid = || PlanError::new("invalid timestamp string");
    let (date, rest) = text.split_at_checked(10).ok_or_else(invalid)?;
    let day = parse_date(date).ok_or_else(invalid)?;
    let (second_of_day, fraction_ns, offset) = match rest.as_bytes().first() {
        None => (0, 0, None),
        Some(separator @ (b' ' | b'T')) => {
            let clock = parse_clock(&rest[1..]).ok_or_else(invalid)?;
            if *separator == b' ' && clock.2.is_some() {
                return Err(invalid());
            }
            clock
        }
        Some(_) => return Err(invalid()),
    };
    let local = day * DAY_SECONDS + second_of_day;
    let offset = match (offset, zone) {
        (Some(offset), _) => offset,
        (None, Some(zone)) => offset_of_local(local, zone),
        (None, None) => 0,
    };
    Ok(i128::from(local - offset) * SECOND_NS + i128::from(fraction_ns))
}

/// The error for an instant that no timestamp can hold.
pub(crate) fn time_out_of_range(ns: i128) -> PlanError {
    let seconds = ns.div_euclid(SECOND_NS);
    let which = if ns < 0 { "underflows" } else { "overflows" };
    let text = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |instant| instant.to_string());
    PlanError::new(format!("time {text} {which} time literal"))
}

/// Whether a point can have this time.
pub(crate) fn is_in_range(ns: i128) -> bool {
    (i128::from(Timestamp::MIN.0)..=i128::from(Timestamp::MAX.0)).contains(&ns)
}

/// Days since the epoch.
fn parse_date(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let epoch = Date::constant(1970, 1, 1);
    Some(i64::from(epoch.until(date).ok()?.get_days()))
}

/// `H:MM:SS`, `HH:MM:SS.fraction`, and a zone if there is one: second of the day, nanoseconds, seconds east of UTC.
fn parse_clock(text: &str) -> Option<(i64, i64, Option<i64>)> {
    let (hour, rest) = text.split_once(':')?;
    if hour.is_empty() || hour.len() > 2 {
        return None;
    }
    let (minute, rest) = take_two_digits(rest)?;
    let (second, mut rest) = take_two_digits(rest.strip_prefix(':')?)?;
    let mut fraction_ns = 0;
    if let Some(tail) = rest.strip_prefix(['.', ',']) {
        let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if !(1..=9).contains(&digits) {
            return None;
        }
        fraction_ns = tail[..digits].parse::<i64>().ok()? * 10i64.pow(9 - digits as u32);
        rest = &tail[digits..];
    }
    let hour = digits(hour)?;
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).ok()?;
    let offset = match rest {
        "" => None,
        "Z" => Some(0),
        _ => Some(parse_offset(rest)?),
    };
    Some((hour * 3_600 + minute * 60 + second, fraction_ns, offset))
}

/// `+HH:MM` or `-HH:MM`.
fn parse_offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = take_two_digits(rest)?;
    let (minutes, rest) = take_two_digits(rest.strip_prefix(':')?)?;
    (rest.is_empty() && hours <= 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn take_two_digits(text: &str) -> Option<(i64, &str)> {
    let (two, rest) = text.split_at_checked(2)?;
    Some((digits(two)?, rest))
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Seconds east of UTC at a wall clock time. A time that the clock skips is read with the offset before the change, and
/// so comes to stand after it.
fn offset_of_local(local: i64, zone: &Zone) -> i64 {
    let at = |second: i64| {
        let ns = (i128::from(second) * SECOND_NS).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        i64::from(zone.offset_seconds(Timestamp(ns)))
    };
    at(local - at(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<i128>) {
        assert!(looks_like_time(text), "{text}");
        assert_eq!(parse_time(text, None).ok(), want, "{text}");
    }

    #[test]
    fn dates_and_times_are_read() {
        check("1970-01-02", Some(86_400 * SECOND_NS));
        check("1970-01-01 00:00:30", Some(30 * SECOND_NS));
        check("1970-01-01 0:00:30", Some(30 * SECOND_NS));
        check("1970-01-01T00:00:30", Some(30 * SECOND_NS));
        check("1970-01-01 00:00:30.5", Some(30_500_000_000));
        check("1970-01-01 00:00:30.123456789", Some(30_123_456_789));
        check("1970-01-01T00:00:30Z", Some(30 * SECOND_NS));
        check("1970-01-01T00:00:30,5Z", Some(30_500_000_000));
        check("1970-01-01T00:00:30+01:00", Some(-3_570 * SECOND_NS));
        check("1969-12-31T23:59:59.5Z", Some(-500_000_000));
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "1970-02-30",
            "2000-13-01",
            "1970-01-01x",
            "1970-01-01 00:00",
            "1970-01-01 24:00:00",
            "1970-01-01 00:00:60",
            "1970-01-01 00:00:30.1234567891",
            "1970-01-01 00:00:30.",
            "1970-01-01 00:00:30Z",
            "1970-01-01 00:00:30+01:00",
            "1970-01-01T00:00:30z",
            "1970-01-01T00:00:30+0100",
            "1970-01-01 +1:00:30",
            "1970-01-01ü",
        ] {
            check(text, None);
        }
        assert!(!looks_like_time("1970-1-1") && !looks_like_time(" 1970-01-01") && !looks_like_time("now()"));
    }

    #[test]
    fn wall_clocks_of_zones_are_read() {
        let berlin = Zone::get("Europe/Berlin").expect("a zone");
        let hour = |text| parse_time(text, Some(&berlin)).expect("a time") / SECOND_NS;
        assert_eq!(hour("1970-01-01 01:00:00"), 0);
        // Skipped that night.
        assert_eq!(hour("2014-03-30 02:30:00"), 1_396_143_000);
        assert_eq!(hour("2014-03-30 03:30:00"), 1_396_143_000);
    }
}
