//! Finds request heads that name a length twice.
//!
//! A head with both `Content-Length` and `Transfer-Encoding` is read one way by us and perhaps another way by a proxy in
//! front, which is how requests are smuggled. hyper drops the length and closes the connection afterwards; here it is
//! seen before that, so that such a request can be refused. A head that arrived together with the end of the request
//! before it is not seen here; hyper's way holds for it.

/// Longer than the longest name that is looked for.
const NAME_BYTES_MAX: usize = 18;

/// Looks at the bytes of one head as they come.
#[derive(Debug, Default)]
pub struct Sniffer {
    /// The current line up to its colon, in small letters.
    name: [u8; NAME_BYTES_MAX],
    name_len: usize,
    line: Line,
    has_length: bool,
    has_encoding: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Nothing of the line came yet.
    #[default]
    Start,
    /// Before its colon.
    Name,
    /// After it.
    Value,
    /// The empty line was seen.
    Over,
}

impl Sniffer {
    /// Looks at more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.line = match (self.line, byte) {
                (Line::Over, _) => return,
                (Line::Start, b'\n') => Line::Over,
                (Line::Start, b'\r') => Line::Start,
                (Line::Name | Line::Value, b'\n') => {
                    self.name_len = 0;
                    Line::Start
                }
                (Line::Start | Line::Name, b':') => {
                    self.take_name();
                    Line::Value
                }
                (Line::Start | Line::Name, byte) => {
                    if let Some(place) = self.name.get_mut(self.name_len) {
                        *place = byte.to_ascii_lowercase();
                    }
                    self.name_len += 1;
                    Line::Name
                }
                (Line::Value, _) => Line::Value,
            };
        }
    }

    fn take_name(&mut self) {
        match self.name.get(..self.name_len) {
            Some(b"content-length") => self.has_length = true,
            Some(b"transfer-encoding") => self.has_encoding = true,
            _ => {}
        }
        self.name_len = 0;
    }

    /// Whether the head names a length twice.
    pub fn lengths_conflict(&self) -> bool {
        self.has_length && self.has_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflicts(head: &str) -> bool {
        let mut whole = Sniffer::default();
        whole.feed(head.as_bytes());
        let mut pieces = Sniffer::default();
        for byte in head.bytes() {
            pieces.feed(&[byte]);
        }
        assert_eq!(whole.lengths_conflict(), pieces.lengths_conflict());
        whole.lengths_conflict()
    }

    #[test]
    fn both_headers_in_any_order_and_case() {
        assert!(conflicts("POST /write HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(conflicts("POST /write HTTP/1.1\nTRANSFER-ENCODING:chunked\nX: y\ncontent-length:5\n\n"));
    }

    #[test]
    fn one_of_them_is_fine() {
        assert!(!conflicts("POST /write HTTP/1.1\r\nContent-Length: 5\r\nX-Transfer-Encoding: chunked\r\n\r\n"));
        assert!(!conflicts("GET /query?q=content-length: HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(!conflicts("POST / HTTP/1.1\r\nX: content-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn the_body_is_not_looked_at() {
        assert!(!conflicts("POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nTransfer-Encoding: chunked\r\n"));
    }
}
