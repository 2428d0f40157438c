//! Raw requests in, exact answers out, with fakes for everything behind the API.

mod access;
mod bad_input;
mod cases;
mod fakes;
mod limits;
mod shutdown;

use std::fmt::Write as _;
use std::sync::Arc;

use env::Env;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, span};

use crate::Server;
use crate::config::Config;
use crate::config::tests::config;
pub(crate) use fakes::Fakes;

/// A server with the usual limits.
fn server() -> (Arc<Server>, Arc<Fakes>) {
    server_with(|_| {})
}

/// A server whose configuration `change` may change.
fn server_with(change: impl FnOnce(&mut Config)) -> (Arc<Server>, Arc<Fakes>) {
    let mut config = config();
    change(&mut config);
    let fakes = Arc::new(Fakes::default());
    let server = Server::new(Env::real(), config, Fakes::services(&fakes)).expect("a good configuration");
    (Arc::new(server), fakes)
}

/// A connection to `server`, served in a task.
fn connect(server: &Arc<Server>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let server = Arc::clone(server);
    tokio::spawn(async move { server.serve_stream(theirs, "10.1.2.3").await });
    ours
}

/// Sends `bytes` and reads until the server closes the connection.
async fn exchange(server: &Arc<Server>, bytes: &[u8]) -> Vec<u8> {
    let stream = connect(server);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let bytes = bytes.to_vec();
    // The server may close before it took everything.
    let sending = tokio::spawn(async move {
        let _ = writer.write_all(&bytes).await;
        writer
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.expect("pipes in memory do not fail");
    drop(sending.await);
    answer
}

/// A request with a `Host`, the length of its body, and the wish to close the connection afterwards.
fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// An answer in its parts.
#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    /// Without the framing of chunked transfer.
    body: Vec<u8>,
    /// Sizes of the pieces of chunked transfer.
    pieces: Vec<usize>,
}

impl Response {
    fn parse(bytes: &[u8]) -> Response {
        let text = String::from_utf8_lossy(bytes);
        let at = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let head = String::from_utf8(bytes[..at].to_vec()).expect("heads are text");
        let status = head[9..12].parse().expect("a status");
        let mut response = Response { status, head, body: bytes[at + 4..].to_vec(), pieces: Vec::new() };
        if response.header("Transfer-Encoding") == Some("chunked") {
            response.unchunk();
        }
        response
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn unchunk(&mut self) {
        let mut rest = std::mem::take(&mut self.body);
        loop {
            let line = memchr::memmem::find(&rest, b"\r\n").expect("a size");
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).expect("a size"), 16).expect("a size");
            if size == 0 {
                assert_eq!(&rest[line..], b"\r\n\r\n");
                return;
            }
            self.pieces.push(size);
            self.body.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest.drain(..line + 2 + size + 2);
        }
    }
}

/// Sends one request and reads the answer.
async fn ask(server: &Arc<Server>, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    Response::parse(&exchange(server, &request(line, headers, body)).await)
}

/// The messages that `run` logs on this thread.
pub(crate) fn captured_log(run: impl FnOnce()) -> Vec<String> {
    let sink = Sink::default();
    tracing::subscriber::with_default(sink.clone(), run);
    std::mem::take(&mut *sink.0.lock())
}

/// Keeps messages.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}
