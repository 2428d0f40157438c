//! Answers as people and programs want to see them. Pure: documents in, text out.
//!
//! The layouts are those of the reference's shell, byte for byte; `tests/recorded.txt` has what it printed. Rows are
//! printed as their documents arrive, in columns as soon as the widths of a table are known.

mod columns;
mod csv;
mod json;
pub(crate) mod tabs;

use std::io::{self, Write};

use api_client::{Cell, Document, QueryResult, Series};

use tabs::Tabs;

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Column,
    Csv,
    Json,
}

impl Format {
    /// The format of a name, in any case.
    pub(crate) fn parse(name: &str) -> Option<Format> {
        Some(match name.to_ascii_lowercase().as_str() {
            "column" => Format::Column,
            "csv" => Format::Csv,
            "json" => Format::Json,
            _ => return None,
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Column => "column",
            Format::Csv => "csv",
            Format::Json => "json",
        }
    }
}

/// Prints one answer.
#[derive(Debug)]
pub(crate) struct Printer {
    format: Format,
    tabs: Tabs,
    json: json::JsonPrinter,
    /// Results so far.
    result_count: usize,
    /// The series of which the header was printed last, without its rows.
    header: Option<Series>,
}

impl Printer {
    pub(crate) fn new(format: Format, pretty: bool) -> Printer {
        Printer { format, tabs: Tabs::default(), json: json::JsonPrinter::new(pretty), result_count: 0, header: None }
    }

    /// Prints the next document.
    pub(crate) fn print(&mut self, document: &Document, out: &mut dyn Write) -> io::Result<()> {
        for result in &document.results {
            match self.format {
                Format::Json => self.json.print_result(result, out)?,
                Format::Csv => self.print_csv(result, out)?,
                Format::Column => self.print_columns(result, out)?,
            }
            self.result_count += 1;
        }
        if let (Format::Json, Some(error)) = (self.format, &document.error) {
            self.json.note_error(error);
        }
        Ok(())
    }

    /// Prints what is owed after the last document.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Json => self.json.finish(out),
            Format::Csv => Ok(()),
            Format::Column => self.tabs.flush(out),
        }
    }

    fn print_csv(&mut self, result: &QueryResult, out: &mut dyn Write) -> io::Result<()> {
        let goes_on = self.goes_on(result);
        for series in &result.series {
            csv::print_series(series, !goes_on, out)?;
        }
        Ok(())
    }

    fn print_columns(&mut self, result: &QueryResult, out: &mut dyn Write) -> io::Result<()> {
        for message in &result.messages {
            writeln!(out, "{}: {}.", message.level, message.text)?;
        }
        let goes_on = self.goes_on(result);
        if !goes_on && self.result_count > 0 {
            self.tabs.line("", out)?;
        }
        for (index, series) in result.series.iter().enumerate() {
            if index > 0 && !goes_on {
                self.tabs.line("", out)?;
            }
            columns::print_series(series, !goes_on, &mut self.tabs, out)?;
        }
        Ok(())
    }

    /// Whether a result begins with rows of the series that was printed last, so that it needs no header.
    fn goes_on(&mut self, result: &QueryResult) -> bool {
        let Some(first) = result.series.first() else { return false };
        let known = self.header.as_ref();
        let goes_on = known.is_some_and(|known| {
            known.name == first.name && known.tags == first.tags && known.columns == first.columns
        });
        if !goes_on {
            let (name, tags, columns) = (first.name.clone(), first.tags.clone(), first.columns.clone());
            self.header = Some(Series { name, tags, columns, ..Series::default() });
        }
        goes_on
    }
}

/// The text of a cell.
fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Number(text) | Cell::Text(text) => text.clone(),
        Cell::List(cells) => {
            let texts: Vec<String> = cells.iter().map(cell_text).collect();
            format!("[{}]", texts.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, pretty: bool, documents: &[&str]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(format, pretty);
        for text in documents {
            let document = Document::parse(text).expect("a document");
            printer.print(&document, &mut out).expect("memory");
        }
        printer.finish(&mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    /// Lines with `<` are documents, with `>` what the reference printed for them.
    #[test]
    fn answers_look_as_the_reference_shows_them() {
        let recorded = include_str!("../tests/recorded.txt");
        let mut count = 0;
        for case in recorded.split("\n\n").filter(|case| !case.trim().is_empty()) {
            let lines = |mark: &str| case.lines().filter_map(|line| line.strip_prefix(mark)).collect::<Vec<_>>();
            let title = lines("### ").concat();
            let how = lines("# ").concat();
            let (format, pretty) = match how.split_whitespace().next().expect("a format") {
                "format=pretty" => (Format::Json, true),
                other => (Format::parse(&other["format=".len()..]).expect("a format"), false),
            };
            // Errors are printed by the session, after the answer.
            let want: Vec<&str> = lines("> ").into_iter().filter(|line| !line.starts_with("ERR: ")).collect();
            let got = printed(format, pretty, &lines("< "));
            assert_eq!(got.lines().collect::<Vec<_>>(), want, "{title} {how}");
            count += 1;
        }
        assert!(count > 100, "{count}");
    }

    #[test]
    fn messages_come_first() {
        let text = r#"{"results":[{"messages":[{"level":"warning","text":"mind this"}],"series":[{"columns":["a"],"values":[[1]]}]}]}"#;
        assert_eq!(printed(Format::Column, false, &[text]), "warning: mind this.\na\n-\n1\n");
        assert_eq!(printed(Format::Csv, false, &[text]), "a\n1\n");
        let json = r#"{"results":[{"series":[{"columns":["a"],"values":[[1]]}],"messages":[{"level":"warning","text":"mind this"}]}]}"#;
        assert_eq!(printed(Format::Json, false, &[text]), format!("{json}\n"));
    }

    #[test]
    fn several_series_of_one_document() {
        let text = r#"{"results":[{"series":[{"name":"a","columns":["x"],"values":[["1"]]},{"name":"b","columns":["x","y"],"values":[["1",2]]}]}]}"#;
        assert_eq!(printed(Format::Column, false, &[text]), "name: a\nx\n-\n1\n\nname: b\nx y\n- -\n1 2\n");
        assert_eq!(printed(Format::Csv, false, &[text]), "name,x\na,1\nname,x,y\nb,1,2\n");
    }

    #[test]
    fn pieces_of_a_series_have_one_header_and_common_widths() {
        let piece = |value: &str| {
            format!(
                r#"{{"results":[{{"series":[{{"name":"m","columns":["t","v"],"values":[["{value}",1]],"partial":true}}],"partial":true}}]}}"#
            )
        };
        let pieces = [piece("x"), piece("longer")];
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(printed(Format::Column, false, &pieces), "name: m\nt      v\n-      -\nx      1\nlonger 1\n");
        assert_eq!(printed(Format::Csv, false, &pieces), "name,t,v\nm,x,1\nm,longer,1\n");
    }

    #[test]
    fn tabs_stay_in_their_field_of_csv() {
        let text = r#"{"results":[{"series":[{"columns":["a","b"],"values":[["x\ty"," z"],["","\\."]]}]}]}"#;
        assert_eq!(printed(Format::Csv, false, &[text]), "a,b\nx\ty,\" z\"\n,\"\\.\"\n");
    }

    #[test]
    fn formats_are_known_in_any_case() {
        for format in [Format::Column, Format::Csv, Format::Json] {
            assert_eq!(Format::parse(&format.name().to_uppercase()), Some(format));
        }
        assert_eq!(Format::parse("xml"), None);
    }
}
