//! Words that can follow what was typed. Pure.

/// Words that begin a line.
const COMMANDS: [&str; 19] = [
    "auth",
    "chunk",
    "chunked",
    "clear",
    "connect",
    "consistency",
    "exit",
    "format",
    "gopher",
    "help",
    "history",
    "insert",
    "node",
    "precision",
    "pretty",
    "quit",
    "settings",
    "use",
    "into",
];

/// Words of InfluxQL.
const KEYWORDS: [&str; 94] = [
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BEGIN",
    "BY",
    "CARDINALITY",
    "CONTINUOUS",
    "CREATE",
    "DATA",
    "DATABASE",
    "DATABASES",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DESTINATIONS",
    "DIAGNOSTICS",
    "DISTINCT",
    "DROP",
    "DURATION",
    "END",
    "EVERY",
    "EXACT",
    "EXPLAIN",
    "FIELD",
    "FILL",
    "FOR",
    "FROM",
    "FUTURE",
    "GRANT",
    "GRANTS",
    "GROUP",
    "GROUPS",
    "IN",
    "INF",
    "INSERT",
    "INTO",
    "KEY",
    "KEYS",
    "KILL",
    "LIMIT",
    "MEASUREMENT",
    "MEASUREMENTS",
    "META",
    "NAME",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "PASSWORD",
    "PAST",
    "POLICIES",
    "POLICY",
    "PRIVILEGES",
    "QUERIES",
    "QUERY",
    "READ",
    "REPLICATION",
    "RESAMPLE",
    "RETENTION",
    "REVOKE",
    "SELECT",
    "SERIES",
    "SERVER",
    "SERVERS",
    "SET",
    "SHARD",
    "SHARDS",
    "SHOW",
    "SLIMIT",
    "SOFFSET",
    "STATS",
    "SUBSCRIPTION",
    "SUBSCRIPTIONS",
    "TAG",
    "TIME",
    "TO",
    "TZ",
    "USER",
    "USERS",
    "VALUES",
    "VERBOSE",
    "WHERE",
    "WITH",
    "WRITE",
    "MEAN(",
    "COUNT(",
    "SUM(",
    "MAX(",
    "MIN(",
];

/// Where the last word of `typed` begins, and what it can become. Keywords follow the case of what was typed.
pub(crate) fn complete(typed: &str) -> (usize, Vec<String>) {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let start = typed
        .rfind(|char: char| !is_word(char))
        .map_or(0, |at| at + typed[at..].chars().next().map_or(1, char::len_utf8));
    let word = &typed[start..];
    if word.is_empty() || in_quotes(&typed[..start]) {
        return (start, Vec::new());
    }
    let begins_line = typed[..start].trim().is_empty();
    let small = word.to_ascii_lowercase();
    let is_small = *word == small;
    let commands = COMMANDS
        .iter()
        .filter(|command| begins_line && command.starts_with(&small))
        .map(|command| (*command).to_owned());
    let keywords =
        KEYWORDS.iter().map(|keyword| keyword.to_ascii_lowercase()).filter(|keyword| keyword.starts_with(&small));
    let keywords = keywords.map(|keyword| if is_small { keyword } else { keyword.to_ascii_uppercase() });
    let mut found: Vec<String> = commands.chain(keywords).collect();
    found.sort();
    found.dedup();
    (start, found)
}

/// Whether what follows `typed` stands inside a string or a quoted name.
fn in_quotes(typed: &str) -> bool {
    let mut open = None;
    let mut chars = typed.chars();
    while let Some(char) = chars.next() {
        match (char, open) {
            ('\\', Some(_)) => {
                chars.next();
            }
            ('\'' | '"', None) => open = Some(char),
            (char, Some(quote)) if char == quote => open = None,
            _ => {}
        }
    }
    open.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_in_the_case_that_was_typed() {
        assert_eq!(complete("sel"), (0, vec!["select".to_owned()]));
        assert_eq!(complete("SHOW MEAS"), (5, vec!["MEASUREMENT".to_owned(), "MEASUREMENTS".to_owned()]));
        assert_eq!(complete("show Data"), (5, vec!["DATA".to_owned(), "DATABASE".to_owned(), "DATABASES".to_owned()]));
        assert_eq!(
            complete("select mea"),
            (7, vec!["mean(".to_owned(), "measurement".to_owned(), "measurements".to_owned()])
        );
    }

    #[test]
    fn commands_only_begin_lines() {
        assert_eq!(complete("prec"), (0, vec!["precision".to_owned()]));
        assert_eq!(complete("show prec"), (5, Vec::new()));
    }

    #[test]
    fn names_and_texts_are_left_alone() {
        assert_eq!(complete("select \"sel").1, Vec::<String>::new());
        assert_eq!(complete("where h = 'it\\'s sel").1, Vec::<String>::new());
        assert_eq!(complete("where h = 'x' an"), (14, vec!["analyze".to_owned(), "and".to_owned(), "any".to_owned()]));
        assert_eq!(complete("").1, Vec::<String>::new());
        assert_eq!(complete("\u{e9}sel"), (2, vec!["select".to_owned()]));
    }
}
