//! Requests that no honest client sends. Each is refused, and the next good request is answered.

use super::*;

/// Sends `bytes`; the status of the first answer, 0 for a connection that was closed without one. Then a good request
/// must succeed.
async fn status_of(bytes: &[u8]) -> u16 {
    let (server, fakes) = server();
    let stream = connect(&server);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let _ = writer.write_all(bytes).await;
    let _ = writer.shutdown().await;
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer).await;
    let good = ask(&server, "POST /write?db=d", &[], b"good v=1 1").await;
    assert_eq!(good.status, 204);
    assert_eq!(fakes.written.lock().last().map(String::as_str), Some("d  One good@1"));
    if answer.is_empty() { 0 } else { Response::parse(&answer).status }
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /write?db=d HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn lengths_that_contradict_each_other() {
    let chunk = "7\r\nm v=1 1\r\n0\r\n\r\n";
    for bytes in [
        post("Content-Length: 7\r\nContent-Length: 8\r\n", "m v=1 1"),
        post("Content-Length: 7, 8\r\n", "m v=1 1"),
        post("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", chunk),
        post("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", chunk),
        post("Transfer-Encoding: chunked\r\nContent-Length: 999\r\n", chunk),
        post("Transfer-Encoding: chunked, identity\r\n", chunk),
        post("Transfer-Encoding: identity\r\n", "m v=1 1"),
        post("Transfer-Encoding: xchunked\r\n", chunk),
        post("Content-Length: -7\r\n", "m v=1 1"),
        post("Content-Length: +7\r\n", "m v=1 1"),
        post("Content-Length: 0x7\r\n", "m v=1 1"),
        post("Content-Length: 99999999999999999999999\r\n", "m v=1 1"),
    ] {
        assert_eq!(status_of(&bytes).await, 400, "{}", String::from_utf8_lossy(&bytes));
    }
    let old = b"POST /write?db=d HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nm v=1 1\r\n0\r\n\r\n";
    assert_eq!(status_of(old).await, 400);
}

#[tokio::test]
async fn a_hidden_second_request_is_never_served() {
    let (server, fakes) = server();
    let hidden = "POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nm v=1 1";
    for order in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"]
    {
        let bytes = post(order, &format!("0\r\n\r\n{hidden}"));
        let answer = exchange(&server, &bytes).await;
        assert_eq!(String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count(), 1);
    }
    // Also not behind an honest request on the same connection, where the head cannot be seen coming.
    let ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
    let smuggle = post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("0\r\n\r\n{hidden}"));
    exchange(&server, &[ping.as_bytes(), &smuggle].concat()).await;
    assert_eq!(fakes.written.lock().len(), 0);
}

#[tokio::test]
async fn heads_that_are_none() {
    for bytes in [
        "\r\n\r\nGARBAGE\r\n\r\n",
        "GET\r\n\r\n",
        "GET /ping\r\n\r\n",
        "GET /ping HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /ping HTTP/1.1\r\n\r\n",
        "GET /ping HTTP/1.1\r\nHost: x\r\nX y: z\r\n\r\n",
        "GET /ping HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET /ping HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        "GET /ping HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        "GET /pi ng HTTP/1.1\r\nHost: x\r\n\r\n",
        "G\u{e9}T /ping HTTP/1.1\r\nHost: x\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}",
    ] {
        assert_eq!(status_of(bytes.as_bytes()).await, 400, "{bytes:?}");
    }
    // The preface of HTTP/2, which is not spoken here.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert!(matches!(status_of(preface.as_bytes()).await, 0 | 400 | 404 | 505));
}

#[tokio::test]
async fn bodies_that_break_off() {
    assert!(matches!(status_of(&post("Content-Length: 100\r\n", "m v=1 1")).await, 0 | 400));
    assert!(matches!(status_of(&post("Transfer-Encoding: chunked\r\n", "7\r\nm v=1 1\r\n")).await, 0 | 400));
    assert!(matches!(status_of(&post("Transfer-Encoding: chunked\r\n", "zz\r\n")).await, 0 | 400));
    assert!(matches!(status_of(&post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nm")).await, 0 | 400));
    assert!(matches!(status_of(&post("Transfer-Encoding: chunked\r\n", "-1\r\nm")).await, 0 | 400));
    assert!(matches!(status_of(&post("Transfer-Encoding: chunked\r\n", "7\r\nm v=1 1XX0\r\n\r\n")).await, 0 | 400));
}

#[tokio::test]
async fn nothing_is_stored_of_a_body_that_broke_off() {
    let (server, fakes) = server();
    let mut stream = connect(&server);
    stream.write_all(&post("Content-Length: 100\r\n", "m v=1 1\n")).await.expect("sent");
    stream.shutdown().await.expect("shut");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(fakes.written.lock().len(), 0);
}

#[tokio::test]
async fn bytes_of_all_kinds_in_paths_and_parameters() {
    let (server, _) = server();
    let long = format!("GET /query?q={}", "%27".repeat(20_000));
    for line in [
        "GET /query?q=%00%ff%fe",
        "GET /query?q=%",
        "GET /query?%=%",
        "GET /query?&&&==&",
        "GET /query?q=select+%22%27",
        "GET /%2e%2e/%2e%2e/etc/passwd",
        "GET /api/v2/buckets/..%2f..%2fx",
        "POST /write?db=%00",
        "POST /write?db=d&precision=%0a%0d",
        "POST /write?db=d&consistency=%0d%0aX-Evil:+1",
        long.as_str(),
    ] {
        let answer = ask(&server, line, &[], b"").await;
        assert!((200..500).contains(&answer.status) || answer.status == 501, "{line}");
        assert!(!answer.head.contains("X-Evil: 1") || answer.head.contains("X-Influxdb-Error"));
    }
}

#[tokio::test]
async fn what_is_echoed_cannot_split_headers() {
    let (server, _) = server();
    let line = "POST /write?db=x%0d%0aX-Evil:%201%0d%0a%0d%0aevil";
    let answer = ask(&server, line, &[("X-Request-Id", "a b\tc")], b"").await;
    assert_eq!(answer.status, 404);
    assert!(answer.head.lines().all(|line| !line.starts_with("X-Evil")));
    assert_eq!(answer.header("X-Request-Id").map(str::len), Some(36));
}

#[tokio::test]
async fn a_panic_concerns_one_request_alone() {
    let (server, fakes) = server();
    *fakes.gate.lock() = Some(Arc::new(closed_gate()));
    let answer = ask(&server, "POST /write?db=d", &[], b"m v=1 1").await;
    assert_eq!((answer.status, answer.text().as_str()), (500, "{\"error\":\"internal server error\"}\n"));
    assert_eq!(server.stats().recovered_panics.get(), 1);
    *fakes.gate.lock() = None;
    assert_eq!(ask(&server, "POST /write?db=d", &[], b"m v=1 1").await.status, 204);
    // One in a task of the query service ends the answer early.
    let answer = ask(&server, "GET /query?q=select+v+from+panic", &[], b"").await;
    assert_eq!(answer.text(), "{\"results\":[{\"statement_id\":0,\"error\":\"query aborted\"}]}\n");
}

/// Whoever waits for it panics.
fn closed_gate() -> tokio::sync::Semaphore {
    let gate = tokio::sync::Semaphore::new(0);
    gate.close();
    gate
}

#[tokio::test]
async fn many_requests_on_one_connection() {
    let (server, fakes) = server();
    let one = "POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nm v=1 1";
    let mut bytes = one.repeat(50).into_bytes();
    bytes.extend(request("GET /ping", &[], b""));
    let answer = exchange(&server, &bytes).await;
    assert_eq!(String::from_utf8_lossy(&answer).matches("HTTP/1.1 204").count(), 51);
    assert_eq!(fakes.written.lock().len(), 50);
}
