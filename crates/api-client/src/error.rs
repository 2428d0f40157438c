//! Why a request failed.

use std::io;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is no address; it must be changed.
    #[error("could not parse host {0:?}: {1}")]
    Address(String, &'static str),

    /// A file that TLS needs cannot be used; it must be changed.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),

    /// The server speaks TLS and sent the client to one that does not.
    #[error("redirected from TLS to plain text, to {0}; that is not followed")]
    Downgraded(String),

    /// Nobody answers there; nothing was sent.
    #[error("dial tcp {address}: {source}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the network says.
        source: io::Error,
    },

    /// The connection broke. The request may have been carried out.
    #[error("connection broke: {0}")]
    Broken(#[from] hyper::Error),

    /// The server did not answer in time. The request may have been carried out.
    #[error("no answer in time")]
    TimedOut,

    /// The server refused the request.
    #[error("{text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// `error` of the answer, or all of it.
        text: String,
        /// The answer as it came.
        body: String,
    },

    /// The answer is none that this server would give.
    #[error("unexpected answer: {0}")]
    BadAnswer(String),
}

impl ClientError {
    /// What HTTP said, if the server refused the request.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
