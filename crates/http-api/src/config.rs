//! What an operator may set, and the limits that stand where nothing is set.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Default of [`Config::body_bytes_max`].
pub const BODY_BYTES_MAX: usize = 25_000_000;

/// No body is larger than this, whatever is configured: what a request holds is addressed with 32 bits.
pub const BODY_BYTES_CEILING: usize = 1 << 30;

/// Most bytes of a form that carries a query. The reference has the same limit.
pub const FORM_BYTES_MAX: usize = 10 << 20;

/// Most bytes of a multipart form that carries a query.
pub const MULTIPART_BYTES_MAX: usize = 32 << 20;

/// Most bytes of a request line with its headers. Above it the answer is 431, or 414 for a path above 64 KiB.
pub const HEAD_BYTES_MAX: usize = 256 << 10;

/// Most headers of a request. Above it the answer is 431.
pub const HEADER_COUNT_MAX: usize = 128;

/// Default of [`Config::connection_count_max`], also where it is 0.
pub const CONNECTION_COUNT_MAX: usize = 10_000;

/// Default of [`Config::write_bytes_in_flight_max`].
pub const WRITE_BYTES_IN_FLIGHT_MAX: usize = 512 << 20;

/// Default of [`Config::header_timeout`].
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Default of [`Config::progress_timeout`].
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);

/// Default of [`Config::idle_timeout`].
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// Default of [`Config::drain_timeout`].
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Default of [`Config::enqueued_write_timeout`].
pub const ENQUEUED_WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a write waits for others to free memory before it is refused.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(1);

/// What a server is told. See the constants of this module for what is usual.
#[derive(Clone, Debug)]
pub struct Config {
    /// What `X-Influxdb-Version` and `/health` say.
    pub version: String,
    /// What `X-Influxdb-Build` says: `OSS` or `ENT`.
    pub build: String,
    /// `bind` in the statistics: the address as configured.
    pub bind: String,
    /// Headers that every answer of a routed path gets besides.
    pub headers: Vec<(String, String)>,
    /// Most bytes of the body of a write, as sent and after decompression; larger ones are answered 413. 0 means
    /// [`BODY_BYTES_CEILING`].
    pub body_bytes_max: usize,
    /// Most rows of an answer without `chunked=true`; the answer is cut there. 0 means any number.
    pub row_count_max: usize,
    /// Most connections at a time; more are closed at once. 0 means [`CONNECTION_COUNT_MAX`].
    pub connection_count_max: usize,
    /// Most bytes of bodies of writes at a time, in all connections. A write that finds no room within
    /// [`ADMISSION_TIMEOUT`] is answered 503.
    pub write_bytes_in_flight_max: usize,
    /// Most bodies that are parsed at a time, each on a thread of its own: as many as there are cores. At least 1.
    pub parser_count_max: usize,
    /// Most writes at a time; 0 means any number.
    pub concurrent_write_max: usize,
    /// Most writes that wait for their turn; more are answered 503. 0 means any number.
    pub enqueued_write_max: usize,
    /// How long a write waits for its turn before it is answered 503; zero means for ever.
    pub enqueued_write_timeout: Duration,
    /// How long a client may take to send a request line and headers before the connection is closed.
    pub header_timeout: Duration,
    /// How long a client may neither send the body it promised nor take the answer before the connection is closed.
    pub progress_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: Duration,
    /// How long requests under way may take to end after a shutdown began.
    pub drain_timeout: Duration,
    /// What the access log has.
    pub access_log: AccessLog,
    /// Whether the bodies of writes are logged.
    pub write_tracing: bool,
    /// What a client without credentials is told to log in to.
    pub realm: String,
    /// Whether `/ping`, `/status` and `/health` ask for credentials where others do.
    pub ping_auth: bool,
    /// Whether `/debug` asks for an administrator where others ask for a user.
    pub debug_admin: bool,
}

/// Which requests are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Whether any are.
    pub enabled: bool,
    /// Whether writes that succeeded are left out.
    pub suppress_writes: bool,
    /// Only these statuses; all when empty.
    pub statuses: Vec<RangeInclusive<u16>>,
}

impl Config {
    /// The limit in force for bodies of writes.
    pub(crate) fn body_limit(&self) -> usize {
        match self.body_bytes_max {
            0 => BODY_BYTES_CEILING,
            max => max.min(BODY_BYTES_CEILING),
        }
    }

    /// The limit in force for connections.
    pub(crate) fn connection_limit(&self) -> usize {
        match self.connection_count_max {
            0 => CONNECTION_COUNT_MAX,
            max => max,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The usual limits and no log.
    pub(crate) fn config() -> Config {
        Config {
            version: "1.12.4".to_owned(),
            build: "OSS".to_owned(),
            bind: ":8086".to_owned(),
            headers: Vec::new(),
            body_bytes_max: BODY_BYTES_MAX,
            row_count_max: 0,
            connection_count_max: 0,
            write_bytes_in_flight_max: WRITE_BYTES_IN_FLIGHT_MAX,
            parser_count_max: 2,
            concurrent_write_max: 0,
            enqueued_write_max: 0,
            enqueued_write_timeout: ENQUEUED_WRITE_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            progress_timeout: PROGRESS_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            drain_timeout: DRAIN_TIMEOUT,
            access_log: AccessLog { enabled: false, suppress_writes: false, statuses: Vec::new() },
            write_tracing: false,
            realm: "InfluxDB".to_owned(),
            ping_auth: false,
            debug_admin: false,
        }
    }

    #[test]
    fn zero_means_the_ceiling() {
        let mut config = config();
        assert_eq!((config.body_limit(), config.connection_limit()), (25_000_000, 10_000));
        config.body_bytes_max = 0;
        assert_eq!(config.body_limit(), BODY_BYTES_CEILING);
        config.body_bytes_max = usize::MAX;
        assert_eq!(config.body_limit(), BODY_BYTES_CEILING);
    }
}
