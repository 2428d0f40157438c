//! A stream that closes itself when the other side is silent or slow for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use stdx::sniff::Sniffer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::api::Api;
use crate::stats::HttpStats;

/// How long a request may still take when the client closed its side. A client that went away looks the same as one
/// that only has nothing more to say; the query of the former should not go on for long.
const HALF_CLOSE_GRACE: Duration = Duration::from_millis(500);

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const IDLE: u8 = 2;

/// What a connection is doing; shared between the stream and the requests on it.
#[derive(Debug)]
pub(super) struct Phase {
    now: AtomicU8,
    lengths_conflict: AtomicBool,
}

impl Default for Phase {
    /// A new connection owes us the head of a request.
    fn default() -> Phase {
        Phase { now: AtomicU8::new(HEAD), lengths_conflict: AtomicBool::new(false) }
    }
}

impl Phase {
    /// A request was read and is being answered.
    pub(super) fn set_busy(&self) {
        self.now.store(BUSY, Ordering::Relaxed);
    }

    /// The last answer was handed over.
    pub(super) fn set_idle(&self) {
        self.now.store(IDLE, Ordering::Relaxed);
    }

    /// Whether the head that was read last names its length twice.
    pub(super) fn lengths_conflict(&self) -> bool {
        self.lengths_conflict.load(Ordering::Relaxed)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    phase: Arc<Phase>,
    sniffer: Sniffer,
    stats: Arc<HttpStats>,
    header_timeout: Duration,
    idle_timeout: Duration,
    progress_timeout: Duration,
    /// Rings when the phase that it is for has lasted too long.
    reading: Option<(u8, Pin<Box<Sleep>>)>,
    /// Rings when nothing could be written for too long.
    writing: Option<Pin<Box<Sleep>>>,
    /// Set when the client closed its side while it waits for an answer; rings when it has to be told.
    half_closed: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// Must be called on a runtime: the time for the first head runs from now on.
    pub(super) fn new(stream: S, phase: Arc<Phase>, api: &Api) -> Watched<S> {
        let config = &api.config;
        Watched {
            stream,
            phase,
            sniffer: Sniffer::default(),
            stats: Arc::clone(&api.stats),
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            progress_timeout: config.progress_timeout,
            reading: Some((HEAD, Box::pin(sleep(config.header_timeout)))),
            writing: None,
            half_closed: None,
        }
    }

    /// The first bytes after silence begin a head.
    fn note_read(&mut self, bytes: &[u8]) {
        let now = self.phase.now.load(Ordering::Relaxed);
        if now == IDLE {
            self.phase.now.store(HEAD, Ordering::Relaxed);
            self.sniffer = Sniffer::default();
            self.reading = Some((HEAD, Box::pin(sleep(self.header_timeout))));
        }
        if now != BUSY {
            self.sniffer.feed(bytes);
            self.phase.lengths_conflict.store(self.sniffer.lengths_conflict(), Ordering::Relaxed);
        }
    }

    /// The client closed its side. Ready when hyper may know, which then gives up the request.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase.now.load(Ordering::Relaxed) != BUSY {
            return Poll::Ready(Ok(()));
        }
        let timer = self.half_closed.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSE_GRACE)));
        timer.as_mut().poll(context).map(Ok)
    }

    /// Nothing came. Whether that has gone on for too long.
    fn is_silent_too_long(&mut self, context: &mut Context<'_>) -> bool {
        let now = self.phase.now.load(Ordering::Relaxed);
        let limit = match now {
            HEAD => self.header_timeout,
            IDLE => self.idle_timeout,
            _ => {
                self.reading = None;
                return false;
            }
        };
        if self.reading.as_ref().is_none_or(|(phase, _)| *phase != now) {
            self.reading = Some((now, Box::pin(sleep(limit))));
        }
        let (_, timer) = self.reading.as_mut().expect("it was set above");
        timer.as_mut().poll(context).is_ready()
    }

    fn time_out<T>(&self, what: &'static str) -> Poll<io::Result<T>> {
        self.stats.connections_timed_out.increment();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.half_closed.is_some() {
            return this.poll_end(context);
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() == before && buf.remaining() > 0 => this.poll_end(context),
            Poll::Ready(Ok(())) => {
                this.note_read(&buf.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if this.is_silent_too_long(context) => this.time_out("no request came"),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Pending => {
                let limit = this.progress_timeout;
                let timer = this.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
                if timer.as_mut().poll(context).is_ready() {
                    return this.time_out("the answer was not taken");
                }
                Poll::Pending
            }
            done => {
                this.writing = None;
                done
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
