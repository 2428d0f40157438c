//! gRPC and plain HTTP on one port, deadlines, peers that are gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credentials::{PeerClaims, Secret, peer, token};
use env::Env;
use env::simulated::{SimClock, SimDisk};
use rpc::auth::TOKEN_SECONDS;
use rpc::peer::peer_server::Peer;
use rpc::{CallError, Channels, ClusterAuth, Lane, call};
use telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use wire::v1;

/// Answers `State` at once and counts, `Describe` never, refuses the rest.
#[derive(Clone, Default)]
struct Fake(Arc<AtomicU64>);

type Pieces<T> = futures_util::stream::Iter<std::vec::IntoIter<Result<T, Status>>>;

fn refused<T>() -> Result<Response<T>, Status> {
    Err(Status::failed_precondition("not here"))
}

#[tonic::async_trait]
impl Peer for Fake {
    type SelectStream = Pieces<v1::SelectReply>;
    type ExportStream = Pieces<v1::ExportReply>;

    async fn raft(&self, _: Request<v1::RaftRequest>) -> Result<Response<v1::RaftReply>, Status> {
        refused()
    }
    async fn propose(&self, _: Request<v1::ProposeRequest>) -> Result<Response<v1::ProposeReply>, Status> {
        refused()
    }
    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<v1::WatchReply>, Status> {
        refused()
    }
    async fn write_shard(&self, _: Request<v1::WriteShardRequest>) -> Result<Response<v1::WriteShardReply>, Status> {
        refused()
    }
    async fn describe(&self, _: Request<v1::DescribeRequest>) -> Result<Response<v1::DescribeReply>, Status> {
        std::future::pending().await
    }
    async fn select(&self, _: Request<v1::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        refused()
    }
    async fn series(&self, _: Request<v1::SeriesRequest>) -> Result<Response<v1::SeriesReply>, Status> {
        refused()
    }
    async fn digest(&self, _: Request<v1::DigestRequest>) -> Result<Response<v1::DigestReply>, Status> {
        refused()
    }
    async fn export(&self, _: Request<v1::ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        refused()
    }
    async fn state(&self, request: Request<v1::StateRequest>) -> Result<Response<v1::StateReply>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(v1::StateReply { header: request.into_inner().header, ..Default::default() }))
    }
}

const SOON: Duration = Duration::from_millis(300);

async fn start() -> (Env, String, watch::Sender<bool>) {
    start_with(|_, _| ClusterAuth::default()).await
}

async fn start_with(auth: impl FnOnce(&Env, &str) -> ClusterAuth) -> (Env, String, watch::Sender<bool>) {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (stop, stopped) = watch::channel(false);
    let app = rpc::server::routes(Fake::default(), auth(&env, &address))
        .route("/status", axum::routing::get(|| async { "fine\n" }));
    env.spawn(rpc::server::serve(env.clone(), listener, app, stopped));
    (env, address, stop)
}

async fn state(channels: &Channels, address: &str) -> Result<v1::StateReply, CallError> {
    let request = v1::StateRequest { header: Some(v1::Header { meta_index: 7, clock: 8, sender: 9 }), catch_up: false };
    call(channels, address, Lane::Control, SOON, |mut peer| async move { peer.state(request).await }).await
}

#[tokio::test]
async fn a_call_is_answered_and_refused() {
    let (env, address, _stop) = start().await;
    let channels = Channels::new(env, ClusterAuth::default(), SOON);
    assert_eq!(state(&channels, &address).await.expect("an answer").header.expect("a header").sender, 9);
    let refused = call(&channels, &address, Lane::Write, SOON, |mut peer| async move {
        peer.write_shard(v1::WriteShardRequest::default()).await
    });
    assert_eq!(refused.await.expect_err("no"), CallError::Refused(format!("{address}: not here")));
}

#[tokio::test]
async fn a_silent_peer_meets_the_deadline() {
    let (env, address, _stop) = start().await;
    let channels = Channels::new(env, ClusterAuth::default(), SOON);
    let silent = call(&channels, &address, Lane::Query, SOON, |mut peer| async move {
        peer.describe(v1::DescribeRequest::default()).await
    });
    assert_eq!(silent.await.expect_err("no"), CallError::Timeout { peer: address.clone(), within: SOON });
    // The lane is still good.
    assert!(state(&channels, &address).await.is_ok());
}

#[tokio::test]
async fn a_dead_peer_is_unreachable_and_named() {
    let channels = Channels::new(Env::real(), ClusterAuth::default(), SOON);
    let error = state(&channels, "127.0.0.1:1").await.expect_err("nobody listens");
    assert!(matches!(&error, CallError::NotConnected(text) if text.starts_with("127.0.0.1:1: ")), "{error}");
    let error = channels.get("no address at all", Lane::Bulk).expect_err("no address");
    assert!(matches!(error, CallError::NotConnected(_)), "{error}");
}

const SECRET: &str = "a secret of the nodes of a test";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn only_calls_with_the_secret_of_the_cluster_are_answered() {
    let (env, address, _stop) = start_with(|env, address| {
        let auth = ClusterAuth::new(env.clone(), secret(SECRET), vec![address.to_owned()]);
        auth.belongs_to(5, 1);
        auth
    })
    .await;
    let of_cluster = |cluster: u64, text: &str| {
        let auth = ClusterAuth::new(env.clone(), secret(text), Vec::new());
        auth.belongs_to(cluster, 2);
        Channels::new(env.clone(), auth, SOON)
    };
    assert!(state(&of_cluster(5, SECRET), &address).await.is_ok());
    assert!(state(&of_cluster(0, SECRET), &address).await.is_ok(), "a node that is about to join");
    for (channels, why) in [
        (of_cluster(5, "another secret of other nodes"), "signature is invalid"),
        (of_cluster(6, SECRET), "it is a member of another cluster"),
        (of_cluster(5, ""), "it carries no token; is the secret of the cluster set on both nodes?"),
    ] {
        let want = format!("{address}: the call of another node is refused: {why}");
        assert_eq!(state(&channels, &address).await, Err(CallError::Refused(want)));
    }
}

#[tokio::test]
async fn tokens_for_others_of_users_or_that_have_ended_are_refused_before_the_body_is_read() {
    let (env, address, _stop) = start_with(|env, address| {
        let auth = ClusterAuth::new(env.clone(), secret(SECRET), vec![address.to_owned()]);
        auth.belongs_to(5, 1);
        auth
    })
    .await;
    let now = u64::try_from(env.now().0 / 1_000_000_000).expect("after 1970");
    let claims = |receiver: &str| PeerClaims { cluster: 5, sender: 2, receiver: receiver.to_owned() };
    let ask = async |authorization: &str| {
        let stream = env.connect(&address).await.expect("a stream");
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io).await.expect("speaks");
        let driver = env.spawn(async move {
            let _ = connection.await;
        });
        // A body that would not decode: whoever reads it answers otherwise.
        let request = http::Request::post(format!("http://{address}/mainstem.peer.v1.Peer/State"))
            .header("content-type", "application/grpc")
            .header("authorization", authorization)
            .body("garbage".to_owned())
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        driver.abort();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        header("grpc-status").unwrap_or_default()
    };
    let good = peer::sign(&claims(&address), SECRET, now + 60);
    assert_ne!(ask(&format!("Bearer {good}")).await, "16", "the guard lets it pass");
    for bad in [
        peer::sign(&claims("10.0.0.1:8088"), SECRET, now + 60),
        peer::sign(&claims(&address), SECRET, now.saturating_sub(1)),
        token::sign("", SECRET, now + 60),
        token::sign("root", SECRET, now + 60),
        String::new(),
    ] {
        assert_eq!(ask(&format!("Bearer {bad}")).await, "16", "unauthenticated");
    }
    assert_eq!(ask("Basic YTpi").await, "16");
}

/// What this process logs, all tests of it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The values of a field of lines that have these parts, once there are `count` of them.
    async fn values(&self, parts: &[&str], field: &str, count: usize) -> Vec<String> {
        let found = || {
            let text = String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text");
            let lines = text.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
            lines.map(|line| self::field(line, field)).collect::<Vec<_>>()
        };
        let enough = async {
            while found().len() < count {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), enough).await;
        in_time.unwrap_or_else(|_| panic!("{parts:?}: {:?}", found()));
        found()
    }
}

/// The value of a field in a line.
fn field(line: &str, name: &str) -> String {
    let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("{name}: {line}"));
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => rest.split(' ').next().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn calls_are_logged_at_both_ends_where_that_is_wanted_and_not_elsewhere() {
    let log = Log::default();
    telemetry::log::init("info", telemetry::log::Format::Logfmt, Box::new(|| 0), Box::new(log.clone()));
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (_stop, stopped) = watch::channel(false);
    let auth = ClusterAuth::new(env.clone(), secret(SECRET), vec![address.clone()]);
    let app = rpc::server::routes(Fake::default(), auth);
    let app = app.route("/status", axum::routing::get(|| async { "fine\n" }));
    env.spawn(rpc::server::serve(env.clone(), listener, rpc::server::traced(&env, app), stopped));
    let channels = |text: &str, tracing| {
        let auth = ClusterAuth::new(env.clone(), secret(text), Vec::new());
        auth.belongs_to(5, 9);
        Channels::new(env.clone(), auth, SOON).with_tracing(tracing)
    };
    let ours = channels(SECRET, true);
    state(&ours, &address).await.expect("an answer");
    let write = v1::WriteShardRequest { record: vec![7; 5_000].into(), ..Default::default() };
    let write = call(&ours, &address, Lane::Write, SOON, |mut peer| async move { peer.write_shard(write).await });
    assert!(write.await.is_err());
    let silent = v1::DescribeRequest::default();
    let silent = call(&ours, &address, Lane::Query, SOON, |mut peer| async move { peer.describe(silent).await });
    assert!(silent.await.is_err());
    assert!(state(&channels("planted", true), &address).await.is_err());
    assert!(state(&ours, "127.0.0.1:1").await.is_err());
    let mut stream = env.connect(&address).await.expect("a stream");
    let long = "x".repeat(200);
    for path in ["/status?p=planted", &format!("/{long}")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: planted\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
    }
    let to = format!(" peer={address} ");
    let out = |call: &'static str| [" direction=out ", &to, call].map(str::to_owned);
    let told = async |parts: &[String], field: &str, count| {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        log.values(&parts, field, count).await
    };
    // The second is the one with another secret.
    assert_eq!(told(&out(" call=State "), "outcome", 2).await, ["ok", "Unauthenticated"]);
    assert_eq!(told(&out(" call=WriteShard "), "outcome", 1).await, ["FailedPrecondition"]);
    assert_eq!(told(&out(" call=Describe "), "outcome", 1).await, ["abandoned"]);
    let sent = told(&out(" call=WriteShard "), "sent", 1).await;
    assert!(sent[0].parse::<u64>().is_ok_and(|sent| sent > 5_000 && sent < 5_100), "{sent:?}");
    let received = told(&out(" call=State "), "received", 2).await;
    assert!(received[0] != "0" && received[1] == "0", "{received:?}");
    let gone = log.values(&[" direction=out ", " peer=127.0.0.1:1 "], "outcome", 1).await;
    assert!(gone[0].contains("refused"), "{gone:?}");
    let came = async |call: &str, field: &str, count| log.values(&[" direction=in ", call], field, count).await;
    assert_eq!(came(" call=State ", "outcome", 2).await, ["ok", "Unauthenticated"]);
    assert_eq!(came(" call=State ", "node", 2).await, ["9", "0"]);
    assert_eq!(came(" call=Describe ", "outcome", 1).await, ["abandoned"]);
    assert_eq!(came(" call=\"GET /status\" ", "outcome", 1).await, ["200"]);
    assert_eq!(came(" call=\"GET /xxx", "call", 1).await[0].len(), 64);
    let received = came(" call=WriteShard ", "received", 1).await;
    assert_eq!(received, sent);
    assert!(came(" call=State ", "peer", 2).await.iter().all(|peer| peer.starts_with("127.0.0.1:")));
    state(&channels(SECRET, false), &address).await.expect("an answer");
    assert_eq!(came(" call=State ", "outcome", 3).await.len(), 3);
    assert_eq!(told(&out(" call=State "), "outcome", 2).await.len(), 2, "who is not to log its calls does not");
    let text = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
    assert!(!text.contains("planted") && !text.contains(SECRET) && !text.contains("Bearer"), "{text}");
}

#[tokio::test]
async fn plain_http_is_answered_on_the_same_port() {
    let (env, address, _stop) = start().await;
    let ask = async |path: &str| {
        let mut stream = env.connect(&address).await.expect("a stream");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    };
    assert!(ask("/status").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(ask("/nothing").await.starts_with("HTTP/1.1 404 Not Found\r\n"));
}

/// A node, and a relay in front of it that keeps what is sent to it. Others know it by the address of the relay.
struct Tapped {
    address: String,
    /// Behind the relay.
    own: String,
    heard: Arc<Mutex<Vec<u8>>>,
    /// Calls that reached the service.
    handled: Arc<AtomicU64>,
    clock: SimClock,
    metrics: Metrics,
    _stop: watch::Sender<bool>,
}

impl Tapped {
    async fn start(env: &Env) -> Tapped {
        let listen = async || env.listen("127.0.0.1:0").await.expect("a port");
        let (relay, server) = (listen().await, listen().await);
        let address = relay.local_addr().expect("an address").to_string();
        let own = server.local_addr().expect("an address").to_string();
        let clock = SimClock::new(env.now());
        let auth = ClusterAuth::new(at(&clock), secret(SECRET), vec![address.clone()]);
        auth.belongs_to(5, 1);
        let (metrics, fake, (stop, stopped)) = (Metrics::new(), Fake::default(), watch::channel(false));
        auth.register(&metrics);
        env.spawn(rpc::server::serve(env.clone(), server, rpc::server::routes(fake.clone(), auth), stopped));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (kept, target, spawner) = (Arc::clone(&heard), own.clone(), env.clone());
        env.spawn(async move {
            while let Ok((client, _)) = relay.accept().await {
                let server = spawner.connect(&target).await.expect("a stream");
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (tokio::io::split(client), tokio::io::split(server));
                let kept = Arc::clone(&kept);
                spawner.spawn(async move {
                    let mut bytes = vec![0; 4_096];
                    while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                        kept.lock().expect("not poisoned").extend_from_slice(&bytes[..count]);
                        to_server.write_all(&bytes[..count]).await.expect("passed on");
                    }
                });
                spawner.spawn(async move {
                    // Whoever asked may have gone.
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
            }
        });
        Tapped { address, own, heard, handled: fake.0, clock, metrics, _stop: stop }
    }

    /// Calls that were carried out, and calls that were refused.
    fn counts(&self) -> (u64, u64) {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix("peer_calls_refused_total "));
        (self.handled.load(Ordering::Relaxed), line.expect("it is registered").parse().expect("a number"))
    }

    /// Sends bytes on a connection of their own, and waits until they have been carried out or refused.
    async fn replay(&self, env: &Env, bytes: &[u8]) -> (u64, u64) {
        let before = self.counts();
        let mut stream = env.connect(&self.own).await.expect("a stream");
        stream.write_all(bytes).await.expect("sent");
        let mut piece = [0; 4_096];
        let after = async {
            while self.counts() == before {
                assert_ne!(stream.read(&mut piece).await.expect("an answer"), 0, "it hangs up");
            }
        };
        tokio::time::timeout(Duration::from_secs(30), after).await.expect("an answer");
        let after = self.counts();
        (after.0 - before.0, after.1 - before.1)
    }
}

/// A world with this clock; nothing else of it is used.
fn at(clock: &SimClock) -> Env {
    Env::simulated(1, clock, &SimDisk::new(1))
}

fn advance(clock: &SimClock, seconds: u64) {
    clock.jump(i64::try_from(seconds).expect("a while") * 1_000_000_000);
}

#[tokio::test]
async fn what_was_overheard_is_good_for_its_receiver_and_for_five_minutes_at_most() {
    let env = Env::real();
    let [first, second] = [Tapped::start(&env).await, Tapped::start(&env).await];
    let (carried_out, refused) = ((1, 0), (0, 1));
    let sender = ClusterAuth::new(at(&first.clock), secret(SECRET), Vec::new());
    sender.belongs_to(5, 2);
    let channels = Channels::new(env.clone(), sender, SOON);
    state(&channels, &first.address).await.expect("an answer");
    assert_eq!(first.counts(), carried_out);
    let overheard = first.heard.lock().expect("not poisoned").clone();
    assert!(overheard.starts_with(b"PRI * HTTP/2.0\r\n"));
    // Within its time a call can be repeated where it went to (TLS is against that), and nowhere else.
    assert_eq!(first.replay(&env, &overheard).await, carried_out);
    assert_eq!(second.replay(&env, &overheard).await, refused);
    advance(&first.clock, TOKEN_SECONDS - 5);
    assert_eq!(first.replay(&env, &overheard).await, carried_out);
    advance(&first.clock, 6);
    assert_eq!(first.replay(&env, &overheard).await, refused, "its time is over");
    assert_eq!(first.replay(&env, &overheard).await, refused);
}

#[tokio::test]
async fn clocks_may_differ_by_two_minutes() {
    let env = Env::real();
    let receiver = Tapped::start(&env).await;
    let clock = SimClock::new(env.now());
    let sender = ClusterAuth::new(at(&clock), secret(SECRET), Vec::new());
    let channels = Channels::new(env.clone(), sender, SOON);
    let two_minutes = 120;
    assert!(state(&channels, &receiver.address).await.is_ok());
    // The receiver is ahead, and goes on being so while the sender uses its token for as long as it does.
    advance(&receiver.clock, two_minutes);
    for _ in 0..10 {
        assert!(state(&channels, &receiver.address).await.is_ok());
        advance(&clock, 37);
        advance(&receiver.clock, 37);
    }
    // The sender is ahead.
    advance(&clock, 2 * two_minutes);
    assert!(state(&channels, &receiver.address).await.is_ok());
    advance(&receiver.clock, 2 * two_minutes + TOKEN_SECONDS);
    let late = state(&channels, &receiver.address).await;
    assert!(matches!(&late, Err(CallError::Refused(why)) if why.ends_with("token is expired")), "{late:?}");
}
