//! The settings of `influxd` as plain structs, and what kind of node they make.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use credentials::{Scheme, Secret};

use crate::check::{
    InvalidConfig, address, advertised, check_supported, count, directory, host_of, hostname, invalid, one_of,
    positive, refusal, scheme,
};
use crate::cluster_auth::ClusterAuthConfig;
use crate::file::Settings;
use crate::text::parse_statuses;
use crate::tls::TlsConfig;

/// What a configured node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A member of a classic cluster, with the roles that are on. Starts a cluster of its own when it has no peers and
    /// was a member of none.
    Classic {
        /// Meta HTTP addresses to join, tried in turn; empty when none were given.
        join: Vec<String>,
        /// Takes part in consensus.
        meta: bool,
        /// Holds shards.
        data: bool,
    },
    /// A data node of an Enterprise-style cluster that waits to be added.
    Unjoined,
}

/// Everything that `influxd` needs to start.
#[derive(Clone, Debug)]
pub struct DataNodeConfig {
    /// What the node is.
    pub mode: Mode,
    /// How often a data node tells a meta node what it runs.
    pub gossip_interval: Duration,
    /// The name that other nodes reach this one by.
    pub hostname: String,
    /// How nodes prove to each other that they belong together.
    pub cluster_auth: ClusterAuthConfig,
    /// Metadata directory: identity, Raft log, cached metadata.
    pub meta_dir: PathBuf,
    /// Where node-to-node calls arrive (8088).
    pub rpc_bind: String,
    /// Where the admin API listens (8091).
    pub meta_http_bind: String,
    /// Whether clients are served.
    pub http_enabled: bool,
    /// Where clients connect (8086).
    pub http_bind: String,
    /// Whether `CREATE DATABASE` makes a default policy.
    pub retention_autocreate: bool,
    /// How long a lease is good.
    pub lease_duration: Duration,
    /// A follower that hears nothing for this long stands for election.
    pub election_timeout: Duration,
    /// How often a leader shows that it lives follows from this.
    pub heartbeat_timeout: Duration,
    /// A command that is not decided by then counts as undecided.
    pub consensus_timeout: Duration,
    /// Shard groups that one policy may have.
    pub shard_groups_max: usize,
    /// Shards live here.
    pub data_dir: PathBuf,
    /// Relaxed durability: syncs are at most this far apart. Zero syncs before every acknowledgement.
    pub wal_fsync_delay: Duration,
    /// Memory of one shard's unflushed rows that triggers a flush, bytes.
    pub flush_bytes: u64,
    /// A shard that took no writes for this long is flushed.
    pub flush_idle: Duration,
    /// A shard that was not written to for so long is shown as cold.
    pub cold_after: Duration,
    /// Connecting to a peer gives up after this.
    pub dial_timeout: Duration,
    /// A write is answered within this.
    pub write_timeout: Duration,
    /// A remote read is answered within this; zero for no limit of its own.
    pub shard_reader_timeout: Duration,
    /// A statement is answered within this; zero for no limit.
    pub query_timeout: Duration,
    /// Queries that may run at once; 0 for no limit.
    pub concurrent_queries_max: usize,
    /// Windows that one `SELECT` may have; 0 for no limit.
    pub select_buckets_max: usize,
    /// Whether the file says that this is no meta node; one that says nothing leaves a member what it was.
    pub meta_is_off: bool,
    /// Memory of all queries together, bytes; 0 for a share of the machine's.
    pub query_memory_max: u64,
    /// Whether writes for unreachable owners are kept.
    pub handoff_enabled: bool,
    /// Where they are kept.
    pub handoff_dir: PathBuf,
    /// Bytes kept for one node.
    pub handoff_bytes_max: u64,
    /// Kept for at most this long.
    pub handoff_age_max: Duration,
    /// Entries on their way to one node at once.
    pub handoff_concurrency: usize,
    /// Bytes a second that are sent to one node; 0 for no limit.
    pub handoff_bytes_per_second: u64,
    /// Appends to one queue at once; 0 for no limit.
    pub handoff_writes_pending_max: usize,
    /// How often old entries and empty queues are looked for.
    pub handoff_purge_interval: Duration,
    /// First pause between attempts to deliver.
    pub handoff_retry: Duration,
    /// Longest pause between attempts to deliver.
    pub handoff_retry_max: Duration,
    /// Whether calls between nodes are logged.
    pub cluster_tracing: bool,
    /// Whether every request to the admin API is logged.
    pub meta_tracing: bool,
    /// Whether replicas are compared and repaired.
    pub anti_entropy_enabled: bool,
    /// How often.
    pub anti_entropy_interval: Duration,
    /// Whether expired shards are dropped.
    pub retention_enabled: bool,
    /// How often that is checked.
    pub retention_interval: Duration,
    /// Largest body of a write, bytes; 0 for no limit.
    pub body_bytes_max: u64,
    /// Rows of an answer that is not chunked; 0 for no limit.
    pub rows_max: usize,
    /// Client connections; 0 for no limit.
    pub connections_max: usize,
    /// Writes at a time; 0 for no limit.
    pub concurrent_writes_max: usize,
    /// Writes that wait for their turn; 0 for no limit.
    pub enqueued_writes_max: usize,
    /// How long a write waits for its turn; zero for no limit.
    pub enqueued_write_timeout: Duration,
    /// Headers that every answer gets besides, such as HTTP allows.
    pub http_headers: Vec<(String, String)>,
    /// Whether clients are asked who they are.
    pub http_auth: bool,
    /// What clients are told to log in to.
    pub http_realm: String,
    /// What tokens of users are signed with; empty where none is accepted.
    pub http_secret: Secret,
    /// Whether `/ping`, `/status` and `/health` ask for credentials, too.
    pub http_ping_auth: bool,
    /// Whether `/debug` asks for an administrator.
    pub http_debug_admin: bool,
    /// Whether requests are logged.
    pub access_log: bool,
    /// The file of the access log, if it has one.
    pub access_log_path: Option<PathBuf>,
    /// Whether the access log leaves out writes that succeeded.
    pub access_log_without_writes: bool,
    /// Statuses that the access log has; all when empty.
    pub access_log_statuses: Vec<RangeInclusive<u16>>,
    /// Whether the bodies of writes are logged.
    pub write_tracing: bool,
    /// How new passwords are hashed.
    pub password_hash: Scheme,
    /// The same as it was given, for an answer that quotes it.
    pub password_hash_text: String,
    /// Whether a way of hashing that FIPS 140 does not allow stops the start.
    pub ensure_fips: bool,
    /// TLS of all ports and calls.
    pub tls: TlsConfig,
    /// `error`, `warn`, `info` or `debug`.
    pub log_level: String,
    /// `auto`, `logfmt` or `json`.
    pub log_format: String,
}

impl DataNodeConfig {
    /// Turns settings into structs. `join_flag` is the value of `-join`, `hostname_flag` that of `-hostname`.
    ///
    /// # Errors
    /// What cannot be, and where it was given: file, line and key, or a variable or a flag.
    pub fn new(
        settings: &Settings,
        join_flag: Option<&str>,
        hostname_flag: Option<&str>,
    ) -> Result<DataNodeConfig, InvalidConfig> {
        check_supported(settings)?;
        check_engine(settings)?;
        let hostname = hostname(settings, hostname_flag)?;
        let mode = mode(settings, join_flag)?;
        // In the classic file the shared listener is `[meta] bind-address`; the top-level one serves otherwise.
        let is_classic = settings.is_set("meta", "bind-address") || !settings.is_set("", "bind-address");
        let config = DataNodeConfig {
            mode,
            gossip_interval: positive(settings, "", "gossip-frequency")?,
            hostname,
            cluster_auth: ClusterAuthConfig::new(settings)?,
            meta_dir: directory(settings, "meta", "dir")?,
            rpc_bind: address(settings, if is_classic { "meta" } else { "" }, "bind-address")?,
            meta_http_bind: address(settings, "meta", "http-bind-address")?,
            http_enabled: settings.bool("http", "enabled").unwrap_or(true),
            http_bind: address(settings, "http", "bind-address")?,
            retention_autocreate: settings.bool("meta", "retention-autocreate").unwrap_or(true),
            lease_duration: positive(settings, "meta", "lease-duration")?,
            election_timeout: settings.duration("meta", "election-timeout"),
            heartbeat_timeout: settings.duration("meta", "heartbeat-timeout"),
            consensus_timeout: positive(settings, "meta", "consensus-timeout")?,
            shard_groups_max: count(settings, "meta", "max-shard-groups-per-policy")?,
            data_dir: directory(settings, "data", "dir")?,
            wal_fsync_delay: settings.duration("data", "wal-fsync-delay"),
            flush_bytes: count(settings, "data", "cache-snapshot-memory-size")? as u64,
            flush_idle: settings.duration("data", "cache-snapshot-write-cold-duration"),
            cold_after: settings.duration("data", "compact-full-write-cold-duration"),
            dial_timeout: positive(settings, "cluster", "dial-timeout")?,
            write_timeout: positive(settings, "cluster", "write-timeout")?,
            shard_reader_timeout: settings.duration("cluster", "shard-reader-timeout"),
            query_timeout: settings.duration("cluster", "query-timeout"),
            concurrent_queries_max: count(settings, "cluster", "max-concurrent-queries")?,
            select_buckets_max: count(settings, "cluster", "max-select-buckets")?,
            meta_is_off: settings.bool("meta", "enabled") == Some(false),
            query_memory_max: count(settings, "cluster", "max-query-memory")? as u64,
            handoff_enabled: settings.bool("hinted-handoff", "enabled").unwrap_or(true),
            handoff_dir: directory(settings, "hinted-handoff", "dir")?,
            handoff_bytes_max: count(settings, "hinted-handoff", "max-size")? as u64,
            handoff_age_max: positive(settings, "hinted-handoff", "max-age")?,
            handoff_concurrency: count(settings, "hinted-handoff", "retry-concurrency")?.max(1),
            handoff_bytes_per_second: count(settings, "hinted-handoff", "retry-rate-limit")? as u64,
            handoff_writes_pending_max: count(settings, "hinted-handoff", "max-writes-pending")?,
            handoff_purge_interval: positive(settings, "hinted-handoff", "purge-interval")?,
            handoff_retry: positive(settings, "hinted-handoff", "retry-interval")?,
            handoff_retry_max: positive(settings, "hinted-handoff", "retry-max-interval")?,
            cluster_tracing: settings.bool("cluster", "cluster-tracing").unwrap_or(false),
            meta_tracing: settings.bool("meta", "cluster-tracing").unwrap_or(false),
            anti_entropy_enabled: settings.bool("anti-entropy", "enabled").unwrap_or(true),
            anti_entropy_interval: positive(settings, "anti-entropy", "check-interval")?,
            retention_enabled: settings.bool("retention", "enabled").unwrap_or(true),
            retention_interval: positive(settings, "retention", "check-interval")?,
            body_bytes_max: count(settings, "http", "max-body-size")? as u64,
            rows_max: count(settings, "http", "max-row-limit")?,
            connections_max: count(settings, "http", "max-connection-limit")?,
            concurrent_writes_max: count(settings, "http", "max-concurrent-write-limit")?,
            enqueued_writes_max: count(settings, "http", "max-enqueued-write-limit")?,
            enqueued_write_timeout: settings.duration("http", "enqueued-write-timeout"),
            http_headers: settings.headers().to_vec(),
            http_auth: settings.bool("http", "auth-enabled").unwrap_or(false),
            http_realm: settings.text("http", "realm"),
            http_secret: Secret::new(settings.text("http", "shared-secret")),
            http_ping_auth: settings.bool("http", "ping-auth-enabled").unwrap_or(false),
            http_debug_admin: settings.bool("http", "pprof-auth-enabled").unwrap_or(false),
            access_log: settings.bool("http", "log-enabled").unwrap_or(true),
            access_log_path: access_log_path(settings),
            access_log_without_writes: settings.bool("http", "suppress-write-log").unwrap_or(false),
            access_log_statuses: statuses(settings)?,
            write_tracing: settings.bool("http", "write-tracing").unwrap_or(false),
            password_hash: scheme(settings)?,
            password_hash_text: settings.text("meta", "password-hash"),
            ensure_fips: settings.bool("meta", "ensure-fips").unwrap_or(false),
            tls: TlsConfig::new(settings)?,
            log_level: one_of(settings, "logging", "level", &["error", "warn", "info", "debug"])?,
            log_format: one_of(settings, "logging", "format", &["auto", "logfmt", "json"])?,
        };
        config.check(settings)?;
        Ok(config)
    }

    /// Where others reach the address `bind` of this node: a bind address without a host gets the host name.
    pub fn advertised(&self, bind: &str) -> String {
        advertised(&self.hostname, bind)
    }

    fn check(&self, settings: &Settings) -> Result<(), InvalidConfig> {
        let data = match &self.mode {
            Mode::Classic { data, .. } => *data,
            Mode::Unjoined => true,
        };
        let dirs = [
            (true, &self.meta_dir, "meta", "Meta.Dir"),
            (data, &self.data_dir, "data", "Data.Dir"),
            (self.handoff_enabled, &self.handoff_dir, "hinted-handoff", "HintedHandoff.Dir"),
        ];
        match dirs.into_iter().find(|(needed, dir, ..)| *needed && dir.as_os_str().is_empty()) {
            Some((.., table, what)) => Err(refusal(settings, table, "dir", &format!("{what} must be specified"))),
            None => Ok(()),
        }
    }
}

fn check_engine(settings: &Settings) -> Result<(), InvalidConfig> {
    let engine = settings.text("data", "engine");
    if engine != "tsm1" {
        return Err(refusal(settings, "data", "engine", &format!("unrecognized engine {engine}")));
    }
    Ok(())
}

/// The table of `docs/operating` on modes, in its order.
fn mode(settings: &Settings, join_flag: Option<&str>) -> Result<Mode, InvalidConfig> {
    let join_text = join_flag.map_or_else(|| settings.text("", "join"), str::to_owned);
    let join: Vec<String> = join_text.split(',').map(strip_scheme).filter(|peer| !peer.is_empty()).collect();
    let place = if join_flag.is_some() { "-join".to_owned() } else { settings.place("", "join") };
    if join.is_empty() && !join_text.trim().is_empty() {
        return Err(invalid(settings, format!("{place}: {join_text:?} names no address")));
    }
    if let Some(peer) = join.iter().find(|peer| host_of(peer).is_none_or(str::is_empty)) {
        return Err(invalid(settings, format!("{place}: {peer:?} is not of the form host:port")));
    }
    let (meta, data) = (settings.bool("meta", "enabled"), settings.bool("data", "enabled"));
    let (meta_on, data_on) = (meta.unwrap_or(true), data.unwrap_or(true));
    if !meta_on && !data_on {
        let other = settings.place("meta", "enabled");
        let reason = format!("either Meta, Data, or both must be enabled (the other is at {other})");
        return Err(refusal(settings, "data", "enabled", &reason));
    }
    if !join.is_empty() {
        return Ok(Mode::Classic { join, meta: meta_on, data: data_on });
    }
    let enterprise_file = meta.is_none() && settings.looks_like_enterprise() && !settings.is_set("data", "enabled");
    if meta == Some(false) || enterprise_file {
        return Ok(Mode::Unjoined);
    }
    Ok(Mode::Classic { join: Vec::new(), meta: meta_on, data: data_on })
}

/// Old init scripts show an address with a scheme.
fn strip_scheme(peer: &str) -> String {
    let peer = peer.trim();
    let peer = peer.strip_prefix("http://").or_else(|| peer.strip_prefix("https://")).unwrap_or(peer);
    peer.trim_end_matches('/').to_owned()
}

/// Where nothing is logged no file is made.
fn access_log_path(settings: &Settings) -> Option<PathBuf> {
    let path = settings.text("http", "access-log-path");
    let is_on = |name| settings.bool("http", name).unwrap_or(true);
    (!path.is_empty() && is_on("enabled") && is_on("log-enabled")).then(|| PathBuf::from(path))
}

fn statuses(settings: &Settings) -> Result<Vec<RangeInclusive<u16>>, InvalidConfig> {
    let (table, name) = ("http", "access-log-status-filters");
    let read = |text: &String| parse_statuses(text).map_err(|reason| refusal(settings, table, name, &reason));
    settings.list(table, name).iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Effect, KEYS, Program};

    fn config(text: &str, join: Option<&str>) -> Result<DataNodeConfig, String> {
        let (settings, _) = Settings::read(Program::Influxd, "f", text).expect("a file");
        DataNodeConfig::new(&settings, join, None).map_err(|error| error.to_string())
    }

    fn classic(join: &[&str], meta: bool, data: bool) -> Mode {
        Mode::Classic { join: join.iter().map(|peer| (*peer).to_owned()).collect(), meta, data }
    }

    #[test]
    fn roles_follow_the_keys_of_the_guide() {
        let mode = |text: &str, join| config(text, join).expect("settings").mode;
        assert_eq!(mode("", None), classic(&[], true, true));
        assert_eq!(mode("[meta]\nenabled = true\n[data]\nenabled = false", None), classic(&[], true, false));
        assert_eq!(
            mode("[meta]\nenabled = false\n[data]\nenabled = true", Some("http://a:8091/, b:8091")),
            classic(&["a:8091", "b:8091"], false, true)
        );
        assert_eq!(mode("[meta]\nenabled = false", None), Mode::Unjoined);
        assert_eq!(mode("[enterprise]\nlicense-key = \"x\"", None), Mode::Unjoined);
        assert_eq!(mode("join = \"c:8091\"", None), classic(&["c:8091"], true, true));
    }

    #[test]
    fn addresses_without_a_host_get_the_name() {
        let config = config("hostname = \"web-01\"\n[meta]\nbind-address = \"10.0.0.1:8088\"", None).expect("settings");
        assert_eq!(config.advertised(&config.rpc_bind), "10.0.0.1:8088");
        assert_eq!(config.advertised(&config.http_bind), "web-01:8086");
        assert_eq!(config.advertised("0.0.0.0:1"), "web-01:1");
    }

    #[test]
    fn the_top_level_address_serves_when_the_classic_one_is_absent() {
        assert_eq!(config("bind-address = \":9088\"", None).expect("settings").rpc_bind, ":9088");
    }

    #[test]
    fn every_key_that_works_is_looked_at() {
        let (data_node, check) = (include_str!("data_node.rs"), include_str!("check.rs"));
        let source = [data_node, check, include_str!("cluster_auth.rs"), include_str!("tls.rs")].concat();
        for key in KEYS.iter().filter(|key| key.effect == Effect::Works) {
            let lookup = format!("\"{}\", \"{}\"", key.table, key.name);
            assert!(source.contains(&lookup), "nobody asks for {lookup}");
        }
    }

    #[test]
    fn what_clients_meet_follows_the_keys() {
        let text = "[http]\nenabled = false\nmax-concurrent-write-limit = 3\nmax-enqueued-write-limit = 4\n\
                    enqueued-write-timeout = 5\nsuppress-write-log = true\nwrite-tracing = true\n\
                    access-log-status-filters = [\"4xx\", \"500\"]\n[http.headers]\nX-Own = \"yes\"";
        let config = config(text, None).expect("settings");
        assert!(!config.http_enabled && config.access_log_without_writes && config.write_tracing);
        assert_eq!((config.concurrent_writes_max, config.enqueued_writes_max), (3, 4));
        assert_eq!(config.enqueued_write_timeout, Duration::from_nanos(5));
        assert_eq!(config.access_log_statuses, [400..=499, 500..=500]);
        assert_eq!(config.http_headers, [("X-Own".to_owned(), "yes".to_owned())]);
        let path = |text: &str| self::config(&format!("[http]\n{text}"), None).expect("settings").access_log_path;
        assert_eq!(path("access-log-path = \"/a.log\""), Some(PathBuf::from("/a.log")));
        for off in ["", "log-enabled = false\naccess-log-path = \"/a\"", "enabled = false\naccess-log-path = \"/a\""] {
            assert_eq!(path(off), None, "{off}");
        }
    }

    /// Reads a file, puts variables over it, and makes a configuration of both and the flag `-join`.
    fn load(file: &str, variables: &[(&str, &str)], join: Option<&str>) -> Result<DataNodeConfig, String> {
        let (mut settings, _) = Settings::read(Program::Influxd, "f", file).map_err(|error| error.to_string())?;
        let lookup = |name: &str| variables.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
        crate::env_vars::apply(&mut settings, &lookup).map_err(|error| error.to_string())?;
        DataNodeConfig::new(&settings, join, None).map_err(|error| error.to_string())
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let config = config("[http]\nshared-secret = \"planted\"", None).expect("settings");
        assert_eq!(config.http_secret.as_str(), "planted");
        assert!(!format!("{config:?}").contains("planted"));
    }

    #[test]
    fn hints_follow_the_keys() {
        let text = "[hinted-handoff]\nmax-size = 1\nmax-age = \"2s\"\nretry-concurrency = 3\nretry-rate-limit = 4\n\
                    max-writes-pending = 5\npurge-interval = \"6s\"\nretry-interval = \"7s\"\nretry-max-interval = \"8s\"";
        let config = config(text, None).expect("settings");
        let seconds = |duration: Duration| duration.as_secs();
        assert_eq!((config.handoff_bytes_max, seconds(config.handoff_age_max), config.handoff_concurrency), (1, 2, 3));
        assert_eq!((config.handoff_bytes_per_second, config.handoff_writes_pending_max), (4, 5));
        assert_eq!(seconds(config.handoff_purge_interval), 6);
        assert_eq!((seconds(config.handoff_retry), seconds(config.handoff_retry_max)), (7, 8));
    }

    #[test]
    fn what_cannot_be_is_said_with_its_place() {
        let host_port = "is not of the form host:port";
        let cases = [
            ("[meta]\n\ndir = \"\"", "f:3: [meta] dir: Meta.Dir must be specified"),
            ("[data]\ndir = \"\"", "f:2: [data] dir: Data.Dir must be specified"),
            ("[hinted-handoff]\ndir = \"\"", "f:2: [hinted-handoff] dir: HintedHandoff.Dir must be specified"),
            ("[http]\nbind-address = \"nonsense\"", &format!("f:2: [http] bind-address: \"nonsense\" {host_port}")),
            ("[http]\nbind-address = \":99999\"", &format!("f:2: [http] bind-address: \":99999\" {host_port}")),
            ("[meta]\nbind-address = \"a\"", &format!("f:2: [meta] bind-address: \"a\" {host_port}")),
            ("[meta]\nhttp-bind-address = \"a:\"", &format!("f:2: [meta] http-bind-address: \"a:\" {host_port}")),
            ("bind-address = \"a\"", &format!("f:1: bind-address: \"a\" {host_port}")),
            ("\njoin = \"nowhere\"", &format!("f:2: join: \"nowhere\" {host_port}")),
            ("join = \":1\"", &format!("f:1: join: \":1\" {host_port}")),
            ("join = \",\"", "f:1: join: \",\" names no address"),
            (
                "[meta]\nenabled = false\n[data]\nenabled = false",
                "f:4: [data] enabled: either Meta, Data, or both must be enabled (the other is at f:2: [meta] enabled)",
            ),
            (
                "[enterprise]\nlicense-key = \"a\"\nlicense-path = \"b\"",
                "f:3: [enterprise] license-path: license-key and license-path must not both be set (the other is at \
                 f:2: [enterprise] license-key)",
            ),
            (
                "[meta]\npassword-hash = \"md5\"",
                "f:2: [meta] password-hash: unknown password hash \"md5\" (known are bcrypt, pbkdf2-sha256 and pbkdf2-sha512). ",
            ),
            (
                "[meta]\n\npassword-hash = \"bcrypt;cost=32\"",
                "f:3: [meta] password-hash: \"bcrypt;cost=32\": cost must be a number from 4 to 31. ",
            ),
            ("[data]\nengine = \"b1\"", "f:2: [data] engine: unrecognized engine b1"),
            ("[logging]\nlevel = \"loud\"", "f:2: [logging] level: \"loud\" is none of error, warn, info, debug"),
            ("[logging]\nformat = \"xml\"", "f:2: [logging] format: \"xml\" is none of auto, logfmt, json"),
            (
                "[http]\naccess-log-status-filters = [\"4xx\", \"9zz\"]",
                "f:2: [http] access-log-status-filters: \"9zz\": status filter must be a digit that starts with 1-5 \
                 optionally followed by X characters",
            ),
            ("[udp]\n\nenabled = true", "f:3: [udp] enabled: true is not supported yet"),
            ("[[graphite]]\n[[graphite]]\nenabled = true", "f:3: [graphite] enabled: true is not supported yet"),
            // Mistakes of type and text say the same.
            ("[http]\nbind-address = 8086", "parse config: f:2: [http] bind-address: expected a string"),
            ("[http]\nenabled = true\nenabled = true", "parse config: f:3: [http] enabled: duplicate key"),
            ("[http.headers]\nX = 1", "parse config: f:2: [http.headers] X: expected a string"),
        ];
        for (file, want) in cases {
            let error = load(file, &[], None).expect_err(file);
            assert!(error.starts_with(want), "{file}\n{error}\n{want}");
        }
    }

    #[test]
    fn every_key_with_bounds_says_where_it_is_out_of_them() {
        for (table, name, value) in [
            ("meta", "consensus-timeout", "\"0s\""),
            ("cluster", "dial-timeout", "\"0s\""),
            ("cluster", "write-timeout", "0"),
            ("hinted-handoff", "max-age", "\"0s\""),
            ("hinted-handoff", "purge-interval", "\"0s\""),
            ("hinted-handoff", "retry-interval", "\"0s\""),
            ("hinted-handoff", "retry-max-interval", "\"0s\""),
            ("anti-entropy", "check-interval", "0"),
            ("retention", "check-interval", "\"0s\""),
            ("meta", "max-shard-groups-per-policy", "-1"),
            ("data", "cache-snapshot-memory-size", "-1"),
            ("cluster", "max-concurrent-queries", "-1"),
            ("coordinator", "max-select-buckets", "-1"),
            ("hinted-handoff", "max-size", "-1"),
            ("hinted-handoff", "retry-concurrency", "-1"),
            ("hinted-handoff", "retry-rate-limit", "-1"),
            ("hinted-handoff", "max-writes-pending", "-1"),
            ("http", "max-body-size", "-1"),
            ("http", "max-row-limit", "-1"),
            ("http", "max-connection-limit", "-1"),
            ("http", "max-concurrent-write-limit", "-1"),
            ("http", "max-enqueued-write-limit", "-1"),
        ] {
            let rule = if value == "-1" { "non-negative" } else { "positive" };
            let error = load(&format!("[{table}]\n{name} = {value}"), &[], None).expect_err(name);
            let shown = if value == "-1" { "-1" } else { "0s" };
            let want = format!(
                "f:2: [{table}] {name}: {name} must be {rule}, not {shown}. To generate a valid configuration file "
            );
            assert!(error.starts_with(&want), "{error}\n{want}");
        }
    }

    #[test]
    fn what_this_server_cannot_do_stops_it_where_it_stands() {
        let keys: Vec<_> = KEYS.iter().filter(|key| key.effect == Effect::Stops).collect();
        assert!(!keys.is_empty());
        for key in keys {
            let (table, name) = (key.table, key.name);
            let error = load(&format!("\n[{table}]\n{name} = true"), &[], None).expect_err(name);
            assert!(error.starts_with(&format!("f:3: [{table}] {name}: true is not supported yet")), "{error}");
            assert!(load(&format!("[{table}]\n{name} = false"), &[], None).is_ok());
        }
    }

    #[test]
    fn what_was_not_given_by_the_file_names_its_source() {
        let file = "[http]\nbind-address = \":1\"";
        for (name, value, want) in [
            (
                "INFLUXDB_HTTP_BIND_ADDRESS",
                "nonsense",
                "INFLUXDB_HTTP_BIND_ADDRESS: [http] bind-address: \"nonsense\" is not of the form host:port",
            ),
            (
                "INFLUXDB_COORDINATOR_MAX_CONCURRENT_QUERIES",
                "-1",
                "INFLUXDB_COORDINATOR_MAX_CONCURRENT_QUERIES: [cluster] max-concurrent-queries: ",
            ),
            ("INFLUXDB_JOIN", "x", "INFLUXDB_JOIN: join: \"x\" is not of the form host:port"),
            (
                "INFLUXDB_CLUSTER_HTTPS_ENABLED",
                "t",
                "INFLUXDB_CLUSTER_HTTPS_ENABLED: [cluster] https-enabled: https-certificate must name a file",
            ),
            ("INFLUXDB_UDP_0_ENABLED", "true", "INFLUXDB_UDP_0_ENABLED: [udp] enabled: true is not supported yet"),
            (
                "INFLUXDB_RETENTION_CHECK_INTERVAL",
                "0",
                "INFLUXDB_RETENTION_CHECK_INTERVAL: [retention] check-interval:",
            ),
            (
                "INFLUXDB_HTTP_LOG_ENABLED",
                "maybe",
                "parse config: apply env config: failed to apply INFLUXDB_HTTP_LOG_ENABLED to [http] log-enabled ",
            ),
        ] {
            let error = load(file, &[(name, value)], None).expect_err(name);
            assert!(error.starts_with(want), "{error}\n{want}");
        }
        let error = load(file, &[("INFLUXDB_JOIN", "a:1")], Some("nowhere")).expect_err("a bad flag");
        assert!(error.starts_with("-join: \"nowhere\" is not of the form host:port"), "{error}");
        let error = load("join = \"a:1\"", &[], Some(",")).expect_err("a bad flag");
        assert!(error.starts_with("-join: \",\" names no address"), "{error}");
    }
}
