//! Where a server is.

use std::fmt;

use crate::error::ClientError;

/// The port when none is named.
const PORT: u16 = 8086;

/// A scheme, a host, a port, and a path in front of all paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether the server speaks TLS.
    pub tls: bool,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Empty, or begins with a slash and does not end with one.
    pub path_prefix: String,
}

impl Address {
    /// Reads `host`, `host:port`, `[::1]:port`, or either with `http://` or `https://` before and a path behind. The
    /// port is `port` where the text names none, else 8086.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str, port: Option<u16>) -> Result<Address, ClientError> {
        let bad = |why| ClientError::Address(text.to_owned(), why);
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(bad("unknown scheme")),
            None => (false, text),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, named_port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, behind) = bracketed.split_once(']').ok_or_else(|| bad("missing ']'"))?;
                match behind.strip_prefix(':') {
                    None if behind.is_empty() => (host, None),
                    Some(port) => (host, Some(port)),
                    None => return Err(bad("unexpected text after ']'")),
                }
            }
            None => match authority.split_once(':') {
                // Several colons without brackets are an address of IPv6 without a port.
                Some((_, more)) if more.contains(':') => (authority, None),
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let is_plain =
            |char: char| char.is_ascii_graphic() && !matches!(char, '@' | '?' | '#' | '\\' | '[' | ']' | '%');
        if !host.chars().all(is_plain) {
            return Err(bad("invalid character in host name"));
        }
        let port = match named_port {
            Some(text) => text.parse().map_err(|_| bad("invalid port number"))?,
            None => port.unwrap_or(PORT),
        };
        if !path.is_ascii() || path.contains([' ', '?', '#']) {
            return Err(bad("invalid character in path"));
        }
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Address { tls, host: host.to_owned(), port, path_prefix: clean_prefix(path) })
    }

    /// The same with another path in front.
    pub fn with_path_prefix(mut self, prefix: &str) -> Address {
        self.path_prefix = clean_prefix(prefix);
        self
    }

    /// `host:port`, with brackets where they are needed.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn clean_prefix(prefix: &str) -> String {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address::parse(text, None).map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(shown("localhost"), "http://localhost:8086");
        assert_eq!(shown(""), "http://localhost:8086");
        assert_eq!(shown("db1:9999"), "http://db1:9999");
        assert_eq!(shown("https://db1/proxy/"), "https://db1:8086/proxy");
        assert_eq!(shown("[::1]:80"), "http://[::1]:80");
        assert_eq!(shown("::1"), "http://[::1]:8086");
        assert_eq!(Address::parse("a", Some(7)).expect("fine").port, 7);
        assert_eq!(Address::parse("a:8", Some(7)).expect("fine").port, 8);
        let prefixed = Address::parse("a", None).expect("fine").with_path_prefix("x/y/");
        assert_eq!(prefixed.path_prefix, "/x/y");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(shown("a:b"), "could not parse host \"a:b\": invalid port number");
        assert_eq!(shown("a:99999"), "could not parse host \"a:99999\": invalid port number");
        assert_eq!(shown("ftp://a"), "could not parse host \"ftp://a\": unknown scheme");
        assert_eq!(shown("[::1"), "could not parse host \"[::1\": missing ']'");
        assert_eq!(shown("[::1]x"), "could not parse host \"[::1]x\": unexpected text after ']'");
        assert_eq!(shown("a b"), "could not parse host \"a b\": invalid character in host name");
        assert_eq!(shown("me@a"), "could not parse host \"me@a\": invalid character in host name");
        assert_eq!(shown("a/x y"), "could not parse host \"a/x y\": invalid character in path");
    }
}
