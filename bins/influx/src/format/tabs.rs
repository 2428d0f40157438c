//! Cells that end with a tab, padded so that those below each other are equally wide.
//!
//! A column lasts as long as lines follow each other that have it; the text after the last tab of a line belongs to no
//! column. So a line without a tab ends all columns, and everything before it can be printed.

use std::io::{self, Write};

/// Lines whose widths are not known yet.
#[derive(Debug, Default)]
pub(crate) struct Tabs {
    lines: Vec<Vec<String>>,
}

impl Tabs {
    /// Takes a line, or several.
    pub(crate) fn line(&mut self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        for line in text.split('\n') {
            let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
            let ends_columns = cells.len() == 1;
            self.lines.push(cells);
            if ends_columns {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    /// Prints all lines.
    pub(crate) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths();
        for (cells, widths) in self.lines.drain(..).zip(widths) {
            let Some((last, columns)) = cells.split_last() else { continue };
            for (cell, width) in columns.iter().zip(widths) {
                write!(out, "{cell}{:1$}", "", width - char_count(cell))?;
            }
            writeln!(out, "{last}")?;
        }
        Ok(())
    }

    /// For each line the widths of its columns, padding included.
    fn widths(&self) -> Vec<Vec<usize>> {
        let mut widths: Vec<Vec<usize>> = self.lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
        let column_count = widths.iter().map(Vec::len).max().unwrap_or(0);
        for column in 0..column_count {
            let mut line = 0;
            while line < widths.len() {
                let run = widths[line..].iter().take_while(|columns| columns.len() > column).count();
                let cells = &self.lines[line..line + run];
                let width = cells.iter().map(|cells| char_count(&cells[column]) + 1).max().unwrap_or(0);
                for columns in &mut widths[line..line + run] {
                    columns[column] = width;
                }
                line += run + 1;
            }
        }
        widths
    }
}

fn char_count(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned(lines: &[&str]) -> String {
        let mut out = Vec::new();
        let mut tabs = Tabs::default();
        for line in lines {
            tabs.line(line, &mut out).expect("memory");
        }
        tabs.flush(&mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        assert_eq!(aligned(&["a\tb\tc", "long\t\tx"]), "a    b c\nlong   x\n");
    }

    #[test]
    fn a_line_without_tabs_ends_columns() {
        assert_eq!(aligned(&["long\tx", "-", "a\tx"]), "long x\n-\na x\n");
        assert_eq!(aligned(&["a\tb\tc", "x\ty", "a\tlong\tc"]), "a b c\nx y\na long c\n");
    }

    #[test]
    fn letters_are_counted_and_not_bytes() {
        assert_eq!(aligned(&["\u{e9}\u{e9}\tx", "abc\ty"]), "\u{e9}\u{e9}  x\nabc y\n");
    }

    #[test]
    fn a_line_feed_in_a_cell_begins_a_line() {
        assert_eq!(aligned(&["long\tline1\nline2\tx"]), "long  line1\nline2 x\n");
    }
}
