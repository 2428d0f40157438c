//! Durations as InfluxQL writes them, and as the reference prints them where it prints in the style of Go.

use std::time::Duration;

use stdx::human::print_duration;

use crate::error::ParseError;

/// Units from large to small with their length in nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("w", 7 * 24 * 3_600 * SECOND),
    ("d", 24 * 3_600 * SECOND),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("u", 1_000),
    ("ns", 1),
];

const SECOND: i64 = 1_000_000_000;

/// Parses `1h30m`, `-5m` and the like into nanoseconds. Units are `w d h m s ms u µ ns`; there are no fractions.
///
/// # Errors
/// `invalid duration` for any other text, `overflowed duration ...` when it does not fit into an `i64`.
pub fn parse_duration(text: &str) -> Result<i64, ParseError> {
    let invalid = || ParseError::new("invalid duration");
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if magnitude.is_empty() {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    let mut rest = magnitude;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|ch: char| ch.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| invalid())?;
        let (unit, length_ns, tail) = split_unit(tail).ok_or_else(invalid)?;
        total = number.checked_mul(length_ns).and_then(|part| total.checked_add(part)).ok_or_else(|| {
            ParseError::new(format!("overflowed duration {number}{unit}: choose a smaller duration or INF"))
        })?;
        rest = tail;
    }
    Ok(if negative { -total } else { total })
}

/// The unit that `text` starts with, its length in nanoseconds, and what follows.
fn split_unit(text: &str) -> Option<(&str, i64, &str)> {
    // `ms` comes before `m` here, and `µ` is the other spelling of `u`.
    for unit in ["ms", "ns", "w", "d", "h", "m", "s", "u", "µ"] {
        if let Some(tail) = text.strip_prefix(unit) {
            let name = if unit == "µ" { "u" } else { unit };
            let length_ns = UNITS.iter().find(|(other, _)| *other == name)?.1;
            return Some((unit, length_ns, tail));
        }
    }
    None
}

/// One integer with the largest unit that divides it: `90m`, `2h`, `1w`, `0s`, `-1500ms`. [`parse_duration`] reads it
/// back, except `i64::MIN`, whose magnitude does not fit.
pub fn format_duration(duration_ns: i64) -> String {
    if duration_ns == 0 {
        return "0s".to_owned();
    }
    let (unit, length_ns) = UNITS
        .into_iter()
        .find(|(_, length_ns)| duration_ns % length_ns == 0)
        .expect("every integer is a number of nanoseconds");
    format!("{}{unit}", duration_ns / length_ns)
}

/// The style of Go: `72h0m0s`, `1m30s`, `1.5ms`, `0s`.
pub fn format_duration_go(duration_ns: i64) -> String {
    let sign = if duration_ns < 0 { "-" } else { "" };
    format!("{sign}{}", print_duration(Duration::from_nanos(duration_ns.unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, want: &str) {
        assert_eq!(parse_duration(text).map_err(|error| error.to_string()), Err(want.to_owned()));
    }

    #[test]
    fn every_unit_is_read() {
        let texts = ["1w", "1d", "1h", "1m", "1s", "1ms", "1u", "1µ", "1ns"];
        let lengths = texts.map(|text| parse_duration(text).expect("a duration"));
        let hour = 3_600 * SECOND;
        assert_eq!(lengths, [168 * hour, 24 * hour, hour, 60 * SECOND, SECOND, 1_000_000, 1_000, 1_000, 1]);
    }

    #[test]
    fn parts_add_up_in_any_order() {
        assert_eq!(parse_duration("30m1h"), parse_duration("1h30m"));
        assert_eq!(parse_duration("1h30m"), Ok(5_400 * SECOND));
        assert_eq!(parse_duration("-1h30m"), Ok(-5_400 * SECOND));
        assert_eq!(parse_duration("1s1s"), Ok(2 * SECOND));
    }

    #[test]
    fn other_texts_are_invalid() {
        for text in ["", "-", "1", "h", "1h30", "1x", "1us", "1H", "1.5h", " 1h", "1h ", "INF", "99999999999999999999h"]
        {
            check_error(text, "invalid duration");
        }
    }

    #[test]
    fn overflow_names_the_part_that_did_it() {
        check_error("106752d", "overflowed duration 106752d: choose a smaller duration or INF");
        check_error("106751d1w", "overflowed duration 1w: choose a smaller duration or INF");
        assert!(parse_duration("106751d").is_ok());
        assert_eq!(parse_duration("9223372036854775807ns"), Ok(i64::MAX));
    }

    #[test]
    fn the_largest_unit_that_divides_is_printed() {
        let pairs = [
            ("1h30m", "90m"),
            ("90s", "90s"),
            ("120s", "2m"),
            ("168h", "1w"),
            ("8d", "8d"),
            ("0ns", "0s"),
            ("1001u", "1001u"),
        ];
        for (text, want) in pairs {
            assert_eq!(parse_duration(text).map(format_duration), Ok(want.to_owned()), "{text}");
        }
        assert_eq!(format_duration(-3_600 * SECOND), "-1h");
        assert_eq!(format_duration(i64::MIN), "-9223372036854775808ns");
    }

    #[test]
    fn the_style_of_go() {
        let pairs = [
            ("3d", "72h0m0s"),
            ("30m", "30m0s"),
            ("90s", "1m30s"),
            ("1500ms", "1.5s"),
            ("1500u", "1.5ms"),
            ("1001ns", "1.001µs"),
            ("999ns", "999ns"),
            ("0s", "0s"),
            ("-90m", "-1h30m0s"),
            ("1h1ns", "1h0m0.000000001s"),
        ];
        for (text, want) in pairs {
            assert_eq!(parse_duration(text).map(format_duration_go), Ok(want.to_owned()), "{text}");
        }
        assert_eq!(format_duration_go(i64::MIN), "-2562047h47m16.854775808s");
    }
}
