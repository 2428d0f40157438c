//! What all connections of a server share.

use std::sync::Arc;

use env::Env;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth;
use crate::config::Config;
use crate::request_id::RequestIds;
use crate::service::Services;
use crate::stats::HttpStats;
use crate::throttle::{Room, Turns};
use crate::write::Parsers;

/// Why a server cannot be made. The operator must change the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A header that HTTP does not allow.
    #[error("invalid header {0:?} in [http.headers]")]
    Header(String),
    /// A realm that cannot stand in a header.
    #[error("invalid realm {0:?}")]
    Realm(String),
    /// A version or edition that cannot stand in a header.
    #[error("invalid version {0:?}")]
    Version(String),
}

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) env: Env,
    pub(crate) config: Config,
    pub(crate) services: Services,
    pub(crate) stats: Arc<HttpStats>,
    pub(crate) ids: RequestIds,
    pub(crate) turns: Turns,
    pub(crate) room: Room,
    pub(crate) parsers: Arc<Parsers>,
    pub(crate) version: HeaderValue,
    pub(crate) build: HeaderValue,
    /// What a client without credentials is asked for.
    pub(crate) challenge: HeaderValue,
    /// The operator's own headers.
    pub(crate) headers: HeaderMap,
}

impl Api {
    pub(crate) fn new(env: Env, config: Config, services: Services) -> Result<Api, ConfigError> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| ConfigError::Version(text.to_owned()));
        let mut headers = HeaderMap::new();
        for (name, text) in &config.headers {
            let bad = || ConfigError::Header(name.clone());
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            headers.append(header, HeaderValue::from_str(text).map_err(|_| bad())?);
        }
        Ok(Api {
            stats: Arc::new(HttpStats::default()),
            ids: RequestIds::new(env.clone()),
            turns: Turns::new(config.concurrent_write_max, config.enqueued_write_max, config.enqueued_write_timeout),
            room: Room::new(config.write_bytes_in_flight_max),
            parsers: Arc::new(Parsers::new(config.parser_count_max, env.random_u64())),
            version: value(&config.version)?,
            build: value(&config.build)?,
            challenge: auth::challenge(&config.realm).ok_or_else(|| ConfigError::Realm(config.realm.clone()))?,
            headers,
            env,
            config,
            services,
        })
    }
}
