//! The configuration files that packages ship: every key once, with a comment, and with its default.
//!
//! A file is made from the table of keys and from the texts below, so that it can name no key that does not exist and
//! forget none that does. What is at its default is commented out; the directories, and the roles of an `influxd`, are
//! not. The files in `packaging/etc` are what this prints, word for word.

mod texts;

use crate::keys::{Effect, Key, Kind, Program};

/// Longest line of a comment, in characters.
const LINE_CHARS: usize = 100;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The server that joins others, or stands alone.
    Classic,
    /// A data node that waits to be added.
    Data,
    /// A meta node that waits to be added.
    Meta,
}

impl Sample {
    /// Whose file it is.
    pub fn program(self) -> Program {
        match self {
            Sample::Classic | Sample::Data => Program::Influxd,
            Sample::Meta => Program::InfluxdMeta,
        }
    }

    fn head(self) -> &'static str {
        match self {
            Sample::Classic => texts::CLASSIC_HEAD,
            Sample::Data => texts::DATA_HEAD,
            Sample::Meta => texts::META_HEAD,
        }
    }

    /// What stands in the file whether or not it is the default, as text; `None` for what is commented out.
    fn given(self, key: &Key) -> Option<&'static str> {
        match (self, key.table, key.name) {
            (_, "meta" | "data" | "hinted-handoff", "dir") | (_, "data", "wal-dir") => Some(key.default),
            (Sample::Classic, "meta" | "data", "enabled") => Some("true"),
            (Sample::Data, "meta", "enabled") => Some("false"),
            _ => None,
        }
    }
}

/// The file as a package ships it.
///
/// # Panics
/// When a key has no text: a mistake in this crate.
pub fn print(sample: Sample) -> String {
    let mut out = String::new();
    push_comment(&mut out, "", sample.head());
    let mut table = "";
    for key in sample.program().keys() {
        if key.table != table {
            table = key.table;
            let text = texts::of_table(sample.program(), table).expect("every table has a text");
            out.push_str("\n\n");
            push_comment(&mut out, "", text);
            out.push_str(&format!("[{table}]\n"));
        }
        push_key(&mut out, sample, key);
    }
    out
}

fn push_key(out: &mut String, sample: Sample, key: &Key) {
    let indent = if key.table.is_empty() { "" } else { "  " };
    let text = texts::of_key(sample.program(), key).expect("every key has a text");
    let effect = match key.effect {
        Effect::Works => String::new(),
        Effect::Nothing(why) => format!(" Without effect: {why}."),
        Effect::Stops => " Not supported yet: true stops the start.".to_owned(),
    };
    out.push('\n');
    push_comment(out, indent, &format!("{text}{effect}"));
    let line = match sample.given(key) {
        Some(value) => format!("{} = {}", key.name, literal(key.kind, value)),
        // Roles have no default of their own: what is not said is on.
        None if key.kind == Kind::Bool && key.default.is_empty() => format!("# {} = true", key.name),
        None => format!("# {} = {}", key.name, literal(key.kind, key.default)),
    };
    out.push_str(&format!("{indent}{line}\n"));
}

fn literal(kind: Kind, value: &str) -> String {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        Kind::List => "[]".to_owned(),
        Kind::Bool | Kind::Int | Kind::Number => value.to_owned(),
        Kind::Size if is_number => value.to_owned(),
        Kind::Size | Kind::Duration | Kind::Text => format!("\"{value}\""),
    }
}

/// Text as lines of a comment. Two spaces and more begin a line that is kept as it is.
fn push_comment(out: &mut String, indent: &str, text: &str) {
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let is_full = indent.len() + 2 + line.chars().count() + 1 + word.chars().count() > LINE_CHARS;
            if is_full && !line.is_empty() {
                out.push_str(&format!("{indent}# {line}\n"));
                line.clear();
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(format!("{indent}# {line}").trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;
    use crate::data_node::{DataNodeConfig, Mode};
    use crate::file::{Setting, Settings};
    use crate::meta_node::MetaNodeConfig;

    const SAMPLES: [Sample; 3] = [Sample::Classic, Sample::Data, Sample::Meta];

    /// The name of the key in a line, if it is one that sets a key or could.
    fn key_of(line: &str) -> Option<(&str, bool)> {
        let line = line.trim_start();
        let (line, is_commented) = line.strip_prefix("# ").map_or((line, false), |line| (line, true));
        let (name, _) = line.split_once(" = ")?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        (is_name && !line.starts_with(' ')).then_some((name, is_commented))
    }

    /// The file with the lines of some keys, of all or of one, put in force.
    fn uncommented(text: &str, is_wanted: impl Fn(usize) -> bool) -> String {
        let lines = text.lines().enumerate().map(|(index, line)| match key_of(line) {
            Some((_, true)) if is_wanted(index) => line.replacen("# ", "", 1),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn read(sample: Sample, text: &str) -> Settings {
        let (settings, warnings) =
            Settings::read(sample.program(), "f", text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((warnings, settings.without_effect()), (Vec::new(), Vec::new()), "{sample:?}");
        settings
    }

    #[test]
    fn the_shipped_files_are_what_is_printed() {
        expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/etc/influxdb.conf")]
            .assert_eq(&print(Sample::Classic));
        expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/etc/influxdb-data.conf")]
            .assert_eq(&print(Sample::Data));
        expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/etc/influxdb-meta.conf")]
            .assert_eq(&print(Sample::Meta));
    }

    #[test]
    fn every_key_stands_in_a_shipped_file_once_and_no_other() {
        for sample in SAMPLES {
            let (mut found, mut table) = (Vec::new(), "");
            let text = print(sample);
            for line in text.lines() {
                if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                    table = name;
                }
                found.extend(key_of(line).map(|(name, _)| (table.to_owned(), name.to_owned())));
            }
            let known = sample.program().keys().iter().map(|key| (key.table.to_owned(), key.name.to_owned()));
            assert_eq!(found, known.collect::<Vec<_>>(), "{sample:?}");
        }
    }

    #[test]
    fn every_line_of_a_shipped_file_may_be_uncommented_and_changes_nothing() {
        for sample in SAMPLES {
            let text = print(sample);
            let shipped = read(sample, &text);
            let all = read(sample, &uncommented(&text, |_| true));
            for key in sample.program().keys() {
                assert!(all.is_set(key.table, key.name), "{sample:?} {}", key.name);
                let (before, after) = (shipped.get(key.table, key.name), all.get(key.table, key.name));
                let is_default = match (&before, &after) {
                    (None, Some(Setting::Text(text))) => text.is_empty(),
                    (None, Some(Setting::List(items))) => items.is_empty(),
                    // Roles: a node has those that nobody takes from it.
                    (None, Some(Setting::Bool(value))) => *value && key.name == "enabled",
                    _ => before == after,
                };
                assert!(is_default, "{sample:?} {}: {before:?} {after:?}", key.name);
                let is_role = key.name == "enabled" && ["meta", "data"].contains(&key.table);
                let default = Settings::new(sample.program()).get(key.table, key.name);
                assert!(is_role || before == default, "{sample:?} {}: {before:?} {default:?}", key.name);
            }
            let mut table = "";
            for line in text.lines() {
                table = if line.starts_with('[') { line } else { table };
                if key_of(line).is_some() {
                    read(sample, &format!("{table}\n{}", uncommented(line, |_| true)));
                }
            }
        }
    }

    #[test]
    fn a_shipped_file_makes_the_node_that_its_package_is_for() {
        for all in [false, true] {
            let mode = |sample| {
                let settings = read(sample, &uncommented(&print(sample), |_| all));
                DataNodeConfig::new(&settings, None, None).expect("settings").mode
            };
            assert_eq!(mode(Sample::Classic), Mode::Classic { join: Vec::new(), meta: true, data: true });
            assert_eq!(mode(Sample::Data), Mode::Unjoined);
            let meta = read(Sample::Meta, &uncommented(&print(Sample::Meta), |_| all));
            let meta = MetaNodeConfig::new(&meta, None).expect("settings");
            assert_eq!((meta.raft_bind.as_str(), meta.http_bind.as_str()), (":8089", ":8091"));
        }
    }

    #[test]
    fn a_shipped_file_comes_back_from_the_config_command() {
        for sample in SAMPLES {
            for all in [false, true] {
                let settings = read(sample, &uncommented(&print(sample), |_| all));
                let printed = crate::print::print(&settings);
                assert_eq!(crate::print::print(&read(sample, &printed)), printed, "{sample:?}");
            }
        }
    }

    #[test]
    fn comments_keep_to_the_width() {
        for line in SAMPLES.map(print).iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= LINE_CHARS && line == line.trim_end(), "{line:?}");
        }
        let mut out = String::new();
        push_comment(&mut out, "  ", &format!("{} b\n\nc", "a".repeat(LINE_CHARS)));
        assert_eq!(out, format!("  # {}\n  # b\n  #\n  # c\n", "a".repeat(LINE_CHARS)));
    }
}
