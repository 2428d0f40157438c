//! Events as lines: `ts=… lvl=info msg="…" key=value`, or one JSON object a line.

use std::fmt::{Debug, Write as _};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `ts=… lvl=… msg=…`
    Logfmt,
    /// `{"ts":…,"lvl":…,"msg":…}`
    Json,
}

/// Nanoseconds since the Unix epoch.
pub type Now = Box<dyn Fn() -> i64 + Send + Sync>;

/// Sends every event from `level` on to `out`. Only the first call in a process has an effect; the answer says whether
/// this was it.
pub fn init(level: &str, format: Format, now: Now, out: Box<dyn Write + Send>) -> bool {
    set_level(level);
    let layer = Lines { format, now, out: Mutex::new(out) };
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(Ours));
    tracing::subscriber::set_global_default(subscriber).is_ok()
}

/// Sends events from `level` on from now on: `error`, `warn`, `info` or `debug`.
pub fn set_level(level: &str) {
    let index = LEVELS.iter().position(|(name, _)| level.eq_ignore_ascii_case(name)).unwrap_or(INFO);
    LEVEL.store(index, Ordering::Relaxed);
    // Places that log remember whether anybody listens.
    tracing::callsite::rebuild_interest_cache();
}

const LEVELS: [(&str, LevelFilter); 4] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
];
const INFO: usize = 2;

/// Index of the level in [`LEVELS`].
static LEVEL: AtomicUsize = AtomicUsize::new(INFO);

fn level() -> LevelFilter {
    LEVELS[LEVEL.load(Ordering::Relaxed)].1
}

/// Lets our own events through from the level on, and those of libraries only when they warn.
struct Ours;

const LIBRARIES: &[&str] =
    &["h2", "hyper", "hyper_util", "openraft", "rustls", "rustyline", "tokio_rustls", "tonic", "tower", "turmoil"];

impl<S: Subscriber> tracing_subscriber::layer::Filter<S> for Ours {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
        let root = metadata.target().split("::").next().unwrap_or_default();
        let limit = if LIBRARIES.contains(&root) { level().min(LevelFilter::ERROR) } else { level() };
        *metadata.level() <= limit
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(level())
    }
}

struct Lines {
    format: Format,
    now: Now,
    /// Keeps lines whole.
    out: Mutex<Box<dyn Write + Send>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let service = metadata.target().split("::").next().unwrap_or_default();
        let line = match self.format {
            Format::Logfmt => logfmt((self.now)(), *metadata.level(), service, &fields),
            Format::Json => json((self.now)(), *metadata.level(), service, &fields),
        };
        // A log that cannot be written must not stop the server.
        let _ = self.out.lock().write_all(line.as_bytes());
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.others.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            name => self.others.push((name, value.to_owned())),
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

fn logfmt(now: i64, level: Level, service: &str, fields: &Fields) -> String {
    let mut line = format!("ts={} lvl={} msg={}", instant(now), name(level), bare_or_quoted(&fields.message));
    let _ = write!(line, " service={service}");
    for (key, value) in &fields.others {
        let _ = write!(line, " {key}={}", bare_or_quoted(value));
    }
    line.push('\n');
    line
}

fn json(now: i64, level: Level, service: &str, fields: &Fields) -> String {
    let mut line = format!(
        "{{\"ts\":\"{}\",\"lvl\":\"{}\",\"msg\":{},\"service\":{}",
        instant(now),
        name(level),
        quoted(&fields.message),
        quoted(service)
    );
    for (key, value) in &fields.others {
        let _ = write!(line, ",\"{key}\":{}", quoted(value));
    }
    line.push_str("}\n");
    line
}

fn bare_or_quoted(text: &str) -> String {
    let bare = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// RFC 3339 in UTC with microseconds.
fn instant(ns: i64) -> String {
    let (seconds, rest) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    format!("{}.{:06}Z", stdx::human::print_second(seconds), rest / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            message: "shard opened".to_owned(),
            others: vec![("shard", "7".to_owned()), ("path", "a b".to_owned())],
        }
    }

    #[test]
    fn a_logfmt_line_quotes_only_what_needs_it() {
        assert_eq!(
            logfmt(1_795_349_400_000_001_000, Level::INFO, "storage", &fields()),
            "ts=2026-11-22T12:10:00.000001Z lvl=info msg=\"shard opened\" service=storage shard=7 path=\"a b\"\n"
        );
    }

    #[test]
    fn a_json_line_is_one_object() {
        assert_eq!(
            json(-1, Level::WARN, "storage", &fields()),
            "{\"ts\":\"1969-12-31T23:59:59.999999Z\",\"lvl\":\"warn\",\"msg\":\"shard opened\",\"service\":\"storage\",\
             \"shard\":\"7\",\"path\":\"a b\"}\n"
        );
    }

    #[test]
    fn lines_cannot_be_forged() {
        assert_eq!(quoted("a\"\nb\\\u{1}"), "\"a\\\"\\nb\\\\\\u0001\"");
        assert_eq!(bare_or_quoted(""), "\"\"");
    }
}
