//! Numbers as text: the shortest digits that read back as the same number, laid out as clients know them.

/// Two digits for each number below a hundred.
const PAIRS: &[u8; 200] = b"00010203040506070809101112131415161718192021222324252627282930313233343536373839\
    40414243444546474849505152535455565758596061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// From here on, and below [`PLAIN_MIN`], JSON writes an exponent.
const PLAIN_MAX: f64 = 1e21;
const PLAIN_MIN: f64 = 1e-6;

/// Integers below this are exact as doubles and in `u64`.
const EXACT_MAX: f64 = 1e15;

/// Appends an unsigned integer.
pub(crate) fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a signed integer.
pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// Appends `value`, which is below a hundred, as two digits.
pub(crate) fn push_pair(out: &mut Vec<u8>, value: u32) {
    let pair = value as usize * 2;
    out.extend_from_slice(&PAIRS[pair..pair + 2]);
}

/// Appends a finite float as JSON has it: plain between a millionth and 1e21, with an exponent outside.
pub(crate) fn push_json_float(out: &mut Vec<u8>, value: f64) {
    debug_assert!(value.is_finite(), "the caller writes null for others");
    let size = value.abs();
    if size != 0.0 && !(PLAIN_MIN..PLAIN_MAX).contains(&size) {
        let mut buffer = zmij::Buffer::new();
        push_sign(out, value);
        Digits::of(buffer.format_finite(size).as_bytes()).push_scientific(out);
    } else {
        push_plain_float(out, value);
    }
}

/// Appends a finite float without ever an exponent.
pub(crate) fn push_plain_float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    push_sign(out, value);
    if size < EXACT_MAX && size.trunc() == size {
        return push_u64(out, size as u64);
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(size).as_bytes();
    if text.contains(&b'e') {
        Digits::of(text).push_plain(out);
    } else {
        // Nearly always: the text is plain as it is.
        out.extend_from_slice(text.strip_suffix(b".0").unwrap_or(text));
    }
}

/// Also for the negative zero.
fn push_sign(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
}

/// The shortest decimal digits of a positive float: `0.d1d2d3... * 10^point`.
struct Digits<'a> {
    /// Digits before and after the point of the source text, without leading zeros.
    text: &'a [u8],
    /// Where the decimal point stands, counted from the first digit; may lie outside of the digits.
    point: i32,
}

impl Digits<'_> {
    /// The digits of a number as `zmij` prints it, without a sign.
    fn of(text: &[u8]) -> Digits<'_> {
        let (mantissa, exponent) = match text.iter().position(|byte| *byte == b'e') {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let dot = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len()) as i32;
        // Leading zeros, and the dot between them, are not significant: `0.00123`.
        let lead = mantissa.iter().take_while(|byte| matches!(byte, b'0' | b'.')).count();
        let zeros_after_dot = if lead as i32 > dot { lead as i32 - dot - 1 } else { 0 };
        let point = if lead as i32 > dot { -zeros_after_dot } else { dot - lead as i32 };
        let mut significant = &mantissa[lead..];
        if significant.contains(&b'.') {
            significant = trim_zeros(significant);
        }
        Digits { text: significant, point: point + exponent }
    }

    /// The digits alone.
    fn iter(&self) -> impl Iterator<Item = u8> {
        self.text.iter().copied().filter(|byte| *byte != b'.')
    }

    /// `123.45`, `0.00123`, `12300`.
    fn push_plain(&self, out: &mut Vec<u8>) {
        if self.point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', self.point.unsigned_abs() as usize));
            out.extend(self.iter());
            return;
        }
        let mut written = 0;
        for digit in self.iter() {
            if written == self.point {
                out.push(b'.');
            }
            out.push(digit);
            written += 1;
        }
        while written < self.point {
            out.push(b'0');
            written += 1;
        }
    }

    /// `1.23e-7`, `1e+21`.
    fn push_scientific(&self, out: &mut Vec<u8>) {
        let mut digits = self.iter();
        out.extend(digits.next());
        let rest = out.len();
        out.extend(digits);
        while out.len() > rest && out.last() == Some(&b'0') {
            out.pop();
        }
        if out.len() > rest {
            out.insert(rest, b'.');
        }
        let exponent = self.point - 1;
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        push_u64(out, u64::from(exponent.unsigned_abs()));
    }
}

/// Without zeros at the end, nor a dot that then ends it.
fn trim_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
    match digits[..end].split_last() {
        Some((b'.', whole)) => whole,
        _ => &digits[..end],
    }
}

/// The number after an `e`: a sign perhaps, and up to three digits.
fn parse_exponent(text: &[u8]) -> i32 {
    let mut value = 0;
    for digit in text.iter().filter(|byte| byte.is_ascii_digit()) {
        value = value * 10 + i32::from(digit - b'0');
    }
    if text.first() == Some(&b'-') { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).expect("numbers are ASCII")
    }

    fn json(value: f64) -> String {
        text(|out| push_json_float(out, value))
    }

    fn plain(value: f64) -> String {
        text(|out| push_plain_float(out, value))
    }

    #[test]
    fn integers_have_all_their_digits() {
        for value in [0, 7, 10, 99, 100, 12_345, i64::MAX, i64::MIN, -1] {
            assert_eq!(text(|out| push_i64(out, value)), value.to_string());
        }
        assert_eq!(text(|out| push_u64(out, u64::MAX)), u64::MAX.to_string());
    }

    // Each pair was printed by the reference server.
    #[test]
    fn json_floats_look_as_clients_know_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (123_456.789, "123456.789"),
            (1e-6, "0.000001"),
            (0.000_001_5, "0.0000015"),
            (1e-7, "1e-7"),
            (-1.25e-9, "-1.25e-9"),
            (1e15, "1000000000000000"),
            (1e20, "100000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
            (9_007_199_254_740_993.0, "9007199254740992"),
        ];
        for (value, want) in cases {
            assert_eq!(json(value), want);
        }
    }

    #[test]
    fn plain_floats_never_have_an_exponent() {
        assert_eq!(plain(1e-7), "0.0000001");
        assert_eq!(plain(-1.5e-8), "-0.000000015");
        assert_eq!(plain(1e21), "1000000000000000000000");
        assert_eq!(plain(1.25), "1.25");
        assert_eq!(plain(1e308).len(), 309);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn floats_come_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(json(value).parse::<f64>().map(f64::to_bits), Ok(bits));
            prop_assert_eq!(plain(value).parse::<f64>().map(f64::to_bits), Ok(bits));
        }

        #[test]
        fn everyday_floats_come_back_as_std_prints_them(value in -1e6f64..1e6) {
            prop_assume!(value.abs() > 1e-5);
            prop_assert_eq!(json(value), value.to_string());
        }
    }
}
