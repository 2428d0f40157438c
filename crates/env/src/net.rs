//! Streams between hosts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Env, World};

/// Listens for streams.
#[derive(Debug)]
pub struct Listener(ListenerKind);

enum ListenerKind {
    Real(tokio::net::TcpListener),
    #[cfg(feature = "simulated")]
    Simulated(turmoil::net::TcpListener),
}

impl fmt::Debug for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerKind::Real(listener) => listener.fmt(f),
            #[cfg(feature = "simulated")]
            ListenerKind::Simulated(listener) => f.debug_tuple("Simulated").field(&listener.local_addr()).finish(),
        }
    }
}

/// A stream of bytes to a peer, both ways.
#[derive(Debug)]
pub struct Stream(StreamKind);

#[derive(Debug)]
enum StreamKind {
    Real(tokio::net::TcpStream),
    #[cfg(feature = "simulated")]
    Simulated(turmoil::net::TcpStream),
}

impl Env {
    /// Listens on `host:port`; an empty host means every interface.
    pub async fn listen(&self, address: &str) -> io::Result<Listener> {
        let every = format!("0.0.0.0{address}");
        let address = if address.starts_with(':') { every.as_str() } else { address };
        let kind = match self.world {
            World::Real => ListenerKind::Real(tokio::net::TcpListener::bind(address).await?),
            #[cfg(feature = "simulated")]
            World::Simulated => ListenerKind::Simulated(turmoil::net::TcpListener::bind(address).await?),
        };
        Ok(Listener(kind))
    }

    /// Connects to `host:port`. Callers bound it in time.
    pub async fn connect(&self, address: &str) -> io::Result<Stream> {
        let kind = match self.world {
            World::Real => {
                let stream = tokio::net::TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                StreamKind::Real(stream)
            }
            #[cfg(feature = "simulated")]
            World::Simulated => StreamKind::Simulated(turmoil::net::TcpStream::connect(address).await?),
        };
        Ok(Stream(kind))
    }
}

impl Listener {
    /// The next stream and who opened it.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match &self.0 {
            ListenerKind::Real(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream(StreamKind::Real(stream)), peer))
            }
            #[cfg(feature = "simulated")]
            ListenerKind::Simulated(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream(StreamKind::Simulated(stream)), peer))
            }
        }
    }

    /// Where it listens; tells the port when it was asked for any.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            ListenerKind::Real(listener) => listener.local_addr(),
            #[cfg(feature = "simulated")]
            ListenerKind::Simulated(listener) => listener.local_addr(),
        }
    }
}

macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().0 {
            StreamKind::Real($stream) => $call,
            #[cfg(feature = "simulated")]
            StreamKind::Simulated($stream) => $call,
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

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(context))
    }
}
