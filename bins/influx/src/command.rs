//! What a line means. Pure.

/// A line of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Nothing.
    Empty,
    Exit,
    Help,
    Gopher,
    History,
    Settings,
    /// Another server.
    Connect(String),
    /// A user and a password, as far as they were given.
    Auth(Option<String>, Option<String>),
    Format(String),
    Precision(String),
    Consistency(String),
    Pretty,
    Chunked,
    ChunkSize(String),
    /// A database and perhaps a retention policy.
    Use(String),
    Node(String),
    Clear(String),
    /// A line of line protocol and where it goes; an empty name is the current one.
    Insert {
        db: String,
        rp: String,
        line: String,
    },
    /// Everything else is for the server.
    Query(String),
}

impl Command {
    /// Reads a line.
    pub(crate) fn parse(line: &str) -> Command {
        let line = line.trim();
        let (word, rest) = split_word(line);
        match word.to_ascii_lowercase().as_str() {
            "" => Command::Empty,
            "exit" | "quit" => Command::Exit,
            "help" => Command::Help,
            "gopher" => Command::Gopher,
            "history" => Command::History,
            "settings" => Command::Settings,
            "connect" => Command::Connect(rest.to_owned()),
            "auth" => {
                let (user, password) = split_word(rest);
                let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                Command::Auth(given(user), given(password))
            }
            "format" => Command::Format(rest.to_ascii_lowercase()),
            "precision" => Command::Precision(rest.to_ascii_lowercase()),
            "consistency" => Command::Consistency(rest.to_ascii_lowercase()),
            "pretty" => Command::Pretty,
            "chunked" => Command::Chunked,
            "chunk" => Command::ChunkSize(chunk_size(rest)),
            "use" => Command::Use(rest.to_owned()),
            "node" => Command::Node(rest.to_ascii_lowercase()),
            "clear" => Command::Clear(rest.to_ascii_lowercase()),
            "insert" => insert(rest),
            _ => Command::Query(line.to_owned()),
        }
    }
}

/// The first word, and what follows the blanks behind it.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// `chunk size 5`, and `chunk 5` for short.
fn chunk_size(rest: &str) -> String {
    let (word, number) = split_word(rest);
    let text = if word.eq_ignore_ascii_case("size") && !number.is_empty() { number } else { rest };
    if text.is_empty() { "chunk".to_owned() } else { text.to_owned() }
}

/// `into "db"."rp" line`, `into rp line`, or only a line.
fn insert(rest: &str) -> Command {
    let (word, target) = split_word(rest);
    if !word.eq_ignore_ascii_case("into") {
        return Command::Insert { db: String::new(), rp: String::new(), line: rest.to_owned() };
    }
    let (first, behind) = take_name(target);
    let (db, rp, line) = match behind.strip_prefix('.') {
        Some(behind) => {
            let (rp, line) = take_name(behind);
            (first, rp, line)
        }
        None => (String::new(), first, behind),
    };
    Command::Insert { db, rp, line: line.trim_start().to_owned() }
}

/// A name, in quotes or up to a dot or blank, and what follows it.
fn take_name(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|char: char| char == '.' || char.is_whitespace()).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (name, &quoted[at + 1..]),
            '\\' => name.extend(chars.next().map(|(_, next)| next)),
            _ => name.push(char),
        }
    }
    (name, "")
}

/// The database and retention policy of `use`; `None` when there is no database.
pub(crate) fn parse_target(text: &str) -> Option<(String, String)> {
    let text = text.trim().trim_end_matches(';').trim_end();
    if text.is_empty() {
        return None;
    }
    let (db, behind) = if text.starts_with('"') {
        take_name(text)
    } else {
        // A name without quotes may have blanks in it here.
        let end = text.find('.').unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    let rp = behind.strip_prefix('.').map(|rp| if rp.starts_with('"') { take_name(rp).0 } else { rp.to_owned() });
    Some((db, rp.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserted(line: &str) -> (String, String, String) {
        match Command::parse(line) {
            Command::Insert { db, rp, line } => (db, rp, line),
            other => panic!("{other:?}"),
        }
    }

    fn names(db: &str, rp: &str, line: &str) -> (String, String, String) {
        (db.to_owned(), rp.to_owned(), line.to_owned())
    }

    #[test]
    fn words_are_known_in_any_case() {
        assert_eq!(Command::parse("  EXIT now "), Command::Exit);
        assert_eq!(Command::parse("Quit"), Command::Exit);
        assert_eq!(Command::parse("format  JSON"), Command::Format("json".to_owned()));
        assert_eq!(Command::parse("precision"), Command::Precision(String::new()));
        assert_eq!(Command::parse("use My_DB"), Command::Use("My_DB".to_owned()));
        assert_eq!(Command::parse("clear Retention  Policy"), Command::Clear("retention  policy".to_owned()));
        assert_eq!(Command::parse("   "), Command::Empty);
    }

    #[test]
    fn everything_else_is_a_query() {
        let query = "SELECT \"Help\" FROM exit";
        assert_eq!(Command::parse(query), Command::Query(query.to_owned()));
        assert_eq!(Command::parse("helpme"), Command::Query("helpme".to_owned()));
        assert_eq!(Command::parse("exit;"), Command::Query("exit;".to_owned()));
    }

    #[test]
    fn sizes_of_chunks() {
        assert_eq!(Command::parse("chunk size 5"), Command::ChunkSize("5".to_owned()));
        assert_eq!(Command::parse("chunk 5"), Command::ChunkSize("5".to_owned()));
        assert_eq!(Command::parse("chunk size"), Command::ChunkSize("size".to_owned()));
        assert_eq!(Command::parse("chunk"), Command::ChunkSize("chunk".to_owned()));
    }

    #[test]
    fn users_may_come_with_a_password() {
        assert_eq!(Command::parse("auth"), Command::Auth(None, None));
        assert_eq!(Command::parse("auth u"), Command::Auth(Some("u".to_owned()), None));
        assert_eq!(Command::parse("auth u p q"), Command::Auth(Some("u".to_owned()), Some("p q".to_owned())));
    }

    #[test]
    fn points_may_name_their_target() {
        assert_eq!(inserted("INSERT cpu,h=A v=\"X y\" 1"), names("", "", "cpu,h=A v=\"X y\" 1"));
        assert_eq!(inserted("insert  into  d.r   cpu v=1"), names("d", "r", "cpu v=1"));
        assert_eq!(inserted("insert INTO \"d b\".\"r.1\" cpu v=1"), names("d b", "r.1", "cpu v=1"));
        assert_eq!(inserted("insert into r cpu v=1"), names("", "r", "cpu v=1"));
        assert_eq!(inserted("insert into \"a\\\"b\" cpu v=1"), names("", "a\"b", "cpu v=1"));
        assert_eq!(inserted("insert"), names("", "", ""));
        assert_eq!(inserted("insert into d"), names("", "d", ""));
        assert_eq!(inserted("insert intox v=1"), names("", "", "intox v=1"));
    }

    #[test]
    fn targets_are_a_database_and_perhaps_a_policy() {
        let target = |text: &str| parse_target(text).map(|(db, rp)| format!("{db}|{rp}"));
        assert_eq!(target("d").as_deref(), Some("d|"));
        assert_eq!(target("d.r;").as_deref(), Some("d|r"));
        assert_eq!(target("\"d.x\".\"r\"").as_deref(), Some("d.x|r"));
        assert_eq!(target("\"d").as_deref(), Some("d|"));
        assert_eq!(target("d x").as_deref(), Some("d x|"));
        assert_eq!(target("d.").as_deref(), Some("d|"));
        assert_eq!(target(" ;"), None);
    }
}
