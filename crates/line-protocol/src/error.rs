//! Why lines are refused, in the words of the reference: clients and tests match on them.

use std::fmt;

/// Most lines whose errors are kept word for word; the rest is counted.
pub const ERROR_LINES_MAX: usize = 1_000;

/// Most bytes of one refused line that its error repeats. The longest legal series key fits.
pub const ERROR_LINE_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of refused lines in all errors of a request; lines beyond are only counted.
pub const ERROR_BYTES_MAX: usize = 1024 * 1024;

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing stands before the first comma.
    #[error("missing measurement")]
    MissingMeasurement,
    /// The line ends with the series key.
    #[error("missing fields")]
    MissingFields,
    /// Nothing stands before `=` in a tag.
    #[error("missing tag key")]
    MissingTagKey,
    /// Nothing stands after `=` in a tag, or there is no `=`.
    #[error("missing tag value")]
    MissingTagValue,
    /// A second `=` in a tag.
    #[error("invalid tag format")]
    InvalidTagFormat,
    /// Two tags have one key.
    #[error("duplicate tags")]
    DuplicateTags,
    /// Nothing stands before `=` in a field.
    #[error("missing field key")]
    MissingFieldKey,
    /// Nothing stands after `=` in a field.
    #[error("missing field value")]
    MissingFieldValue,
    /// Fields that are not `key=value` with commas between.
    #[error("invalid field format")]
    InvalidFieldFormat,
    /// A field key that ends in a backslash swallows its own `=`.
    #[error("invalid value: field-key={0}")]
    InvalidValue(String),
    /// Starts like a number and is none.
    #[error("invalid number")]
    InvalidNumber,
    /// A float beyond the range of doubles, or with a broken exponent.
    #[error("invalid float")]
    InvalidFloat,
    /// Neither string nor number, and no boolean either.
    #[error("invalid boolean")]
    InvalidBoolean,
    /// A string without its end.
    #[error("unbalanced quotes")]
    UnbalancedQuotes,
    /// An integer beyond 64 bits.
    #[error("unable to parse integer {0}: strconv.ParseInt: parsing {0:?}: value out of range")]
    IntegerRange(String),
    /// A timestamp that is no whole number.
    #[error("bad timestamp")]
    BadTimestamp,
    /// Something follows the timestamp.
    #[error("point is invalid")]
    PointInvalid,
    /// A timestamp of a lone minus sign.
    #[error("strconv.ParseInt: parsing {0:?}: invalid syntax")]
    TimestampSyntax(String),
    /// A timestamp beyond 64 bits.
    #[error("strconv.ParseInt: parsing {0:?}: value out of range")]
    TimestampRange(String),
    /// A timestamp that no point may have.
    #[error("time outside range {} - {}", model::Timestamp::MIN.0, model::Timestamp::MAX.0)]
    TimeOutsideRange,
    /// A series key, or a series key with a field key, that is too long.
    #[error("max key length exceeded: {0} > {max}", max = crate::parse::KEY_BYTES_MAX)]
    KeyTooLong(usize),
    /// More fields than a line may have.
    #[error("too many fields: more than {}", crate::parse::FIELDS_PER_LINE_MAX)]
    TooManyFields,
    /// A backslash before the end of a line joins the next line, which only string values allow.
    #[error("line feed outside of a string")]
    LineFeed,
}

/// A refused line.
#[derive(Clone, PartialEq, Eq)]
pub struct LineError {
    /// The line without leading whitespace, cut at [`ERROR_LINE_BYTES_MAX`].
    pub line: Vec<u8>,
    /// What is wrong with it.
    pub reason: Reason,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unable to parse '{}': {}", String::from_utf8_lossy(&self.line), self.reason)
    }
}

impl fmt::Debug for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.line[..self.line.len().min(200)];
        write!(f, "LineError({:?}, {:?})", String::from_utf8_lossy(start), self.reason)
    }
}

impl std::error::Error for LineError {}

/// The refused lines of a request, in order. `Display` has one line for each, and says how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineErrors {
    lines: Vec<LineError>,
    bytes: usize,
    more: usize,
}

impl LineErrors {
    /// How many lines were refused, those that are only counted included.
    pub fn count(&self) -> usize {
        self.lines.len() + self.more
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The first refused lines, as many as are kept.
    pub fn lines(&self) -> &[LineError] {
        &self.lines
    }

    pub(crate) fn push(&mut self, line: &[u8], reason: Reason) {
        let text = &line[..line.len().min(ERROR_LINE_BYTES_MAX)];
        if self.lines.len() >= ERROR_LINES_MAX || self.bytes + text.len() > ERROR_BYTES_MAX {
            self.more += 1;
            return;
        }
        self.bytes += text.len();
        self.lines.push(LineError { line: text.to_vec(), reason });
    }
}

impl fmt::Display for LineErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{line}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// Why a point that can be read is not taken. `Display` is what stands between `partial write: ` and ` dropped=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// A tag has the name `time`.
    TimeTag {
        /// Raw.
        measurement: Vec<u8>,
    },
    /// The only field has the name `time`.
    TimeField {
        /// Raw.
        measurement: Vec<u8>,
    },
    /// A string value above [`crate::parse::STRING_BYTES_MAX`].
    StringTooLong {
        /// Raw.
        measurement: Vec<u8>,
        /// Raw.
        field: Vec<u8>,
        /// Bytes of the value.
        length: usize,
    },
    /// The points of this request have so many different fields or measurements that its table would be mostly empty
    /// and exceed [`crate::parse::SPARSE_PLACES_MAX`]. The client sends it in parts.
    TooSparse {
        /// Raw.
        measurement: Vec<u8>,
    },
    /// The body exceeds [`crate::parse::BODY_BYTES_MAX`]; the limit of the HTTP layer is far below by default.
    BodyTooLong {
        /// Bytes of the body.
        length: usize,
    },
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            DropReason::TimeTag { measurement } => {
                write!(f, r#"invalid tag key: input tag "time" on measurement "{}" is invalid"#, text(measurement))
            }
            DropReason::TimeField { measurement } => {
                write!(f, r#"invalid field name: input field "time" on measurement "{}" is invalid"#, text(measurement))
            }
            DropReason::StringTooLong { measurement, field, length } => {
                let max = crate::parse::STRING_BYTES_MAX;
                let (field, measurement) = (text(field), text(measurement));
                write!(f, r#"input field "{field}" on measurement "{measurement}" is too long, {length} > {max}"#)
            }
            DropReason::TooSparse { measurement } => {
                write!(f, r#"too many different fields in one request on measurement "{}""#, text(measurement))
            }
            DropReason::BodyTooLong { length } => {
                write!(f, "request of {length} bytes is too long, {length} > {}", crate::parse::BODY_BYTES_MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_beyond_the_limits_are_counted() {
        let mut errors = LineErrors::default();
        for _ in 0..ERROR_LINES_MAX + 5 {
            errors.push(b"bad", Reason::MissingFields);
        }
        assert_eq!((errors.lines().len(), errors.count()), (ERROR_LINES_MAX, ERROR_LINES_MAX + 5));
        let text = errors.to_string();
        assert!(text.starts_with("unable to parse 'bad': missing fields\nunable"));
        assert!(text.ends_with("'bad': missing fields\nand 5 more"));
    }

    #[test]
    fn long_lines_are_cut_and_their_bytes_limited() {
        let mut errors = LineErrors::default();
        let long = vec![b'x'; ERROR_LINE_BYTES_MAX + 1];
        for _ in 0..6 {
            errors.push(&long, Reason::MissingFields);
        }
        assert_eq!((errors.lines().len(), errors.count()), (ERROR_BYTES_MAX / ERROR_LINE_BYTES_MAX, 6));
        assert_eq!(errors.lines()[0].line.len(), ERROR_LINE_BYTES_MAX);
    }

    #[test]
    fn drop_reasons_read_like_the_reference() {
        let measurement = b"m".to_vec();
        let reasons = [
            DropReason::TimeTag { measurement: measurement.clone() },
            DropReason::TimeField { measurement: measurement.clone() },
            DropReason::StringTooLong { measurement, field: b"f".to_vec(), length: 2_000_000 },
        ];
        let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"invalid tag key: input tag "time" on measurement "m" is invalid"#,
                r#"invalid field name: input field "time" on measurement "m" is invalid"#,
                r#"input field "f" on measurement "m" is too long, 2000000 > 1048576"#,
            ]
        );
    }
}
