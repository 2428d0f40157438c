//! gRPC and plain HTTP on one port, deadlines, peers that are gone.

use std::time::Duration;

use credentials::{PeerClaims, Secret, peer, token};
use env::Env;
use rpc::peer::peer_server::Peer;
use rpc::{CallError, Channels, ClusterAuth, Lane, call};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use wire::v1;

/// Answers `State` at once, `Describe` never, refuses the rest.
struct Fake;

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
    let app =
        rpc::server::routes(Fake, auth(&env, &address)).route("/status", axum::routing::get(|| async { "fine\n" }));
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
