//! Forms in `multipart/form-data`.

use stdx::form::Fields;

/// Most parts of a form; more are not read.
const PART_COUNT_MAX: usize = 1_000;

/// What a form holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Multipart {
    /// Its plain fields.
    pub(crate) fields: Fields,
    /// The contents of the first file named `q`.
    pub(crate) query_file: Option<String>,
}

/// The boundary that a `Content-Type` names, when it is `multipart/form-data` and names one.
pub(crate) fn boundary_of(content_type: &str) -> Option<String> {
    let mut params = content_type.split(';');
    if !params.next()?.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = params.find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (1..=70).contains(&value.len()).then(|| value.to_owned())
}

/// Reads a form. `None` when it is cut short or is no such form; the reference then goes on with the URL alone.
pub(crate) fn parse(body: &[u8], boundary: &str) -> Option<Multipart> {
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let finder = memchr::memmem::Finder::new(&delimiter);
    // The first delimiter may stand at the very beginning, without a line end before it.
    let mut rest = if body.starts_with(&delimiter[2..]) {
        &body[delimiter.len() - 2..]
    } else {
        &body[finder.find(body)? + delimiter.len()..]
    };
    let mut form = Multipart::default();
    for _ in 0..PART_COUNT_MAX {
        if rest.starts_with(b"--") {
            return Some(form);
        }
        let part = trim_padding(rest).strip_prefix(b"\r\n")?;
        let end = finder.find(part)?;
        add_part(&mut form, &part[..end])?;
        rest = &part[end + delimiter.len()..];
    }
    None
}

/// Without the blanks that may follow a boundary.
fn trim_padding(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(bytes.len());
    &bytes[start..]
}

/// One part: headers, an empty line, contents.
fn add_part(form: &mut Multipart, part: &[u8]) -> Option<()> {
    let head_end = if part.starts_with(b"\r\n") { 0 } else { memchr::memmem::find(part, b"\r\n\r\n")? + 2 };
    let (head, contents) = part.split_at(head_end);
    let contents = String::from_utf8_lossy(&contents[2..]).into_owned();
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let Some(name) = disposition.and_then(|line| param_of(line, "name")) else { return Some(()) };
    if disposition.and_then(|line| param_of(line, "filename")).is_some() {
        if name == "q" && form.query_file.is_none() {
            form.query_file = Some(contents);
        }
    } else {
        form.fields.push(name, contents);
    }
    Some(())
}

/// The value of `key` in `form-data; key="value"; ...`.
fn param_of(line: &str, key: &str) -> Option<String> {
    let mut rest = line;
    while let Some((_, tail)) = rest.split_once(';') {
        let (name, tail) = tail.split_once('=')?;
        let (value, tail) = match tail.trim_start().strip_prefix('"') {
            Some(quoted) => take_quoted(quoted),
            None => {
                let end = tail.find(';').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), &tail[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(key) {
            return Some(value);
        }
        rest = tail;
    }
    None
}

/// The text up to the closing quote, and what follows it.
fn take_quoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, next)| next)),
            _ => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_bytes_panic(parts in proptest::collection::vec("(--XX|--XX--|\r\n|\n|Content-Disposition: form-data; |name=|\"|;|q|filename=|\\\\|x|\u{e9})", 0..40)) {
            let _ = parse(parts.concat().as_bytes(), "XX");
            let _ = boundary_of(&parts.concat());
            let _ = param_of(&parts.concat(), "name");
        }
    }

    fn form(lines: &[&str]) -> Option<Multipart> {
        parse(lines.join("\r\n").as_bytes(), "XX")
    }

    #[test]
    fn boundaries_are_read_from_the_content_type() {
        let boundary = |text: &str| boundary_of(text);
        assert_eq!(boundary("multipart/form-data; boundary=XX").as_deref(), Some("XX"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
        assert_eq!(boundary("multipart/mixed; boundary=XX"), None);
    }

    #[test]
    fn fields_and_a_file() {
        let got = form(&[
            "preamble",
            "--XX",
            "Content-Disposition: form-data; name=\"epoch\"",
            "",
            "s",
            "--XX  ",
            "content-disposition: form-data; name=q; filename=\"a;\\\"b\\\".txt\"",
            "Content-Type: text/plain",
            "",
            "show",
            "databases",
            "--XX--",
            "",
        ])
        .expect("a form");
        assert_eq!(got.fields, Fields::parse(b"epoch=s"));
        assert_eq!(got.query_file.as_deref(), Some("show\r\ndatabases"));
    }

    #[test]
    fn parts_without_a_name_are_skipped_and_may_be_empty() {
        let got = form(&["--XX", "", "x", "--XX", "Content-Disposition: form-data; name=\"db\"", "", "", "--XX--"]);
        assert_eq!(got.expect("a form").fields, Fields::parse(b"db="));
    }

    #[test]
    fn broken_forms_are_no_forms() {
        assert_eq!(form(&["hello"]), None);
        assert_eq!(form(&["--XX"]), None);
        assert_eq!(form(&["--XX", "Content-Disposition: form-data; name=\"q\"", "", "show"]), None);
        assert_eq!(form(&["--XX", "Content-Disposition", "--XX--"]), None);
        assert_eq!(form(&["--XXY", "--XX--"]), None);
    }

    #[test]
    fn parts_are_counted() {
        let mut body = String::new();
        for _ in 0..=PART_COUNT_MAX {
            body.push_str("--XX\r\n\r\nx\r\n");
        }
        body.push_str("--XX--");
        assert_eq!(parse(body.as_bytes(), "XX"), None);
    }
}
