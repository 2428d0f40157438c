//! Against a server that says what it is told and keeps what it hears.

use std::time::Duration;

use bytes::Bytes;
use env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::*;

/// Answers each request with the next of `answers`, on as many connections as come; closes a connection after an answer
/// that ends with a star. Tells each request.
async fn server(answers: &[&str]) -> (Address, mpsc::UnboundedReceiver<String>) {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0").await.expect("a port");
    let address = Address::parse(&listener.local_addr().expect("an address").to_string(), None).expect("an address");
    let mut answers: Vec<String> = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
    let (heard, hear) = mpsc::unbounded_channel();
    env.spawn(async move {
        let mut connection = 0;
        'accept: loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            connection += 1;
            loop {
                let Some(request) = read_request(&mut stream).await else { continue 'accept };
                let _ = heard.send(format!("{connection} {request}"));
                let answer = answers.pop().expect("an answer for each request");
                let text = answer.trim_end_matches('*');
                stream.write_all(text.as_bytes()).await.expect("sent");
                if text != answer {
                    continue 'accept;
                }
            }
        }
    });
    (address, hear)
}

/// A request as one line: its first line, the headers that matter, its body.
async fn read_request(stream: &mut env::Stream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).expect("a head is text");
    let header = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| {
            line.to_ascii_lowercase().starts_with(name).then(|| line.split_once(": ").expect("a header").1)
        })
    };
    let mut body = vec![0; header("content-length").map_or(0, |len| len.parse().expect("a length"))];
    stream.read_exact(&mut body).await.ok()?;
    let first = head.lines().next().expect("a line");
    let who = header("authorization").unwrap_or("-");
    Some(format!("{first} {who} {} {}", header("user-agent").unwrap_or("-"), String::from_utf8_lossy(&body)))
}

fn client(address: Address) -> Client {
    let config = ClientConfig {
        address,
        tls: tls::ClientSettings::default(),
        credentials: None,
        user_agent: "test/1".to_owned(),
        connect_timeout: Duration::from_secs(10),
        answer_timeout: Some(Duration::from_secs(10)),
    };
    Client::new(Env::real(), config).expect("a client")
}

const PONG: &str = "HTTP/1.1 204 No Content\r\nX-Influxdb-Version: 1.12.4\r\nX-Influxdb-Build: OSS\r\n\r\n";

#[tokio::test]
async fn a_connection_is_used_again_and_made_again() {
    let closing = format!("{PONG}*");
    let (address, mut heard) = server(&[PONG, &closing, PONG]).await;
    let client = client(address);
    for _ in 0..3 {
        let ping = client.ping().await.expect("a pong");
        assert_eq!(ping, Ping { version: "1.12.4".to_owned(), build: "OSS".to_owned() });
    }
    let connections: Vec<String> = [heard.recv().await, heard.recv().await, heard.recv().await]
        .into_iter()
        .map(|request| request.expect("heard"))
        .collect();
    assert_eq!(
        connections,
        ["1 GET /ping HTTP/1.1 - test/1 ", "1 GET /ping HTTP/1.1 - test/1 ", "2 GET /ping HTTP/1.1 - test/1 "]
    );
}

#[tokio::test]
async fn queries_are_forms_and_answers_come_in_documents() {
    let body = "{\"results\":[{\"statement_id\":0}]}\n\n{\"results\":[{\"statement_id\":1,\"error\":\"no\"}]}";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (mut address, mut heard) = server(&[&answer]).await;
    address.path_prefix = "/proxy".to_owned();
    let query = Query {
        text: "show databases".to_owned(),
        db: "d b".to_owned(),
        epoch: "ns".to_owned(),
        chunked: true,
        chunk_size: 5,
        node_id: 2,
        ..Query::default()
    };
    let mut config = ClientConfig {
        credentials: Some(Credentials { username: "u".to_owned(), password: "p".to_owned() }),
        ..client(address).config_for_tests()
    };
    config.answer_timeout = None;
    let client = Client::new(Env::real(), config).expect("a client");
    let mut answer = client.query(&query).await.expect("an answer");
    assert_eq!(answer.next().await.expect("fine").expect("one").results.len(), 1);
    assert_eq!(answer.next().await.expect("fine").expect("two").first_error(), Some("no"));
    assert_eq!(answer.next().await.expect("fine"), None);
    let request = heard.recv().await.expect("heard");
    let want = "1 POST /proxy/query HTTP/1.1 Basic dTpw test/1 q=show+databases&db=d+b&epoch=ns&chunked=true&chunk_size=5&node_id=2";
    assert_eq!(request, want);
}

#[tokio::test]
async fn writes_name_their_target() {
    let (address, mut heard) = server(&[PONG]).await;
    let write =
        Write { db: "d".to_owned(), rp: "r".to_owned(), precision: "s".to_owned(), consistency: "all".to_owned() };
    client(address).write(&write, Bytes::from_static(b"m v=1 1")).await.expect("stored");
    let want = "1 POST /write?db=d&rp=r&precision=s&consistency=all HTTP/1.1 - test/1 m v=1 1";
    assert_eq!(heard.recv().await.expect("heard"), want);
}

#[tokio::test]
async fn refusals_have_a_status_and_a_text() {
    let json = "HTTP/1.1 400 Bad Request\r\nContent-Length: 16\r\n\r\n{\"error\":\"bad\"}\n";
    let plain = "HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n";
    let empty = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    let (address, _heard) = server(&[json, plain, empty]).await;
    let client = client(address);
    for (status, text) in [(400, "bad"), (404, "404 page not found"), (502, "status 502")] {
        let error = client.query(&Query::default()).await.expect_err("refused");
        assert_eq!((error.status(), error.to_string().as_str()), (Some(status), text));
    }
}

#[tokio::test]
async fn answers_that_are_none_are_errors() {
    let bad = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"results\":[]*";
    let (address, _heard) = server(&[bad, cut]).await;
    let client = client(address);
    let mut answer = client.query(&Query::default()).await.expect("an answer");
    assert!(matches!(answer.next().await, Err(ClientError::BadAnswer(_))));
    let mut answer = client.query(&Query::default()).await.expect("an answer");
    assert!(matches!(answer.next().await, Err(ClientError::Broken(_))));
}

#[tokio::test]
async fn nobody_there_is_told() {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0").await.expect("a port");
    let text = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let error = client(Address::parse(&text, None).expect("an address")).ping().await.expect_err("nobody");
    assert!(error.to_string().starts_with(&format!("dial tcp {text}: ")), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (address, _heard) = server(&[""]).await;
    let mut config = client(address).config_for_tests();
    config.answer_timeout = Some(Duration::from_millis(20));
    let client = Client::new(Env::real(), config).expect("a client");
    assert!(matches!(client.ping().await, Err(ClientError::TimedOut)));
}

#[tokio::test]
async fn servers_with_tls_are_believed_by_their_certificate() {
    let (address, _heard) = server(&[PONG]).await;
    let mut config = client(address).config_for_tests();
    config.address.tls = true;
    // This one has none, and is not talked to in plain text.
    config.tls.insecure = true;
    config.answer_timeout = Some(Duration::from_millis(500));
    let error = Client::new(Env::real(), config.clone()).expect("a client").ping().await.expect_err("no TLS there");
    assert!(matches!(error, ClientError::TimedOut | ClientError::Unreachable { .. }), "{error}");
    config.tls.insecure = false;
    config.tls.authorities = Some(tls::Authorities { place: "-ca".to_owned(), path: "/nowhere.pem".into() });
    let error = Client::new(Env::real(), config).expect_err("no such file");
    assert_eq!(error.to_string(), "-ca: /nowhere.pem: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn passwords_are_not_shown() {
    let credentials = Credentials { username: "u".to_owned(), password: "secret".to_owned() };
    assert!(!format!("{credentials:?}").contains("secret"));
}
