//! HTTP as clients in the simulation speak it: one request, one connection.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::TcpStream;

/// Where nodes answer clients.
const PORT: u16 = 8086;
/// Where meta nodes answer operators.
const ADMIN_PORT: u16 = 8091;

/// Connecting to a host without power would never end.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What came behind the headers.
    pub body: Vec<u8>,
}

/// Sends a request to a node and reads the whole answer. HTTP/1.0, so that the body ends where the connection does.
///
/// # Errors
/// When there is no complete answer within `limit`. Whether the node did what was asked is then unknown.
pub async fn request(host: &str, method: &str, target: &str, body: &[u8], limit: Duration) -> anyhow::Result<Answer> {
    exchange((host, PORT), method, target, "", body, limit).await
}

/// Posts a form to the admin API of a node.
///
/// # Errors
/// As [`request`].
pub async fn post_form(host: &str, target: &str, form: &str, limit: Duration) -> anyhow::Result<Answer> {
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    exchange((host, ADMIN_PORT), "POST", target, headers, form.as_bytes(), limit).await
}

/// Asks the admin API of a node.
///
/// # Errors
/// As [`request`].
pub async fn get_admin(host: &str, target: &str, limit: Duration) -> anyhow::Result<Answer> {
    exchange((host, ADMIN_PORT), "GET", target, "", b"", limit).await
}

async fn exchange(
    (host, port): (&str, u16),
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
    limit: Duration,
) -> anyhow::Result<Answer> {
    let exchange = async {
        let mut stream = tokio::time::timeout(CONNECT_MAX, TcpStream::connect((host, port))).await??;
        let head =
            format!("{method} {target} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(limit, exchange).await.context("no answer in time")??;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the answer has no end of its head")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, body: answer[end + 4..].to_vec() })
}

/// Asks a node a question; the rows of all series of the answer.
///
/// # Errors
/// When there is no complete answer, or it is an error.
pub async fn rows(host: &str, text: &str, more: &str, limit: Duration) -> anyhow::Result<Vec<Value>> {
    let target = format!("/query?epoch=ns{more}&q={}", encode(text));
    let method = if text.starts_with("SELECT") || text.starts_with("SHOW") { "GET" } else { "POST" };
    let answer = request(host, method, &target, b"", limit).await?;
    ensure!(answer.status == 200, "status {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    let document: Value = serde_json::from_slice(&answer.body).context("the answer is cut short")?;
    let result = &document["results"][0];
    for error in [&document["error"], &result["error"]] {
        ensure!(error.is_null(), "{error}");
    }
    let series = result["series"].as_array().cloned().unwrap_or_default();
    Ok(series.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default()).collect())
}

/// Makes text part of a URL.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
