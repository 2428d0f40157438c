//! Passwords taken out of what is logged.

/// What stands for a password.
const REDACTED: &str = "[REDACTED]";

/// The text of statements without their passwords: what follows `password for <user> =` and `with password`.
pub fn redact_statements(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut from = 0;
    while let Some(at) = lower[from..].find("password") {
        from += at + "password".len();
        let before = lower[..from - "password".len()].trim_end();
        let literal = password_start(&lower, from, before.ends_with("with"));
        let Some(start) = literal else { continue };
        let end = literal_end(text, start);
        out.push_str(&text[done..start]);
        out.push_str(REDACTED);
        done = end;
        from = end;
    }
    out.push_str(&text[done..]);
    out
}

/// Where the password begins that belongs to the word before `from`.
fn password_start(lower: &str, from: usize, after_with: bool) -> Option<usize> {
    let skip = |at: usize| at + lower[at..].len() - lower[at..].trim_start().len();
    let next = skip(from);
    if after_with {
        // A double quote right after the word closes an identifier rather than opens a password.
        return match lower.as_bytes().get(next)? {
            b'\'' => Some(next),
            b'"' if next > from => Some(next),
            _ => None,
        };
    }
    // `set password for "name" = 'text'`
    let user = lower[next..].strip_prefix("for")?;
    let equals = lower.len() - user.len() + find_outside_quotes(user, b'=')?;
    let start = skip(equals + 1);
    matches!(lower.as_bytes().get(start), Some(b'\'' | b'"')).then_some(start)
}

/// The first `wanted` that is not inside double quotes and of the same statement.
fn find_outside_quotes(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => return None,
            byte if byte == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The end of the literal that begins at `start` with its quote. A literal that never ends is all password.
fn literal_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// A path with its query string, without the password in `p` and those in `q`.
pub(crate) fn redact_uri(path: &str, query: Option<&str>) -> String {
    let Some(query) = query else { return path.to_owned() };
    let pairs: Vec<String> = query.split('&').map(redact_pair).collect();
    format!("{path}?{}", pairs.join("&"))
}

fn redact_pair(pair: &str) -> String {
    // The name could be encoded as well: `%70` is a `p`.
    let fields = crate::request::Fields::parse(pair.as_bytes());
    let raw_name = pair.split('=').next().unwrap_or_default();
    if !fields.get("p").is_empty() {
        return format!("{raw_name}={REDACTED}");
    }
    let text = fields.get("q");
    let redacted = redact_statements(text);
    if redacted == text { pair.to_owned() } else { format!("{raw_name}={}", encode(&redacted)) }
}

/// The encoding of URLs.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~[]".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_statements_are_taken_out() {
        let cases = [
            (
                "create user x with password 'secret' with all privileges",
                "create user x with password [REDACTED] with all privileges",
            ),
            ("CREATE USER x WITH  PASSWORD\n'se\\'cret'", "CREATE USER x WITH  PASSWORD\n[REDACTED]"),
            ("set password for x = 'secret'; show users", "set password for x = [REDACTED]; show users"),
            ("SET PASSWORD FOR \"a=b\" ='secret'", "SET PASSWORD FOR \"a=b\" =[REDACTED]"),
            ("set password for x = 'sec", "set password for x = [REDACTED]"),
            ("create user a with password \"secret\"", "create user a with password [REDACTED]"),
            (
                "create user a with password 'one'; create user b with password 'two'",
                "create user a with password [REDACTED]; create user b with password [REDACTED]",
            ),
            ("select password from users where password = 'x'", "select password from users where password = 'x'"),
            ("password", "password"),
            ("select \"with password\" from m", "select \"with password\" from m"),
            ("", ""),
        ];
        for (text, want) in cases {
            assert_eq!(redact_statements(text), want);
        }
    }

    #[test]
    fn letters_that_grow_in_small_do_not_shift_the_text() {
        // Only ASCII is lowered, so all positions stay.
        assert_eq!(
            redact_statements("\u{130}\u{130} with password 'x'\u{130}"),
            "\u{130}\u{130} with password [REDACTED]\u{130}"
        );
        redact_statements("with password '\\");
        redact_statements("with password '\u{e9}\\\u{e9}");
    }

    #[test]
    fn passwords_of_urls_are_taken_out() {
        assert_eq!(redact_uri("/ping", None), "/ping");
        assert_eq!(redact_uri("/query", Some("u=a&p=secret&q=x")), "/query?u=a&p=[REDACTED]&q=x");
        assert_eq!(redact_uri("/query", Some("%70=secret")), "/query?%70=[REDACTED]");
        assert_eq!(
            redact_uri("/query", Some("q=create+user+x+with+password+%27secret%27&db=d")),
            "/query?q=create+user+x+with+password+[REDACTED]&db=d"
        );
    }
}
