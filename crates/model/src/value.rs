//! The five types of a field and a single value of one.

use std::fmt;

/// The type of a field. The order is the one by which a query chooses when a field has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FieldType {
    /// IEEE-754 double.
    Float = 1,
    /// Signed, 64 bits.
    Integer = 2,
    /// Unsigned, 64 bits.
    Unsigned = 3,
    /// Bytes, nearly always UTF-8.
    String = 4,
    /// True or false.
    Boolean = 5,
}

impl FieldType {
    /// Every type, in the order of preference.
    pub const ALL: [FieldType; 5] =
        [FieldType::Float, FieldType::Integer, FieldType::Unsigned, FieldType::String, FieldType::Boolean];

    /// The type with this number on disk and on the wire.
    pub fn from_code(code: u8) -> Option<FieldType> {
        FieldType::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The name that errors and `SHOW FIELD KEYS` print.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Float => "float",
            FieldType::Integer => "integer",
            FieldType::Unsigned => "unsigned",
            FieldType::String => "string",
            FieldType::Boolean => "boolean",
        }
    }

    /// Whether arithmetic makes sense.
    pub fn is_numeric(self) -> bool {
        matches!(self, FieldType::Float | FieldType::Integer | FieldType::Unsigned)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// IEEE-754 double.
    Float(f64),
    /// Signed, 64 bits.
    Integer(i64),
    /// Unsigned, 64 bits.
    Unsigned(u64),
    /// Bytes, nearly always UTF-8.
    String(Vec<u8>),
    /// True or false.
    Boolean(bool),
}

impl FieldValue {
    /// Its type.
    pub fn field_type(&self) -> FieldType {
        match self {
            FieldValue::Float(_) => FieldType::Float,
            FieldValue::Integer(_) => FieldType::Integer,
            FieldValue::Unsigned(_) => FieldType::Unsigned,
            FieldValue::String(_) => FieldType::String,
            FieldValue::Boolean(_) => FieldType::Boolean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_fixed_for_ever() {
        let codes: Vec<u8> = FieldType::ALL.iter().map(|kind| *kind as u8).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5]);
        assert_eq!(FieldType::from_code(4), Some(FieldType::String));
        assert_eq!(FieldType::from_code(0), None);
    }
}
