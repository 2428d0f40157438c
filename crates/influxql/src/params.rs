//! Values of bound parameters (`$name`).
//!
//! A value becomes one token: an identifier, string, number and so on stands where `$name` stood, and its text is not
//! scanned again, so a value cannot smuggle in syntax.
//!
//! A value that cannot be bound (`null`, a list, `{"ident": 5}`) is an error only when the query uses it; a document
//! that is not a JSON object, or a bare number out of range, is one at once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::duration::format_duration;

/// The parameters of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    values: BTreeMap<String, ParamValue>,
}

/// What a parameter stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    String(String),
    Integer(i64),
    /// Finite.
    Number(f64),
    Boolean(bool),
    Identifier(String),
    /// Source text of a regular expression.
    Regex(String),
    /// Text of a duration; checked when it is used.
    Duration(String),
    /// A value of which nothing can be made: the error of the query that uses it.
    Unusable(String),
}

/// The request is wrong: its `params` cannot be read. Displays the whole text for the client; unlike a
/// [`ParseError`](crate::ParseError) it gets no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// Not a JSON object.
    #[error("error parsing query parameters: {0}")]
    Document(String),
    /// A bare number that is neither an `i64` nor, with a decimal point, a finite `f64`.
    #[error("error parsing json value: {0}")]
    Value(String),
}

impl Params {
    /// No parameters.
    pub fn new() -> Params {
        Params::default()
    }

    /// Reads the `params` of a request: a JSON object from name to value, or `null`. What follows the first JSON value
    /// is ignored, and of two equal names the last one counts, as in the reference.
    pub fn from_json(document: &str) -> Result<Params, ParamsError> {
        let mut documents =
            serde_json::Deserializer::from_str(document).into_iter::<Option<BTreeMap<String, Box<RawValue>>>>();
        let entries = match documents.next() {
            Some(Ok(entries)) => entries.unwrap_or_default(),
            Some(Err(error)) => return Err(ParamsError::Document(document_error(&error))),
            None => return Err(ParamsError::Document("EOF".to_owned())),
        };
        let mut params = Params::new();
        for (name, value) in entries {
            params.insert(name, bind(value.get())?);
        }
        Ok(params)
    }

    /// Sets the value of `$name`.
    pub fn insert(&mut self, name: impl Into<String>, value: ParamValue) {
        self.values.insert(name.into(), value);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&ParamValue> {
        self.values.get(name)
    }
}

/// The pattern in a form that can be written between slashes: line ends and NULs become escapes of the same meaning,
/// and so does a backslash at the end, which would take the closing slash along.
pub(crate) fn writable_pattern(pattern: &str) -> Cow<'_, str> {
    let line_ends = pattern.contains(['\n', '\r', '\0']);
    // Behind `\Q` a backslash stands for itself.
    let backslash = pattern.ends_with("\\\\") && !pattern.contains("\\Q");
    if !line_ends && !backslash {
        return Cow::Borrowed(pattern);
    }
    let mut writable = String::with_capacity(pattern.len() + 8);
    let mut escaped = false;
    for ch in pattern.chars() {
        let escape = match ch {
            '\n' => "\\n",
            '\r' => "\\r",
            '\0' => "\\x00",
            _ => {
                writable.push(ch);
                escaped = ch == '\\' && !escaped;
                continue;
            }
        };
        // A backslash that stands before the character already does for the escape.
        writable.push_str(if escaped { &escape[1..] } else { escape });
        escaped = false;
    }
    if backslash && !escaped {
        writable.truncate(writable.len() - 2);
        writable.push_str("\\x5c");
    }
    Cow::Owned(writable)
}

/// serde's message without the place in the document.
fn document_error(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected EOF".to_owned();
    }
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// The value that a JSON text binds.
fn bind(json: &str) -> Result<ParamValue, ParamsError> {
    let unusable = |kind: &str| Ok(ParamValue::Unusable(format!("unable to bind parameter with type {kind}")));
    match json.as_bytes().first() {
        Some(b'"') => {
            Ok(string(json).map_or_else(|| ParamValue::Unusable(NOT_A_STRING.to_owned()), ParamValue::String))
        }
        Some(b't') => Ok(ParamValue::Boolean(true)),
        Some(b'f') => Ok(ParamValue::Boolean(false)),
        Some(b'n') => unusable("<nil>"),
        Some(b'[') => unusable("[]interface {}"),
        Some(b'{') => Ok(bind_object(json)),
        _ if json.contains('.') => number(json).map(ParamValue::Number).map_err(ParamsError::Value),
        _ => integer(json).map(ParamValue::Integer).map_err(ParamsError::Value),
    }
}

const NOT_A_STRING: &str = "string literal must be a string value";

/// An object with one entry that names the type: `{"duration": "1h"}`.
fn bind_object(json: &str) -> ParamValue {
    let entries: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap_or_default();
    let (Some((kind, value)), 1) = (entries.iter().next(), entries.len()) else {
        return ParamValue::Unusable("bound object parameter value must have exactly one entry".to_owned());
    };
    bind_typed(kind, value.get()).unwrap_or_else(ParamValue::Unusable)
}

fn bind_typed(kind: &str, json: &str) -> Result<ParamValue, String> {
    let is_number = json.starts_with(|ch: char| ch.is_ascii_digit() || ch == '-');
    match kind {
        "ident" | "identifier" => {
            string(json).map(ParamValue::Identifier).ok_or_else(|| "identifier must be a string value".to_owned())
        }
        "regex" => string(json).map(ParamValue::Regex).ok_or_else(|| "regex literal must be a string value".to_owned()),
        "string" => string(json).map(ParamValue::String).ok_or_else(|| NOT_A_STRING.to_owned()),
        "float" | "number" if is_number => number(json).map(ParamValue::Number),
        "float" | "number" => Err("number literal must be a float value".to_owned()),
        "int" | "integer" if is_number && !json.contains('.') => integer(json).map(ParamValue::Integer),
        "int" | "integer" => Err("integer literal must be an integer value".to_owned()),
        "duration" if is_number && !json.contains('.') => {
            integer(json).map(|value| ParamValue::Duration(format_duration(value)))
        }
        "duration" => string(json)
            .map(ParamValue::Duration)
            .ok_or_else(|| "duration literal must be a string or integer value".to_owned()),
        _ => Err(format!("unknown bind object type: {kind}")),
    }
}

fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn number(json: &str) -> Result<f64, String> {
    match json.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("strconv.ParseFloat: parsing \"{json}\": value out of range")),
    }
}

fn integer(json: &str) -> Result<i64, String> {
    json.parse().map_err(|_| {
        let digits = json.strip_prefix('-').unwrap_or(json);
        let reason =
            if digits.bytes().all(|byte| byte.is_ascii_digit()) { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseInt: parsing \"{json}\": {reason}")
    })
}

#[cfg(test)]
mod tests;
