//! Where lines are said and answers are read.

use std::fmt::Display;
use std::io::{self, BufRead, Write};

/// Standard output, standard error and standard input, or what tests have in their place.
pub(crate) struct Terminal<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    input: &'a mut dyn BufRead,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, input: &'a mut dyn BufRead) -> Terminal<'a> {
        Terminal { out, err, input }
    }

    /// A line on standard output, at once: the next may take long.
    pub(crate) fn say(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Text on standard output that ends its own lines.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// A line on standard error.
    pub(crate) fn complain(&mut self, line: impl Display) {
        // Nobody to tell when standard error is closed.
        let _ = writeln!(self.err, "{line}");
    }

    /// Asks on standard output and reads one line. Only `y` and `Y` mean yes; the end of the input means no.
    pub(crate) fn confirm(&mut self, question: &str) -> io::Result<bool> {
        self.print(question)?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y"))
    }
}
