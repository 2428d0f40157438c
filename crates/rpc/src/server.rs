//! The listener of the port that nodes talk to each other on.
//!
//! gRPC and plain HTTP share the port; the first bytes of a connection tell which it is. A call whose caller gave up is
//! dropped at once, so whatever must finish is spawned by the handler, never awaited inline.
//!
//! Whoever connects has to ask for something soon, and to send what it has promised without long pauses ([`patient`]).
//! An answer may take as long as it likes, and a connection of HTTP/2 that has been used may be idle for as long as its
//! other end shows signs of life.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use env::Env;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tls::{Listener, Stream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::auth::{self, ClusterAuth};
use crate::heads::{Heads, Sniffed};
use crate::patient::Patient;
use crate::peer::peer_server::{Peer, PeerServer};
use crate::trace::{self, Caller};

/// The head of the first request must have arrived this long after the connection was there, whether the client has said
/// nothing, too little, or only which protocol it speaks. The heads of HTTP/1 that follow have as long, each.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that are served at once; more are closed.
pub const CONNECTIONS_MAX: usize = 10_000;

/// The routes of a peer service, for those whom `auth` lets pass, to be merged with plain HTTP ones.
pub fn routes<P: Peer>(service: P, auth: ClusterAuth) -> Router {
    let service = PeerServer::new(service)
        .max_decoding_message_size(wire::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(wire::MESSAGE_BYTES_MAX);
    // Without the reset an unknown path would answer 200 with a gRPC status.
    let routes = Routes::new(service).into_axum_router().reset_fallback();
    routes.route_layer(axum::middleware::from_fn_with_state(auth, auth::guard))
}

/// The same routes, with a line in the log for each request that comes; for `[cluster] cluster-tracing`.
pub fn traced(env: &Env, routes: Router) -> Router {
    routes.layer(axum::middleware::from_fn_with_state(env.clone(), trace::log_call))
}

/// Serves `app` on `listener` until `shutdown` turns true; then no connection is accepted any more and open ones are
/// told to finish.
///
/// # Errors
/// None at present; a failed accept is logged and tried again.
pub async fn serve(
    env: Env,
    listener: impl Into<Listener>,
    app: Router,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = listener.into();
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (accepted, caller) = tokio::select! {
            // Losing an accept that did not finish loses nothing: the connection stays in the kernel's queue.
            accepted = listener.next(&env) => accepted,
            _ = shutdown.wait_for(|stop| *stop) => return Ok(()),
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let (app, shutdown) = (app.clone(), shutdown.clone());
        env.spawn(async move {
            let _permit = permit;
            if let Some(stream) = accepted.handshake().await {
                serve_connection(stream, caller, app, shutdown).await;
            }
        });
    }
}

/// Serves one connection until either side closes it.
async fn serve_connection(stream: Stream, caller: SocketAddr, app: Router, mut shutdown: watch::Receiver<bool>) {
    let asked = Arc::new(Notify::new());
    let (builder, first_head) = (builder(), Arc::clone(&asked));
    let heads = Arc::new(Heads::default());
    let stream = Sniffed::new(stream, Arc::clone(&heads));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        asked.notify_one();
        let (app, heads) = (app.clone(), Arc::clone(&heads));
        let conflict = heads.begin(request.version());
        request.extensions_mut().insert(Caller(caller));
        async move {
            let answered = match conflict {
                true => Ok(lengths_conflict()),
                false => app.oneshot(request.map(Patient::new)).await,
            };
            heads.end();
            answered
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut silent = pin!(timeout(HEADER_READ_TIMEOUT, first_head.notified()));
    let mut has_asked = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = shutdown.wait_for(|stop| *stop) => break,
            asked = silent.as_mut(), if !has_asked => match asked {
                Ok(()) => has_asked = true,
                Err(_) => {
                    tracing::debug!(peer = %caller, "no request came, the connection is closed");
                    return;
                }
            },
        }
    }
    connection.as_mut().graceful_shutdown();
    // What the peer still wants is bounded by its own deadlines.
    let _ = connection.await;
}

/// The answer to a request that tells its length twice: whoever stands between us and the client may have read another
/// one than we do.
fn lengths_conflict() -> Response {
    let text = "400 Bad Request: both Content-Length and Transfer-Encoding";
    (http::StatusCode::BAD_REQUEST, [(http::header::CONNECTION, "close")], text).into_response()
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT).auto_date_header(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20);
    builder
}
