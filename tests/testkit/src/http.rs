//! Just enough HTTP to load points and ask a question: one request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, put together from its chunks.
    pub body: String,
}

/// Sends one request to `address` (`host:port`) and reads the answer to its end.
///
/// # Errors
/// When the server cannot be reached, or does not speak HTTP.
pub fn request(method: &str, address: &str, target: &str, body: &[u8]) -> anyhow::Result<Answer> {
    request_with(method, address, target, "", body)
}

/// As [`request`], with lines of headers.
fn request_with(method: &str, address: &str, target: &str, headers: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).with_context(|| format!("read the answer of {address}"))?;
    parse(&raw).with_context(|| format!("{address}{target}"))
}

/// Posts a form and reads the answer to its end.
///
/// # Errors
/// As [`request`].
pub fn post_form(address: &str, target: &str, form: &str) -> anyhow::Result<Answer> {
    request_with("POST", address, target, "Content-Type: application/x-www-form-urlencoded\r\n", form.as_bytes())
}

/// A connection that stays open from request to request.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        stream.set_nodelay(true)?;
        Ok(Connection { address: address.to_owned(), stream: BufReader::new(stream) })
    }

    /// Sends one request and reads the answer.
    ///
    /// # Errors
    /// When the connection breaks, or the server does not speak HTTP.
    pub fn request(&mut self, method: &str, target: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", self.address, body.len());
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let status = self.line()?;
        let status =
            status.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer has a status")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().context("a length is a number")?;
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut body = Vec::new();
        while chunked {
            let size = usize::from_str_radix(self.line()?.trim(), 16).context("a chunk has a size")?;
            let from = body.len();
            body.resize(from + size, 0);
            self.stream.read_exact(&mut body[from..])?;
            self.line()?;
            chunked = size > 0;
        }
        if length > 0 {
            body.resize(length, 0);
            self.stream.read_exact(&mut body)?;
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("{} closed the connection", self.address);
        }
        Ok(line.trim_end().to_owned())
    }
}

fn parse(raw: &[u8]) -> anyhow::Result<Answer> {
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n").context("an answer has a head")?;
    let head = String::from_utf8_lossy(&raw[..split]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer has a status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { join_chunks(&raw[split + 4..])? } else { raw[split + 4..].to_vec() };
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

fn join_chunks(mut raw: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = raw.windows(2).position(|two| two == b"\r\n").context("a chunk has a size")?;
        let size = usize::from_str_radix(String::from_utf8_lossy(&raw[..line]).trim(), 16)?;
        raw = &raw[line + 2..];
        if size == 0 {
            return Ok(body);
        }
        if raw.len() < size + 2 {
            bail!("a chunk is cut short");
        }
        body.extend_from_slice(&raw[..size]);
        raw = &raw[size + 2..];
    }
}

/// Percent-encodes a value of a query string.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_in_chunks() {
        let plain = parse(b"HTTP/1.1 204 No Content\r\n\r\n").expect("an answer");
        assert_eq!((plain.status, plain.body.as_str()), (204, ""));
        let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(raw).expect("an answer").body, "abcd");
        assert!(parse(b"nonsense").is_err());
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(encode("a b=1&c"), "a%20b%3D1%26c");
    }
}
