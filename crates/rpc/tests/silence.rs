//! How long those are waited for who connect and say nothing, or too little. Time is tokio's and jumps whenever everybody
//! waits; the sockets are real.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use env::Env;
use env::net::Stream;
use http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc::patient::{PROGRESS_TIMEOUT, is_stalled};
use rpc::server::HEADER_READ_TIMEOUT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// More than the reading and writing of a test may take.
const SLACK: Duration = Duration::from_secs(5);

struct Server {
    env: Env,
    address: String,
    /// Has `/slow` answer.
    go: Arc<Notify>,
    _stop: watch::Sender<bool>,
}

impl Server {
    async fn start() -> Server {
        let env = Env::real();
        let listener = env.listen("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = watch::channel(false);
        let go = Arc::new(Notify::new());
        let waits = Arc::clone(&go);
        let app = Router::new()
            .route("/status", get(|| async { "fine" }))
            .route("/slow", get(move || async move { waits.notified().await }))
            .route("/length", post(length));
        env.spawn(rpc::server::serve(env.clone(), listener, app, stopped));
        Server { env, address, go, _stop: stop }
    }

    /// A connection on which these bytes were sent.
    async fn say(&self, bytes: &str) -> Stream {
        let mut stream = self.env.connect(&self.address).await.expect("a stream");
        stream.write_all(bytes.as_bytes()).await.expect("sent");
        stream
    }
}

/// How long the body is, or that it stood still.
async fn length(request: Request) -> (StatusCode, String) {
    match request.into_body().collect().await {
        Ok(body) => (StatusCode::OK, body.to_bytes().len().to_string()),
        Err(error) if is_stalled(&error) => (StatusCode::REQUEST_TIMEOUT, error.to_string()),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// What comes until the connection is closed, and when that is.
async fn rest(mut stream: Stream, since: Instant) -> (String, Duration) {
    let mut rest = Vec::new();
    // A connection may be closed or reset.
    let _ = stream.read_to_end(&mut rest).await;
    (String::from_utf8_lossy(&rest).into_owned(), since.elapsed())
}

fn is_about(took: Duration, limit: Duration) -> bool {
    took >= limit && took < limit + SLACK
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_asks_for_nothing_is_let_go() {
    let server = Server::start().await;
    for said in [
        "",
        "G",
        "GET /status HTTP/1.1\r\nHost: x\r\n",
        // The first bytes of HTTP/2, and all that comes before a request.
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
    ] {
        let since = Instant::now();
        let (_, took) = rest(server.say(said).await, since).await;
        assert!(took < HEADER_READ_TIMEOUT + SLACK, "{said:?}: {took:?}");
    }
    let since = Instant::now();
    let (answer, took) = rest(server.say("").await, since).await;
    assert!(answer.is_empty() && is_about(took, HEADER_READ_TIMEOUT), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_asked_is_let_go_when_nothing_more_comes() {
    let server = Server::start().await;
    let since = Instant::now();
    let stream = server.say("GET /status HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (answer, took) = rest(stream, since).await;
    assert!(answer.ends_with("fine") && is_about(took, HEADER_READ_TIMEOUT), "{took:?}: {answer}");
}

#[tokio::test(start_paused = true)]
async fn a_body_has_to_go_on() {
    let server = Server::start().await;
    let since = Instant::now();
    let stream = server.say("POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await;
    let (answer, took) = rest(stream, since).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && is_about(took, PROGRESS_TIMEOUT), "{took:?}: {answer}");
    assert!(answer.ends_with("no progress while reading the request body"), "{answer}");
    // One that is slow and goes on is read.
    let mut stream = server.say("POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").await;
    for byte in [b"a", b"b", b"c", b"d", b"e"] {
        tokio::time::advance(PROGRESS_TIMEOUT - SLACK).await;
        stream.write_all(byte).await.expect("sent");
        stream.flush().await.expect("sent");
        settle().await;
    }
    let (answer, _) = rest(stream, Instant::now()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('5'), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_long() {
    let server = Server::start().await;
    let stream = server.say("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    settle().await;
    tokio::time::advance(10 * PROGRESS_TIMEOUT).await;
    settle().await;
    server.go.notify_one();
    let (answer, _) = rest(stream, Instant::now()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_nodes_may_be_idle() {
    let server = Server::start().await;
    let stream = server.say("").await;
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("speaks");
    let driver = server.env.spawn(async move {
        let _ = connection.await;
    });
    let status = || http::Request::get("http://x/status").body(Empty::<bytes::Bytes>::new()).expect("a request");
    assert_eq!(sender.send_request(status()).await.expect("an answer").status(), 200);
    // Somebody else asks for nothing meanwhile, which makes the time pass in small steps, with signs of life in between.
    for _ in 0..10 {
        rest(server.say("").await, Instant::now()).await;
    }
    assert_eq!(sender.send_request(status()).await.expect("an answer").status(), 200);
    driver.abort();
}

#[tokio::test]
async fn a_length_that_is_told_twice_is_refused() {
    let server = Server::start().await;
    let twice = "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let since = Instant::now();
    let (answer, _) = rest(server.say(twice).await, since).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("both Content-Length"), "{answer}");
    // Also behind another one.
    let mut stream = server.say("POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na: b\n").await;
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stream.write_all(twice.as_bytes()).await.expect("sent");
    let (answer, _) = rest(stream, since).await;
    assert!(answer.contains("HTTP/1.1 400 ") && answer.contains("both Content-Length"), "{answer}");
}

/// Lets the server do what it can do now.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
