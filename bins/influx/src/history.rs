//! Lines that were entered before, in `~/.influx_history`. Passwords are never among them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use influxql::sanitize::redact_passwords;

/// Most lines that are kept.
const LINES_MAX: usize = 1_000;

/// The name of the file in the home directory.
const FILE_NAME: &str = ".influx_history";

/// Lines and where they are kept.
#[derive(Debug, Default)]
pub(crate) struct History {
    path: Option<PathBuf>,
    lines: Vec<String>,
}

impl History {
    /// The history of the user whose home directory this is. A file that cannot be read counts as empty.
    pub(crate) fn load(home: Option<&Path>) -> History {
        let path = home.map(|home| home.join(FILE_NAME));
        let bytes = path.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        let mut lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        lines.drain(..lines.len().saturating_sub(LINES_MAX));
        History { path, lines }
    }

    /// All lines, the oldest first.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Adds a line, without its passwords. Lines that are empty, like the one before, or nothing but a password are not
    /// added. The line as it was added.
    pub(crate) fn add(&mut self, line: &str) -> Option<&str> {
        let is_auth = line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("auth"));
        let line = redact_passwords(line);
        if is_auth
            || line.trim().is_empty()
            || line.contains('\n')
            || self.lines.last().is_some_and(|last| *last == line)
        {
            return None;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.remove(0);
        }
        self.lines.push(line.into_owned());
        self.lines.last().map(String::as_str)
    }

    /// Writes the file; only its owner may read it.
    pub(crate) fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut text = self.lines.join("\n");
        text.push('\n');
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        io::Write::write_all(&mut options.open(path)?, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_without_passwords() {
        let home = tempfile::tempdir().expect("a folder");
        let mut history = History::load(Some(home.path()));
        for line in ["show databases", "show databases", "", "auth me secret", "create user u with password 'secret'"] {
            history.add(line);
        }
        history.add("set password for u = 'secret'");
        history.save().expect("written");
        let kept = fs::read_to_string(home.path().join(FILE_NAME)).expect("read");
        assert!(!kept.contains("secret"), "{kept}");
        let again = History::load(Some(home.path()));
        let want = ["show databases", "create user u with password [REDACTED]", "set password for u = [REDACTED]"];
        assert_eq!(again.lines(), want);
    }

    #[test]
    fn old_lines_are_forgotten() {
        let mut history = History::default();
        for number in 0..LINES_MAX + 5 {
            history.add(&format!("select {number}"));
        }
        assert_eq!((history.lines().len(), history.lines()[0].as_str()), (LINES_MAX, "select 5"));
        history.save().expect("nowhere to write");
    }

    #[test]
    fn a_missing_home_is_no_error() {
        assert_eq!(History::load(Some(Path::new("/nonexistent"))).lines().len(), 0);
        assert_eq!(History::load(None).lines().len(), 0);
    }
}
