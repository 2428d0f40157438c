//! Answers of queries.
//!
//! Numbers keep their digits: an integer beyond 2^53 and a float that was written with an exponent are shown as the
//! server wrote them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// One document of an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Results of statements, in order.
    pub results: Vec<QueryResult>,
    /// Why the request failed.
    pub error: Option<String>,
}

/// The result of a statement, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct QueryResult {
    /// Which statement.
    pub statement_id: usize,
    /// What it found.
    pub series: Vec<Series>,
    /// What the server wants to say besides.
    pub messages: Vec<Message>,
    /// Whether more documents follow for the statement.
    pub partial: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// A series or a piece of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Empty when it has none.
    pub name: String,
    /// Tags by which it was grouped.
    pub tags: BTreeMap<String, String>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows.
    pub values: Vec<Vec<Cell>>,
    /// Whether more rows follow in the next document.
    pub partial: bool,
}

/// Something that the server says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Message {
    /// `warning`.
    pub level: String,
    /// A sentence without its full stop.
    pub text: String,
}

/// A cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number as it was written.
    Number(String),
    /// Text.
    Text(String),
    /// Cells in a cell.
    List(Vec<Cell>),
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        let raw: &RawValue = Deserialize::deserialize(deserializer)?;
        Cell::read(raw.get(), 0).map_err(serde::de::Error::custom)
    }
}

/// Lists in lists below this depth are shown as they are; servers send one level.
const LIST_DEPTH_MAX: usize = 8;

impl Cell {
    fn read(text: &str, depth: usize) -> Result<Cell, serde_json::Error> {
        Ok(match text.as_bytes().first() {
            Some(b'n') | None => Cell::Null,
            Some(b't') => Cell::Boolean(true),
            Some(b'f') => Cell::Boolean(false),
            Some(b'"') => Cell::Text(serde_json::from_str(text)?),
            Some(b'[') if depth < LIST_DEPTH_MAX => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let cells = items.into_iter().map(|item| Cell::read(item.get(), depth + 1));
                Cell::List(cells.collect::<Result<_, _>>()?)
            }
            // No server sends these; they are shown as they are.
            Some(b'{' | b'[') => Cell::Text(text.to_owned()),
            Some(_) => Cell::Number(text.to_owned()),
        })
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// When the text is no document.
    pub fn parse(text: &str) -> Result<Document, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The first error in it.
    pub fn first_error(&self) -> Option<&str> {
        let of_results = self.results.iter().find_map(|result| result.error.as_deref());
        self.error.as_deref().or(of_results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"results":[{"statement_id":1,"series":[{"name":"m","tags":{"h":"a"},"columns":["time","v"],
            "values":[[0,9007199254740993],[1e+21,-0],["x\u003cy",null],[true,["a","b"]],[{"a":1},false]],"partial":true}],
            "messages":[{"level":"warning","text":"t"}],"partial":true}]}"#;
        let document = Document::parse(text).expect("a document");
        let result = &document.results[0];
        let series = &result.series[0];
        assert_eq!((result.statement_id, result.partial, series.partial), (1, true, true));
        let number = |text: &str| Cell::Number(text.to_owned());
        let letters = vec![Cell::Text("a".to_owned()), Cell::Text("b".to_owned())];
        assert_eq!(
            series.values,
            [
                vec![number("0"), number("9007199254740993")],
                vec![number("1e+21"), number("-0")],
                vec![Cell::Text("x<y".to_owned()), Cell::Null],
                vec![Cell::Boolean(true), Cell::List(letters)],
                vec![Cell::Text("{\"a\":1}".to_owned()), Cell::Boolean(false)],
            ]
        );
        assert_eq!(document.first_error(), None);
    }

    #[test]
    fn errors_are_found_wherever_they_are() {
        let error = |text| Document::parse(text).expect("a document").first_error().map(str::to_owned);
        assert_eq!(error(r#"{"error":"a"}"#).as_deref(), Some("a"));
        assert_eq!(error(r#"{"results":[{},{"error":"b"},{"error":"c"}]}"#).as_deref(), Some("b"));
        assert_eq!(error("{}"), None);
    }

    #[test]
    fn deep_lists_do_no_harm() {
        for depth in [9, 100, 100_000] {
            let list = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let text = format!(r#"{{"results":[{{"series":[{{"columns":["a"],"values":[[{list}]]}}]}}]}}"#);
            // Shown in part or refused, but nothing worse.
            let _ = Document::parse(&text);
        }
    }

    #[test]
    fn other_texts_are_no_documents() {
        for text in ["", "hello", "[1]", "{\"results\":3}"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
    }
}
