//! Where lines are said and answers are read.

use std::fmt::Display;
use std::io::{self, BufRead, Read, Write};

/// Most that is read from standard input.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Standard output, standard error and standard input, or what tests have in their place.
pub(crate) struct Terminal<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    input: &'a mut dyn BufRead,
    /// Whether a person sees on the screen what they type.
    input_echoes: bool,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        input: &'a mut dyn BufRead,
        input_echoes: bool,
    ) -> Terminal<'a> {
        Terminal { out, err, input, input_echoes }
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

    /// Everything on standard input.
    pub(crate) fn read_all(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.input.take(INPUT_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Asks on standard output and reads one line. Only `y` and `Y` mean yes; the end of the input means no. What is said
    /// next begins a line, also where nobody typed the end of this one.
    pub(crate) fn confirm(&mut self, question: &str) -> io::Result<bool> {
        self.print(question)?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        if !self.input_echoes || !answer.ends_with('\n') {
            self.print("\n")?;
        }
        Ok(matches!(answer.trim(), "y" | "Y"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(input: &str, input_echoes: bool) -> (bool, String) {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), input.as_bytes());
        let mut terminal = Terminal::new(&mut out, &mut err, &mut input, input_echoes);
        let answer = terminal.confirm("Well? ").expect("nothing fails");
        terminal.say("next").expect("nothing fails");
        (answer, String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn what_is_said_after_a_question_begins_a_line() {
        assert_eq!(ask("y\n", true), (true, "Well? next\n".to_owned()), "the person's own line end is on the screen");
        assert_eq!(ask("y\n", false), (true, "Well? \nnext\n".to_owned()));
        assert_eq!(ask("", true), (false, "Well? \nnext\n".to_owned()));
    }

    #[test]
    fn only_the_first_line_is_read() {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), &b" Y \nn\n"[..]);
        let mut terminal = Terminal::new(&mut out, &mut err, &mut input, false);
        let answers = [0, 1, 2].map(|_| terminal.confirm("").expect("nothing fails"));
        assert_eq!(answers, [true, false, false]);
    }
}
