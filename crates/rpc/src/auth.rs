//! How nodes prove to each other that they belong together: by tokens that the secret of the cluster signs.
//!
//! Without a secret nothing is signed and nothing is asked for. With one, a call is refused before its body is read
//! unless its token was signed with it, is for this node, is of this cluster, and has not ended.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use credentials::{PeerClaims, Secret, peer, token};
use env::Env;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use telemetry::{Counter, Metrics};
use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;

use crate::trace::Line;

/// How long a token is good, seconds. Clocks of nodes may differ by about half of it.
pub const TOKEN_SECONDS: u64 = 300;
/// A token is used until it is good for less than this, seconds.
const RENEW_SECONDS: u64 = 150;
/// Receivers whose tokens are kept.
const KEPT_MAX: usize = 4_096;

/// What this node proves itself with, and what it asks of others. Cheap to clone; the default has no secret.
#[derive(Clone, Default)]
pub struct ClusterAuth(Option<Arc<Inner>>);

struct Inner {
    env: Env,
    secret: Secret,
    /// Under which others call this node.
    addresses: Vec<String>,
    /// 0 until it is known.
    cluster: AtomicU64,
    sender: AtomicU64,
    refused: Counter,
    /// By receiver. Guards only the map; nothing is awaited while it is held.
    signed: Mutex<HashMap<String, (MetadataValue<Ascii>, u64)>>,
}

impl fmt::Debug for ClusterAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterAuth").field("on", &self.is_on()).finish()
    }
}

impl ClusterAuth {
    /// With the secret of the cluster; none is as good as the empty one. `addresses` are those that others call.
    pub fn new(env: Env, secret: Secret, addresses: Vec<String>) -> ClusterAuth {
        if secret.is_empty() {
            return ClusterAuth(None);
        }
        let (cluster, sender) = (AtomicU64::new(0), AtomicU64::new(0));
        let (refused, signed) = (Counter::default(), Mutex::default());
        ClusterAuth(Some(Arc::new(Inner { env, secret, addresses, cluster, sender, refused, signed })))
    }

    /// Has what was refused counted with others.
    pub fn register(&self, metrics: &Metrics) {
        let refused = self.0.as_ref().map_or_else(Counter::default, |inner| inner.refused.clone());
        metrics.register("peer_calls_refused", "Calls to the port of nodes that proved nothing", &refused);
    }

    /// Whether there is a secret.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The node is a member now.
    pub fn belongs_to(&self, cluster: u64, node: u64) {
        let Some(inner) = &self.0 else { return };
        inner.cluster.store(cluster, Ordering::Relaxed);
        inner.sender.store(node, Ordering::Relaxed);
        inner.signed.lock().clear();
    }

    /// What a request to the admin API of another node carries: `Bearer` and a token of no user.
    pub fn bearer(&self) -> Option<String> {
        let inner = self.0.as_ref()?;
        Some(format!("Bearer {}", token::sign("", inner.secret.as_str(), inner.now() + TOKEN_SECONDS)))
    }

    /// Whether `bearer` (a token without the word) is one of a node.
    ///
    /// # Errors
    /// Why not, in the words that clients are told.
    pub fn check_bearer(&self, bearer: &str) -> Result<(), String> {
        let Some(inner) = &self.0 else { return Err("bearer auth disabled".to_owned()) };
        let (secret, now) = (inner.secret.as_str(), inner.now());
        match token::verify(bearer, secret, now) {
            // One that was made for a call to somebody is no good elsewhere, whoever overheard it.
            Ok(claims) if claims.username.is_empty() => match peer::verify(bearer, secret, now) {
                Ok(call) if !inner.addresses.contains(&call.receiver) => {
                    Err(format!("the token is for {}", call.receiver))
                }
                _ => Ok(()),
            },
            Ok(_) => Err("authorization failed".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the headers of a request are those of a node, where that is asked for.
    ///
    /// # Errors
    /// Why not.
    pub fn check_headers(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let checked = match bearer_of(headers) {
            Some(bearer) => self.check_bearer(bearer),
            None => Err("unable to parse authentication credentials".to_owned()),
        };
        if checked.is_err() {
            inner.refused.inc();
        }
        checked
    }

    /// Signs calls to `receiver`.
    pub(crate) fn signer(&self, receiver: &str) -> Signer {
        Signer(self.0.as_ref().map(|inner| inner.signed(receiver)))
    }

    /// The node that calls, if it has proved to be one.
    fn check_call(&self, headers: &HeaderMap) -> Result<Option<u64>, Status> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let refused = |why: &str| {
            inner.refused.inc();
            Err(Status::unauthenticated(format!("the call of another node is refused: {why}")))
        };
        let Some(bearer) = bearer_of(headers) else {
            return refused("it carries no token; is the secret of the cluster set on both nodes?");
        };
        let claims = match peer::verify(bearer, inner.secret.as_str(), inner.now()) {
            Ok(claims) => claims,
            Err(error) => return refused(&error.to_string()),
        };
        let own = inner.cluster.load(Ordering::Relaxed);
        if own != 0 && claims.cluster != 0 && own != claims.cluster {
            return refused("it is a member of another cluster");
        }
        if !inner.addresses.contains(&claims.receiver) {
            return refused(&format!("its token is for {}", claims.receiver));
        }
        Ok(Some(claims.sender))
    }
}

impl Inner {
    fn now(&self) -> u64 {
        u64::try_from(self.env.now().0 / 1_000_000_000).unwrap_or(0)
    }

    fn signed(&self, receiver: &str) -> MetadataValue<Ascii> {
        let now = self.now();
        let mut signed = self.signed.lock();
        if let Some((header, expires)) = signed.get(receiver)
            && *expires >= now + RENEW_SECONDS
            && *expires <= now + TOKEN_SECONDS
        {
            return header.clone();
        }
        let claims = PeerClaims {
            cluster: self.cluster.load(Ordering::Relaxed),
            sender: self.sender.load(Ordering::Relaxed),
            receiver: receiver.to_owned(),
        };
        let expires = now + TOKEN_SECONDS;
        let text = format!("Bearer {}", peer::sign(&claims, self.secret.as_str(), expires));
        let mut header: MetadataValue<Ascii> = text.parse().expect("base64 and points are plain characters");
        header.set_sensitive(true);
        if signed.len() >= KEPT_MAX {
            signed.clear();
        }
        signed.insert(receiver.to_owned(), (header.clone(), expires));
        header
    }
}

fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Puts a token on a call.
#[derive(Clone, Debug)]
pub struct Signer(Option<MetadataValue<Ascii>>);

impl Interceptor for Signer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// Lets calls of other nodes pass, before anything of their bodies is read.
pub(crate) async fn guard(State(auth): State<ClusterAuth>, request: Request, next: Next) -> Response {
    match auth.check_call(request.headers()) {
        Ok(node) => {
            if let (Some(node), Some(line)) = (node, request.extensions().get::<Arc<Line>>()) {
                line.proved(node);
            }
            next.run(request).await
        }
        Err(status) => {
            tracing::warn!(why = status.message(), "refused");
            status.into_http()
        }
    }
}
