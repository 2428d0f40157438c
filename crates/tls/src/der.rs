//! As much of DER as it takes to find two things in a certificate: until when it is good, and how long its key is.
//!
//! The bytes come from a file of the operator, and from nowhere else; whatever is not as expected is `None`.

/// Tags that are looked for.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Reads one value after the other.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value: its tag and its contents.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, contents))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }
}

/// The fields of a certificate from the validity on.
fn fields(certificate: &[u8]) -> Option<Reader<'_>> {
    let mut whole = Reader(Reader(certificate).expect(SEQUENCE)?);
    let mut fields = Reader(whole.expect(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    fields.expect(INTEGER)?; // serial number
    fields.expect(SEQUENCE)?; // algorithm of the signature
    fields.expect(SEQUENCE)?; // issuer
    Some(fields)
}

/// The last second at which a certificate is good, in seconds since 1970.
pub(crate) fn not_after(certificate: &[u8]) -> Option<i64> {
    let mut validity = Reader(fields(certificate)?.expect(SEQUENCE)?);
    validity.next()?; // not before
    match validity.next()? {
        (UTC_TIME, text) => {
            let (year, rest) = number(text, 2)?;
            seconds(if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, text) => {
            let (year, rest) = number(text, 4)?;
            seconds(year, rest)
        }
        _ => None,
    }
}

/// How many bits the modulus of an RSA key has.
pub(crate) fn rsa_bits(certificate: &[u8]) -> Option<usize> {
    let mut fields = fields(certificate)?;
    fields.expect(SEQUENCE)?; // validity
    fields.expect(SEQUENCE)?; // subject
    let mut key = Reader(fields.expect(SEQUENCE)?);
    key.expect(SEQUENCE)?; // algorithm
    let (unused, bits) = key.expect(BIT_STRING)?.split_first()?;
    if *unused != 0 {
        return None;
    }
    let modulus = Reader(Reader(bits).expect(SEQUENCE)?).expect(INTEGER)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    Some((modulus.len() - first) * 8 - modulus[first].leading_zeros() as usize)
}

/// `MMDDhhmmssZ` of a year.
fn seconds(year: i64, text: &[u8]) -> Option<i64> {
    let (month, text) = number(text, 2)?;
    let (day, text) = number(text, 2)?;
    let (hour, text) = number(text, 2)?;
    let (minute, text) = number(text, 2)?;
    let (second, text) = number(text, 2)?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if text != b"Z" || !in_range {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since 1970 of the Gregorian calendar: years begin in March, so that the day that some have is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number =
        number.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_seconds() {
        assert_eq!(seconds(1970, b"0101000000Z"), Some(0));
        assert_eq!(seconds(2000, b"0229235959Z"), Some(951_868_799));
        assert_eq!(seconds(2049, b"1231235959Z"), Some(2_524_607_999));
        assert_eq!(seconds(9999, b"1231235959Z"), Some(253_402_300_799));
        for bad in ["1301000000Z", "0101000000", "01010000000", "0101240000Z", "0a01000000Z"] {
            assert_eq!(seconds(2000, bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x85, 1], &[0x30, 0x02, 0x30, 0x00], b"certificate"] {
            assert_eq!((not_after(bytes), rsa_bits(bytes)), (None, None));
        }
    }

    #[test]
    fn certificates_tell_their_end_however_they_are_cut() {
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).expect("a name");
        for (year, want) in [(2030, 1_893_456_000), (2060, 2_840_140_800)] {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("a certificate");
            assert_eq!(not_after(certificate.der()), Some(want));
            assert_eq!(rsa_bits(certificate.der()), None, "a key of another kind");
            for end in 0..certificate.der().len() {
                // Nothing to find, and nothing to stumble over.
                assert_eq!(rsa_bits(&certificate.der()[..end]), None);
            }
        }
    }
}
