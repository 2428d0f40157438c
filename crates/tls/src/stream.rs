//! A stream with TLS, or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

/// A stream of bytes to a peer, both ways.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Plain(env::Stream),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    pub(crate) fn tls(stream: impl Into<TlsStream<Socket>>) -> Stream {
        Stream(Kind::Tls(Box::new(stream.into())))
    }
}

impl From<env::Stream> for Stream {
    fn from(stream: env::Stream) -> Stream {
        Stream(Kind::Plain(stream))
    }
}

macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().0 {
            Kind::Plain($stream) => $call,
            Kind::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_read(context, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Plain(stream) => stream.is_write_vectored(),
            Kind::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}

/// The first byte of whoever begins with TLS.
const HANDSHAKE: u8 = 0x16;

/// What is below TLS. To one who begins with something else it says nothing of TLS, so that it can be told in plain text
/// what is wrong.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: env::Stream,
    begun: Begun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    NotYet,
    WithTls,
    Otherwise,
}

impl Socket {
    pub(crate) fn new(stream: env::Stream) -> Socket {
        Socket { stream, begun: Begun::NotYet }
    }

    /// The stream of one who began with something else.
    pub(crate) fn into_plain(self) -> Option<env::Stream> {
        (self.begun == Begun::Otherwise).then_some(self.stream)
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        if self.begun == Begun::NotYet
            && let Some(first) = buf.filled().get(before)
        {
            self.begun = if *first == HANDSHAKE { Begun::WithTls } else { Begun::Otherwise };
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.begun {
            Begun::Otherwise => Poll::Ready(Ok(bytes.len())),
            Begun::NotYet | Begun::WithTls => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
