//! `-import`: statements and points from a file.
//!
//! Up to a line `# DML` every line is a statement, run one by one; behind it every line is a point, written in batches,
//! and comments set the database and retention policy.

mod script;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use api_client::{Client, ClientError, Query, Write as Target};
use bytes::Bytes;
use env::Env;
use flate2::read::MultiGzDecoder;

use script::{Script, Step};

/// Most lines of a batch.
const BATCH_LINE_COUNT: usize = 5_000;

/// Most bytes of a batch, far below what a server takes.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Longest line.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// After how many points progress is told.
const PROGRESS_LINE_COUNT: usize = 100_000;

/// What to import.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// A file, `-` for standard input.
    pub(crate) path: String,
    /// Whether it is compressed.
    pub(crate) compressed: bool,
    /// Most points a second; 0 for as many as possible.
    pub(crate) points_per_second: u64,
    /// Where points go until the file says otherwise.
    pub(crate) target: Target,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) commands: usize,
    pub(crate) inserts: usize,
    pub(crate) failed: usize,
}

/// Where the importer tells what happens.
pub(crate) trait Log {
    /// What goes well, with the time in front.
    fn say(&mut self, line: &str);
    /// What goes wrong, with the time in front.
    fn complain(&mut self, line: &str);
    /// How many bytes of the file were read.
    fn progress(&mut self, bytes: u64);
}

/// Why nothing was imported, or not all.
#[derive(Debug)]
pub(crate) enum ImportError {
    /// The file cannot be opened or read.
    File(String, io::Error),
}

impl std::fmt::Display for ImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImportError::File(path, error) => write!(f, "open {path}: {error}"),
        }
    }
}

impl std::error::Error for ImportError {}

impl Import {
    /// The size of the file, if it is one.
    pub(crate) fn size(&self) -> Option<u64> {
        std::fs::metadata(&self.path).ok().filter(std::fs::Metadata::is_file).map(|data| data.len())
    }

    /// Imports the file.
    pub(crate) async fn run(&self, env: &Env, client: &Client, log: &mut dyn Log) -> Result<Summary, ImportError> {
        let failed = |error| ImportError::File(self.path.clone(), error);
        let source: Box<dyn Read> = match self.path.as_str() {
            "-" => Box::new(io::stdin()),
            path => Box::new(File::open(path).map_err(failed)?),
        };
        let counted = Counted { source, bytes: std::rc::Rc::default() };
        let bytes = std::rc::Rc::clone(&counted.bytes);
        let mut lines: Box<dyn BufRead> = if self.compressed {
            Box::new(BufReader::new(MultiGzDecoder::new(counted)))
        } else {
            Box::new(BufReader::new(counted))
        };
        let mut importer = Importer {
            env,
            client,
            log,
            script: Script::new(&self.target.db, &self.target.rp),
            target: self.target.clone(),
            batch: Vec::new(),
            batch_lines: 0,
            batch_lines_max: batch_size(self.points_per_second),
            points_per_second: self.points_per_second,
            line_count: 0,
            started: env.monotonic(),
            summary: Summary::default(),
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            let len = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
            if len == 0 {
                break;
            }
            importer.take(&line).await;
            importer.log.progress(bytes.get());
        }
        importer.flush().await;
        Ok(importer.finish())
    }
}

/// As many points as may be sent at once without a pause of more than a second.
fn batch_size(points_per_second: u64) -> usize {
    match usize::try_from(points_per_second) {
        Ok(0) | Err(_) => BATCH_LINE_COUNT,
        Ok(count) => count.min(BATCH_LINE_COUNT),
    }
}

/// Counts what is read.
struct Counted {
    source: Box<dyn Read>,
    bytes: std::rc::Rc<std::cell::Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buffer)?;
        self.bytes.set(self.bytes.get() + len as u64);
        Ok(len)
    }
}

struct Importer<'a> {
    env: &'a Env,
    client: &'a Client,
    log: &'a mut dyn Log,
    script: Script,
    target: Target,
    /// Points that wait, each with its line feed.
    batch: Vec<u8>,
    batch_lines: usize,
    batch_lines_max: usize,
    points_per_second: u64,
    line_count: usize,
    started: Duration,
    summary: Summary,
}

impl Importer<'_> {
    async fn take(&mut self, line: &[u8]) {
        match self.script.read(line) {
            Step::Nothing => {}
            Step::Statement(text) => self.execute(text).await,
            Step::Target { db, rp } => {
                self.flush().await;
                self.target.db = db;
                self.target.rp = rp;
            }
            Step::Point => {
                self.batch.extend_from_slice(line);
                if !line.ends_with(b"\n") {
                    self.batch.push(b'\n');
                }
                self.batch_lines += 1;
                self.line_count += 1;
                if self.batch_lines >= self.batch_lines_max || self.batch.len() >= BATCH_BYTES_MAX {
                    self.flush().await;
                }
                if self.line_count.is_multiple_of(PROGRESS_LINE_COUNT) {
                    self.tell_progress();
                }
            }
        }
    }

    async fn execute(&mut self, text: String) {
        self.summary.commands += 1;
        let query = Query { text, db: self.target.db.clone(), ..Query::default() };
        let error = match self.client.query(&query).await {
            Err(error) => Some(error.to_string()),
            Ok(mut answer) => loop {
                match answer.next().await {
                    Ok(None) => break None,
                    Ok(Some(document)) => {
                        if let Some(error) = document.first_error() {
                            break Some(error.to_owned());
                        }
                    }
                    Err(error) => break Some(error.to_string()),
                }
            },
        };
        if let Some(error) = error {
            self.log.complain(&format!("error: {error}"));
        }
    }

    /// Writes what waits. A batch that fails counts as failed as a whole.
    async fn flush(&mut self) {
        if self.batch_lines == 0 {
            return;
        }
        let lines = Bytes::from(std::mem::take(&mut self.batch));
        let count = std::mem::take(&mut self.batch_lines);
        match self.client.write(&self.target, lines.clone()).await {
            Ok(()) => self.summary.inserts += count,
            Err(error) => {
                self.summary.failed += count;
                let text = match error {
                    ClientError::Refused { body, .. } if !body.is_empty() => body,
                    other => other.to_string(),
                };
                self.log.complain(&format!("error writing batch:  {text}"));
                self.log.complain(String::from_utf8_lossy(&lines).trim_end());
            }
        }
        self.pause().await;
    }

    /// Waits until as many points were sent as may have been by now.
    async fn pause(&self) {
        if self.points_per_second == 0 {
            return;
        }
        let due = Duration::from_secs_f64(self.line_count as f64 / self.points_per_second as f64);
        let spent = self.env.monotonic().saturating_sub(self.started);
        tokio::time::sleep(due.saturating_sub(spent)).await;
    }

    fn tell_progress(&mut self) {
        let spent = self.env.monotonic().saturating_sub(self.started);
        let pace = self.line_count as f64 / spent.as_secs_f64().max(1e-9);
        self.log.say(&format!(
            "Processed {} lines.  Time elapsed: {}.  Points per second (PPS): {}",
            self.line_count,
            duration_text(spent),
            pace as u64
        ));
    }

    fn finish(self) -> Summary {
        let Summary { commands, inserts, failed } = self.summary;
        self.log.say(&format!("Processed {commands} commands"));
        self.log.say(&format!("Processed {inserts} inserts"));
        self.log.say(&format!("Failed {failed} inserts"));
        self.summary
    }
}

/// `1h2m3.5s`, to the millisecond.
fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (hours, minutes, millis) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&format!("{}s", millis as f64 / 1_000.0));
    text
}

#[cfg(test)]
mod tests;
