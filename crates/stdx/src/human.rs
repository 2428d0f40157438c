//! Durations and instants as people read them.

use std::time::Duration;

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
