//! Passwords out of raw query text, before it is logged.
//!
//! This works on the text and not on a tree, because a text that does not parse is logged too. It looks for the words
//! that come before a password, in any case and anywhere, and would rather redact too much than too little.

use std::borrow::Cow;

/// What takes the place of a password.
const REDACTED: &str = "[REDACTED]";

/// `text` with what follows `with password` and `password for <user> =` replaced by `[REDACTED]`.
pub fn redact_passwords(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some(word) = find_word(text, from, "password") {
        from = word.end;
        let Some(start) = password_start(text, word) else { continue };
        let end = password_end(text, start);
        if end > start {
            clean.push_str(&text[copied..start]);
            clean.push_str(REDACTED);
            copied = end;
            from = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// The next place at or after `from` that has `word`, given in lower case, in any case.
fn find_word(text: &str, from: usize, word: &str) -> Option<std::ops::Range<usize>> {
    let bytes = text.as_bytes().get(from..)?;
    let start = bytes.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word.as_bytes()))?;
    Some(from + start..from + start + word.len())
}

/// Where the password begins that the word `password` at `word` announces, if it does.
fn password_start(text: &str, word: std::ops::Range<usize>) -> Option<usize> {
    let before = text[..word.start].trim_end_matches(is_space);
    let after = skip_gap(text, word.end);
    if ends_with_word(before, "for") || ends_with_word(before, "with") || before.ends_with("*/") {
        return Some(after);
    }
    let is_for = text.get(after..after + 3).is_some_and(|word| word.eq_ignore_ascii_case("for"));
    if !is_for {
        return None;
    }
    let sign = skip_user(text, after + 3)?;
    Some(skip_gap(text, sign + 1))
}

/// The place of the `=` behind the name of a user, which may be quoted and contain one.
fn skip_user(text: &str, from: usize) -> Option<usize> {
    let start = skip_gap(text, from);
    let end = if text[start..].starts_with('"') { password_end(text, start) } else { start };
    text[end..].find('=').map(|sign| end + sign)
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.len().checked_sub(word.len()).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
}

fn is_space(ch: char) -> bool {
    ch.is_ascii_whitespace()
}

/// Behind white space and comments.
fn skip_gap(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text[at..].trim_start_matches(is_space);
        at = text.len() - rest.len();
        let comment = if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if rest.starts_with("--") {
            rest.find('\n').map(|end| end + 1)
        } else {
            None
        };
        match comment {
            Some(length) => at += length,
            None => return at,
        }
    }
}

/// Behind the closing quote of what begins at `start`, or at the end of the text; without a quote, at the next space
/// or semicolon.
fn password_end(text: &str, start: usize) -> usize {
    let mut chars = text[start..].char_indices();
    let Some((_, quote @ ('\'' | '"'))) = chars.next() else {
        let length = text[start..].find(|ch: char| is_space(ch) || ch == ';');
        return length.map_or(text.len(), |length| start + length);
    };
    let mut escaped = false;
    for (offset, ch) in chars {
        if ch == quote && !escaped {
            return start + offset + ch.len_utf8();
        }
        escaped = ch == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(redact_passwords(text), want);
    }

    #[test]
    fn passwords_of_both_statements_are_redacted() {
        check("CREATE USER u WITH PASSWORD 'secret'", "CREATE USER u WITH PASSWORD [REDACTED]");
        check(
            "create user u with password 'secret' with all privileges; SHOW USERS",
            "create user u with password [REDACTED] with all privileges; SHOW USERS",
        );
        check("SET PASSWORD FOR u = 'secret'", "SET PASSWORD FOR u = [REDACTED]");
        check("set password for \"a = b\"='secret'", "set password for \"a = b\"=[REDACTED]");
    }

    #[test]
    fn several_are_all_redacted() {
        check(
            "CREATE USER a WITH PASSWORD 'x'; SET PASSWORD FOR b = 'y'; CREATE USER c WITH PASSWORD 'z'",
            "CREATE USER a WITH PASSWORD [REDACTED]; SET PASSWORD FOR b = [REDACTED]; \
             CREATE USER c WITH PASSWORD [REDACTED]",
        );
    }

    #[test]
    fn spaces_quotes_and_escapes_belong_to_the_password() {
        check(r"SET PASSWORD FOR u = 'a \' b c' ; x", "SET PASSWORD FOR u = [REDACTED] ; x");
        check(r#"SET PASSWORD FOR u = "a b""#, "SET PASSWORD FOR u = [REDACTED]");
        check("CREATE USER u WITH  \n PASSWORD\t'a\nb'", "CREATE USER u WITH  \n PASSWORD\t[REDACTED]");
        check("CREATE USER u WITH PASSWORD'secret'", "CREATE USER u WITH PASSWORD[REDACTED]");
        check(
            "CREATE USER u WITH /* x */ PASSWORD /* y */ 's'",
            "CREATE USER u WITH /* x */ PASSWORD /* y */ [REDACTED]",
        );
    }

    #[test]
    fn broken_statements_are_redacted_too() {
        check("CREATE USER u WITH PASSWORD secret", "CREATE USER u WITH PASSWORD [REDACTED]");
        check("CREATE USER u WITH PASSWORD 'secret", "CREATE USER u WITH PASSWORD [REDACTED]");
        check("CREATE USER u WITH PASSWORD 'secret\\", "CREATE USER u WITH PASSWORD [REDACTED]");
        check("CREATE USER u WITH PASSWORD", "CREATE USER u WITH PASSWORD");
        check("SET PASSWORD FOR u", "SET PASSWORD FOR u");
        check("SET PASSWORD FOR", "SET PASSWORD FOR");
    }

    #[test]
    fn other_text_stays() {
        check("SELECT password FROM m WHERE user = 'x'", "SELECT password FROM m WHERE user = 'x'");
        check("", "");
        check("PASSWORD é FOR", "PASSWORD é FOR");
        assert!(matches!(redact_passwords("SELECT v FROM m"), Cow::Borrowed(_)));
    }
}
