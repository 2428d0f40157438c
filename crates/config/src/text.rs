//! The texts of values: sizes and statuses, as the configuration files spell them.

use std::ops::RangeInclusive;

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

/// Reads a whole number: decimal, `0x…`, `0o…` or `0…` in octal, `0b…`.
pub fn parse_integer(text: &str) -> Option<i64> {
    let trimmed = text.trim();
    let (is_negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let lower = digits.to_ascii_lowercase();
    let radices = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)];
    let radix = radices.iter().find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, *radix)));
    let (digits, radix) = radix.filter(|(digits, _)| !digits.is_empty()).unwrap_or((&lower, 10));
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let sign = if is_negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
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
    use super::*;

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
    fn integers_come_in_four_bases() {
        for (text, want) in [("0", 0), ("10", 10), ("-7", -7), ("+7", 7), ("0x1F", 31), ("010", 8), ("0o17", 15)] {
            assert_eq!(parse_integer(text), Some(want), "{text}");
        }
        assert_eq!(parse_integer("0b11"), Some(3));
        assert_eq!(parse_integer(&i64::MIN.to_string()), Some(i64::MIN));
        for bad in ["", "-", "+-1", "--1", "0x", "08", "1e3", "1_000", "9223372036854775808", "0x-1", "one", "٣"] {
            assert_eq!(parse_integer(bad), None, "{bad}");
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
