//! The texts of values: durations, sizes and statuses, as the configuration files spell them.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest duration, 292 years: its nanoseconds fit into 63 bits.
const DURATION_MAX: Duration = Duration::from_nanos(i64::MAX as u64);

/// Reads a duration: one or more `<number><unit>`, units `ns us µs ms s m h d w`, or a bare `0`. At most 292 years.
///
/// # Errors
/// A sentence that names the bad unit or the bad text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if trimmed == "0" {
        return Ok(Duration::ZERO);
    }
    if trimmed.is_empty() {
        return Err(format!("time: invalid duration {text:?}"));
    }
    let mut total = Duration::ZERO;
    let mut rest = trimmed;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds: f64 = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let sum = scaled(number, seconds).and_then(|part| total.checked_add(part));
        total = sum.filter(|sum| *sum <= DURATION_MAX).ok_or_else(|| format!("time: invalid duration {text:?}"))?;
        rest = tail;
    }
    Ok(total)
}

/// `number` units of `seconds` each. Whole numbers are exact.
fn scaled(number: &str, seconds: f64) -> Option<Duration> {
    if let Ok(whole) = number.parse::<u64>() {
        let unit_ns = (seconds * 1e9).round() as u64;
        return whole.checked_mul(unit_ns).map(Duration::from_nanos);
    }
    let value: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(value * seconds).ok()
}

/// Reads a size: whole bytes, or a whole number and `k`, `m` or `g` (1024-based, either case).
///
/// # Errors
/// The sentence that the reference prints.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let Some(last) = trimmed.chars().last() else { return Err("size was empty".to_owned()) };
    let (digits, factor) = match last.to_ascii_lowercase() {
        'k' => (&trimmed[..trimmed.len() - 1], 1u64 << 10),
        'm' => (&trimmed[..trimmed.len() - 1], 1 << 20),
        'g' => (&trimmed[..trimmed.len() - 1], 1 << 30),
        c if c.is_ascii_digit() => (trimmed, 1),
        c => return Err(format!("unknown size suffix: {c} (expected k, m, or g)")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("invalid size: {trimmed}"))?;
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("size would overflow the max size ({}) of a uint: {trimmed}", u64::MAX))
}

/// Reads a status or a class of them: `404`, `40x` or `4xx`, in any case.
///
/// # Errors
/// The sentence that the reference prints.
pub fn parse_statuses(text: &str) -> Result<RangeInclusive<u16>, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches('x');
    let is_prefix = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_prefix || !matches!(digits.as_bytes().first(), Some(b'1'..=b'5')) {
        return Err(format!(
            "{text:?}: status filter must be a digit that starts with 1-5 optionally followed by X characters"
        ));
    }
    let bound = |fill: &str| lower.replace('x', fill).parse::<u16>().ok().filter(|_| lower.len() == 3);
    match (bound("0"), bound("9")) {
        (Some(first), Some(last)) => Ok(first..=last),
        _ => Err(format!("{text:?}: status filter must be exactly 3 characters long")),
    }
}

#[cfg(test)]
mod tests {
    use stdx::human::print_duration;

    use super::*;

    #[test]
    fn durations_come_in_all_units() {
        let ns = |text| parse_duration(text).map(|value| value.as_nanos());
        assert_eq!(ns("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(ns("1.5s"), Ok(1_500_000_000));
        assert_eq!(ns("7d"), ns("168h"));
        assert_eq!(ns("2w"), ns("14d"));
        assert_eq!(ns("10µs"), ns("10us"));
        assert_eq!(ns("0"), Ok(0));
        assert_eq!(ns("5x"), Err("time: unknown unit \"x\" in duration \"5x\"".to_owned()));
        assert_eq!(ns("5"), Err("time: missing unit in duration \"5\"".to_owned()));
        assert_eq!(ns(""), Err("time: invalid duration \"\"".to_owned()));
        assert_eq!(ns("h"), Err("time: invalid duration \"h\"".to_owned()));
    }

    #[test]
    fn durations_end_where_nanoseconds_do() {
        assert_eq!(parse_duration("9223372036854775807ns"), Ok(DURATION_MAX));
        for text in ["9223372036854775808ns", "9223372036854775807ns1ns", "5000000w", "1e9h", "99999999999.5h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        // Two parts that are durations each and together more than the type holds.
        assert!(parse_duration("18000000000000000000.5s18000000000000000000.5s").is_err());
    }

    #[test]
    fn durations_print_as_they_are_read() {
        for text in ["0s", "30s", "1m0s", "168h0m0s", "500ms", "50ms", "1h0m1.5s", "10µs", "7ns", "1.5s"] {
            assert_eq!(print_duration(parse_duration(text).expect("a duration")), text);
        }
    }

    #[test]
    fn statuses_are_given_by_their_first_digits() {
        assert_eq!(parse_statuses("4xx"), Ok(400..=499));
        assert_eq!(parse_statuses("40X"), Ok(400..=409));
        assert_eq!(parse_statuses("404"), Ok(404..=404));
        for (bad, why) in [
            ("", "must be a digit"),
            ("x", "must be a digit"),
            ("xxx", "must be a digit"),
            ("4x4", "must be a digit"),
            ("9xx", "must be a digit"),
            ("+4x", "must be a digit"),
            ("4", "must be exactly 3"),
            ("4x", "must be exactly 3"),
            ("4040", "must be exactly 3"),
            ("4xxx", "must be exactly 3"),
        ] {
            let error = parse_statuses(bad).expect_err("no filter");
            assert!(error.starts_with(&format!("{bad:?}: status filter {why}")), "{error}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parse_size("25m"), Ok(25 << 20));
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        assert_eq!(parse_size("1048576"), Ok(1 << 20));
        assert_eq!(parse_size(""), Err("size was empty".to_owned()));
        assert_eq!(parse_size("5x"), Err("unknown size suffix: x (expected k, m, or g)".to_owned()));
        assert_eq!(parse_size("k"), Err("invalid size: k".to_owned()));
        assert!(parse_size("99999999999999999g").is_err_and(|error| error.starts_with("size would overflow")));
    }
}
