//! Against meta nodes that send on, say nothing, or say nonsense.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::*;

/// Answers each request with the next of `answers`, each on a connection of its own, and tells what it heard: first
/// line, headers that matter, body. `{own}` in an answer is the server's address.
async fn server(answers: &[&str]) -> (String, mpsc::UnboundedReceiver<String>) {
    let env = Env::real();
    let listener = env.listen("127.40.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let answers: Vec<String> = answers.iter().map(|answer| answer.replace("{own}", &address)).collect();
    let (heard, hear) = mpsc::unbounded_channel();
    env.spawn(async move {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("a whole head"));
            }
            let head = String::from_utf8(head).expect("text");
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("-", |(_, value)| value)
            };
            let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
            stream.read_exact(&mut body).await.expect("a whole body");
            let fields = ["authorization", "user-agent", "content-type", "host"].map(header).join("|");
            let first = head.lines().next().expect("a line");
            let _ = heard.send(format!("{first}|{fields}|{}", String::from_utf8_lossy(&body)));
            stream.write_all(answer.as_bytes()).await.expect("sent");
        }
        // What comes now is taken and never answered.
        let mut silent = Vec::new();
        while let Ok(stream) = listener.accept().await {
            silent.push(stream);
        }
    });
    (address, hear)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn client(address: &str, authorization: Authorization) -> AdminClient {
    let config = AdminConfig { authorization, tls: ClientSettings::default(), timeout: Duration::from_secs(10) };
    AdminClient::new(Env::real(), address, config).expect("a client")
}

fn basic() -> Authorization {
    Authorization::Basic(Credentials { username: "u".to_owned(), password: "p".to_owned() })
}

#[tokio::test]
async fn forms_and_documents_are_sent() {
    let (address, mut heard) =
        server(&[&answer("200 OK", "{}"), &answer("204 No Content", ""), &answer("200 OK", "")]).await;
    let client = client(&address, Authorization::None);
    let got = client.post_form("/join", &[("addr", "meta 1:8091"), ("x", "é&")]).await.expect("fine");
    assert_eq!(got, AdminAnswer { status: 200, body: Bytes::from_static(b"{}") });
    assert_eq!(client.post_json("/node-labels", "{\"a\":1}".to_owned()).await.expect("fine").status, 204);
    client.get("/show-shards?verbose=true").await.expect("fine");
    let agent = "InfluxDB Cluster Client";
    let want = [
        format!(
            "POST /join HTTP/1.1|-|{agent}|application/x-www-form-urlencoded|{address}|addr=meta+1%3A8091&x=%C3%A9%26"
        ),
        format!("POST /node-labels HTTP/1.1|-|{agent}|application/json|{address}|{{\"a\":1}}"),
        format!("GET /show-shards?verbose=true HTTP/1.1|-|{agent}|-|{address}|"),
    ];
    for want in want {
        assert_eq!(heard.recv().await.expect("heard"), want);
    }
}

#[tokio::test]
async fn redirects_keep_method_body_and_credentials() {
    let (leader, mut at_leader) = server(&[&answer("200 OK", "done")]).await;
    let (follower, mut at_follower) =
        server(&[&redirect("/elsewhere?x=1"), &redirect(&format!("http://{leader}/join?y=2"))]).await;
    let got = client(&follower, basic()).post_form("/join", &[("addr", "a")]).await.expect("fine");
    assert_eq!(got.body, Bytes::from_static(b"done"));
    let rest = |host: &str| {
        format!("HTTP/1.1|Basic dTpw|InfluxDB Cluster Client|application/x-www-form-urlencoded|{host}|addr=a")
    };
    assert_eq!(at_follower.recv().await.expect("heard"), format!("POST /join {}", rest(&follower)));
    assert_eq!(at_follower.recv().await.expect("heard"), format!("POST /elsewhere?x=1 {}", rest(&follower)));
    assert_eq!(at_leader.recv().await.expect("heard"), format!("POST /join?y=2 {}", rest(&leader)));
}

#[tokio::test]
async fn redirects_end() {
    let around = redirect("http://{own}/join");
    let (address, mut heard) = server(&[around.as_str(); 7]).await;
    let error = client(&address, Authorization::None).get("/join").await.expect_err("no end");
    let want = format!("unexpected answer: redirected more than 5 times, last to http://{address}/join");
    assert_eq!(error.to_string(), want);
    let count = std::iter::from_fn(|| heard.try_recv().ok()).count();
    assert_eq!(count, 6, "the first and five more");
}

#[tokio::test]
async fn redirects_to_nowhere_are_told() {
    let nowhere = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n\r\n";
    let (address, _heard) = server(&[nowhere, &redirect("leader"), &redirect("http://a b/")]).await;
    let client = client(&address, Authorization::None);
    for want in [
        "unexpected answer: redirected to nowhere",
        "unexpected answer: redirected to \"leader\", which is no address",
        "unexpected answer: redirected to \"http://a b/\", which is no address",
    ] {
        assert_eq!(client.get("/join").await.expect_err("nowhere").to_string(), want);
    }
}

#[test]
fn a_redirect_names_a_node_and_a_path() {
    let from = Address::parse("meta1:8091", None).expect("an address");
    let at = |location: &str| locate(&from, location).map(|(address, path)| format!("{} {path}", address.authority()));
    assert_eq!(at("http://meta2:9091/join").expect("fine"), "meta2:9091 /join");
    assert_eq!(at("http://meta2/a/b?c=http://d").expect("fine"), "meta2:8091 /a/b?c=http://d");
    assert_eq!(at("http://[::1]:1?x").expect("fine"), "[::1]:1 /?x");
    assert_eq!(at("http://meta2:1").expect("fine"), "meta2:1 /");
    assert_eq!(at("/lease?x").expect("fine"), "meta1:8091 /lease?x");
    assert!(at("//meta2/join").is_err() && at("ftp://meta2/").is_err() && at("http://u@meta2/").is_err());
}

#[tokio::test]
async fn each_request_has_a_fresh_token() {
    let (address, mut heard) = server(&[&redirect("/b"), &answer("204 No Content", "")]).await;
    let bearer = Authorization::Bearer { username: "admin".to_owned(), secret: "s".to_owned() };
    client(&address, bearer).post_form("/a", &[]).await.expect("fine");
    let now = u64::try_from(Env::real().now().0 / 1_000_000_000).expect("after 1970");
    for _ in 0..2 {
        let request = heard.recv().await.expect("heard");
        let token = request.split('|').nth(1).and_then(|value| value.strip_prefix("Bearer ")).expect("a token");
        let claims = credentials::verify(token, "s", now).expect("good");
        assert_eq!(claims.username, "admin");
        assert!((now + 290..=now + 300).contains(&claims.expires_unix_seconds), "{claims:?} at {now}");
    }
}

#[tokio::test]
async fn refusals_have_the_status_and_the_text_of_the_server() {
    let (address, _heard) = server(&[
        &answer("503 Service Unavailable", "{\"error\":\"no leader\"}\n"),
        &answer("404 Not Found", "404 page not found\n"),
        &answer("302 Found", ""),
    ])
    .await;
    let client = client(&address, Authorization::None);
    for (status, text) in [(503, "no leader"), (404, "404 page not found"), (302, "status 302")] {
        let error = client.get("/join").await.expect_err("refused");
        assert_eq!((error.status(), error.to_string().as_str()), (Some(status), text));
    }
}

#[tokio::test]
async fn an_operation_ends_in_time_wherever_it_hangs() {
    let (silent, _heard) = server(&[]).await;
    let (cut_short, _heard) = server(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"]).await;
    let (sends_on, _heard) = server(&[&redirect(&format!("http://{silent}/"))]).await;
    let clock = Env::real();
    let begin = clock.monotonic();
    for address in [silent, sends_on] {
        let mut client = client(&address, Authorization::None);
        client.config.timeout = Duration::from_millis(50);
        assert!(matches!(client.get("/").await, Err(ClientError::TimedOut)), "{address}");
    }
    // Far enough from two times 50 ms for a machine that is busy.
    let took = clock.monotonic() - begin;
    assert!(took < Duration::from_secs(2), "{took:?}");
    let cut = client(&cut_short, Authorization::None).get("/").await;
    assert!(matches!(cut, Err(ClientError::Broken(_))), "{cut:?}");
}

#[tokio::test]
async fn nobody_there_is_told() {
    let env = Env::real();
    let listener = env.listen("127.40.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let error = client(&address, Authorization::None).get("/status").await.expect_err("nobody");
    assert!(error.to_string().starts_with(&format!("dial tcp {address}: ")), "{error}");
    assert!(matches!(error, ClientError::Unreachable { .. }));
}

#[test]
fn addresses_are_those_of_the_admin_api() {
    let of = |text: &str| {
        let (authorization, tls) = (Authorization::None, ClientSettings::default());
        let config = AdminConfig { authorization, tls, timeout: Duration::from_secs(1) };
        AdminClient::new(Env::real(), text, config).map(|client| client.address.authority())
    };
    assert_eq!(of("meta1").expect("fine"), "meta1:8091");
    assert_eq!(of("meta1:1").expect("fine"), "meta1:1");
    assert_eq!(of("").expect("fine"), "localhost:8091");
    assert_eq!(of("https://meta1").expect("fine"), "meta1:8091");
    assert!(matches!(of("a b"), Err(ClientError::Address(..))));
}

#[test]
fn secrets_are_not_shown() {
    let bearer = Authorization::Bearer { username: "u".to_owned(), secret: "hidden".to_owned() };
    let password = Authorization::Basic(Credentials { username: "u".to_owned(), password: "hidden".to_owned() });
    assert!(!format!("{bearer:?}{password:?}").contains("hidden"));
}

#[test]
fn nobody_is_led_from_tls_to_plain_text() {
    let from = |text| Address::parse(text, Some(PORT)).expect("an address");
    let (address, path) = locate(&from("http://a"), "https://meta1/join?x=1").expect("up is fine");
    assert_eq!((address.to_string().as_str(), path.as_str()), ("https://meta1:8091", "/join?x=1"));
    let error = locate(&from("https://a"), "http://meta1:8091/join").expect_err("down is not");
    assert_eq!(error.to_string(), "redirected from TLS to plain text, to http://meta1:8091; that is not followed");
}
