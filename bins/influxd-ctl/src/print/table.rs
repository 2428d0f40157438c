//! Columns of text.

/// Spaces between columns.
const GAP: usize = 2;

/// Rows whose columns begin below each other, each at least `width_min` wide with the gap behind it. The last column is
/// not padded, so that no line ends in a space.
pub(crate) fn table(rows: &[Vec<String>], width_min: usize) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|column| width(&rows, column).max(width_min)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column));
    cells.map(|cell| cell.chars().count()).max().unwrap_or(0) + GAP
}

/// A cell on one line: names may have characters that would break it, or move the cursor of a terminal.
fn shown(cell: &str) -> String {
    cell.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_begin_below_each_other() {
        let rows = rows(&[&["ID", "Name", "X"], &["1", "é23456", "long enough"], &["12", "", ""]]);
        assert_eq!(table(&rows, 0), "ID  Name    X\n1   é23456  long enough\n12\n");
        assert_eq!(table(&rows, 8), "ID      Name    X\n1       é23456  long enough\n12\n");
        assert_eq!(table(&[], 8), "");
    }

    #[test]
    fn a_cell_stays_on_its_line() {
        assert_eq!(table(&rows(&[&["a\nb\u{1b}[2J", "c"]]), 0), "a\u{fffd}b\u{fffd}[2J  c\n");
    }
}
