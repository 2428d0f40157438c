//! The words and signs that InfluxQL is made of.

use std::borrow::Cow;

use crate::error::Pos;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A character that starts no token, or a comment that does not end.
    Illegal,
    End,
    Whitespace,
    Comment,

    Identifier,
    /// `$name`, before it is replaced by its value.
    BoundParameter,
    Number,
    Integer,
    Duration,
    String,
    /// A string or quoted identifier that does not end on its line.
    BadString,
    /// An escape that does not exist, in a string or quoted identifier.
    BadEscape,
    Regex,
    /// A regex that does not end on its line.
    BadRegex,
    Keyword(Keyword),

    Add,
    Sub,
    Mul,
    Div,
    Mod,
    BitAnd,
    BitOr,
    BitXor,
    Eq,
    NotEq,
    EqRegex,
    NotEqRegex,
    Lt,
    LtEq,
    Gt,
    GtEq,

    LeftParen,
    RightParen,
    Comma,
    Colon,
    DoubleColon,
    Semicolon,
    Dot,
}

impl Token {
    /// What an error message calls a token that has no text of its own.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Token::Illegal => "ILLEGAL",
            Token::End => "EOF",
            Token::Whitespace => "WS",
            // As in the reference; only where not even white space may stand is one ever found.
            Token::Comment => "",
            Token::Identifier => "IDENT",
            Token::BoundParameter => "BOUNDPARAM",
            Token::Number => "NUMBER",
            Token::Integer => "INTEGER",
            Token::Duration => "DURATIONVAL",
            Token::String => "STRING",
            Token::BadString => "BADSTRING",
            Token::BadEscape => "BADESCAPE",
            Token::Regex => "REGEX",
            Token::BadRegex => "BADREGEX",
            Token::Keyword(keyword) => keyword.as_str(),
            Token::Add => "+",
            Token::Sub => "-",
            Token::Mul => "*",
            Token::Div => "/",
            Token::Mod => "%",
            Token::BitAnd => "&",
            Token::BitOr => "|",
            Token::BitXor => "^",
            Token::Eq => "=",
            Token::NotEq => "!=",
            Token::EqRegex => "=~",
            Token::NotEqRegex => "!~",
            Token::Lt => "<",
            Token::LtEq => "<=",
            Token::Gt => ">",
            Token::GtEq => ">=",
            Token::LeftParen => "(",
            Token::RightParen => ")",
            Token::Comma => ",",
            Token::Colon => ":",
            Token::DoubleColon => "::",
            Token::Semicolon => ";",
            Token::Dot => ".",
        }
    }
}

/// A token with its text and place.
#[derive(Clone, Debug)]
pub(crate) struct Lexeme<'a> {
    pub(crate) token: Token,
    /// Identifiers, literals and parameters: the text without quotes and escapes (a parameter keeps its `$`).
    /// Empty for keywords and signs.
    pub(crate) text: Cow<'a, str>,
    /// Whether an identifier is written without quotes.
    pub(crate) bare: bool,
    pub(crate) pos: Pos,
}

impl Lexeme<'_> {
    /// What an error message says was found.
    pub(crate) fn found(&self) -> &str {
        if self.text.is_empty() { self.token.name() } else { &self.text }
    }

    pub(crate) fn is(&self, keyword: Keyword) -> bool {
        self.token == Token::Keyword(keyword)
    }

    /// Whether this is an unquoted identifier that reads `word` in any case. For words that are keywords only in one
    /// place and names everywhere else.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.token == Token::Identifier && self.bare && self.text.eq_ignore_ascii_case(word)
    }
}

macro_rules! keywords {
    ($($variant:ident $text:literal,)*) => {
        /// A reserved word. Written in any case; as a name it needs quotes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Keyword {
            $($variant,)*
        }

        impl Keyword {
            pub(crate) const ALL: &[Keyword] = &[$(Keyword::$variant,)*];

            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Keyword::$variant => $text,)*
                }
            }
        }
    };
}

// Sorted, for the binary search in `lookup`.
keywords! {
    All "ALL", Alter "ALTER", Analyze "ANALYZE", And "AND", Any "ANY", As "AS", Asc "ASC",
    Begin "BEGIN", By "BY",
    Cardinality "CARDINALITY", Continuous "CONTINUOUS", Create "CREATE",
    Database "DATABASE", Databases "DATABASES", Default "DEFAULT", Delete "DELETE", Desc "DESC",
    Destinations "DESTINATIONS", Diagnostics "DIAGNOSTICS", Distinct "DISTINCT", Drop "DROP", Duration "DURATION",
    End "END", Every "EVERY", Exact "EXACT", Explain "EXPLAIN",
    False "FALSE", Field "FIELD", For "FOR", From "FROM",
    Grant "GRANT", Grants "GRANTS", Group "GROUP", Groups "GROUPS",
    In "IN", Inf "INF", Insert "INSERT", Into "INTO",
    Key "KEY", Keys "KEYS", Kill "KILL",
    Limit "LIMIT",
    Measurement "MEASUREMENT", Measurements "MEASUREMENTS",
    Name "NAME",
    Offset "OFFSET", On "ON", Or "OR", Order "ORDER",
    Password "PASSWORD", Policies "POLICIES", Policy "POLICY", Privileges "PRIVILEGES",
    Queries "QUERIES", Query "QUERY",
    Read "READ", Replication "REPLICATION", Resample "RESAMPLE", Retention "RETENTION", Revoke "REVOKE",
    Select "SELECT", Series "SERIES", Set "SET", Shard "SHARD", Shards "SHARDS", Show "SHOW", Slimit "SLIMIT",
    Soffset "SOFFSET", Stats "STATS", Subscription "SUBSCRIPTION", Subscriptions "SUBSCRIPTIONS",
    Tag "TAG", To "TO", True "TRUE",
    User "USER", Users "USERS",
    Values "VALUES",
    Where "WHERE", With "WITH", Write "WRITE",
}

const KEYWORD_BYTES_MAX: usize = "SUBSCRIPTIONS".len();

/// The keyword that `word` is, in whatever case.
pub(crate) fn lookup(word: &str) -> Option<Keyword> {
    let mut upper = [0u8; KEYWORD_BYTES_MAX];
    let upper = upper.get_mut(..word.len())?;
    upper.copy_from_slice(word.as_bytes());
    upper.make_ascii_uppercase();
    let index = Keyword::ALL.binary_search_by(|keyword| keyword.as_str().as_bytes().cmp(upper)).ok()?;
    Some(Keyword::ALL[index])
}

/// Whether a bare identifier may begin with `ch`.
pub(crate) fn is_identifier_start(ch: char) -> bool {
    ch.is_ascii_alphabetic() || ch == '_'
}

/// Whether a bare identifier may contain `ch`.
pub(crate) fn is_identifier_part(ch: char) -> bool {
    ch.is_ascii_alphanumeric() || ch == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_and_fit() {
        assert!(Keyword::ALL.is_sorted_by_key(|keyword| keyword.as_str()));
        assert!(Keyword::ALL.iter().all(|keyword| keyword.as_str().len() <= KEYWORD_BYTES_MAX));
    }

    #[test]
    fn every_keyword_is_found_in_any_case() {
        for &keyword in Keyword::ALL {
            assert_eq!(lookup(keyword.as_str()), Some(keyword));
            assert_eq!(lookup(&keyword.as_str().to_lowercase()), Some(keyword));
        }
    }

    #[test]
    fn other_words_are_names() {
        for word in ["", "x", "SELEC", "SELECTS", "fill", "tz", "time", "now", "SERVERS", "META", "DATA", "FUTURE"] {
            assert_eq!(lookup(word), None, "{word}");
        }
        assert_eq!(lookup(&"x".repeat(1000)), None);
    }
}
