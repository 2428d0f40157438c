//! Listening: every stream that comes is shown a certificate, or taken as it is where none is configured.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use env::Env;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use telemetry::{Counter, Gauge, Metrics};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::expiry::Expiry;
use crate::files::{self, Authorities, CertificateFiles, TlsError};
use crate::paced::Paced;
use crate::policy::Policy;
use crate::stream::{Socket, Stream};

/// A handshake must be over within this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that failed are logged this often at most; those in between are counted.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// After a failed accept (out of descriptors, say) a port rests this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Failed accepts of a port are logged this often at most; those in between are counted.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// What whoever speaks plain HTTP is told.
const PLAIN_TEXT_ANSWER: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// What a port shows and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// What it shows.
    pub certificate: CertificateFiles,
    /// Whose certificates clients must show; none asks for none.
    pub client_authorities: Option<Authorities>,
    /// The protocols behind TLS, the best one first.
    pub protocols: &'static [&'static str],
}

/// What all ports of a process count.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    plain_text: Counter,
    failed: Counter,
    not_after: Gauge,
}

impl Stats {
    /// Has them printed with others.
    pub fn register(&self, metrics: &Metrics) {
        metrics.register("tls_plain_text_refused", "Connections in plain text to a port with TLS", &self.plain_text);
        metrics.register("tls_handshakes_failed", "Handshakes that failed, those in plain text included", &self.failed);
        metrics.register(
            "tls_certificate_not_after_seconds",
            "When the first certificate of this node ends, since 1970; 0 without TLS",
            &self.not_after,
        );
    }

    /// Says when the first certificate ends.
    pub fn tell_expiry(&self, not_after: i64) {
        self.not_after.set(not_after);
    }
}

/// Makes streams with TLS of plain ones. Cheap to clone; the clones read their files together.
#[derive(Clone)]
pub struct Acceptor(Option<Arc<Inner>>);

struct Inner {
    env: Env,
    policy: Policy,
    settings: ServerSettings,
    stats: Stats,
    current: ArcSwap<Current>,
    log: Paced,
}

struct Current {
    config: Arc<ServerConfig>,
    expiry: Option<Expiry>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acceptor").field(&self.0.as_ref().map(|inner| &inner.settings)).finish()
    }
}

impl Acceptor {
    /// Takes streams as they are.
    pub const fn plain() -> Acceptor {
        Acceptor(None)
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that cannot be used, and the key that names it.
    pub fn new(env: Env, policy: Policy, settings: ServerSettings, stats: Stats) -> Result<Acceptor, TlsError> {
        let current = ArcSwap::from_pointee(read(&env, &policy, &settings)?);
        Ok(Acceptor(Some(Arc::new(Inner { env, policy, settings, stats, current, log: Paced::new(LOG_INTERVAL) }))))
    }

    /// Reads the files again, for streams that come from now on.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; what was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.current.store(Arc::new(read(&inner.env, &inner.policy, &inner.settings)?));
        Ok(())
    }

    /// When the certificate ends.
    pub fn expiry(&self) -> Option<Expiry> {
        self.0.as_ref()?.current.load().expiry.clone()
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.0.is_some() { "https" } else { "http" }
    }
}

fn read(env: &Env, policy: &Policy, settings: &ServerSettings) -> Result<Current, TlsError> {
    let loaded = settings.certificate.load(env, &policy.provider)?;
    let certificate = &settings.certificate;
    let wrong = |why: &dyn fmt::Display| {
        certificate.error(files::CERTIFICATE, &certificate.certificate, format!("cannot be used: {why}"))
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&policy.provider))
        .with_protocol_versions(&policy.versions)
        .map_err(|error| wrong(&error))?;
    let builder = match &settings.client_authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let roots = Arc::new(authorities.load(env)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&policy.provider)).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(&error))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(loaded.key)));
    config.alpn_protocols = settings.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    assert!(!crate::IS_FIPS || config.fips(), "everything of the configuration is of the FIPS module");
    Ok(Current { config: Arc::new(config), expiry: loaded.expiry })
}

/// A port.
#[derive(Debug)]
pub struct Listener {
    listener: env::Listener,
    acceptor: Acceptor,
    log: Paced,
}

impl From<env::Listener> for Listener {
    fn from(listener: env::Listener) -> Listener {
        Listener::new(listener, Acceptor::plain())
    }
}

impl Listener {
    /// A port whose streams go through `acceptor`.
    pub fn new(listener: env::Listener, acceptor: Acceptor) -> Listener {
        Listener { listener, acceptor, log: Paced::new(ACCEPT_LOG_INTERVAL) }
    }

    /// The next stream, whose handshake is still to come. Losing the future loses no stream.
    ///
    /// # Errors
    /// Those of the operating system.
    pub async fn accept(&self) -> io::Result<(Accepted, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((Accepted { stream, peer, acceptor: self.acceptor.clone() }, peer))
    }

    /// As [`Listener::accept`], again and again until it works: what is in the way, like a want of descriptors, passes.
    /// It is logged.
    pub async fn next(&self, env: &Env) -> (Accepted, SocketAddr) {
        loop {
            match self.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    if let Some(unsaid) = self.log.is_due(env.monotonic()) {
                        tracing::warn!(%error, unsaid, "accept failed");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether streams have TLS.
    pub fn is_tls(&self) -> bool {
        self.acceptor.0.is_some()
    }
}

/// A stream that has been taken.
#[derive(Debug)]
pub struct Accepted {
    stream: env::Stream,
    peer: SocketAddr,
    acceptor: Acceptor,
}

impl Accepted {
    /// Does the handshake, within [`HANDSHAKE_TIMEOUT`]; one that fails is counted and logged, and there is nothing to
    /// serve. Waits for the peer: whoever accepts streams leaves it to a task.
    pub async fn handshake(self) -> Option<Stream> {
        let Some(inner) = &self.acceptor.0 else { return Some(self.stream.into()) };
        let acceptor = TlsAcceptor::from(Arc::clone(&inner.current.load().config));
        let handshake = acceptor.accept(Socket::new(self.stream)).into_fallible();
        let why = match timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => return Some(Stream::tls(stream)),
            Ok(Err((error, socket))) => match socket.into_plain() {
                Some(stream) => {
                    inner.stats.plain_text.inc();
                    // Whoever it is may have gone.
                    let _ = timeout(HANDSHAKE_TIMEOUT, answer_plain_text(stream)).await;
                    "plain text on a port with TLS".to_owned()
                }
                None => error.to_string(),
            },
            Err(_) => format!("no handshake within {HANDSHAKE_TIMEOUT:?}"),
        };
        inner.stats.failed.inc();
        if let Some(unsaid) = inner.log.is_due(inner.env.monotonic()) {
            let certificate = inner.settings.certificate.certificate.display();
            tracing::warn!(peer = %self.peer, error = why, %certificate, unsaid, "TLS handshake error");
        }
        None
    }
}

async fn answer_plain_text(mut stream: env::Stream) -> io::Result<()> {
    stream.write_all(PLAIN_TEXT_ANSWER).await?;
    stream.shutdown().await
}
