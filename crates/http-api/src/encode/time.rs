//! Instants as text or as counted units.

use model::Precision;
use stdx::human::civil_from_days;

use super::number::{push_pair, push_u64};

const DAY_SECONDS: i64 = 86_400;

/// How the instants of an answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// What the format has for it: a text as in `Rfc3339` in JSON, nanoseconds in CSV, extension type 5 in MessagePack.
    Native,
    /// `2006-01-02T15:04:05.999999999Z`, in the offset that the value carries.
    Rfc3339,
    /// A number of units since the epoch, cut towards it.
    Epoch(Precision),
}

impl TimeFormat {
    /// What the parameter `epoch` means. Unknown words mean nanoseconds, as in the reference.
    pub fn from_epoch(word: &str) -> TimeFormat {
        match word {
            "" => TimeFormat::Native,
            "u" => TimeFormat::Epoch(Precision::Microsecond),
            "ms" => TimeFormat::Epoch(Precision::Millisecond),
            "s" => TimeFormat::Epoch(Precision::Second),
            "m" => TimeFormat::Epoch(Precision::Minute),
            "h" => TimeFormat::Epoch(Precision::Hour),
            _ => TimeFormat::Epoch(Precision::Nanosecond),
        }
    }
}

/// A calendar day and a time of day.
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    second_of_day: u32,
}

impl Civil {
    fn of(seconds: i64) -> Civil {
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_SECONDS));
        let second_of_day = seconds.rem_euclid(DAY_SECONDS) as u32;
        Civil { year, month: month as u32, day: day as u32, second_of_day }
    }
}

/// Appends an instant, nanoseconds since the epoch, as a date and time `offset` seconds east of UTC. Zeros at the end
/// of the fraction are left out.
pub(crate) fn push_rfc3339(out: &mut Vec<u8>, ns: i64, offset: i32) {
    let civil = Civil::of(ns.div_euclid(1_000_000_000) + i64::from(offset));
    push_date(out, &civil);
    out.push(b'T');
    push_clock(out, civil.second_of_day);
    let mut fraction = ns.rem_euclid(1_000_000_000) as u32;
    if fraction != 0 {
        let mut digits = *b".000000000";
        for digit in digits[1..].iter_mut().rev() {
            *digit += (fraction % 10) as u8;
            fraction /= 10;
        }
        let end = digits.iter().rposition(|digit| *digit != b'0').expect("a digit is not zero") + 1;
        out.extend_from_slice(&digits[..end]);
    }
    if offset == 0 {
        return out.push(b'Z');
    }
    out.push(if offset < 0 { b'-' } else { b'+' });
    push_pair(out, offset.unsigned_abs() / 3_600 % 100);
    out.push(b':');
    push_pair(out, offset.unsigned_abs() / 60 % 60);
}

/// Appends an instant as the header `Date` has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn push_http_date(out: &mut Vec<u8>, ns: i64) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let seconds = ns.div_euclid(1_000_000_000);
    let civil = Civil::of(seconds);
    out.extend_from_slice(DAYS[seconds.div_euclid(DAY_SECONDS).rem_euclid(7) as usize].as_bytes());
    out.extend_from_slice(b", ");
    push_pair(out, civil.day);
    out.push(b' ');
    out.extend_from_slice(month_name(&civil));
    out.push(b' ');
    push_u64(out, civil.year.unsigned_abs());
    out.push(b' ');
    push_clock(out, civil.second_of_day);
    out.extend_from_slice(b" GMT");
}

/// Appends an instant as the access log has it: `02/Jan/2006:15:04:05 +0000`.
pub(crate) fn push_log_time(out: &mut Vec<u8>, ns: i64) {
    let civil = Civil::of(ns.div_euclid(1_000_000_000));
    push_pair(out, civil.day);
    out.push(b'/');
    out.extend_from_slice(month_name(&civil));
    out.push(b'/');
    push_u64(out, civil.year.unsigned_abs());
    out.push(b':');
    push_clock(out, civil.second_of_day);
    out.extend_from_slice(b" +0000");
}

fn month_name(civil: &Civil) -> &'static [u8] {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let at = (civil.month as usize - 1) * 3;
    &MONTHS[at..at + 3]
}

/// The years of all instants have four digits.
fn push_date(out: &mut Vec<u8>, civil: &Civil) {
    push_pair(out, (civil.year / 100 % 100) as u32);
    push_pair(out, (civil.year % 100) as u32);
    out.push(b'-');
    push_pair(out, civil.month);
    out.push(b'-');
    push_pair(out, civil.day);
}

fn push_clock(out: &mut Vec<u8>, second_of_day: u32) {
    push_pair(out, second_of_day / 3_600);
    out.push(b':');
    push_pair(out, second_of_day / 60 % 60);
    out.push(b':');
    push_pair(out, second_of_day % 60);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(ns: i64, offset: i32) -> String {
        let mut out = Vec::new();
        push_rfc3339(&mut out, ns, offset);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn instants_are_dates() {
        assert_eq!(rfc3339(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_500_000_000_123_456_789, 0), "2017-07-14T02:40:00.123456789Z");
        assert_eq!(rfc3339(1_500_000_000_120_000_000, 0), "2017-07-14T02:40:00.12Z");
        assert_eq!(rfc3339(1_582_934_400_000_000_001, 0), "2020-02-29T00:00:00.000000001Z");
        assert_eq!(rfc3339(-1, 0), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(rfc3339(i64::MIN + 2, 0), "1677-09-21T00:12:43.145224194Z");
        assert_eq!(rfc3339(i64::MAX - 1, 0), "2262-04-11T23:47:16.854775806Z");
    }

    #[test]
    fn offsets_are_printed_as_hours_and_minutes() {
        assert_eq!(rfc3339(1_420_070_400_000_000_000, -5 * 3600), "2014-12-31T19:00:00-05:00");
        assert_eq!(rfc3339(0, 5 * 3600 + 1800), "1970-01-01T05:30:00+05:30");
    }

    #[test]
    fn every_day_of_centuries_follows_the_one_before() {
        let mut last = rfc3339(-9_000_000_000_000_000_000, 0);
        for day in 1..104_000i64 {
            let next = rfc3339(-9_000_000_000_000_000_000 + day * 86_400_000_000_000, 0);
            assert!(next > last, "{next} comes after {last}");
            last = next;
        }
        assert_eq!(last, "1969-07-17T08:00:00Z");
    }

    #[test]
    fn dates_of_headers_and_logs() {
        let mut out = Vec::new();
        push_http_date(&mut out, 784_111_777_000_000_000);
        assert_eq!(out, b"Sun, 06 Nov 1994 08:49:37 GMT");
        out.clear();
        push_log_time(&mut out, 784_111_777_000_000_000);
        assert_eq!(out, b"06/Nov/1994:08:49:37 +0000");
    }

    #[test]
    fn unknown_units_are_nanoseconds() {
        assert_eq!(TimeFormat::from_epoch("\u{b5}"), TimeFormat::Epoch(Precision::Nanosecond));
        assert_eq!(TimeFormat::from_epoch("rfc3339"), TimeFormat::Epoch(Precision::Nanosecond));
        assert_eq!(TimeFormat::from_epoch("m"), TimeFormat::Epoch(Precision::Minute));
        assert_eq!(TimeFormat::from_epoch(""), TimeFormat::Native);
    }
}
