//! Documents for programs: all results in one, without their numbers.

use std::io::{self, Write};

use api_client::{Cell, Message, QueryResult, Series};

/// Prints results as they come.
#[derive(Debug)]
pub(super) struct JsonPrinter {
    pretty: bool,
    begun: bool,
    error: Option<String>,
}

/// A value with its keys in order.
#[derive(Debug)]
enum Node {
    /// Written as it is.
    Raw(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(&'static str, Node)>),
    Tags(Vec<(String, Node)>),
}

impl JsonPrinter {
    pub(super) fn new(pretty: bool) -> JsonPrinter {
        JsonPrinter { pretty, begun: false, error: None }
    }

    pub(super) fn print_result(&mut self, result: &QueryResult, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        if self.begun {
            text.push(',');
        } else {
            text.push('{');
            self.new_line(&mut text, 1);
            text.push_str(if self.pretty { "\"results\": [" } else { "\"results\":[" });
        }
        self.begun = true;
        self.new_line(&mut text, 2);
        self.push(&mut text, &result_node(result), 2);
        out.write_all(text.as_bytes())
    }

    /// An error of the whole request.
    pub(super) fn note_error(&mut self, error: &str) {
        self.error.get_or_insert_with(|| error.to_owned());
    }

    pub(super) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        let error = self.error.as_ref().map(|error| Node::Text(error.clone()));
        if self.begun {
            self.new_line(&mut text, 1);
            text.push(']');
            if let Some(error) = error {
                text.push(',');
                self.new_line(&mut text, 1);
                text.push_str(if self.pretty { "\"error\": " } else { "\"error\":" });
                self.push(&mut text, &error, 1);
            }
            self.new_line(&mut text, 0);
            text.push('}');
        } else {
            let entries = error.map(|error| vec![("error", error)]).unwrap_or_default();
            self.push(&mut text, &Node::Map(entries), 0);
        }
        text.push('\n');
        out.write_all(text.as_bytes())
    }

    fn new_line(&self, text: &mut String, depth: usize) {
        if self.pretty {
            text.push('\n');
            text.extend(std::iter::repeat_n("    ", depth));
        }
    }

    fn push(&self, text: &mut String, node: &Node, depth: usize) {
        match node {
            Node::Raw(raw) => text.push_str(raw),
            Node::Text(value) => push_text(text, value),
            Node::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.separate(text, index, depth);
                    self.push(text, item, depth + 1);
                }
                self.close(text, items.is_empty(), depth, ']');
            }
            Node::Map(entries) => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.push_entry(text, index, depth, key, value);
                }
                self.close(text, entries.is_empty(), depth, '}');
            }
            Node::Tags(entries) => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.push_entry(text, index, depth, key, value);
                }
                self.close(text, entries.is_empty(), depth, '}');
            }
        }
    }

    fn push_entry(&self, text: &mut String, index: usize, depth: usize, key: &str, value: &Node) {
        self.separate(text, index, depth);
        push_text(text, key);
        text.push_str(if self.pretty { ": " } else { ":" });
        self.push(text, value, depth + 1);
    }

    fn separate(&self, text: &mut String, index: usize, depth: usize) {
        if index > 0 {
            text.push(',');
        }
        self.new_line(text, depth + 1);
    }

    fn close(&self, text: &mut String, is_empty: bool, depth: usize, bracket: char) {
        if !is_empty {
            self.new_line(text, depth);
        }
        text.push(bracket);
    }
}

fn result_node(result: &QueryResult) -> Node {
    let mut entries = Vec::new();
    if !result.series.is_empty() {
        entries.push(("series", Node::List(result.series.iter().map(series_node).collect())));
    }
    if !result.messages.is_empty() {
        entries.push(("messages", Node::List(result.messages.iter().map(message_node).collect())));
    }
    if let Some(error) = &result.error {
        entries.push(("error", Node::Text(error.clone())));
    }
    Node::Map(entries)
}

fn series_node(series: &Series) -> Node {
    let mut entries = Vec::new();
    if !series.name.is_empty() {
        entries.push(("name", Node::Text(series.name.clone())));
    }
    if !series.tags.is_empty() {
        let tags = series.tags.iter().map(|(key, value)| (key.clone(), Node::Text(value.clone())));
        entries.push(("tags", Node::Tags(tags.collect())));
    }
    if !series.columns.is_empty() {
        entries.push(("columns", Node::List(series.columns.iter().cloned().map(Node::Text).collect())));
    }
    if !series.values.is_empty() {
        let rows = series.values.iter().map(|row| Node::List(row.iter().map(cell_node).collect()));
        entries.push(("values", Node::List(rows.collect())));
    }
    if series.partial {
        entries.push(("partial", Node::Raw("true".to_owned())));
    }
    Node::Map(entries)
}

fn message_node(message: &Message) -> Node {
    Node::Map(vec![("level", Node::Text(message.level.clone())), ("text", Node::Text(message.text.clone()))])
}

fn cell_node(cell: &Cell) -> Node {
    match cell {
        Cell::Null => Node::Raw("null".to_owned()),
        Cell::Boolean(value) => Node::Raw(value.to_string()),
        Cell::Number(text) => Node::Raw(text.clone()),
        Cell::Text(text) => Node::Text(text.clone()),
        Cell::List(cells) => Node::List(cells.iter().map(cell_node).collect()),
    }
}

/// A string with the escapes of the server.
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}
