//! Durations and instants as people read them.

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

/// A duration in its canonical text: `1m0s`, `168h0m0s`, `500ms`, `0s`.
pub fn print_duration(value: Duration) -> String {
    let ns = value.as_nanos();
    if ns == 0 {
        return "0s".to_owned();
    }
    if ns < 1_000_000_000 {
        let (unit, name) = match ns {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{name}", decimal(ns, unit));
    }
    let seconds = value.as_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    let below_a_minute = ns % 60_000_000_000;
    text.push_str(&format!("{}s", decimal(below_a_minute, 1_000_000_000)));
    text
}

/// `value / unit` as a decimal number without trailing zeros.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// An instant (nanoseconds since the Unix epoch) as RFC 3339 in UTC, with as many digits of the second as it needs.
pub fn print_instant(ns: i64) -> String {
    let rest = ns.rem_euclid(1_000_000_000);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:09}") };
    format!("{}{}Z", print_second(ns.div_euclid(1_000_000_000)), fraction.trim_end_matches('0'))
}

/// A second since the Unix epoch as `2006-01-02T15:04:05`, in UTC.
pub fn print_second(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day counted from 1970-01-01, by eras of 400 years that begin in March.
#[inline]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_text() {
        let print = |ns| print_duration(Duration::from_nanos(ns));
        assert_eq!(print(0), "0s");
        assert_eq!(print(90_000_000_000), "1m30s");
        assert_eq!(print(604_800_000_000_000), "168h0m0s");
        assert_eq!(print(1_500_000), "1.5ms");
        assert_eq!(print(3_600_500_000_000), "1h0m0.5s");
    }

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
    fn instants_have_one_text() {
        assert_eq!(print_instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(print_instant(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(print_instant(1_795_349_400_120_000_000), "2026-11-22T12:10:00.12Z");
        assert_eq!(print_instant(i64::MAX - 1), "2262-04-11T23:47:16.854775806Z");
    }

    #[test]
    fn days_have_dates() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(-1), (1969, 12, 31));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
    }
}
