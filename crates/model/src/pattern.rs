//! Regular expressions in the dialect that InfluxQL has: RE2 as Go spells it.
//!
//! The engine is the `regex` crate, whose dialect differs in small things; `translate` rewrites those: `\Q..\E`, the
//! Perl classes and `\b` that are ASCII in Go, a `{` that starts no repetition, and set operators in classes that Go
//! does not have. What neither knows is an error of the engine.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Largest compiled program, in bytes.
pub const PATTERN_BYTES_MAX: usize = 4 << 20;

/// A compiled pattern. Two are equal when their texts are.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// A pattern that does not compile. Displays the reason alone; callers add `error parsing regexp: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles the text between the slashes.
    pub fn compile(text: &str) -> Result<Pattern, PatternError> {
        let regex = RegexBuilder::new(&translate(text))
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map_err(|error| PatternError(short(&error)))?;
        Ok(Pattern { text: text.to_owned(), regex })
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is found anywhere in `value`.
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

/// The last line of the engine's message: the reason without the picture.
fn short(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn translate(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 16);
    let mut class_depth = 0usize;
    let mut index = 0;
    while index < chars.len() {
        let rest = &chars[index..];
        index += match rest[0] {
            '\\' => escape(&mut out, rest, class_depth > 0),
            '[' if class_depth == 0 => {
                class_depth = 1;
                open_class(&mut out, rest)
            }
            '[' if rest.get(1) == Some(&':') => posix_class(&mut out, rest),
            ']' if class_depth > 0 => {
                class_depth = 0;
                out.push(']');
                1
            }
            // Literal in a Go class, operators in the engine's.
            set @ ('[' | '&' | '~') if class_depth > 0 => {
                out.push('\\');
                out.push(set);
                1
            }
            '{' if class_depth == 0 && !starts_repetition(rest) => {
                out.push_str(r"\{");
                1
            }
            plain => {
                out.push(plain);
                1
            }
        };
    }
    out
}

/// Copies `[`, `[^` and a `]` that stands first, which is literal. Returns how many characters were taken.
fn open_class(out: &mut String, rest: &[char]) -> usize {
    out.push('[');
    let mut taken = 1;
    if rest.get(taken) == Some(&'^') {
        out.push('^');
        taken += 1;
    }
    if rest.get(taken) == Some(&']') {
        out.push_str(r"\]");
        taken += 1;
    }
    taken
}

/// Copies `[:name:]`, or escapes the bracket when it is none.
fn posix_class(out: &mut String, rest: &[char]) -> usize {
    let end = rest.windows(2).skip(2).position(|pair| pair == [':', ']']);
    match end {
        Some(end) => {
            out.extend(&rest[..end + 4]);
            end + 4
        }
        None => {
            out.push_str(r"\[");
            1
        }
    }
}

fn escape(out: &mut String, rest: &[char], in_class: bool) -> usize {
    let Some(escaped) = rest.get(1) else {
        out.push('\\');
        return 1;
    };
    let ascii = match (escaped, in_class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', false) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', false) => "[^0-9A-Za-z_]",
        ('s', false) => r"[\t\n\f\r ]",
        ('s', true) => r"\t\n\f\r ",
        ('S', false) => r"[^\t\n\f\r ]",
        ('D', true) => "[^0-9]",
        ('W', true) => "[^0-9A-Za-z_]",
        ('S', true) => r"[^\t\n\f\r ]",
        ('b', false) => r"(?-u:\b)",
        ('B', false) => r"(?-u:\B)",
        ('Q', false) => return quoted(out, rest),
        _ => {
            out.push('\\');
            out.push(*escaped);
            return 2;
        }
    };
    out.push_str(ascii);
    2
}

/// `\Q...\E`: everything between is literal; without `\E` to the end.
fn quoted(out: &mut String, rest: &[char]) -> usize {
    let body = &rest[2..];
    let end = body.windows(2).position(|pair| pair == ['\\', 'E']);
    let literal: String = body[..end.unwrap_or(body.len())].iter().collect();
    out.push_str(&regex::escape(&literal));
    2 + end.map_or(body.len(), |end| end + 2)
}

/// `{n}`, `{n,}` or `{n,m}`.
fn starts_repetition(rest: &[char]) -> bool {
    let Some(end) = rest.iter().position(|c| *c == '}') else { return false };
    let inner: String = rest[1..end].iter().collect();
    let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let compiled = Pattern::compile(pattern).expect("a pattern");
        for text in matching {
            assert!(compiled.is_match(text.as_bytes()), "{pattern} is in {text}");
        }
        for text in others {
            assert!(!compiled.is_match(text.as_bytes()), "{pattern} is not in {text}");
        }
    }

    #[test]
    fn searches_anywhere_unless_anchored() {
        check("pu", &["cpu", "pu1"], &["up"]);
        check("^cpu[0-9]+$", &["cpu0", "cpu12"], &["cpu", "xcpu1"]);
    }

    #[test]
    fn perl_classes_are_ascii() {
        check(r"^\d$", &["7"], &["٧"]);
        check(r"^[\w-]+$", &["a_b-c"], &["ä"]);
        check(r"\bweb\b", &["a web b"], &["webs"]);
    }

    #[test]
    fn quoting_takes_everything_literally() {
        check(r"^\Qa.b\E+$", &["a.b", "a.bb"], &["axb"]);
        check(r"\Qa(", &["a("], &["a"]);
    }

    #[test]
    fn what_go_takes_literally_is_literal() {
        check(r"a{x", &["a{x"], &["ax"]);
        check(r"^a{2}$", &["aa"], &["a"]);
        check(r"^[a&&b]+$", &["a&b"], &["c"]);
        check(r"^[]a]+$", &["]a"], &["b"]);
        check(r"^[[:digit:]]$", &["5"], &[":"]);
        check(r"^[[a]$", &["["], &["b"]);
    }

    #[test]
    fn a_broken_pattern_tells_why() {
        let error = Pattern::compile("a(b").expect_err("an unclosed group");
        assert_eq!(error.to_string(), "unclosed group");
    }

    #[test]
    fn a_huge_pattern_is_refused() {
        assert!(Pattern::compile("(a{1000}){1000}").is_err());
    }
}
