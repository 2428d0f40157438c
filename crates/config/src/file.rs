//! TOML to settings.
//!
//! A file is read whole, every key is checked against the table of known keys, and a mistake is reported with file,
//! line and key. Unknown keys only warn, for people bring their existing files.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::{self, Key, Kind};
use crate::text;

/// A value of a key, checked against its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A boolean.
    Bool(bool),
    /// A whole number, or a size in bytes.
    Int(i64),
    /// A number.
    Number(f64),
    /// A duration.
    Duration(Duration),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// What stops a start. The text names file, line and key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse config: {0}")]
pub struct ConfigError(pub String);

/// What is worth a line in the log, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

/// The values that were set, by table and key. What was not set has its default.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: BTreeMap<(&'static str, &'static str), Setting>,
    listeners_enabled: Vec<String>,
    enterprise_tables: bool,
}

impl Settings {
    /// Reads the text of a file. `name` is how messages call it.
    ///
    /// # Errors
    /// A sentence with the file, the line and the key.
    pub fn read(name: &str, text: &str) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            ConfigError(format!("{name}:{line}: {}", error.message()))
        })?;
        let mut reader = Reader { name, text, settings: Settings::default(), warnings: Vec::new() };
        reader.top(table.get_ref())?;
        Ok((reader.settings, reader.warnings))
    }

    /// Puts a value given as text (environment, flag) over what the file says.
    ///
    /// # Errors
    /// Why the text does not fit the kind of the key.
    pub fn put_text(&mut self, key: &'static Key, value: &str) -> Result<(), String> {
        let setting = from_text(key.kind, value)?;
        self.values.insert((key.table, key.name), setting);
        Ok(())
    }

    /// Puts a value.
    pub fn put(&mut self, key: &'static Key, value: Setting) {
        self.values.insert((key.table, key.name), value);
    }

    /// The value of a key if it was set or has a default.
    ///
    /// # Panics
    /// When there is no such key: a mistake in this program.
    pub fn get(&self, table: &str, name: &str) -> Option<Setting> {
        let key = keys::find(table, name).expect("the key is in the table of keys");
        let set = self.values.get(&(key.table, key.name)).cloned();
        set.or_else(|| from_text(key.kind, key.default).ok().filter(|_| !key.default.is_empty()))
    }

    /// Whether the key was set rather than left at its default.
    pub fn is_set(&self, table: &str, name: &str) -> bool {
        keys::find(table, name).is_some_and(|key| self.values.contains_key(&(key.table, key.name)))
    }

    /// A boolean; `None` when neither set nor defaulted.
    pub fn bool(&self, table: &str, name: &str) -> Option<bool> {
        match self.get(table, name) {
            Some(Setting::Bool(value)) => Some(value),
            _ => None,
        }
    }

    /// A text; empty when neither set nor defaulted.
    pub fn text(&self, table: &str, name: &str) -> String {
        match self.get(table, name) {
            Some(Setting::Text(value)) => value,
            _ => String::new(),
        }
    }

    /// A whole number or size; 0 when neither set nor defaulted.
    pub fn int(&self, table: &str, name: &str) -> i64 {
        match self.get(table, name) {
            Some(Setting::Int(value)) => value,
            _ => 0,
        }
    }

    /// A duration; zero when neither set nor defaulted.
    pub fn duration(&self, table: &str, name: &str) -> Duration {
        match self.get(table, name) {
            Some(Setting::Duration(value)) => value,
            _ => Duration::ZERO,
        }
    }

    /// Listeners that the file switches on and that do not exist yet.
    pub fn listeners_enabled(&self) -> &[String] {
        &self.listeners_enabled
    }

    /// Whether the file has tables or keys that only the Enterprise generation has.
    pub fn looks_like_enterprise(&self) -> bool {
        let own_meta_key = self.values.keys().any(|(table, name)| *table == "meta" && name.starts_with("meta-"));
        self.enterprise_tables || own_meta_key
    }
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    settings: Settings,
    warnings: Vec<Warning>,
}

impl Reader<'_> {
    fn top(&mut self, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = name.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(inner) => self.table(key, name.span().start, inner)?,
                DeValue::Array(items) if keys::LISTENER_TABLES.contains(&key) => {
                    for item in items {
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.listener(key, inner);
                        }
                    }
                }
                _ => self.value("", name, value)?,
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &str, at: usize, inner: &DeTable<'_>) -> Result<(), ConfigError> {
        if keys::LISTENER_TABLES.contains(&table) {
            self.listener(table, inner);
            return Ok(());
        }
        if keys::IGNORED_TABLES.contains(&table) {
            return Ok(());
        }
        if !keys::is_table(table) {
            self.warn(at, &format!("table [{table}] is not known and is ignored"));
            return Ok(());
        }
        self.settings.enterprise_tables |= ["enterprise", "cluster", "anti-entropy"].contains(&table);
        // [cluster] wins over its other name [coordinator], wherever they stand.
        inner.iter().try_for_each(|(name, value)| match table {
            "coordinator" if self.settings.is_set("cluster", name.get_ref()) => Ok(()),
            _ => self.value(table, name, value),
        })
    }

    fn listener(&mut self, table: &str, inner: &DeTable<'_>) {
        let enabled = inner.iter().any(|(name, value)| {
            name.get_ref().as_ref() == "enabled" && matches!(value.get_ref(), DeValue::Boolean(true))
        });
        if enabled {
            self.settings.listeners_enabled.push(table.to_owned());
        }
    }

    fn value(
        &mut self,
        table: &str,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let spelled = name.get_ref().as_ref();
        let path = if table.is_empty() { spelled.to_owned() } else { format!("[{table}] {spelled}") };
        let Some(key) = keys::find(table, spelled) else {
            if table == "http" && spelled == "headers" {
                return Ok(());
            }
            let hint = keys::nearest(table, spelled).map(|near| format!("; is it {near}?")).unwrap_or_default();
            self.warn(name.span().start, &format!("key {path} is not known and is ignored{hint}"));
            return Ok(());
        };
        let setting = from_toml(key.kind, value.get_ref()).map_err(|reason| {
            ConfigError(format!("{}:{}: {path}: {reason}", self.name, line_of(self.text, value.span().start)))
        })?;
        // An empty duration leaves the default.
        if let Some(setting) = setting {
            self.settings.put(key, setting);
        }
        Ok(())
    }

    fn warn(&mut self, at: usize, message: &str) {
        self.warnings.push(Warning(format!("{}:{}: {message}", self.name, line_of(self.text, at))));
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Option<Setting>, String> {
    let setting = match (kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Setting::Bool(*value),
        (Kind::Int | Kind::Size, DeValue::Integer(value)) => Setting::Int(integer(value)?),
        (Kind::Number, DeValue::Float(_) | DeValue::Integer(_)) => {
            let digits = match value {
                DeValue::Float(float) => float.as_str().to_owned(),
                DeValue::Integer(integer) => integer.as_str().to_owned(),
                _ => String::new(),
            };
            Setting::Number(number(&digits.replace('_', "")).ok_or_else(|| format!("invalid number {digits}"))?)
        }
        // An integer where a duration is wanted counts nanoseconds.
        (Kind::Duration, DeValue::Integer(value)) => {
            let ns = u64::try_from(integer(value)?).map_err(|_| "a duration is not negative".to_owned())?;
            Setting::Duration(Duration::from_nanos(ns))
        }
        (Kind::Duration, DeValue::String(value)) if value.is_empty() => return Ok(None),
        (Kind::Duration | Kind::Size | Kind::Text, DeValue::String(value)) => from_text(kind, value)?,
        (Kind::List, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                other => Err(format!("expected a list of strings, found {} in it", kind_of(other))),
            });
            Setting::List(texts.collect::<Result<_, _>>()?)
        }
        (_, other) => return Err(format!("expected {}, found {}", expected(kind), kind_of(other))),
    };
    Ok(Some(setting))
}

fn integer(value: &toml::de::DeInteger<'_>) -> Result<i64, String> {
    i64::from_str_radix(value.as_str(), value.radix()).map_err(|_| format!("integer {} is too large", value.as_str()))
}

/// A number that is one: neither infinite nor NaN, for which no key has a use.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn from_text(kind: Kind, value: &str) -> Result<Setting, String> {
    Ok(match kind {
        Kind::Bool => match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Setting::Bool(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Setting::Bool(false),
            _ => return Err(format!("invalid boolean {value:?}")),
        },
        Kind::Int => Setting::Int(value.trim().parse().map_err(|_| format!("invalid integer {value:?}"))?),
        Kind::Number => Setting::Number(number(value.trim()).ok_or_else(|| format!("invalid number {value:?}"))?),
        Kind::Duration => Setting::Duration(text::parse_duration(value)?),
        Kind::Size => Setting::Int(
            i64::try_from(text::parse_size(value)?).map_err(|_| format!("size {value} is larger than any disk"))?,
        ),
        Kind::Text => Setting::Text(value.to_owned()),
        Kind::List => Setting::List(value.split(',').map(|item| item.trim().to_owned()).collect()),
    })
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Int => "an integer",
        Kind::Number => "a number",
        Kind::Duration => "a duration such as \"10s\"",
        Kind::Size => "a size such as \"25m\"",
        Kind::Text => "a string",
        Kind::List => "a list of strings",
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, want: &str) {
        let error = Settings::read("influxdb.conf", text).expect_err("a bad file");
        assert_eq!(error.to_string(), format!("parse config: influxdb.conf:{want}"));
    }

    #[track_caller]
    fn warned(text: &str, want: &str) {
        let (_, warnings) = Settings::read("influxdb.conf", text).expect("a file");
        assert_eq!(warnings, [Warning(format!("influxdb.conf:{want}"))]);
    }

    #[test]
    fn a_mistake_names_file_line_and_key() {
        refused("[meta]\n  enabled = \"yes\"\n", "2: [meta] enabled: expected true or false, found a string");
        refused(
            "\n[cluster]\nwrite-timeout = \"5x\"",
            "3: [cluster] write-timeout: time: unknown unit \"x\" in duration \"5x\"",
        );
        refused(
            "[data]\ncache-max-memory-size = \"1t\"",
            "2: [data] cache-max-memory-size: unknown size suffix: t (expected k, m, or g)",
        );
        refused("bind-address = 8088", "1: bind-address: expected a string, found an integer");
        let broken = Settings::read("influxdb.conf", "[meta\nenabled = true").expect_err("a bad file").to_string();
        assert!(broken.starts_with("parse config: influxdb.conf:1: "), "{broken}");
    }

    #[test]
    fn numbers_are_finite() {
        refused("[data]\nwal-compaction-threshold = nan", "2: [data] wal-compaction-threshold: invalid number nan");
        refused("[data]\nwal-compaction-threshold = 1e999", "2: [data] wal-compaction-threshold: invalid number 1e999");
        let (settings, _) = Settings::read("f", "[data]\nwal-compaction-threshold = 1_0.5").expect("a file");
        assert_eq!(settings.get("data", "wal-compaction-threshold"), Some(Setting::Number(10.5)));
    }

    #[test]
    fn unknown_keys_warn_and_guess() {
        warned(
            "[meta]\nhttp-bind-adress = \":1\"",
            "2: key [meta] http-bind-adress is not known and is ignored; is it http-bind-address?",
        );
        warned("[colours]\nx = 1", "1: table [colours] is not known and is ignored");
        warned("colour = 1", "1: key colour is not known and is ignored");
    }

    #[test]
    fn values_come_typed_and_defaults_stand_in() {
        let text = "\u{feff}[http]\nbind-address = \"10.0.0.1:8086\"\nmax-body-size = 1000\n[coordinator]\n\
                    write-timeout = \"3s\"\n[data]\ncache-snapshot-memory-size = \"10m\"\n";
        let (settings, warnings) = Settings::read("f", text).expect("a file");
        assert_eq!(warnings, []);
        assert_eq!(settings.text("http", "bind-address"), "10.0.0.1:8086");
        assert_eq!(settings.int("http", "max-body-size"), 1000);
        assert_eq!(settings.duration("cluster", "write-timeout"), Duration::from_secs(3));
        assert_eq!(settings.int("data", "cache-snapshot-memory-size"), 10 << 20);
        assert_eq!(settings.bool("meta", "enabled"), None);
        assert_eq!(settings.bool("hinted-handoff", "enabled"), Some(true));
        assert!(!settings.is_set("hinted-handoff", "enabled"));
    }

    #[test]
    fn cluster_wins_over_coordinator() {
        let text = "[coordinator]\nwrite-timeout = \"3s\"\n[cluster]\nwrite-timeout = \"4s\"";
        let (settings, _) = Settings::read("f", text).expect("a file");
        assert_eq!(settings.duration("cluster", "write-timeout"), Duration::from_secs(4));
    }

    #[test]
    fn listeners_that_do_not_exist_are_noticed_when_on() {
        let text = "[[udp]]\nenabled = false\n[[graphite]]\nenabled = true\n[collectd]\nenabled = false\n";
        let (settings, _) = Settings::read("f", text).expect("a file");
        assert_eq!(settings.listeners_enabled(), ["graphite"]);
    }

    #[test]
    fn generations_can_be_told_apart() {
        let looks = |text| Settings::read("f", text).expect("a file").0.looks_like_enterprise();
        assert!(looks("[enterprise]\n") && looks("[meta]\nmeta-tls-enabled = false"));
        assert!(!looks("[meta]\nenabled = true"));
    }
}
