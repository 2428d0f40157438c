//! TOML to settings.
//!
//! A file is read whole, every key is checked against the table of known keys, and a mistake is reported with file,
//! line and key. Every value remembers where it was given, so that those who find later that it cannot be can say so
//! too. Unknown keys, and keys without effect, only warn, for people bring their existing files.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::decode::decode;
use crate::keys::{self, Effect, Key, Kind, Program};
use crate::text;

/// Longest duration that a key may have: moments that lie so far ahead can still be told.
const DURATION_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
/// Longest text of a value that a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

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
    program: Program,
    values: BTreeMap<(&'static str, &'static str), Given>,
    headers: Vec<(String, String)>,
    listeners_enabled: Vec<Listener>,
    enterprise_tables: bool,
}

/// A value and where it was given.
#[derive(Clone, Debug)]
struct Given {
    value: Setting,
    /// `influxdb.conf:3: [http] bind-address`; empty for what stands in for a default.
    place: String,
}

/// A listener that is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its table.
    pub table: &'static str,
    /// Where it is switched on: file, line and key, or a variable.
    pub place: String,
}

impl Settings {
    /// No settings but the defaults of a program.
    pub fn new(program: Program) -> Settings {
        Settings { program, ..Settings::default() }
    }

    /// Whose settings they are.
    pub fn program(&self) -> Program {
        self.program
    }

    /// Reads the bytes of a file of `program`, in UTF-8, or in UTF-16 with a byte order mark. `name` is how messages call
    /// it.
    ///
    /// # Errors
    /// A sentence with the file, the line and the key.
    pub fn read_bytes(program: Program, name: &str, bytes: &[u8]) -> Result<(Settings, Vec<Warning>), ConfigError> {
        match decode(bytes) {
            Ok(text) => Settings::read(program, name, &text),
            Err(no_text) => Err(misread(name, &no_text.before, no_text.before.len(), &no_text.reason)),
        }
    }

    /// Reads the text of a file of `program`. `name` is how messages call it.
    ///
    /// # Errors
    /// A sentence with the file, the line and the key.
    pub fn read(program: Program, name: &str, text: &str) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = DeTable::parse(text)
            .map_err(|error| misread(name, text, error.span().map_or(0, |span| span.start), error.message()))?;
        let mut reader = Reader { name, text, settings: Settings::new(program), warnings: Vec::new() };
        reader.top(table.get_ref())?;
        Ok((reader.settings, reader.warnings))
    }

    /// Puts a value given as text over what the file says. `source` is what gave it, the name of a variable.
    ///
    /// # Errors
    /// Why the text does not fit the kind of the key.
    pub fn put_text(&mut self, key: &'static Key, value: &str, source: &str) -> Result<(), String> {
        let value = from_text(key.kind, value)?;
        self.put(key, value, format!("{source}: {}", path(key.table, key.name)));
        Ok(())
    }

    /// Puts a text in the place of the default of a key.
    pub fn put_default(&mut self, key: &'static Key, value: &str) {
        self.put(key, Setting::Text(value.to_owned()), String::new());
    }

    /// Notes what something outside of the file, the variable `source`, says of a listener.
    pub(crate) fn enable_listener(&mut self, table: &'static str, source: &str, value: &str) -> Result<(), String> {
        if from_text(Kind::Bool, value)? == Setting::Bool(true) {
            self.listeners_enabled.push(Listener { table, place: format!("{source}: {}", path(table, "enabled")) });
        }
        Ok(())
    }

    fn put(&mut self, key: &'static Key, value: Setting, place: String) {
        self.values.insert((key.table, key.name), Given { value, place });
    }

    /// The value of a key if it was set or has a default.
    ///
    /// # Panics
    /// When there is no such key: a mistake in this program.
    pub fn get(&self, table: &str, name: &str) -> Option<Setting> {
        let key = self.program.find(table, name).expect("the key is in the table of keys");
        self.values.get(&(key.table, key.name)).map(|given| given.value.clone()).or_else(|| default_of(key))
    }

    /// Where the key was given, for messages: `influxdb.conf:3: [http] bind-address`, or
    /// `INFLUXDB_HTTP_BIND_ADDRESS: [http] bind-address`, or the key alone when it has its default.
    pub fn place(&self, table: &str, name: &str) -> String {
        let given = self.program.find(table, name).and_then(|key| self.values.get(&(key.table, key.name)));
        given.map(|given| given.place.clone()).filter(|place| !place.is_empty()).unwrap_or_else(|| path(table, name))
    }

    /// The keys that were set to something else than their default and have no effect, one warning for each.
    pub fn without_effect(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for key in self.program.keys() {
            let Effect::Nothing(why) = key.effect else { continue };
            let Some(given) = self.values.get(&(key.table, key.name)).filter(|given| !given.place.is_empty()) else {
                continue;
            };
            let is_default = match &given.value {
                Setting::Text(text) if key.default.is_empty() => text.is_empty(),
                Setting::List(items) if key.default.is_empty() => items.is_empty(),
                value => default_of(key).is_some_and(|default| default == *value),
            };
            if !is_default {
                warnings.push(Warning(format!("{} has no effect: {why}", given.place)));
            }
        }
        warnings
    }

    /// Whether the key was set rather than left at its default.
    pub fn is_set(&self, table: &str, name: &str) -> bool {
        self.program.find(table, name).is_some_and(|key| self.values.contains_key(&(key.table, key.name)))
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

    /// Texts; none when not set.
    pub fn list(&self, table: &str, name: &str) -> Vec<String> {
        match self.get(table, name) {
            Some(Setting::List(values)) => values,
            _ => Vec::new(),
        }
    }

    /// A duration; zero when neither set nor defaulted.
    pub fn duration(&self, table: &str, name: &str) -> Duration {
        match self.get(table, name) {
            Some(Setting::Duration(value)) => value,
            _ => Duration::ZERO,
        }
    }

    /// Names and values of `[http.headers]`, such as HTTP allows.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Listeners that are switched on and that do not exist yet.
    pub fn listeners_enabled(&self) -> &[Listener] {
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
    fn program(&self) -> Program {
        self.settings.program
    }

    fn top(&mut self, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = name.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(inner) => self.table(key, name.span().start, inner)?,
                DeValue::Array(items) if keys::listener(key).is_some() => {
                    for item in items {
                        match item.get_ref() {
                            DeValue::Table(inner) => self.table(key, name.span().start, inner)?,
                            other => return Err(self.no_table(item.span().start, key, other)),
                        }
                    }
                }
                other if self.is_table(key) && self.program().find("", key).is_none() => {
                    return Err(self.no_table(value.span().start, key, other));
                }
                _ => self.value("", name, value)?,
            }
        }
        Ok(())
    }

    /// Whether something of this name is a table, of any program or generation.
    fn is_table(&self, name: &str) -> bool {
        let ignored = keys::IGNORED_TABLES.iter().any(|(ignored, _)| *ignored == name);
        let program = self.program();
        ignored || keys::listener(name).is_some() || program.has_table(name) || program.other().has_table(name)
    }

    fn no_table(&self, at: usize, name: &str, found: &DeValue<'_>) -> ConfigError {
        let place = self.place(at, name, "");
        ConfigError(format!("{}: expected a table, found {}", place.trim_end(), shown(found)))
    }

    fn table(&mut self, table: &str, at: usize, inner: &DeTable<'_>) -> Result<(), ConfigError> {
        if let Some(listener) = keys::listener(table).filter(|_| self.program() == Program::Influxd) {
            return self.listener(listener, inner);
        }
        if let Some((_, why)) = keys::IGNORED_TABLES.iter().find(|(ignored, _)| *ignored == table) {
            if !inner.is_empty() {
                self.warn(at, &format!("table [{table}] has no effect: {why}"));
            }
            return Ok(());
        }
        if !self.program().has_table(table) {
            let other = self.program().other();
            let is_other = other.has_table(table) || keys::listener(table).is_some();
            let what = if is_other { format!("one of {}", other.name()) } else { "not known".to_owned() };
            let near = self.program().nearest_table(table).filter(|_| !is_other);
            let hint = near.map(|near| format!("; is it [{near}]?")).unwrap_or_default();
            self.warn(at, &format!("table [{}] is {what} and is ignored{hint}", plain(table)));
            return Ok(());
        }
        self.settings.enterprise_tables |= ["enterprise", "cluster", "anti-entropy"].contains(&table);
        // [cluster] wins over its other name [coordinator], wherever they stand.
        inner.iter().try_for_each(|(name, value)| match (table, value.get_ref()) {
            ("coordinator", _) if self.settings.is_set("cluster", name.get_ref()) => Ok(()),
            ("http", headers) if name.get_ref() == "headers" => match headers {
                DeValue::Table(headers) => self.headers(headers),
                other => Err(self.no_table(value.span().start, "http.headers", other)),
            },
            _ => self.value(table, name, value),
        })
    }

    fn listener(&mut self, table: &'static str, inner: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in inner.iter().filter(|(name, _)| name.get_ref() == "enabled") {
            let place = self.place(value.span().start, table, name.get_ref());
            match value.get_ref() {
                DeValue::Boolean(true) => self.settings.listeners_enabled.push(Listener { table, place }),
                DeValue::Boolean(false) => {}
                other => return Err(ConfigError(format!("{place}: {}", mismatch(Kind::Bool, other)))),
            }
        }
        Ok(())
    }

    /// Headers are checked here, where it is known where they stand.
    fn headers(&mut self, headers: &DeTable<'_>) -> Result<(), ConfigError> {
        for (name, value) in headers {
            let name = name.get_ref().as_ref();
            let place = self.place(value.span().start, "http.headers", name);
            let DeValue::String(text) = value.get_ref() else {
                return Err(ConfigError(format!("{place}: {}", mismatch(Kind::Text, value.get_ref()))));
            };
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(ConfigError(format!("{place}: {name:?} cannot be the name of a header")));
            }
            if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
                return Err(ConfigError(format!("{place}: a header cannot have control characters")));
            }
            self.settings.headers.push((name.to_owned(), text.to_string()));
        }
        Ok(())
    }

    fn value(
        &mut self,
        table: &str,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), ConfigError> {
        let spelled = name.get_ref().as_ref();
        let program = self.program();
        let Some(key) = program.find(table, spelled) else {
            let path = path(table, spelled);
            let message = match program.other().find(table, spelled) {
                Some(_) => format!("key {path} is one of {} and is ignored", program.other().name()),
                None => {
                    format!("key {path} is not known and is ignored{}", hint(program, table, spelled))
                }
            };
            self.warn(name.span().start, &message);
            return Ok(());
        };
        let place = self.place(value.span().start, table, spelled);
        let setting = from_toml(key, value.get_ref()).map_err(|reason| ConfigError(format!("{place}: {reason}")))?;
        // An empty duration leaves the default.
        if let Some(setting) = setting {
            self.settings.put(key, setting, place);
        }
        Ok(())
    }

    fn place(&self, at: usize, table: &str, name: &str) -> String {
        format!("{}:{}: {}", self.name, line_of(self.text, at), path(table, name))
    }

    fn warn(&mut self, at: usize, message: &str) {
        self.warnings.push(Warning(format!("{}:{}: {message}", self.name, line_of(self.text, at))));
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// `[table] name`, or the name alone at the top level.
pub(crate) fn path(table: &str, name: &str) -> String {
    if table.is_empty() { plain(name) } else { format!("[{}] {}", plain(table), plain(name)) }
}

/// A name from a file, fit for a terminal.
fn plain(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(SHOWN_CHARS).collect()
}

/// Table and key of what is written at an offset of a text that is no TOML: a guess from the look of its lines. What may
/// be a value, and so a secret, is not repeated.
fn path_at(text: &str, offset: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(line_of(text, offset)).map(str::trim).collect();
    let is_header = |line: &&&str| line.starts_with('[') && !line.contains('=');
    // A text that ends too early is noticed behind its last line.
    let (index, line) = lines.iter().enumerate().rfind(|(_, line)| !line.is_empty())?;
    if is_header(&line) {
        return Some(plain(line));
    }
    let table = lines[..index].iter().rfind(is_header).map(|line| line.trim_matches(['[', ']']));
    match (table, key_at(line)) {
        (table, Some(name)) => Some(path(table.unwrap_or_default(), name)),
        (Some(table), None) => Some(format!("[{}]", plain(table))),
        (None, None) => None,
    }
}

/// The key that a line begins with: what stands before a sign, or a word that is known as one.
fn key_at(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['"', '\'']);
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let has_sign = rest.trim_start_matches(['"', '\'', ' ', '\t']).starts_with(['=', ':']);
    let programs = [Program::Influxd, Program::InfluxdMeta];
    let is_known = || programs.iter().any(|program| program.keys().iter().any(|key| key.name == name));
    (!name.is_empty() && (has_sign || is_known())).then_some(name)
}

/// The default of a key, if it has one.
fn default_of(key: &Key) -> Option<Setting> {
    if key.default.is_empty() { None } else { from_text(key.kind, key.default).ok() }
}

/// What a slip may have meant: a key like it in the same table, or the same key elsewhere.
fn hint(program: Program, table: &str, name: &str) -> String {
    if let Some(near) = program.nearest(table, name) {
        return format!("; is it {near}?");
    }
    match program.keys().iter().find(|key| key.name == name) {
        Some(key) if key.table.is_empty() => format!("; {name} stands at the top, before every table"),
        Some(key) => format!("; there is one in [{}]", key.table),
        None => String::new(),
    }
}

/// What is wrong with a text that is none, or no TOML, at an offset of it.
fn misread(name: &str, text: &str, at: usize, reason: &str) -> ConfigError {
    let path = path_at(text, at).map(|path| format!("{path}: ")).unwrap_or_default();
    ConfigError(format!("{name}:{}: {path}{reason}", line_of(text, at)))
}

fn mismatch(kind: Kind, found: &DeValue<'_>) -> String {
    format!("expected {}, found {}", expected(kind), shown(found))
}

fn from_toml(key: &Key, value: &DeValue<'_>) -> Result<Option<Setting>, String> {
    let setting = match (key.kind, value) {
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
            let ns = integer(value)?;
            let ns = u64::try_from(ns).map_err(|_| format!("a duration is not negative, as {ns} is"))?;
            Setting::Duration(bounded(Duration::from_nanos(ns), &format!("{ns}ns"))?)
        }
        (Kind::Duration, DeValue::String(value)) if value.is_empty() => return Ok(None),
        (Kind::Duration | Kind::Size | Kind::Text, DeValue::String(value)) => from_text(key.kind, value)?,
        (Kind::List, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                other => Err(format!("expected a list of strings, found {} in it", shown(other))),
            });
            Setting::List(texts.collect::<Result<_, _>>()?)
        }
        // What may be a secret is not repeated.
        (kind, other) if key.is_secret() => {
            return Err(format!("expected {}, found {}", expected(kind), kind_of(other)));
        }
        (kind, other) => return Err(mismatch(kind, other)),
    };
    Ok(Some(setting))
}

fn integer(value: &toml::de::DeInteger<'_>) -> Result<i64, String> {
    i64::from_str_radix(value.as_str(), value.radix())
        .map_err(|_| format!("integer {} does not fit into 64 bits", value.as_str()))
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
        Kind::Int => Setting::Int(text::parse_integer(value).ok_or_else(|| format!("invalid integer {value:?}"))?),
        Kind::Number => Setting::Number(number(value.trim()).ok_or_else(|| format!("invalid number {value:?}"))?),
        Kind::Duration => Setting::Duration(bounded(stdx::human::parse_duration(value)?, value)?),
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

fn bounded(duration: Duration, shown: &str) -> Result<Duration, String> {
    match duration <= DURATION_MAX {
        true => Ok(duration),
        false => Err(format!("duration {shown} is longer than 100 years")),
    }
}

/// A value as a message repeats it.
fn shown(value: &DeValue<'_>) -> String {
    let kind = kind_of(value).trim_start_matches("an ").trim_start_matches("a ");
    let text = match value {
        DeValue::String(text) => format!("{:?}", text.chars().take(SHOWN_CHARS).collect::<String>()),
        DeValue::Integer(integer) => plain(integer.as_str()),
        DeValue::Float(float) => plain(float.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => return kind_of(value).to_owned(),
    };
    format!("the {kind} {text}")
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
        let error = Settings::read(Program::Influxd, "influxdb.conf", text).expect_err("a bad file");
        assert_eq!(error.to_string(), format!("parse config: influxdb.conf:{want}"));
    }

    #[track_caller]
    fn warned(text: &str, want: &str) {
        let (_, warnings) = Settings::read(Program::Influxd, "influxdb.conf", text).expect("a file");
        assert_eq!(warnings, [Warning(format!("influxdb.conf:{want}"))]);
    }

    #[test]
    fn a_mistake_names_file_line_and_key() {
        refused("[meta]\n  enabled = \"yes\"\n", "2: [meta] enabled: expected true or false, found the string \"yes\"");
        refused(
            "\n[cluster]\nwrite-timeout = \"5x\"",
            "3: [cluster] write-timeout: time: unknown unit \"x\" in duration \"5x\"",
        );
        refused(
            "[data]\ncache-max-memory-size = \"1t\"",
            "2: [data] cache-max-memory-size: unknown size suffix: t (expected k, m, or g)",
        );
        refused("bind-address = 8088", "1: bind-address: expected a string, found the integer 8088");
        refused("[[udp]]\nenabled = \"yes\"", "2: [udp] enabled: expected true or false, found the string \"yes\"");
        refused("[http.headers]\nX-A = 1", "2: [http.headers] X-A: expected a string, found the integer 1");
        refused("[http.headers]\n\"X a\" = \"\"", "2: [http.headers] X a: \"X a\" cannot be the name of a header");
        refused("[http.headers]\nX = \"a\\nb\"", "2: [http.headers] X: a header cannot have control characters");
    }

    #[test]
    fn a_text_that_is_no_toml_names_the_key_too() {
        refused("[http]\nlog-enabled = true\n\nlog-enabled = false", "4: [http] log-enabled: duplicate key");
        refused("[meta]\n[http]\n[meta]\n", "3: [meta]: duplicate key");
        refused("[meta\nenabled = true", "1: [meta: unclosed table, expected `]`");
        refused("[http]\nbind-address = \"x", "2: [http] bind-address: invalid basic string, expected `\"`");
        refused("hostname", "1: hostname: key with no value, expected `=`");
    }

    #[test]
    fn numbers_are_finite() {
        refused("[data]\nwal-compaction-threshold = nan", "2: [data] wal-compaction-threshold: invalid number nan");
        refused("[data]\nwal-compaction-threshold = 1e999", "2: [data] wal-compaction-threshold: invalid number 1e999");
        let (settings, _) =
            Settings::read(Program::Influxd, "f", "[data]\nwal-compaction-threshold = 1_0.5").expect("a file");
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
        let (settings, warnings) = Settings::read(Program::Influxd, "f", text).expect("a file");
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
        let (settings, _) = Settings::read(Program::Influxd, "f", text).expect("a file");
        assert_eq!(settings.duration("cluster", "write-timeout"), Duration::from_secs(4));
    }

    #[test]
    fn listeners_that_do_not_exist_are_noticed_when_on() {
        let text = "[[udp]]\nenabled = false\n[[graphite]]\nenabled = true\n[collectd]\nenabled = false\n";
        let (settings, _) = Settings::read(Program::Influxd, "f", text).expect("a file");
        let place = "f:4: [graphite] enabled".to_owned();
        assert_eq!(settings.listeners_enabled(), [Listener { table: "graphite", place }]);
    }

    #[test]
    fn keys_without_effect_are_told_where_they_stand_and_why() {
        let warned = |text: &str| -> Vec<String> {
            let (settings, mut warnings) = Settings::read(Program::Influxd, "f", text).expect("a file");
            warnings.extend(settings.without_effect());
            warnings.into_iter().map(|warning| warning.0).collect()
        };
        assert_eq!(
            warned("reporting-disabled = true\n[data]\nindex-version = \"tsi1\"\n[coordinator]\nmax-select-point = 9"),
            [
                "f:1: reporting-disabled has no effect: nothing is ever reported",
                "f:3: [data] index-version has no effect: it is a setting of another storage engine",
                "f:5: [coordinator] max-select-point has no effect: points of a query are not limited yet",
            ]
        );
        // It has an effect, if only later on.
        assert_eq!(warned("[tls]\nciphers = [\"a\"]"), <[&str; 0]>::default());
        assert_eq!(
            warned("[admin]\nenabled = true"),
            ["f:1: table [admin] has no effect: there is no admin interface"]
        );
        // What is set to its default changes nothing.
        let usual = "[data]\nindex-version = \"inmem\"\ncompact-throughput = 50331648\n[tls]\nciphers = []\n\
                     min-version = \"\"\n[monitor]\nstore-interval = \"10000ms\"\n[ifql]\n";
        assert_eq!(warned(usual), <[&str; 0]>::default());
        // What the program itself puts there is nobody's wish.
        let mut settings = Settings::default();
        settings.put_default(Program::Influxd.find("data", "wal-dir").expect("a key"), "/home/me/wal");
        assert_eq!(settings.without_effect(), []);
        settings
            .put_text(Program::Influxd.find("data", "wal-dir").expect("a key"), "/w", "INFLUXDB_DATA_WAL_DIR")
            .expect("text");
        assert_eq!(
            settings.without_effect(),
            [Warning(
                "INFLUXDB_DATA_WAL_DIR: [data] wal-dir has no effect: a shard keeps its log in its own directory"
                    .to_owned()
            )]
        );
    }

    #[test]
    fn headers_are_taken_from_their_table() {
        let (settings, warnings) =
            Settings::read(Program::Influxd, "f", "[http.headers]\nX-Own = \"yes\"\n\"x-b\" = \"a b\"")
                .expect("a file");
        assert_eq!(warnings, []);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings.headers(), [pair("X-Own", "yes"), pair("x-b", "a b")]);
    }

    #[test]
    fn generations_can_be_told_apart() {
        let looks = |text| Settings::read(Program::Influxd, "f", text).expect("a file").0.looks_like_enterprise();
        assert!(looks("[enterprise]\n") && looks("[meta]\nmeta-tls-enabled = false"));
        assert!(!looks("[meta]\nenabled = true"));
    }
}
