//! Rows for programs.

use std::io::{self, Write};

use api_client::Series;

use super::cell_text;

/// Prints a series: a header, then its rows, with name and tags in front where the series has them.
pub(super) fn print_series(series: &Series, with_header: bool, out: &mut dyn Write) -> io::Result<()> {
    let has_name = !series.name.is_empty();
    let has_tags = !series.tags.is_empty();
    if with_header {
        let lead = [has_name.then_some("name"), has_tags.then_some("tags")];
        print_record(lead.into_iter().flatten().chain(series.columns.iter().map(String::as_str)), out)?;
    }
    let tags: Vec<String> = series.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let tags = tags.join(",");
    for row in &series.values {
        let cells: Vec<String> = row.iter().map(cell_text).collect();
        let lead = [has_name.then_some(series.name.as_str()), has_tags.then_some(tags.as_str())];
        print_record(lead.into_iter().flatten().chain(cells.iter().map(String::as_str)), out)?;
    }
    Ok(())
}

fn print_record<'a>(fields: impl Iterator<Item = &'a str>, out: &mut dyn Write) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        if needs_quotes(field) {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

fn needs_quotes(field: &str) -> bool {
    // A tab in front is no reason: the reference does not hand one over.
    field == "\\." || field.contains([',', '"', '\n', '\r']) || field.starts_with(char::is_whitespace)
}
