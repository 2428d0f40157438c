//! Lines that were entered before, in `~/.influx_history`. Passwords are never among them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use influxql::sanitize::redact_passwords;

/// Most lines that are kept; the file may have twice as many until the next shell starts.
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
    /// The history of the user whose home directory this is. A file that cannot be read counts as empty; one that became
    /// long is cut.
    pub(crate) fn load(home: Option<&Path>) -> History {
        let path = home.map(|home| home.join(FILE_NAME));
        let bytes = path.as_ref().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        let mut lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        let is_long = lines.len() >= 2 * LINES_MAX;
        lines.drain(..lines.len().saturating_sub(LINES_MAX));
        let history = History { path, lines };
        if is_long {
            // A history that cannot be kept is no reason to complain.
            let _ = history.save();
        }
        history
    }

    /// All lines, the oldest first.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Adds a line, without its passwords, also to the file: however the shell ends, the line is kept. Lines that are empty, like the one before, or nothing but a password are not
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
        // A history that cannot be kept is no reason to complain.
        let _ = self.write(fs::OpenOptions::new().append(true), &format!("{line}\n"));
        self.lines.push(line.into_owned());
        self.lines.last().map(String::as_str)
    }

    /// Writes the file anew.
    fn save(&self) -> io::Result<()> {
        let mut text = self.lines.join("\n");
        text.push('\n');
        self.write(fs::OpenOptions::new().write(true).truncate(true), &text)
    }

    /// Writes to the file, which only its owner may read.
    fn write(&self, options: &mut fs::OpenOptions, text: &str) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        std::os::unix::fs::OpenOptionsExt::mode(options.create(true), 0o600);
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
        // Nothing is left to do at the end: the shell may be killed.
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
    }

    #[test]
    fn a_file_that_became_long_is_cut_by_the_next_shell() {
        let home = tempfile::tempdir().expect("a folder");
        let mut history = History::load(Some(home.path()));
        for number in 0..2 * LINES_MAX {
            history.add(&format!("select {number}"));
        }
        let again = History::load(Some(home.path()));
        assert_eq!((again.lines().len(), again.lines()[0].as_str()), (LINES_MAX, "select 1000"));
        let kept = fs::read_to_string(home.path().join(FILE_NAME)).expect("read");
        assert_eq!(kept.lines().count(), LINES_MAX);
    }

    #[test]
    fn a_missing_home_is_no_error() {
        assert_eq!(History::load(Some(Path::new("/nonexistent"))).lines().len(), 0);
        assert_eq!(History::load(None).lines().len(), 0);
    }
}
