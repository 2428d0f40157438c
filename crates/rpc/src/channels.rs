//! Connections to peers: one for each pair of address and lane, made when first needed, kept, and made again by itself
//! after it broke.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tls::Dialer;
use tonic::transport::{Channel, Endpoint};

use crate::auth::ClusterAuth;
use crate::client::CallError;
use crate::trace::Traced;

/// A silent peer is found out after this and the next.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Flow-control windows of the lanes that carry much.
const BULK_STREAM_WINDOW: u32 = 4 << 20;
const BULK_CONNECTION_WINDOW: u32 = 8 << 20;
/// Connections that are kept. A cluster has far fewer peers; the bound keeps wrong addresses from piling up.
pub const CHANNELS_MAX: usize = 4_096;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Raft and metadata: small and urgent.
    Control,
    /// Points on their way to an owner.
    Write,
    /// Questions and their answers.
    Query,
    /// Repair and hints: large and patient.
    Bulk,
}

/// All connections of this node.
pub struct Channels {
    dialer: Dialer,
    auth: ClusterAuth,
    connect_timeout: Duration,
    tracing: bool,
    /// Guards only the map; nothing is awaited while it is held.
    channels: Mutex<HashMap<(String, Lane), Channel>>,
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("open", &self.channels.lock().len()).finish_non_exhaustive()
    }
}

impl Channels {
    /// No connections yet. `dialer` makes them, `auth` signs the calls, `connect_timeout` bounds how long making a
    /// connection may take.
    pub fn new(dialer: impl Into<Dialer>, auth: ClusterAuth, connect_timeout: Duration) -> Channels {
        Channels { dialer: dialer.into(), auth, connect_timeout, tracing: false, channels: Mutex::new(HashMap::new()) }
    }

    /// Has every call logged, with `tracing`.
    #[must_use]
    pub fn with_tracing(self, tracing: bool) -> Channels {
        Channels { tracing, ..self }
    }

    /// What calls are signed with.
    pub fn auth(&self) -> &ClusterAuth {
        &self.auth
    }

    /// The connection to `address` (`host:port`) in a lane. Nothing is sent before the first call.
    ///
    /// # Errors
    /// When the address is none.
    pub fn get(&self, address: &str, lane: Lane) -> Result<Channel, CallError> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(&(address.to_owned(), lane)) {
            return Ok(channel.clone());
        }
        if channels.len() >= CHANNELS_MAX {
            channels.clear();
        }
        let channel = self.open(address, lane)?;
        channels.insert((address.to_owned(), lane), channel.clone());
        Ok(channel)
    }

    /// The same, for calls that are logged where that is wanted.
    pub(crate) fn traced(&self, address: &str, lane: Lane) -> Result<Traced, CallError> {
        let peer = self.tracing.then(|| (self.dialer.env().clone(), address.to_owned()));
        Ok(Traced::new(self.get(address, lane)?, peer))
    }

    fn open(&self, address: &str, lane: Lane) -> Result<Channel, CallError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| CallError::NotConnected(format!("{address}: {error}")))?
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let endpoint = match lane {
            Lane::Control => endpoint,
            Lane::Write | Lane::Query | Lane::Bulk => endpoint
                .initial_stream_window_size(BULK_STREAM_WINDOW)
                .initial_connection_window_size(BULK_CONNECTION_WINDOW),
        };
        let dialer = self.dialer.clone();
        let address = address.to_owned();
        Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: http::Uri| {
            let (dialer, address) = (dialer.clone(), address.clone());
            async move { dialer.connect(&address).await.map(TokioIo::new) }
        })))
    }
}
