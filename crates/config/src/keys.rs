//! Every key of the files of both programs: `influxd`, of both generations, and `influxd-meta`.
//!
//! A key that is known but has no effect says why; who sets it is told (see `Settings::without_effect`).

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number with or without a fraction.
    Number,
    /// `"1h30m"`.
    Duration,
    /// Bytes, or `"25m"`.
    Size,
    /// Text.
    Text,
    /// `["a", "b"]`.
    List,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table, or `""` for the top level.
    pub table: &'static str,
    /// The key in its table.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default, as text; `""` for none.
    pub default: &'static str,
    /// What comes of setting it.
    pub effect: Effect,
}

impl Key {
    /// Whether its value must not be repeated to anybody.
    pub fn is_secret(&self) -> bool {
        self.name.ends_with("shared-secret") || self.name == "license-key"
    }
}

/// What comes of setting a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it says.
    Works,
    /// Nothing. The text tells why, or what holds instead.
    Nothing(&'static str),
    /// `true` stops the start: to go on without it would not be safe.
    Stops,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// The server, with the roles that its file gives it: `influxdb.conf`.
    #[default]
    Influxd,
    /// A meta node and nothing else: `influxdb-meta.conf`.
    InfluxdMeta,
}

impl Program {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Program::Influxd => "influxd",
            Program::InfluxdMeta => "influxd-meta",
        }
    }

    /// The command that prints a file which it takes.
    pub const fn config_command(self) -> &'static str {
        match self {
            Program::Influxd => "influxd config > influxdb.generated.conf",
            Program::InfluxdMeta => "influxd-meta config > influxdb-meta.generated.conf",
        }
    }

    /// All its keys, table by table.
    pub const fn keys(self) -> &'static [Key] {
        match self {
            Program::Influxd => KEYS,
            Program::InfluxdMeta => META_KEYS,
        }
    }

    /// The key of this table and name. `[coordinator]` is another name of `[cluster]`.
    pub fn find(self, table: &str, name: &str) -> Option<&'static Key> {
        let table = canonical(table);
        self.keys().iter().find(|key| key.table == table && key.name == name)
    }

    /// Whether any of its keys lives in this table.
    pub fn has_table(self, table: &str) -> bool {
        let table = canonical(table);
        self.keys().iter().any(|key| key.table == table)
    }

    /// Its key that is written most like `name`, in the same table, when it is close.
    pub fn nearest(self, table: &str, name: &str) -> Option<&'static str> {
        let table = canonical(table);
        let mine = self.keys().iter().filter(|key| key.table == table);
        let candidates = mine.map(|key| (strsim::levenshtein(&name.to_ascii_lowercase(), key.name), key.name));
        candidates.min().filter(|(distance, _)| *distance <= name.len() / 3 + 1).map(|(_, name)| name)
    }

    /// Its table that is written most like `name`, when it is close.
    pub fn nearest_table(self, name: &str) -> Option<&'static str> {
        let tables = self.keys().iter().map(|key| key.table).filter(|table| !table.is_empty());
        let known = tables.chain(if self == Program::Influxd { LISTENER_TABLES } else { &[] }.iter().copied());
        let candidates = known.map(|table| (strsim::levenshtein(&name.to_ascii_lowercase(), table), table));
        candidates.min().filter(|(distance, _)| *distance <= name.len() / 3 + 1).map(|(_, table)| table)
    }

    /// The other program.
    pub const fn other(self) -> Program {
        match self {
            Program::Influxd => Program::InfluxdMeta,
            Program::InfluxdMeta => Program::Influxd,
        }
    }
}

fn canonical(table: &str) -> &str {
    if table == "coordinator" { "cluster" } else { table }
}

const fn key(table: &'static str, name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { table, name, kind, default, effect: Effect::Works }
}

const fn inert(table: &'static str, name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Key {
    Key { table, name, kind, default, effect: Effect::Nothing(why) }
}

const fn stops(table: &'static str, name: &'static str) -> Key {
    Key { table, name, kind: Kind::Bool, default: "false", effect: Effect::Stops }
}

use Kind::{Bool, Duration, Int, List, Number, Size, Text};

const OTHER_ENGINE: &str = "it is a setting of another storage engine";
const ALWAYS: &str = "the log has these messages always";
const LICENCE: &str = "no licence is needed";
const PROFILER: &str = "there is no profiler";
const QUERY_LOG: &str = "queries are not logged yet";
const INGRESS: &str = "writes are not counted like this yet";
const COMPACTION: &str = "merging files has no such limit yet";
const DELETES: &str = "there are no deletes yet";
const ONE_CONNECTION: &str = "calls share one connection a lane";
const DEADLINES: &str = "every call has a deadline";
const DEPRECATED: &str = "it is deprecated";
const PRECREATION: &str = "shard groups are made by their first write";
const MONITOR: &str = "the server does not watch itself yet; its numbers are on /metrics and /debug/vars";
const FLUX: &str = "Flux is not spoken";
const SOCKET: &str = "there is no UNIX socket yet";
const SUBSCRIPTIONS: &str = "there are no subscriptions yet";
const QUERIES: &str = "there are no continuous queries yet";
const REPAIRS: &str = "repairs are not limited by number";

/// The keys of `influxd`, table by table.
pub const KEYS: &[Key] = &[
    inert("", "reporting-disabled", Bool, "false", "nothing is ever reported"),
    key("", "bind-address", Text, ":8088"),
    key("", "hostname", Text, ""),
    key("", "join", Text, ""),
    key("", "gossip-frequency", Duration, "3s"),
    inert("", "compact-series-file", Bool, "false", OTHER_ENGINE),
    inert("enterprise", "license-key", Text, "", LICENCE),
    inert("enterprise", "license-path", Text, "", LICENCE),
    key("meta", "enabled", Bool, ""),
    key("meta", "dir", Text, "/var/lib/influxdb/meta"),
    key("meta", "bind-address", Text, ":8088"),
    key("meta", "http-bind-address", Text, ":8091"),
    key("meta", "retention-autocreate", Bool, "true"),
    key("meta", "election-timeout", Duration, "1s"),
    key("meta", "heartbeat-timeout", Duration, "1s"),
    inert("meta", "leader-lease-timeout", Duration, "500ms", "the lease of a leader follows from election-timeout"),
    inert("meta", "commit-timeout", Duration, "50ms", "commits are published at once"),
    key("meta", "consensus-timeout", Duration, "30s"),
    key("meta", "cluster-tracing", Bool, "false"),
    inert("meta", "raft-promotion-enabled", Bool, "true", "members join as what they ask for"),
    inert("meta", "logging-enabled", Bool, "true", ALWAYS),
    inert("meta", "pprof-enabled", Bool, "true", PROFILER),
    key("meta", "lease-duration", Duration, "1m0s"),
    key("meta", "max-shard-groups-per-policy", Int, "10000"),
    key("meta", "https-enabled", Bool, "false"),
    key("meta", "https-certificate", Text, ""),
    key("meta", "https-private-key", Text, ""),
    key("meta", "https-insecure-certificate", Bool, "false"),
    key("meta", "https-insecure-tls", Bool, "false"),
    key("meta", "https-ca", Text, ""),
    key("meta", "https-client-ca", Text, ""),
    key("meta", "meta-tls-enabled", Bool, "false"),
    key("meta", "meta-insecure-tls", Bool, "false"),
    key("meta", "meta-auth-enabled", Bool, "false"),
    key("meta", "meta-internal-shared-secret", Text, ""),
    key("meta", "auth-enabled", Bool, "false"),
    key("meta", "ldap-allowed", Bool, "false"),
    key("meta", "shared-secret", Text, ""),
    key("meta", "internal-shared-secret", Text, ""),
    key("meta", "require-cluster-auth", Bool, "false"),
    key("meta", "password-hash", Text, "bcrypt"),
    key("meta", "ensure-fips", Bool, "false"),
    key("data", "enabled", Bool, ""),
    key("data", "dir", Text, "/var/lib/influxdb/data"),
    inert("data", "wal-dir", Text, "/var/lib/influxdb/wal", "a shard keeps its log in its own directory"),
    key("data", "engine", Text, "tsm1"),
    key("data", "wal-fsync-delay", Duration, "0s"),
    inert("data", "trace-logging-enabled", Bool, "false", ALWAYS),
    inert("data", "wal-logging-enabled", Bool, "true", ALWAYS),
    inert("data", "data-logging-enabled", Bool, "true", ALWAYS),
    inert("data", "query-log-enabled", Bool, "true", QUERY_LOG),
    inert("data", "query-log-path", Text, "", QUERY_LOG),
    inert("data", "ingress-metric-by-measurement-enabled", Bool, "false", INGRESS),
    inert("data", "ingress-metric-by-login-enabled", Bool, "false", INGRESS),
    inert("data", "validate-keys", Bool, "false", "keys are not checked like this yet"),
    inert("data", "strict-error-handling", Bool, "false", "errors are handled in one way only"),
    inert("data", "cache-max-memory-size", Size, "1g", "a full memory table is flushed, never refused"),
    key("data", "cache-snapshot-memory-size", Size, "25m"),
    key("data", "cache-snapshot-write-cold-duration", Duration, "10m0s"),
    key("data", "compact-full-write-cold-duration", Duration, "4h0m0s"),
    inert("data", "compact-throughput", Size, "48m", COMPACTION),
    inert("data", "compact-throughput-burst", Size, "48m", COMPACTION),
    inert("data", "max-concurrent-compactions", Int, "0", COMPACTION),
    inert("data", "aggressive-points-per-block", Int, "10000", OTHER_ENGINE),
    inert("data", "index-version", Text, "inmem", OTHER_ENGINE),
    inert("data", "max-series-per-database", Int, "0", "series are not limited yet"),
    inert("data", "max-values-per-tag", Int, "0", "values of tags are not limited yet"),
    inert("data", "max-index-log-file-size", Size, "1m", OTHER_ENGINE),
    inert("data", "series-id-set-cache-size", Int, "100", OTHER_ENGINE),
    inert("data", "series-file-max-concurrent-snapshot-compactions", Int, "0", OTHER_ENGINE),
    inert("data", "max-concurrent-deletes", Int, "1", DELETES),
    inert("data", "tsm-use-madv-willneed", Bool, "false", OTHER_ENGINE),
    inert("data", "max-points-per-block", Int, "1000", OTHER_ENGINE),
    inert("data", "max-wal-size", Int, "104857600", OTHER_ENGINE),
    inert("data", "wal-flush-interval", Duration, "10m0s", OTHER_ENGINE),
    inert("data", "wal-partition-flush-delay", Duration, "2s", OTHER_ENGINE),
    inert("data", "wal-ready-series-size", Int, "30720", OTHER_ENGINE),
    inert("data", "wal-compaction-threshold", Number, "0.5", OTHER_ENGINE),
    inert("data", "wal-max-series-size", Int, "1048576", OTHER_ENGINE),
    inert("data", "wal-flush-cold-interval", Duration, "5s", OTHER_ENGINE),
    inert("data", "wal-partition-size-threshold", Int, "52428800", OTHER_ENGINE),
    key("cluster", "dial-timeout", Duration, "1s"),
    key("cluster", "write-timeout", Duration, "10s"),
    key("cluster", "shard-reader-timeout", Duration, "0s"),
    key("cluster", "query-timeout", Duration, "0s"),
    key("cluster", "max-concurrent-queries", Int, "0"),
    key("cluster", "max-select-buckets", Int, "0"),
    key("cluster", "max-query-memory", Size, "0"),
    inert("cluster", "max-select-point", Int, "0", "points of a query are not limited yet"),
    inert("cluster", "max-select-series", Int, "0", "series of a query are not limited yet"),
    inert("cluster", "log-queries-after", Duration, "0s", QUERY_LOG),
    inert("cluster", "log-timedout-queries", Bool, "false", QUERY_LOG),
    inert("cluster", "termination-query-log", Bool, "false", QUERY_LOG),
    inert("cluster", "max-concurrent-deletes", Int, "1", DELETES),
    inert("cluster", "pool-max-idle-time", Duration, "1m0s", ONE_CONNECTION),
    inert("cluster", "pool-max-idle-streams", Int, "100", ONE_CONNECTION),
    inert("cluster", "allow-out-of-order-writes", Bool, "false", "stamps, not order, decide which value wins"),
    inert("cluster", "rpc-resettable-read-timeout", Duration, "15m0s", DEADLINES),
    inert("cluster", "rpc-resettable-write-timeout", Duration, "15m0s", DEADLINES),
    key("cluster", "https-enabled", Bool, "false"),
    key("cluster", "https-certificate", Text, ""),
    key("cluster", "https-private-key", Text, ""),
    key("cluster", "https-insecure-tls", Bool, "false"),
    key("cluster", "https-insecure-certificate", Bool, "false"),
    key("cluster", "https-ca", Text, ""),
    key("cluster", "https-client-ca", Text, ""),
    key("cluster", "cluster-tracing", Bool, "false"),
    inert("cluster", "max-remote-write-connections", Int, "3", DEPRECATED),
    inert("cluster", "shard-writer-timeout", Duration, "5s", DEPRECATED),
    inert("cluster", "shard-mapper-timeout", Duration, "5s", DEPRECATED),
    inert("cluster", "force-remote-mapping", Bool, "false", DEPRECATED),
    key("hinted-handoff", "enabled", Bool, "true"),
    key("hinted-handoff", "dir", Text, "/var/lib/influxdb/hh"),
    key("hinted-handoff", "max-size", Int, "10737418240"),
    key("hinted-handoff", "max-age", Duration, "168h0m0s"),
    key("hinted-handoff", "retry-rate-limit", Int, "0"),
    key("hinted-handoff", "retry-interval", Duration, "1s"),
    key("hinted-handoff", "retry-max-interval", Duration, "3m20s"),
    key("hinted-handoff", "retry-concurrency", Int, "20"),
    key("hinted-handoff", "purge-interval", Duration, "1m0s"),
    inert("hinted-handoff", "batch-size", Int, "512000", "hints are sent one by one, retry-concurrency at a time"),
    key("hinted-handoff", "max-writes-pending", Int, "1024"),
    key("anti-entropy", "enabled", Bool, "true"),
    key("anti-entropy", "check-interval", Duration, "1m0s"),
    inert("anti-entropy", "max-fetch", Int, "10", REPAIRS),
    inert("anti-entropy", "max-sync", Int, "1", REPAIRS),
    inert("anti-entropy", "auto-repair-missing", Bool, "true", "differences are always repaired"),
    key("retention", "enabled", Bool, "true"),
    key("retention", "check-interval", Duration, "30m0s"),
    inert("shard-precreation", "enabled", Bool, "true", PRECREATION),
    inert("shard-precreation", "check-interval", Duration, "10m0s", PRECREATION),
    inert("shard-precreation", "advance-period", Duration, "30m0s", PRECREATION),
    inert("monitor", "store-enabled", Bool, "true", MONITOR),
    inert("monitor", "store-database", Text, "_internal", MONITOR),
    inert("monitor", "store-interval", Duration, "10s", MONITOR),
    inert("monitor", "remote-collect-interval", Duration, "10s", MONITOR),
    key("http", "enabled", Bool, "true"),
    key("http", "bind-address", Text, ":8086"),
    key("http", "auth-enabled", Bool, "false"),
    key("http", "log-enabled", Bool, "true"),
    key("http", "max-body-size", Int, "25000000"),
    key("http", "max-row-limit", Int, "0"),
    key("http", "max-connection-limit", Int, "0"),
    key("http", "https-enabled", Bool, "false"),
    key("http", "https-certificate", Text, "/etc/ssl/influxdb.pem"),
    key("http", "https-private-key", Text, ""),
    key("http", "https-insecure-certificate", Bool, "false"),
    key("http", "realm", Text, "InfluxDB"),
    inert("http", "flux-enabled", Bool, "false", FLUX),
    inert("http", "flux-log-enabled", Bool, "false", FLUX),
    key("http", "suppress-write-log", Bool, "false"),
    key("http", "access-log-path", Text, ""),
    key("http", "access-log-status-filters", List, ""),
    key("http", "write-tracing", Bool, "false"),
    inert("http", "pprof-enabled", Bool, "true", PROFILER),
    key("http", "pprof-auth-enabled", Bool, "false"),
    inert("http", "debug-pprof-enabled", Bool, "false", PROFILER),
    key("http", "ping-auth-enabled", Bool, "false"),
    inert("http", "prom-read-auth-enabled", Bool, "false", "Prometheus cannot read yet"),
    inert("http", "user-query-bytes-enabled", Bool, "false", "bytes are not counted by user yet"),
    key("http", "shared-secret", Text, ""),
    stops("http", "unix-socket-enabled"),
    inert("http", "unix-socket-group", Text, "", SOCKET),
    inert("http", "unix-socket-permissions", Text, "0777", SOCKET),
    inert("http", "bind-socket", Text, "/var/run/influxdb.sock", SOCKET),
    key("http", "max-concurrent-write-limit", Int, "0"),
    key("http", "max-enqueued-write-limit", Int, "0"),
    key("http", "enqueued-write-timeout", Duration, "30s"),
    inert("subscriber", "enabled", Bool, "true", SUBSCRIPTIONS),
    inert("subscriber", "http-timeout", Duration, "30s", SUBSCRIPTIONS),
    inert("subscriber", "insecure-skip-verify", Bool, "false", SUBSCRIPTIONS),
    inert("subscriber", "ca-certs", Text, "", SUBSCRIPTIONS),
    inert("subscriber", "write-concurrency", Int, "40", SUBSCRIPTIONS),
    inert("subscriber", "write-buffer-size", Int, "1000", SUBSCRIPTIONS),
    inert("subscriber", "total-buffer-bytes", Int, "0", SUBSCRIPTIONS),
    inert("continuous_queries", "enabled", Bool, "true", QUERIES),
    inert("continuous_queries", "log-enabled", Bool, "true", QUERIES),
    inert("continuous_queries", "query-stats-enabled", Bool, "false", QUERIES),
    inert("continuous_queries", "run-interval", Duration, "1s", QUERIES),
    key("logging", "format", Text, "auto"),
    key("logging", "level", Text, "info"),
    inert("logging", "suppress-logo", Bool, "false", "there is no logo"),
    key("tls", "ciphers", List, ""),
    key("tls", "min-version", Text, ""),
    key("tls", "max-version", Text, ""),
    key("tls", "advanced-expiration", Duration, "5d"),
];

/// The keys of `influxd-meta`, table by table.
pub const META_KEYS: &[Key] = &[
    inert("", "reporting-disabled", Bool, "false", "nothing is ever reported"),
    inert("", "bind-address", Text, "", "a meta node has no such address"),
    key("", "hostname", Text, ""),
    inert("enterprise", "license-key", Text, "", LICENCE),
    inert("enterprise", "license-path", Text, "", LICENCE),
    key("meta", "dir", Text, "/var/lib/influxdb/meta"),
    key("meta", "bind-address", Text, ":8089"),
    key("meta", "http-bind-address", Text, ":8091"),
    key("meta", "https-enabled", Bool, "false"),
    key("meta", "https-certificate", Text, ""),
    key("meta", "https-private-key", Text, ""),
    key("meta", "https-insecure-certificate", Bool, "false"),
    key("meta", "https-insecure-tls", Bool, "false"),
    key("meta", "https-ca", Text, ""),
    key("meta", "https-client-ca", Text, ""),
    key("meta", "data-use-tls", Bool, "false"),
    key("meta", "data-insecure-tls", Bool, "false"),
    key("meta", "gossip-frequency", Duration, "5s"),
    key("meta", "announcement-expiration", Duration, "30s"),
    inert("meta", "retention-autocreate", Bool, "true", "the node that takes the statement decides"),
    key("meta", "election-timeout", Duration, "1s"),
    key("meta", "heartbeat-timeout", Duration, "1s"),
    inert("meta", "leader-lease-timeout", Duration, "500ms", "the lease of a leader follows from election-timeout"),
    inert("meta", "commit-timeout", Duration, "50ms", "commits are published at once"),
    key("meta", "consensus-timeout", Duration, "30s"),
    key("meta", "cluster-tracing", Bool, "false"),
    inert("meta", "logging-enabled", Bool, "true", ALWAYS),
    inert("meta", "pprof-enabled", Bool, "true", PROFILER),
    key("meta", "lease-duration", Duration, "1m0s"),
    key("meta", "auth-enabled", Bool, "false"),
    key("meta", "ldap-allowed", Bool, "false"),
    key("meta", "shared-secret", Text, ""),
    key("meta", "internal-shared-secret", Text, ""),
    key("meta", "require-cluster-auth", Bool, "false"),
    key("meta", "password-hash", Text, "bcrypt"),
    key("meta", "ensure-fips", Bool, "false"),
    key("meta", "raft-portal-auth-required", Bool, "false"),
    key("meta", "raft-dialer-auth-required", Bool, "false"),
    key("meta", "max-shard-groups-per-policy", Int, "10000"),
    key("logging", "format", Text, "auto"),
    key("logging", "level", Text, "info"),
    inert("logging", "suppress-logo", Bool, "false", "there is no logo"),
    key("tls", "ciphers", List, ""),
    key("tls", "min-version", Text, ""),
    key("tls", "max-version", Text, ""),
    key("tls", "advanced-expiration", Duration, "5d"),
];

/// Tables that other generations had or that hold listeners which do not exist yet. Their keys are not checked.
/// A listener that is `enabled` stops the start with an error instead of being ignored.
pub const LISTENER_TABLES: &[&str] = &["graphite", "collectd", "opentsdb", "udp"];

/// Tables that are ignored whole, and why.
pub const IGNORED_TABLES: &[(&str, &str)] = &[
    ("admin", "there is no admin interface"),
    ("ifql", FLUX),
    ("registration", "nothing is ever reported"),
    ("licensing", LICENCE),
    ("flux-controller", FLUX),
];

/// The table of a listener of this name.
pub fn listener(table: &str) -> Option<&'static str> {
    LISTENER_TABLES.iter().copied().find(|listener| *listener == table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_listed_twice() {
        for program in [Program::Influxd, Program::InfluxdMeta] {
            let mut names: Vec<_> = program.keys().iter().map(|key| (key.table, key.name)).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(Program::Influxd.nearest("meta", "http-bind-adress"), Some("http-bind-address"));
        assert_eq!(Program::Influxd.nearest("http", "colour"), None);
    }

    #[test]
    fn coordinator_is_cluster() {
        assert!(Program::Influxd.find("coordinator", "write-timeout").is_some());
    }
}
