//! One connection: its requests one after the other, and how long it may be silent.
//!
//! The stream under hyper is watched. A connection waits for a request, reads the head of one, or is busy with one; the
//! first two have a time limit that is kept by the stream itself, as has a client that does not take its answer. Limits
//! while a body is read are kept where it is read.

mod watched;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::access_log::{Entry, Outcome};
use crate::api::Api;
use crate::auth::Source;
use crate::config::{HEAD_BYTES_MAX, HEADER_COUNT_MAX};
use crate::respond::{self, Answer, Payload};
use crate::router;
use watched::{Phase, Watched};

/// How a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It takes requests.
    Running,
    /// Requests under way may end, no new ones are taken.
    Draining,
    /// Whatever is open is closed.
    Closing,
}

/// Serves the requests of one connection until either side closes it.
pub(crate) async fn serve<S>(api: Arc<Api>, stream: S, peer: String, mut stage: watch::Receiver<Stage>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let phase = Arc::new(Phase::default());
    let watched = Watched::new(stream, Arc::clone(&phase), &api);
    let peer: Arc<str> = peer.into();
    let config = &api.config;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The watched stream is stricter. This limit makes hyper look at the stream again when a request is over.
        .header_read_timeout(config.idle_timeout.saturating_add(config.header_timeout).max(Duration::from_secs(1)))
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADER_COUNT_MAX)
        .title_case_headers(true)
        .auto_date_header(false);
    let service = service_fn(|request: Request<Incoming>| {
        // At once, for hyper looks at the stream again before it lets the answer begin.
        phase.set_busy();
        let (api, phase, peer) = (Arc::clone(&api), Arc::clone(&phase), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(respond(api, phase, &peer, request).await) }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(watched), service));
    let mut is_draining = false;
    loop {
        tokio::select! {
            // hyper keeps its state in the connection; waiting for a change of the stage loses nothing.
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(peer = %peer, error = %error, "connection ended");
                }
                return;
            }
            changed = stage.changed() => match (changed.is_ok(), *stage.borrow_and_update()) {
                (true, Stage::Running) => {}
                (true, Stage::Draining) if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                (true, Stage::Draining) => {}
                // The server has gone, or is out of patience.
                (false, _) | (true, Stage::Closing) => return,
            }
        }
    }
}

/// Answers one request and keeps account of it.
async fn respond(api: Arc<Api>, phase: Arc<Phase>, peer: &str, request: Request<Incoming>) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(Source(peer.parse().ok()));
    let ticket = Ticket::begin(&api, phase, peer, &head);
    let answer = if ticket.phase.lengths_conflict() {
        // Whoever stands between us and the client may have read another length than we do.
        let text = "400 Bad Request: both Content-Length and Transfer-Encoding";
        respond::closing(respond::plain(http::StatusCode::BAD_REQUEST, text))
    } else {
        router::answer(&api, head, body).await
    };
    ticket.with_body(answer)
}

/// Accounts for a request: what it cost is noted when the last byte of its answer was handed over, or when the client
/// went away.
#[derive(Debug)]
struct Ticket {
    api: Arc<Api>,
    phase: Arc<Phase>,
    entry: Option<Entry>,
    kind: Kind,
    started: Duration,
    /// Status and name of the request, once it is answered.
    answered: Option<(u16, String)>,
    byte_count: u64,
}

/// Requests that have statistics of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Query,
    Write,
    Other,
}

impl Ticket {
    fn begin(api: &Arc<Api>, phase: Arc<Phase>, peer: &str, head: &http::request::Parts) -> Ticket {
        api.stats.requests.increment();
        api.stats.requests_active.increment();
        Ticket {
            phase,
            entry: Entry::begin(&api.config.access_log, head, peer, api.env.now().0),
            kind: match head.uri.path() {
                "/query" => Kind::Query,
                "/write" | "/api/v2/write" => Kind::Write,
                _ => Kind::Other,
            },
            started: api.env.monotonic(),
            answered: None,
            byte_count: 0,
            api: Arc::clone(api),
        }
    }

    fn with_body(mut self, answer: Answer) -> Response<ResponseBody> {
        let status = answer.status().as_u16();
        self.answered = Some((status, router::request_id_of(&answer)));
        match status {
            400..500 => self.api.stats.client_error.increment(),
            500.. => self.api.stats.server_error.increment(),
            _ => {}
        }
        answer.map(|payload| ResponseBody { payload, ticket: self })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let duration = self.api.env.monotonic().saturating_sub(self.started);
        let ns = usize::try_from(duration.as_nanos()).unwrap_or(usize::MAX);
        let stats = &self.api.stats;
        stats.requests_active.decrement();
        stats.request_ns.add(ns);
        match self.kind {
            Kind::Query => {
                stats.query_ns.add(ns);
                stats.query_bytes.add(self.byte_count as usize);
            }
            Kind::Write => stats.write_ns.add(ns),
            Kind::Other => {}
        }
        self.phase.set_idle();
        if let (Some(entry), Some((status, id))) = (&self.entry, &self.answered) {
            let outcome = Outcome { status: *status, byte_count: self.byte_count, duration };
            let lines = self.api.services.access_lines.as_deref();
            entry.finish(&self.api.config.access_log, lines, id, outcome);
        }
    }
}

/// The bytes of an answer on their way.
#[derive(Debug)]
struct ResponseBody {
    payload: Payload,
    ticket: Ticket,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = Pin::new(&mut self.payload).poll_next(context);
        next.map(|bytes| {
            let bytes = bytes?;
            self.ticket.byte_count += bytes.len() as u64;
            Some(Ok(Frame::data(bytes)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.payload.exact_len() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.payload.exact_len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
