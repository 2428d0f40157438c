//! Listens, and serves each connection in a task of its own.

use std::future::Future;
use std::io;
use std::sync::Arc;

use env::Env;
use tls::{Accepted, Listener};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::api::{Api, ConfigError};
use crate::config::Config;
use crate::connection::{self, Stage};
use crate::service::Services;
use crate::stats::HttpStats;

/// The server of the API.
#[derive(Debug)]
pub struct Server {
    api: Arc<Api>,
}

impl Server {
    /// A server that listens nowhere yet.
    ///
    /// # Errors
    /// When a configured header or version is none that HTTP allows.
    pub fn new(env: Env, config: Config, services: Services) -> Result<Server, ConfigError> {
        Ok(Server { api: Arc::new(Api::new(env, config, services)?) })
    }

    /// What it counts.
    pub fn stats(&self) -> Arc<HttpStats> {
        Arc::clone(&self.api.stats)
    }

    /// Serves connections of `listener` until `shutdown` is ready. Then no connection and no request is taken any more;
    /// requests under way may end within [`Config::drain_timeout`], after which their connections are closed.
    ///
    /// # Errors
    /// When the listener does not tell where it listens.
    pub async fn serve(&self, listener: impl Into<Listener>, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = listener.into();
        tracing::info!(addr = %listener.local_addr()?, https = listener.is_tls(), "Listening on HTTP");
        let (stage, watcher) = watch::channel(Stage::Running);
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // Neither loses anything when the other is first: a connection not accepted stays in the queue.
            let (accepted, peer) = tokio::select! {
                () = shutdown.as_mut() => break,
                accepted = listener.next(&self.api.env) => accepted,
            };
            self.spawn(accepted, peer.ip().to_string(), watcher.clone(), alive.clone());
        }
        drop(listener);
        drop(alive);
        // Nobody may be left to hear it.
        let _ = stage.send(Stage::Draining);
        if timeout(self.api.config.drain_timeout, all_gone.recv()).await.is_err() {
            tracing::warn!("closing connections whose requests did not end in time");
            let _ = stage.send(Stage::Closing);
            all_gone.recv().await;
        }
        Ok(())
    }

    /// Serves one connection that was made elsewhere, until it ends or is dropped.
    pub async fn serve_stream<S>(&self, stream: S, peer: &str)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (_stage, watcher) = watch::channel(Stage::Running);
        connection::serve(Arc::clone(&self.api), stream, peer.to_owned(), watcher).await;
    }

    fn spawn(&self, accepted: Accepted, peer: String, mut stage: watch::Receiver<Stage>, alive: mpsc::Sender<()>) {
        let stats = &self.api.stats;
        if stats.connections_active.get() >= self.api.config.connection_limit() as i64 {
            // It closes when dropped.
            stats.connections_refused.increment();
            return;
        }
        stats.connections_active.increment();
        let open = Open(Arc::clone(stats));
        let api = Arc::clone(&self.api);
        self.api.env.spawn(async move {
            let shaken = tokio::select! {
                biased;
                // One that is not over when the server stops has asked for nothing yet.
                stream = accepted.handshake() => stream,
                _ = stage.wait_for(|stage| *stage != Stage::Running) => None,
            };
            if let Some(stream) = shaken {
                connection::serve(api, stream, peer, stage).await;
            }
            drop(open);
            drop(alive);
        });
    }
}

/// Counts a connection while it is open.
struct Open(Arc<HttpStats>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_active.decrement();
    }
}

/// Serves `listener` until `shutdown` is ready; see [`Server::serve`].
///
/// # Errors
/// When the configuration is wrong or the listener does not tell where it listens.
pub async fn serve(
    env: Env,
    listener: impl Into<Listener>,
    config: Config,
    services: Services,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let server = Server::new(env, config, services).map_err(io::Error::other)?;
    server.serve(listener, shutdown).await
}
