use super::*;

/// One line for each token: its kind, its text and its place as printed.
fn render(text: &str, dialect: Dialect) -> String {
    let mut scanner = Scanner::new(text, dialect);
    let mut out = String::new();
    loop {
        let lexeme = scanner.scan();
        let bare = if lexeme.bare { " bare" } else { "" };
        out.push_str(&format!("{}{bare} {:?} {}\n", lexeme.token.name(), lexeme.text, lexeme.pos));
        if lexeme.token == Token::End {
            return out;
        }
    }
}

#[track_caller]
fn check(text: &str, want: expect_test::Expect) {
    want.assert_eq(&render(text, Dialect::Client));
}

/// The kinds and texts alone.
#[track_caller]
fn check_tokens(text: &str, want: &[(&str, &str)]) {
    let mut scanner = Scanner::new(text, Dialect::Client);
    let mut found = Vec::new();
    loop {
        let lexeme = scanner.scan();
        match lexeme.token {
            Token::End => break,
            Token::Whitespace => {}
            token => found.push((token.name(), lexeme.text.into_owned())),
        }
    }
    let found: Vec<(&str, &str)> = found.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(found, want, "{text}");
}

#[test]
fn places_count_characters_from_one() {
    check(
        "SELECT \"é\",\n 'x'",
        expect_test::expect![[r#"
            SELECT "" line 1, char 1
            WS " " line 1, char 7
            IDENT "é" line 1, char 8
            , "" line 1, char 11
            WS "\n " line 1, char 12
            STRING "x" line 2, char 1
            EOF "" line 2, char 5
        "#]],
    );
}

#[test]
fn strings_stand_one_character_early() {
    check(
        "'a'\"b\"'",
        expect_test::expect![[r#"
            STRING "a" line 1, char 1
            IDENT "b" line 1, char 4
            BADSTRING "" line 1, char 6
            EOF "" line 1, char 8
        "#]],
    );
    // At the start of a line, that is the end of the line before.
    check(
        "a\n'b'",
        expect_test::expect![[r#"
            IDENT bare "a" line 1, char 1
            WS "\n" line 1, char 2
            STRING "b" line 1, char 2
            EOF "" line 2, char 4
        "#]],
    );
}

#[test]
fn the_end_stands_one_further_once_it_was_touched() {
    let end_of = |text: &str| {
        let mut scanner = Scanner::new(text, Dialect::Client);
        loop {
            let lexeme = scanner.scan();
            if lexeme.token == Token::End {
                return lexeme.pos.column;
            }
        }
    };
    // A sign, a number, a string and a quoted name stop before the end; the others run into it.
    for text in ["+", "1", "''", "\"\""] {
        assert_eq!(end_of(text), text.len() as u32, "{text}");
    }
    for text in ["a", " ", "--", "$a"] {
        assert_eq!(end_of(text), text.len() as u32 + 1, "{text}");
    }
}

#[test]
fn carriage_returns_are_line_feeds() {
    check(
        "a\r\nb\rc\r\rd",
        expect_test::expect![[r#"
            IDENT bare "a" line 1, char 1
            WS "\r\n" line 1, char 2
            IDENT bare "b" line 2, char 1
            WS "\r" line 2, char 2
            IDENT bare "c" line 3, char 1
            WS "\r\r" line 3, char 2
            IDENT bare "d" line 5, char 1
            EOF "" line 5, char 3
        "#]],
    );
    check_tokens("'a\rb'", &[("BADSTRING", "a"), ("IDENT", "b"), ("BADSTRING", "")]);
}

#[test]
fn a_nul_ends_the_text() {
    check_tokens("a\0b", &[("IDENT", "a")]);
    check_tokens("'a\0b'", &[("BADSTRING", "a")]);
}

#[test]
fn numbers_and_durations() {
    check_tokens(
        "1 1.5 .5 10. 1h30m 5µ 1e5 1.5s 1..2 5_a",
        &[
            ("INTEGER", "1"),
            ("NUMBER", "1.5"),
            ("NUMBER", ".5"),
            ("NUMBER", "10"),
            ("DURATIONVAL", "1h30m"),
            ("DURATIONVAL", "5µ"),
            ("DURATIONVAL", "1e5"),
            ("NUMBER", "1.5"),
            ("IDENT", "s"),
            ("NUMBER", "1"),
            ("NUMBER", ".2"),
            ("INTEGER", "5"),
            ("IDENT", "_a"),
        ],
    );
}

#[test]
fn signs_of_two_characters() {
    let names = ["=", "=~", "!=", "!~", "!=", "<", "<=", ">", ">=", ":", "::"];
    let want: Vec<(&str, &str)> = names.into_iter().map(|name| (name, "")).collect();
    check_tokens("= =~ != !~ <> < <= > >= : ::", &want);
    check_tokens("!a", &[("ILLEGAL", "!"), ("IDENT", "a")]);
    check_tokens("é@", &[("ILLEGAL", "é"), ("ILLEGAL", "@")]);
}

#[test]
fn escapes() {
    check_tokens(r#"'\n\\\"\'' "\"" "#, &[("STRING", "\n\\\"'"), ("IDENT", "\"")]);
    check_tokens(r"'\t", &[("BADESCAPE", "\\t")]);
    check_tokens(r"'\", &[("BADESCAPE", "\\")]);
}

#[test]
fn only_our_own_printer_may_escape_what_no_client_can_write() {
    check_tokens(r"'\r", &[("BADESCAPE", "\\r")]);
    check_tokens(r"'\0", &[("BADESCAPE", "\\0")]);
    let mut scanner = Scanner::new(r"'\r\0'", Dialect::Canonical);
    assert_eq!(scanner.scan().text, "\r\0");
}

#[test]
fn comments() {
    check_tokens("a--b\nc/*d\n*/e", &[("IDENT", "a"), ("", ""), ("IDENT", "c"), ("", ""), ("IDENT", "e")]);
    check_tokens("a/*b", &[("IDENT", "a"), ("ILLEGAL", "")]);
    check_tokens("/*/* */ */", &[("", ""), ("*", ""), ("/", "")]);
}

#[test]
fn parameters() {
    check_tokens(
        "$a $\"b c\" $ $5 $select",
        &[
            ("BOUNDPARAM", "$a"),
            ("BOUNDPARAM", "$b c"),
            ("BOUNDPARAM", "$"),
            ("BOUNDPARAM", "$5"),
            ("BOUNDPARAM", "$select"),
        ],
    );
    check_tokens("$\"a", &[("BADSTRING", "$a")]);
}

#[test]
fn in_a_regex_only_the_slash_is_escaped() {
    let regex = |text| {
        let lexeme = Scanner::new(text, Dialect::Client).scan_regex();
        (lexeme.token, lexeme.text.into_owned())
    };
    assert_eq!(regex(r"/a\/b/"), (Token::Regex, "a/b".to_owned()));
    assert_eq!(regex(r"/a\d\\b/"), (Token::Regex, r"a\d\\b".to_owned()));
    // Even behind another backslash.
    assert_eq!(regex(r"/a\\/b/"), (Token::Regex, r"a\/b".to_owned()));
    assert_eq!(regex("/a"), (Token::BadRegex, String::new()));
    assert_eq!(regex("/a\n/"), (Token::BadRegex, String::new()));
}
