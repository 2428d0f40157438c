//! Every key of the data node's file, of both generations.
//!
//! A key that is known but has no effect says why in its `note`; the rows of the compatibility list come from here.

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
    /// Why it has no effect, or `""` when it has one.
    pub note: &'static str,
}

const fn key(table: &'static str, name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { table, name, kind, default, note: "" }
}

const fn inert(table: &'static str, name: &'static str, kind: Kind, default: &'static str, note: &'static str) -> Key {
    Key { table, name, kind, default, note }
}

use Kind::{Bool, Duration, Int, List, Number, Size, Text};

const OTHER_ENGINE: &str = "a setting of another storage engine";
const NOT_YET: &str = "not yet";
const ALWAYS: &str = "the log says it always";
const LICENCE: &str = "no licence is needed";

/// All keys, table by table.
pub const KEYS: &[Key] = &[
    inert("", "reporting-disabled", Bool, "false", "nothing is ever reported"),
    key("", "bind-address", Text, ":8088"),
    key("", "hostname", Text, ""),
    key("", "join", Text, ""),
    inert("", "gossip-frequency", Duration, "3s", NOT_YET),
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
    key("meta", "leader-lease-timeout", Duration, "500ms"),
    inert("meta", "commit-timeout", Duration, "50ms", "commits are published at once"),
    key("meta", "consensus-timeout", Duration, "30s"),
    inert("meta", "cluster-tracing", Bool, "false", NOT_YET),
    inert("meta", "raft-promotion-enabled", Bool, "true", "members join as what they ask for"),
    inert("meta", "logging-enabled", Bool, "true", ALWAYS),
    inert("meta", "pprof-enabled", Bool, "true", NOT_YET),
    inert("meta", "lease-duration", Duration, "1m0s", NOT_YET),
    key("meta", "max-shard-groups-per-policy", Int, "10000"),
    inert("meta", "https-enabled", Bool, "false", NOT_YET),
    inert("meta", "https-certificate", Text, "", NOT_YET),
    inert("meta", "https-private-key", Text, "", NOT_YET),
    inert("meta", "meta-tls-enabled", Bool, "false", NOT_YET),
    inert("meta", "meta-insecure-tls", Bool, "false", NOT_YET),
    inert("meta", "meta-auth-enabled", Bool, "false", NOT_YET),
    inert("meta", "meta-internal-shared-secret", Text, "", NOT_YET),
    inert("meta", "password-hash", Text, "bcrypt", NOT_YET),
    inert("meta", "ensure-fips", Bool, "false", NOT_YET),
    key("data", "enabled", Bool, ""),
    key("data", "dir", Text, "/var/lib/influxdb/data"),
    inert("data", "wal-dir", Text, "/var/lib/influxdb/wal", "a shard keeps its log in its own directory"),
    key("data", "engine", Text, "tsm1"),
    key("data", "wal-fsync-delay", Duration, "0s"),
    inert("data", "trace-logging-enabled", Bool, "false", ALWAYS),
    inert("data", "wal-logging-enabled", Bool, "true", ALWAYS),
    inert("data", "data-logging-enabled", Bool, "true", ALWAYS),
    inert("data", "query-log-enabled", Bool, "true", NOT_YET),
    inert("data", "query-log-path", Text, "", NOT_YET),
    inert("data", "ingress-metric-by-measurement-enabled", Bool, "false", NOT_YET),
    inert("data", "ingress-metric-by-login-enabled", Bool, "false", NOT_YET),
    inert("data", "validate-keys", Bool, "false", NOT_YET),
    inert("data", "strict-error-handling", Bool, "false", NOT_YET),
    inert("data", "cache-max-memory-size", Size, "1g", "a full memory table is flushed, never refused"),
    key("data", "cache-snapshot-memory-size", Size, "25m"),
    key("data", "cache-snapshot-write-cold-duration", Duration, "10m0s"),
    inert("data", "compact-full-write-cold-duration", Duration, "4h0m0s", NOT_YET),
    inert("data", "compact-throughput", Size, "48m", NOT_YET),
    inert("data", "compact-throughput-burst", Size, "48m", NOT_YET),
    inert("data", "max-concurrent-compactions", Int, "0", NOT_YET),
    inert("data", "aggressive-points-per-block", Int, "10000", OTHER_ENGINE),
    inert("data", "index-version", Text, "inmem", OTHER_ENGINE),
    inert("data", "max-series-per-database", Int, "0", NOT_YET),
    inert("data", "max-values-per-tag", Int, "0", NOT_YET),
    inert("data", "max-index-log-file-size", Size, "1m", OTHER_ENGINE),
    inert("data", "series-id-set-cache-size", Int, "100", OTHER_ENGINE),
    inert("data", "series-file-max-concurrent-snapshot-compactions", Int, "0", OTHER_ENGINE),
    inert("data", "max-concurrent-deletes", Int, "1", NOT_YET),
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
    inert("cluster", "max-select-point", Int, "0", NOT_YET),
    inert("cluster", "max-select-series", Int, "0", NOT_YET),
    inert("cluster", "log-queries-after", Duration, "0s", NOT_YET),
    inert("cluster", "log-timedout-queries", Bool, "false", NOT_YET),
    inert("cluster", "termination-query-log", Bool, "false", NOT_YET),
    inert("cluster", "max-concurrent-deletes", Int, "1", NOT_YET),
    inert("cluster", "pool-max-idle-time", Duration, "1m0s", "calls share one connection a lane"),
    inert("cluster", "pool-max-idle-streams", Int, "100", "calls share one connection a lane"),
    inert("cluster", "allow-out-of-order-writes", Bool, "false", "stamps, not order, decide which value wins"),
    inert("cluster", "rpc-resettable-read-timeout", Duration, "15m0s", "every call has a deadline"),
    inert("cluster", "rpc-resettable-write-timeout", Duration, "15m0s", "every call has a deadline"),
    inert("cluster", "https-enabled", Bool, "false", NOT_YET),
    inert("cluster", "https-certificate", Text, "", NOT_YET),
    inert("cluster", "https-private-key", Text, "", NOT_YET),
    inert("cluster", "https-insecure-tls", Bool, "false", NOT_YET),
    inert("cluster", "https-insecure-certificate", Bool, "false", NOT_YET),
    inert("cluster", "cluster-tracing", Bool, "false", NOT_YET),
    inert("cluster", "max-remote-write-connections", Int, "3", "deprecated"),
    inert("cluster", "shard-writer-timeout", Duration, "5s", "deprecated"),
    inert("cluster", "shard-mapper-timeout", Duration, "5s", "deprecated"),
    inert("cluster", "force-remote-mapping", Bool, "false", "deprecated"),
    key("hinted-handoff", "enabled", Bool, "true"),
    key("hinted-handoff", "dir", Text, "/var/lib/influxdb/hh"),
    key("hinted-handoff", "max-size", Int, "10737418240"),
    key("hinted-handoff", "max-age", Duration, "168h0m0s"),
    key("hinted-handoff", "retry-rate-limit", Int, "0"),
    key("hinted-handoff", "retry-interval", Duration, "1s"),
    key("hinted-handoff", "retry-max-interval", Duration, "3m20s"),
    key("hinted-handoff", "retry-concurrency", Int, "20"),
    key("hinted-handoff", "purge-interval", Duration, "1m0s"),
    key("hinted-handoff", "batch-size", Int, "512000"),
    key("hinted-handoff", "max-writes-pending", Int, "1024"),
    key("anti-entropy", "enabled", Bool, "true"),
    key("anti-entropy", "check-interval", Duration, "1m0s"),
    inert("anti-entropy", "max-fetch", Int, "10", NOT_YET),
    inert("anti-entropy", "max-sync", Int, "1", NOT_YET),
    inert("anti-entropy", "auto-repair-missing", Bool, "true", "differences are always repaired"),
    key("retention", "enabled", Bool, "true"),
    key("retention", "check-interval", Duration, "30m0s"),
    inert("shard-precreation", "enabled", Bool, "true", NOT_YET),
    inert("shard-precreation", "check-interval", Duration, "10m0s", NOT_YET),
    inert("shard-precreation", "advance-period", Duration, "30m0s", NOT_YET),
    inert("monitor", "store-enabled", Bool, "true", NOT_YET),
    inert("monitor", "store-database", Text, "_internal", NOT_YET),
    inert("monitor", "store-interval", Duration, "10s", NOT_YET),
    inert("monitor", "remote-collect-interval", Duration, "10s", NOT_YET),
    key("http", "enabled", Bool, "true"),
    key("http", "bind-address", Text, ":8086"),
    key("http", "auth-enabled", Bool, "false"),
    key("http", "log-enabled", Bool, "true"),
    key("http", "max-body-size", Int, "25000000"),
    key("http", "max-row-limit", Int, "0"),
    key("http", "max-connection-limit", Int, "0"),
    key("http", "https-enabled", Bool, "false"),
    inert("http", "https-certificate", Text, "/etc/ssl/influxdb.pem", NOT_YET),
    inert("http", "https-private-key", Text, "", NOT_YET),
    inert("http", "https-insecure-certificate", Bool, "false", NOT_YET),
    inert("http", "realm", Text, "InfluxDB", NOT_YET),
    inert("http", "flux-enabled", Bool, "false", "Flux is not spoken"),
    inert("http", "flux-log-enabled", Bool, "false", "Flux is not spoken"),
    inert("http", "suppress-write-log", Bool, "false", NOT_YET),
    inert("http", "access-log-path", Text, "", NOT_YET),
    inert("http", "access-log-status-filters", List, "", NOT_YET),
    inert("http", "write-tracing", Bool, "false", NOT_YET),
    inert("http", "pprof-enabled", Bool, "true", NOT_YET),
    inert("http", "pprof-auth-enabled", Bool, "false", NOT_YET),
    inert("http", "debug-pprof-enabled", Bool, "false", NOT_YET),
    inert("http", "ping-auth-enabled", Bool, "false", NOT_YET),
    inert("http", "prom-read-auth-enabled", Bool, "false", NOT_YET),
    inert("http", "user-query-bytes-enabled", Bool, "false", NOT_YET),
    inert("http", "shared-secret", Text, "", NOT_YET),
    inert("http", "unix-socket-enabled", Bool, "false", NOT_YET),
    inert("http", "unix-socket-group", Text, "", NOT_YET),
    inert("http", "unix-socket-permissions", Text, "0777", NOT_YET),
    inert("http", "bind-socket", Text, "/var/run/influxdb.sock", NOT_YET),
    inert("http", "max-concurrent-write-limit", Int, "0", NOT_YET),
    inert("http", "max-enqueued-write-limit", Int, "0", NOT_YET),
    inert("http", "enqueued-write-timeout", Duration, "30s", NOT_YET),
    inert("subscriber", "enabled", Bool, "true", NOT_YET),
    inert("subscriber", "http-timeout", Duration, "30s", NOT_YET),
    inert("subscriber", "insecure-skip-verify", Bool, "false", NOT_YET),
    inert("subscriber", "ca-certs", Text, "", NOT_YET),
    inert("subscriber", "write-concurrency", Int, "40", NOT_YET),
    inert("subscriber", "write-buffer-size", Int, "1000", NOT_YET),
    inert("subscriber", "total-buffer-bytes", Int, "0", NOT_YET),
    inert("continuous_queries", "enabled", Bool, "true", NOT_YET),
    inert("continuous_queries", "log-enabled", Bool, "true", NOT_YET),
    inert("continuous_queries", "query-stats-enabled", Bool, "false", NOT_YET),
    inert("continuous_queries", "run-interval", Duration, "1s", NOT_YET),
    key("logging", "format", Text, "auto"),
    key("logging", "level", Text, "info"),
    inert("logging", "suppress-logo", Bool, "false", "there is none"),
    inert("tls", "ciphers", List, "", NOT_YET),
    inert("tls", "min-version", Text, "", NOT_YET),
    inert("tls", "max-version", Text, "", NOT_YET),
    inert("tls", "advanced-expiration", Duration, "5d", NOT_YET),
];

/// Tables that other generations had or that hold listeners which do not exist yet. Their keys are not checked.
/// A listener that is `enabled` stops the start with an error instead of being ignored.
pub const LISTENER_TABLES: &[&str] = &["graphite", "collectd", "opentsdb", "udp"];

/// Tables that are ignored whole.
pub const IGNORED_TABLES: &[&str] = &["admin", "ifql", "registration", "licensing", "flux-controller", "http.headers"];

/// The key of this table and name. `[coordinator]` is another name of `[cluster]`.
pub fn find(table: &str, name: &str) -> Option<&'static Key> {
    let table = if table == "coordinator" { "cluster" } else { table };
    KEYS.iter().find(|key| key.table == table && key.name == name)
}

/// Whether any key lives in this table.
pub fn is_table(table: &str) -> bool {
    table == "coordinator" || KEYS.iter().any(|key| key.table == table)
}

/// The known key that is written most like `name`, in the same table, when it is close.
pub fn nearest(table: &str, name: &str) -> Option<&'static str> {
    let table = if table == "coordinator" { "cluster" } else { table };
    let candidates =
        KEYS.iter().filter(|key| key.table == table).map(|key| (strsim::levenshtein(name, key.name), key.name));
    candidates.min().filter(|(distance, _)| *distance <= name.len() / 3 + 1).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_listed_twice() {
        let mut names: Vec<_> = KEYS.iter().map(|key| (key.table, key.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(nearest("meta", "http-bind-adress"), Some("http-bind-address"));
        assert_eq!(nearest("http", "colour"), None);
    }

    #[test]
    fn coordinator_is_cluster() {
        assert!(find("coordinator", "write-timeout").is_some());
    }
}
