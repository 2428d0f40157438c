//! Tables for people.

use std::io::{self, Write};

use api_client::Series;

use super::cell_text;
use super::tabs::Tabs;

/// Prints a series: what it is called, its tags, the columns underlined, its rows.
pub(super) fn print_series(series: &Series, with_header: bool, tabs: &mut Tabs, out: &mut dyn Write) -> io::Result<()> {
    if with_header {
        if !series.name.is_empty() {
            tabs.line(&format!("name: {}", series.name), out)?;
        }
        if !series.tags.is_empty() {
            let tags: Vec<String> = series.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            tabs.line(&format!("tags: {}", tags.join(", ")), out)?;
        }
        tabs.line(&series.columns.join("\t"), out)?;
        // As long as the name in bytes, as in the reference.
        let dashes: Vec<String> = series.columns.iter().map(|column| "-".repeat(column.len())).collect();
        tabs.line(&dashes.join("\t"), out)?;
    }
    for row in &series.values {
        let cells: Vec<String> = row.iter().map(cell_text).collect();
        tabs.line(&cells.join("\t"), out)?;
    }
    Ok(())
}
