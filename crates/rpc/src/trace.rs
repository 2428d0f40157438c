//! `[cluster] cluster-tracing`: a line in the log for each call over the port that nodes talk to each other on, of those
//! that this node makes and of those that it is asked for.
//!
//! A line says who is at the other end, which call it was, how many bytes went each way, how long it took and how it
//! ended. It is written when the call is over, whichever way: the answer was read, nobody waits for it any more, or there
//! was no connection. Nothing of headers and bodies is in it, nor what stands behind a question mark.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use bytes::{Buf, Bytes};
use env::Env;
use futures_util::future::Either;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tonic::Code;
use tonic::transport::Channel;
use tower::Service;

/// Where calls of nodes are; what follows is the name of one.
const CALLS: &str = "/mainstem.peer.v1.Peer/";
/// Most of the name of a call, bytes. Those of nodes are shorter.
const CALL_BYTES_MAX: usize = 64;

/// Who is at the other end of a connection that was accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) SocketAddr);

/// A call that is under way; the line is written when nobody holds it any more.
#[derive(Debug)]
pub(crate) struct Line {
    env: Env,
    direction: &'static str,
    peer: String,
    /// The caller, once it has proved who it is; 0 before.
    node: AtomicU64,
    call: String,
    began: Duration,
    request_bytes: AtomicU64,
    answer_bytes: AtomicU64,
    /// Held for a look.
    outcome: Mutex<Option<String>>,
}

impl Line {
    fn begin(env: &Env, direction: &'static str, peer: String, method: &http::Method, path: &str) -> Arc<Line> {
        let call = match path.strip_prefix(CALLS) {
            Some(name) => name.to_owned(),
            None => format!("{method} {path}"),
        };
        Arc::new(Line {
            env: env.clone(),
            direction,
            peer,
            node: AtomicU64::new(0),
            call: call[..call.floor_char_boundary(CALL_BYTES_MAX)].to_owned(),
            began: env.monotonic(),
            request_bytes: AtomicU64::new(0),
            answer_bytes: AtomicU64::new(0),
            outcome: Mutex::default(),
        })
    }

    /// The caller has proved to be this node.
    pub(crate) fn proved(&self, node: u64) {
        self.node.store(node, Ordering::Relaxed);
    }

    fn end(&self, outcome: String) {
        *self.outcome.lock() = Some(outcome);
    }

    /// The head of an answer, or what came behind it. A call of nodes ends with a code, any other with a status.
    fn answered(&self, status: Option<http::StatusCode>, headers: &HeaderMap) {
        let code = headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
        match (code, status) {
            (Some(Code::Ok), _) => self.end("ok".to_owned()),
            (Some(code), _) => self.end(format!("{code:?}")),
            // The code of an answer of several parts comes last; until then it is cut.
            (None, Some(status)) if status.is_success() && headers_of_calls(headers) => self.end("cut".to_owned()),
            (None, Some(status)) => self.end(status.as_u16().to_string()),
            (None, None) => {}
        }
    }
}

fn headers_of_calls(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.env.monotonic().saturating_sub(self.began);
        let (request, answer) = (*self.request_bytes.get_mut(), *self.answer_bytes.get_mut());
        let (sent, received) = if self.direction == "out" { (request, answer) } else { (answer, request) };
        tracing::info!(
            target: "rpc",
            direction = self.direction,
            peer = self.peer,
            node = *self.node.get_mut(),
            call = self.call,
            sent,
            received,
            took = ?took,
            outcome = self.outcome.get_mut().take().unwrap_or_else(|| "abandoned".to_owned()),
            "call between nodes"
        );
    }
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug)]
enum Part {
    Request,
    Answer,
}

/// A body whose bytes are counted.
#[derive(Debug)]
struct Counted<B> {
    body: B,
    part: Part,
    line: Arc<Line>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            match self.part {
                Part::Request => self.line.request_bytes.fetch_add(bytes, Ordering::Relaxed),
                Part::Answer => self.line.answer_bytes.fetch_add(bytes, Ordering::Relaxed),
            };
            if let (Part::Answer, Some(trailers)) = (self.part, frame.trailers_ref()) {
                self.line.answered(None, trailers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose calls are logged, where they are.
#[derive(Clone, Debug)]
pub struct Traced {
    channel: Channel,
    /// Where it leads to, if its calls are logged.
    peer: Option<(Env, String)>,
}

impl Traced {
    pub(crate) fn new(channel: Channel, peer: Option<(Env, String)>) -> Traced {
        Traced { channel, peer }
    }
}

type Answered = Result<http::Response<tonic::body::Body>, tonic::transport::Error>;

impl Service<http::Request<tonic::body::Body>> for Traced {
    type Response = http::Response<tonic::body::Body>;
    type Error = tonic::transport::Error;
    type Future = Either<
        <Channel as Service<http::Request<tonic::body::Body>>>::Future,
        Pin<Box<dyn Future<Output = Answered> + Send>>,
    >;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let Some((env, peer)) = &self.peer else { return Either::Left(self.channel.call(request)) };
        let line = Line::begin(env, "out", peer.clone(), request.method(), request.uri().path());
        let counted =
            |body, part, line: &Arc<Line>| tonic::body::Body::new(Counted { body, part, line: Arc::clone(line) });
        let answering = self.channel.call(request.map(|body| counted(body, Part::Request, &line)));
        Either::Right(Box::pin(async move {
            match answering.await {
                Ok(answer) => {
                    line.answered(Some(answer.status()), answer.headers());
                    Ok(answer.map(|body| counted(body, Part::Answer, &line)))
                }
                Err(error) => {
                    line.end(innermost(&error));
                    Err(error)
                }
            }
        }))
    }
}

/// What a failure of the transport comes down to.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Logs a call that this node is asked for.
pub(crate) async fn log_call(State(env): State<Env>, mut request: Request, next: Next) -> axum::response::Response {
    let caller = request.extensions().get::<Caller>().map(|caller| caller.0.to_string());
    let line = Line::begin(&env, "in", caller.unwrap_or_default(), request.method(), request.uri().path());
    request.extensions_mut().insert(Arc::clone(&line));
    let counted = |body, part| axum::body::Body::new(Counted { body, part, line: Arc::clone(&line) });
    let answer = next.run(request.map(|body| counted(body, Part::Request))).await;
    line.answered(Some(answer.status()), answer.headers());
    answer.map(|body| counted(body, Part::Answer))
}
