//! Looks at the heads of requests as they come, for those that tell a length twice; see [`stdx::sniff`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::Version;
use stdx::sniff::Sniffer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The head of a request comes.
const HEAD: u8 = 0;
/// A request is read and answered.
const BUSY: u8 = 1;
/// The next head begins with the next byte.
const IDLE: u8 = 2;
/// It is HTTP/2, which has no such heads.
const OFF: u8 = 3;

/// What a connection is doing; shared between the stream and the requests on it.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    phase: AtomicU8,
    lengths_conflict: AtomicBool,
}

impl Heads {
    /// A head was read; whether it tells a length twice.
    pub(crate) fn begin(&self, version: Version) -> bool {
        let is_looked_at = version <= Version::HTTP_11;
        self.phase.store(if is_looked_at { BUSY } else { OFF }, Ordering::Relaxed);
        is_looked_at && self.lengths_conflict.load(Ordering::Relaxed)
    }

    /// The request was answered.
    pub(crate) fn end(&self) {
        // Of HTTP/1 there is one request at a time.
        let _ = self.phase.compare_exchange(BUSY, IDLE, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// A stream whose heads are looked at.
#[derive(Debug)]
pub(crate) struct Sniffed<S> {
    stream: S,
    heads: Arc<Heads>,
    sniffer: Sniffer,
}

impl<S> Sniffed<S> {
    pub(crate) fn new(stream: S, heads: Arc<Heads>) -> Sniffed<S> {
        Sniffed { stream, heads, sniffer: Sniffer::default() }
    }

    fn look_at(&mut self, bytes: &[u8]) {
        let phase = self.heads.phase.load(Ordering::Relaxed);
        if matches!(phase, BUSY | OFF) || bytes.is_empty() {
            return;
        }
        if phase == IDLE {
            self.heads.phase.store(HEAD, Ordering::Relaxed);
            self.sniffer = Sniffer::default();
        }
        self.sniffer.feed(bytes);
        self.heads.lengths_conflict.store(self.sniffer.lengths_conflict(), Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sniffed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buf);
        this.look_at(&buf.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sniffed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
