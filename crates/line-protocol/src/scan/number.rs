//! Numbers of line protocol: exactly for any text, and fast for short plain ones.

use super::Value;
use crate::error::Reason;

/// Reads the number that starts at `start` and tells where it ends: at a comma, a space or the end of the line.
pub(crate) fn number(line: &[u8], start: usize) -> Result<(usize, Value), Reason> {
    let mut at = start + usize::from(line[start] == b'-');
    let (mut integer, mut unsigned, mut decimal, mut scientific) = (false, false, false, false);
    while at < line.len() && !matches!(line[at], b',' | b' ') {
        match line[at] {
            b'i' if at > start && !integer && !unsigned => integer = true,
            b'u' if at > start && !integer && !unsigned => unsigned = true,
            b'e' | b'E' if at > start => scientific = true,
            b'+' | b'-' if at > start && matches!(line[at - 1], b'e' | b'E') => {}
            b'.' if !decimal => decimal = true,
            b'0'..=b'9' => {}
            _ => return Err(Reason::InvalidNumber),
        }
        at += 1;
    }
    let text = &line[start..at];
    let marks = usize::from(integer || unsigned) + usize::from(decimal) + usize::from(line[start] == b'-');
    if (integer || unsigned) && (decimal || scientific) || text.len() <= marks {
        return Err(Reason::InvalidNumber);
    }
    if unsigned {
        // The reference takes these in builds of its own only.
        return Err(Reason::InvalidNumber);
    }
    let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    if integer {
        let digits = text.strip_suffix(b"i").ok_or(Reason::InvalidNumber)?;
        let value = self::integer(digits).ok_or_else(|| Reason::IntegerRange(shown(digits)))?;
        return Ok((at, Value::Integer(value)));
    }
    let value: Option<f64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    match value {
        Some(value) if value.is_finite() => Ok((at, Value::Float(value))),
        _ => Err(Reason::InvalidFloat),
    }
}

/// The integer of decimal digits with an optional minus sign, when it fits 64 bits.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (digits, negative) = match text.strip_prefix(b"-") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let magnitude = digits
        .iter()
        .try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))))?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// The number of decimal digits, at most eight, at the start of `rest` and their value. `None` when fewer than eight
/// bytes are left.
#[inline(always)]
pub(crate) fn eight_digits(rest: &[u8]) -> Option<(u64, usize)> {
    // In each byte the value of its digit; what is no digit becomes 10 or more and gets its high bit below.
    let digits = u64::from_le_bytes(*rest.first_chunk::<8>()?) ^ 0x3030_3030_3030_3030;
    let others = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    let count = (others.trailing_zeros() >> 3) as usize;
    // Zeros in front of the digits that there are; with none of them all bits go.
    let digits = if count == 8 { digits } else { digits << (8 * (7 - count)) << 8 };
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let low = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    Some((high.wrapping_add(low) >> 32, count))
}

/// The same for up to 16 digits. After 16 there may be more.
#[inline(always)]
pub(crate) fn sixteen_digits(rest: &[u8]) -> Option<(u64, usize)> {
    let (value, count) = eight_digits(rest)?;
    if count < 8 {
        return Some((value, count));
    }
    let (more, more_count) = eight_digits(&rest[8..])?;
    Some((value * POWERS[more_count] + more, 8 + more_count))
}

/// Powers of ten up to what 16 digits after the point need.
pub(crate) const POWERS: [u64; 17] = {
    let mut powers = [1; 17];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, Reason> {
        number(text.as_bytes(), 0).map(|(_, value)| value)
    }

    #[test]
    fn floats_of_every_form() {
        let cases = [
            ("1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("01", 1.0),
            ("-1", -1.0),
            ("-.5", -0.5),
            ("1e5", 1e5),
            ("1E5", 1e5),
            ("1e+5", 1e5),
            ("1.5e-7", 1.5e-7),
            ("-0", -0.0),
            ("5e-324", 5e-324),
            ("1e-400", 0.0),
            ("1.7976931348623157e308", f64::MAX),
            ("0.1", 0.1),
        ];
        for (text, want) in cases {
            let Ok(Value::Float(value)) = read(text) else { panic!("{text}") };
            assert_eq!(value.to_bits(), want.to_bits(), "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["--1", "1_0", "0x1", "NaN", "nan", "n", "-", ".", "-.", "1.1.1", "1.0i", "1i2", "-i", "i1", "1e5i"]
        {
            assert_eq!(read(text), Err(Reason::InvalidNumber), "{text}");
        }
        for text in ["1u", "1.5u", "-1u", "1ui", "1-1", "1+1", "1e+-5", "1\r", "1\t", "1\\"] {
            assert_eq!(read(text), Err(Reason::InvalidNumber), "{text}");
        }
        for text in ["1e", "1e999", "-1e999", "1e5e5", ".e5", "-e5", "1e+", "1e5.5"] {
            assert_eq!(read(text), Err(Reason::InvalidFloat), "{text}");
        }
    }

    #[test]
    fn digits_are_counted_and_summed() {
        for (text, want) in [
            ("12345678........", (12_345_678, 8)),
            ("1234567890123456", (1_234_567_890_123_456, 16)),
            ("9999999999999999", (9_999_999_999_999_999, 16)),
            ("7,.............", (7, 1)),
            ("007i............", (7, 3)),
            ("1234567/........", (1_234_567, 7)),
            ("1234567:........", (1_234_567, 7)),
            ("i...............", (0, 0)),
            ("12\u{ff}5............", (12, 2)),
            ("123456789 ......", (123_456_789, 9)),
        ] {
            assert_eq!(sixteen_digits(text.as_bytes()), Some(want), "{text}");
        }
        for byte in (0..=255u8).filter(|byte| !byte.is_ascii_digit()) {
            assert_eq!(eight_digits(&[b'4', b'2', byte, b'9', byte, b'1', b'1', b'1']), Some((42, 2)), "{byte}");
        }
        assert_eq!(sixteen_digits(b"1234567"), None);
        assert_eq!(sixteen_digits(b"123456789"), None);
    }

    #[test]
    fn integers_to_the_last() {
        assert_eq!(read("9223372036854775807i"), Ok(Value::Integer(i64::MAX)));
        assert_eq!(read("-9223372036854775808i"), Ok(Value::Integer(i64::MIN)));
        assert_eq!(read("-0i"), Ok(Value::Integer(0)));
        assert_eq!(read("00000000000000000000001i"), Ok(Value::Integer(1)));
        for text in ["9223372036854775808", "-9223372036854775809", "99999999999999999999999"] {
            assert_eq!(read(&format!("{text}i")), Err(Reason::IntegerRange(text.to_owned())));
        }
        let error = Reason::IntegerRange("9223372036854775808".to_owned());
        assert_eq!(
            error.to_string(),
            "unable to parse integer 9223372036854775808: \
             strconv.ParseInt: parsing \"9223372036854775808\": value out of range"
        );
    }
}
