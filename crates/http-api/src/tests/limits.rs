//! Every limit of size, number and patience, and that the server goes on after it was reached.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::fakes::{AGES, until};
use super::*;
use crate::config::*;
use crate::service::WriteFailure;

const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

async fn check_alive(server: &Arc<Server>) {
    assert_eq!(ask(server, "POST /write?db=d", &[], b"m v=1 1").await.status, 204);
}

#[tokio::test]
async fn a_body_may_have_so_many_bytes() {
    let (server, fakes) = server_with(|config| config.body_bytes_max = 100);
    let body = |len: usize| [b"m v=1 1\n".to_vec(), vec![b'#'; len - 8]].concat();
    assert_eq!(ask(&server, "POST /write?db=d", &[], &body(100)).await.status, 204);
    let refused = ask(&server, "POST /write?db=d", &[], &body(101)).await;
    assert_eq!((refused.status, refused.text().as_str()), (413, "{\"error\":\"Request Entity Too Large\"}\n"));

    let mut chunked = b"POST /write?db=d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunked.extend_from_slice(b"65\r\n");
    chunked.extend_from_slice(&body(101));
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    assert_eq!(Response::parse(&exchange(&server, &chunked).await).status, 413);
    assert_eq!(fakes.written.lock().len(), 1);
    check_alive(&server).await;
}

#[tokio::test]
async fn a_huge_promise_is_refused_without_reading_or_allocating() {
    let (server, _) = server();
    // Clients that ask first are told at once.
    let asking =
        "POST /write?db=d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 18446744073709551000\r\n\r\n";
    let answer = exchange(&server, asking.as_bytes()).await;
    assert_eq!(Response::parse(&answer).status, 413);
    check_alive(&server).await;
}

#[tokio::test]
async fn the_limit_holds_after_decompression() {
    let (server, fakes) = server_with(|config| config.body_bytes_max = 100_000);
    let fitting = [b"m v=1 1\n".to_vec(), vec![b'#'; 90_000]].concat();
    assert_eq!(ask(&server, "POST /write?db=d", &[GZIP], &gzip(&fitting)).await.status, 204);
    let bomb = gzip(&vec![b'#'; 4 << 20]);
    assert!(bomb.len() < 10_000);
    assert_eq!(ask(&server, "POST /write?db=d", &[GZIP], &bomb).await.status, 413);
    assert_eq!(fakes.written.lock().as_slice(), ["d  One m@1"]);
    check_alive(&server).await;
}

#[tokio::test]
async fn forms_have_a_limit_too() {
    let (server, _) = server();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let mut body = b"q=show+databases&x=".to_vec();
    body.resize(FORM_BYTES_MAX + 1, b'a');
    assert_eq!(ask(&server, "POST /query", &form, &body).await.status, 413);
    body.truncate(FORM_BYTES_MAX);
    assert_eq!(ask(&server, "POST /query", &form, &body).await.status, 200);
}

#[tokio::test]
async fn a_form_may_carry_a_file() {
    let (server, fakes) = server();
    let body = "--XX\r\nContent-Disposition: form-data; name=\"q\"; filename=\"a\"\r\n\r\nshow databases;\n-- two\nshow databases\r\n--XX--\r\n";
    let headers = [("Content-Type", "multipart/form-data; boundary=XX")];
    let answer = ask(&server, "POST /query?db=d", &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let asked = fakes.asked.lock().take().expect("asked");
    assert_eq!((asked.statements.len(), asked.db.as_str(), asked.read_only), (2, "d", false));
    // Of a name in both, that in the URL counts.
    let both = body.replace("; filename=\"a\"", "");
    assert_eq!(ask(&server, "POST /query?q=selec", &headers, both.as_bytes()).await.status, 400);
    assert_eq!(ask(&server, "POST /query", &headers, both.as_bytes()).await.status, 200);
    assert_eq!(ask(&server, "POST /query?q=show+databases", &headers, b"--XX\r\nbroken").await.status, 200);
}

#[tokio::test]
async fn heads_have_a_limit() {
    let (server, _) = server();
    let long = "x".repeat(HEAD_BYTES_MAX);
    assert_eq!(ask(&server, "GET /ping", &[("X-Long", &long)], b"").await.status, 431);
    let path = format!("GET /ping?{}", "x".repeat(70_000));
    assert_eq!(ask(&server, &path, &[], b"").await.status, 414);
    let many: Vec<(&str, &str)> = (0..HEADER_COUNT_MAX).map(|_| ("X-Many", "x")).collect();
    assert_eq!(ask(&server, "GET /ping", &many, b"").await.status, 431);
    let query = format!("GET /query?q=show+databases&x={}", "x".repeat(60_000));
    assert_eq!(ask(&server, &query, &[], b"").await.status, 200);
    check_alive(&server).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_must_come_in_time() {
    let (server, _) = server();
    for head in ["", "GET /pi", "GET /ping HTTP/1.1\r\nHost: x\r\n"] {
        let started = Instant::now();
        let answer = exchange_open(&server, head.as_bytes()).await;
        assert_eq!(started.elapsed().as_secs(), HEADER_TIMEOUT.as_secs(), "{head:?}");
        assert_eq!(answer, b"");
    }
    assert_eq!(server.stats().connections_timed_out.get(), 3);
    check_alive(&server).await;
}

/// Sends `bytes` and goes on listening, without a word.
async fn exchange_open(server: &Arc<Server>, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(server);
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    timeout(AGES, stream.read_to_end(&mut answer)).await.expect("closed").expect("read");
    answer
}

#[tokio::test(start_paused = true)]
async fn a_head_may_not_trickle() {
    let (server, _) = server();
    let mut stream = connect(&server);
    let started = Instant::now();
    // One byte a second keeps nobody connected.
    for byte in b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(started.elapsed() <= HEADER_TIMEOUT + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_body_must_go_on() {
    let (server, fakes) = server();
    let started = Instant::now();
    let head = "POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nm v=1 1";
    let answer = Response::parse(&exchange_open(&server, head.as_bytes()).await);
    assert_eq!(started.elapsed().as_secs(), PROGRESS_TIMEOUT.as_secs());
    assert_eq!((answer.status, answer.header("Connection")), (408, Some("close")));
    assert_eq!(fakes.written.lock().len(), 0);
    check_alive(&server).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_must_be_taken() {
    let (server, fakes) = server();
    let mut stream = connect(&server);
    let started = Instant::now();
    stream.write_all(&request("GET /query?q=select+v+from+big", &[], b"")).await.expect("sent");
    // The query is cancelled when the connection is closed, which is when nothing was read for too long.
    fakes.cancelled.notified().await;
    assert_eq!(started.elapsed().as_secs(), PROGRESS_TIMEOUT.as_secs());
    assert_eq!(server.stats().connections_timed_out.get(), 1);
    check_alive(&server).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_for_a_while() {
    let (server, _) = server();
    let mut stream = connect(&server);
    let ping = b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: i\r\n\r\n";
    let mut buffer = [0; 4_096];
    for _ in 0..3 {
        stream.write_all(ping).await.expect("sent");
        let len = stream.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..len].ends_with(b"\r\n\r\n"));
        tokio::time::sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
    }
    let closed = timeout(AGES, stream.read(&mut buffer)).await.expect("closed").expect("closed");
    assert_eq!(closed, 0);
    // The time for a head runs from its first byte, also on an old connection.
    let mut stream = connect(&server);
    stream.write_all(ping).await.expect("sent");
    let _ = stream.read(&mut buffer).await.expect("an answer");
    stream.write_all(b"GET").await.expect("sent");
    let started = Instant::now();
    assert_eq!(stream.read(&mut buffer).await.expect("closed"), 0);
    assert_eq!(started.elapsed().as_secs(), HEADER_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_its_query() {
    let (server, fakes) = server();
    for query in ["select+v+from+hang", "select+v+from+hang&chunked=true", "select+v+from+hang&epoch=s&pretty=true"] {
        let mut stream = connect(&server);
        stream.write_all(&request(&format!("GET /query?q={query}"), &[], b"")).await.expect("sent");
        until(|| fakes.asked.lock().take().is_some()).await;
        drop(stream);
        fakes.cancelled.notified().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_may_say_that_it_has_nothing_more_to_say() {
    let (server, _) = server();
    let mut stream = connect(&server);
    stream.write_all(b"GET /query?q=show+databases HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    stream.shutdown().await.expect("shut");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    assert_eq!(Response::parse(&answer).status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_on_when_its_client_leaves() {
    let (server, fakes) = server();
    let gate = Arc::new(Semaphore::new(0));
    *fakes.gate.lock() = Some(Arc::clone(&gate));
    let mut stream = connect(&server);
    stream.write_all(&request("POST /write?db=d", &[], b"m v=1 1")).await.expect("sent");
    until(|| fakes.writes_begun.load(std::sync::atomic::Ordering::Relaxed) == 1).await;
    drop(stream);
    tokio::time::sleep(AGES).await;
    assert_eq!(server.stats().requests_active.get(), 0, "nobody waits for an answer");
    gate.add_permits(1);
    until(|| fakes.written.lock().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn writes_wait_for_their_turn() {
    let (server, fakes) = server_with(|config| {
        config.concurrent_write_max = 1;
        config.enqueued_write_max = 1;
    });
    let gate = Arc::new(Semaphore::new(0));
    *fakes.gate.lock() = Some(Arc::clone(&gate));
    let write =
        |server: Arc<Server>| tokio::spawn(async move { ask(&server, "POST /write?db=d", &[], b"m v=1 1").await });
    let first = write(Arc::clone(&server));
    until(|| fakes.writes_begun.load(std::sync::atomic::Ordering::Relaxed) == 1).await;
    let second = write(Arc::clone(&server));
    until(|| server.stats().writes_active.get() == 2).await;
    let third = ask(&server, "POST /write?db=d", &[], b"m v=1 1").await;
    assert_eq!((third.status, third.text().as_str()), (503, "request throttled, queue full\n"));
    assert_eq!(third.header("Retry-After"), Some("1"));
    // Nobody opens the gate: the second gives up.
    let second = second.await.expect("answered");
    assert_eq!((second.status, second.text().as_str()), (503, "request throttled, exceeds timeout\n"));
    gate.add_permits(1);
    assert_eq!(first.await.expect("answered").status, 204);
    assert_eq!(server.stats().writes_refused.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn bytes_in_flight_have_a_limit() {
    let (server, fakes) = server_with(|config| config.write_bytes_in_flight_max = 64 << 10);
    let gate = Arc::new(Semaphore::new(0));
    *fakes.gate.lock() = Some(Arc::clone(&gate));
    let body = [b"m v=1 1\n".to_vec(), vec![b'#'; 40 << 10]].concat();
    let first = tokio::spawn({
        let (server, body) = (Arc::clone(&server), body.clone());
        async move { ask(&server, "POST /write?db=d", &[], &body).await }
    });
    until(|| fakes.writes_begun.load(std::sync::atomic::Ordering::Relaxed) == 1).await;
    let started = Instant::now();
    let second = ask(&server, "POST /write?db=d", &[], &body).await;
    assert_eq!((second.status, second.header("Retry-After")), (503, Some("1")));
    assert_eq!(started.elapsed(), ADMISSION_TIMEOUT, "refused within a second");
    // What grows when unpacked is refused when there is no room.
    let packed = ask(&server, "POST /write?db=d", &[GZIP], &gzip(&body)).await;
    assert_eq!(packed.status, 503);
    gate.add_permits(2);
    assert_eq!(first.await.expect("answered").status, 204);
    check_alive(&server).await;
}

#[tokio::test]
async fn failures_of_the_store_have_their_statuses() {
    let (server, fakes) = server();
    let cases = [
        (WriteFailure::Partial { reason: "why".to_owned(), dropped: 1 }, 400, "partial write: why dropped=1"),
        (WriteFailure::Invalid("bad".to_owned()), 400, "bad"),
        (WriteFailure::Forbidden("no".to_owned()), 403, "no"),
        (WriteFailure::DatabaseNotFound("d".to_owned()), 404, "database not found: \\\"d\\\""),
        (WriteFailure::Failed("retention policy not found: x".to_owned()), 500, "retention policy not found: x"),
        (WriteFailure::Busy { text: "busy".to_owned(), retry_after: Duration::from_secs(5) }, 503, "busy"),
    ];
    for (failure, status, text) in cases {
        *fakes.failure.lock() = Some(failure);
        let answer = ask(&server, "POST /write?db=d", &[], b"m v=1 1\nm v=2 2").await;
        assert_eq!((answer.status, answer.text()), (status, format!("{{\"error\":\"{text}\"}}\n")));
        assert_eq!(answer.header("Retry-After").is_some(), status == 503);
    }
    let stats = server.stats();
    assert_eq!((stats.points_ok.get(), stats.points_dropped.get(), stats.points_failed.get()), (1, 1, 10));
    assert_eq!((stats.client_error.get(), stats.server_error.get()), (4, 2));
}

#[tokio::test]
async fn long_answers_stream() {
    let (server, _) = server();
    let whole = ask(&server, "GET /query?q=select+v+from+big&epoch=s", &[], b"").await;
    assert!(whole.pieces.len() > 10 && whole.pieces.iter().all(|size| *size < 200_000), "{:?}", whole.pieces);
    assert!(whole.text().ends_with("[99999,99999.5]]}]}]}\n"));
    let chunked = ask(&server, "GET /query?q=select+v+from+big&epoch=s&chunked=true", &[], b"").await;
    assert_eq!(chunked.text().lines().count(), 10);
    let packed = ask(&server, "GET /query?q=select+v+from+big&epoch=s", &[("Accept-Encoding", "gzip")], b"").await;
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).expect("gzip");
    assert!(unpacked == whole.text());
    // Old clients get no framing but the end of the connection.
    let old = exchange(&server, b"GET /query?q=select+v+from+big&epoch=s HTTP/1.0\r\n\r\n").await;
    assert!(old.ends_with(whole.body.as_slice()));
}

#[tokio::test]
async fn rows_have_a_limit_when_the_operator_says_so() {
    let (server, _) = server_with(|config| config.row_count_max = 2);
    let answer = ask(&server, "GET /query?q=select+v+from+m;show+databases&epoch=s", &[], b"").await;
    let want = r#"{"results":[{"statement_id":0,"series":[{"name":"m","tags":{"host":"a"},"columns":["time","v"],"values":[[0,0.5],[1,1.5]],"partial":true}]}]}"#;
    assert_eq!(answer.text().trim_end(), want);
}

#[tokio::test]
async fn an_unwell_node_says_so() {
    let (server, fakes) = server();
    fakes.sick.store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = ask(&server, "GET /health", &[], b"").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.text(),
        r#"{"checks":[],"message":"no meta leader","name":"influxdb","status":"fail","version":"1.12.4"}"#
    );
}

#[tokio::test]
async fn statistics_are_shown() {
    let (server, _) = server();
    check_alive(&server).await;
    let answer = ask(&server, "POST /debug/vars", &[], b"").await;
    assert_eq!(answer.header("Content-Type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("Request-Id"), None);
    let text = answer.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[5]), ("{", "}"));
    assert!(
        lines[1].starts_with("\"system\": {\"currentTime\":\"")
            && lines[1].contains("\"started\":\"1970-01-01T00:00:00Z\"")
    );
    assert_eq!(lines[2], r#""cmdline": ["influxd","-config","a\u0026b"],"#);
    assert_eq!(lines[3], r#""write": {"name":"write","tags":null,"values":{"req":5}},"#);
    assert!(lines[4].starts_with(r#""httpd::8086": {"name":"httpd","tags":{"bind":":8086"},"values":{"authFail":0,"#));
    assert!(lines[4].contains(r#""pointsWrittenOK":1"#));
}
