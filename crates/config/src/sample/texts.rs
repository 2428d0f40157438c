//! What the shipped files say about tables and keys.

use crate::keys::{Key, Program};

pub(super) const CLASSIC_HEAD: &str = "\
Configuration of influxd: a server that stands alone, or that joins others with -join.

Lines that are commented out show the default. Every key can be given by the environment, too:
INFLUXDB_<TABLE>_<KEY> in capitals, with underscores for dashes, as INFLUXDB_HTTP_BIND_ADDRESS. The environment \
comes before this file.

For a cluster, give [meta] bind-address, [meta] http-bind-address and [http] bind-address the address of this host \
(or set hostname), start the first node plainly, and on the others write into /etc/default/influxdb the address of a \
node that is in:
  INFLUXD_OPTS=\"-join <host>:8091\"
Durations look like \"1h30m\", with the units ns, us, ms, s, m, h, d and w. Sizes are bytes, or have k, m or g.";

pub(super) const DATA_HEAD: &str = "\
Configuration of influxd as a data node: it waits until `influxd-ctl add-data <host>:8088` makes it a member of a \
cluster.

Lines that are commented out show the default. Every key can be given by the environment, too:
INFLUXDB_<TABLE>_<KEY> in capitals, with underscores for dashes, as INFLUXDB_HTTP_BIND_ADDRESS. The environment \
comes before this file.

Set hostname, and in [meta] the secret of the cluster.
Durations look like \"1h30m\", with the units ns, us, ms, s, m, h, d and w. Sizes are bytes, or have k, m or g.";

pub(super) const META_HEAD: &str = "\
Configuration of influxd-meta: a meta node, which waits until `influxd-ctl add-meta <host>:8091` makes it a member of \
a cluster.

Lines that are commented out show the default. Every key can be given by the environment, too:
INFLUXDB_<TABLE>_<KEY> in capitals, with underscores for dashes, as INFLUXDB_META_HTTP_BIND_ADDRESS. The environment \
comes before this file.

Set hostname, and in [meta] the secret of the cluster.
Durations look like \"1h30m\", with the units ns, us, ms, s, m, h, d and w.";

/// What a table is about.
pub(super) fn of_table(program: Program, table: &str) -> Option<&'static str> {
    let find = |texts: &[(&str, &'static str)]| texts.iter().find(|text| text.0 == table).map(|text| text.1);
    let own = if program == Program::InfluxdMeta { find(META_TABLES) } else { None };
    own.or_else(|| find(TABLES))
}

/// What a key is about.
pub(super) fn of_key(program: Program, key: &Key) -> Option<&'static str> {
    let find = |texts: &[(&str, &str, &'static str)]| {
        texts.iter().find(|text| (text.0, text.1) == (key.table, key.name)).map(|text| text.2)
    };
    let own = if program == Program::InfluxdMeta { find(META_KEYS) } else { None };
    own.or_else(|| find(KEYS))
}

const META_TABLES: &[(&str, &str)] = &[("meta", "The metadata service: members, databases, policies, users, shards.")];

const TABLES: &[(&str, &str)] = &[
    ("enterprise", "No licence is needed. The keys are read so that files of other programs can be used as they are."),
    (
        "meta",
        "Metadata: members, databases, policies, users, shards. Kept here by meta nodes, copied here by data nodes.",
    ),
    ("data", "Points: where they are kept, and how."),
    ("cluster", "Work that data nodes do for each other, and limits of queries. [coordinator] is another name of it."),
    ("hinted-handoff", "Writes that another data node could not take, kept until it can."),
    ("anti-entropy", "Comparing the copies of shards, and mending them."),
    ("retention", "Dropping shards that are older than their policy keeps."),
    ("shard-precreation", "Making shard groups before their time has come."),
    ("monitor", "The server's record of itself."),
    ("http", "The HTTP API for clients: writes, queries, /ping, /health, /metrics."),
    ("subscriber", "Forwarding of writes to subscriptions."),
    ("continuous_queries", "Queries that run by themselves and write what they find."),
    ("logging", "The log of the program, on standard error."),
    ("tls", "What is accepted on encrypted connections."),
];

const META_KEYS: &[(&str, &str, &str)] = &[
    ("", "bind-address", "Of no use in a meta node; see [meta]."),
    (
        "meta",
        "dir",
        "Identity of the node, the Raft log and snapshots. On one host, influxd may use the same directory.",
    ),
    (
        "meta",
        "bind-address",
        "Where other meta nodes reach Raft. Without a host: on all addresses, told to others with hostname.",
    ),
    ("meta", "http-bind-address", "Where influxd-ctl, data nodes and other meta nodes reach the admin API."),
    ("meta", "https-enabled", "Encrypts the admin API. Data nodes then need meta-tls-enabled."),
    (
        "meta",
        "gossip-frequency",
        "How often what data nodes tell of themselves is passed on to other meta nodes. At least 250ms.",
    ),
    (
        "meta",
        "auth-enabled",
        "Whether the admin API asks who calls. Needs internal-shared-secret; data nodes then have meta-auth-enabled.",
    ),
    ("meta", "shared-secret", "Signs tokens of users of the admin API. Empty: no such tokens are taken."),
    (
        "meta",
        "internal-shared-secret",
        "The secret of the cluster: signs every call between nodes. The same on all nodes; data nodes call it \
      meta-internal-shared-secret. At least 16 bytes; 32 or more are good, as from `openssl rand -hex 32`.",
    ),
];

const KEYS: &[(&str, &str, &str)] = &[
    ("", "reporting-disabled", "Whether to keep quiet about the use of the program."),
    ("", "bind-address", "Where other nodes reach this one, if [meta] bind-address is not set."),
    (
        "",
        "hostname",
        "The name, or the address, that all other nodes reach this one by. Empty: localhost, which is of use on a \
      single host alone.",
    ),
    (
        "",
        "join",
        "Admin addresses (host:8091) of nodes to join, with commas between them. As the flag -join, which comes first.",
    ),
    ("", "gossip-frequency", "How often a data node tells the meta nodes what it runs."),
    ("", "compact-series-file", "Whether to rewrite the series file before the start."),
    ("enterprise", "license-key", "Name of a licence. Mutually exclusive with license-path."),
    ("enterprise", "license-path", "File of a licence. Mutually exclusive with license-key."),
    (
        "meta",
        "enabled",
        "Whether this node takes part in the metadata service. With false, and without -join, it waits to be added as a \
      data node.",
    ),
    ("meta", "dir", "Identity of the node and its metadata."),
    (
        "meta",
        "bind-address",
        "Where other nodes reach this one. Without a host: on all addresses, told to others with hostname.",
    ),
    ("meta", "http-bind-address", "Where the admin API of a meta node listens."),
    ("meta", "retention-autocreate", "Whether CREATE DATABASE makes the retention policy autogen."),
    ("meta", "election-timeout", "A follower that hears of no leader for this long stands for election."),
    ("meta", "heartbeat-timeout", "How long a leader may be silent. Heartbeats are sent several times as often."),
    ("meta", "leader-lease-timeout", "How long a leader stays one without hearing from a majority."),
    ("meta", "commit-timeout", "How long a leader may wait before it tells that something is decided."),
    ("meta", "consensus-timeout", "How long a change may wait for a decision before it is answered as undecided."),
    ("meta", "cluster-tracing", "Whether requests to the admin API are logged, without their secrets."),
    ("meta", "raft-promotion-enabled", "Whether data nodes become voters when voters are missing."),
    ("meta", "logging-enabled", "Whether the metadata service logs."),
    ("meta", "pprof-enabled", "Whether a profiler answers under /debug/pprof."),
    ("meta", "lease-duration", "How long a data node that got a lease has it, as for running continuous queries."),
    (
        "meta",
        "max-shard-groups-per-policy",
        "Shard groups that one policy may have, so that points with garbage times cannot make them without end.",
    ),
    ("meta", "https-enabled", "Encrypts the admin API."),
    ("meta", "https-certificate", "Certificate of the admin API, or certificate and key in one file (PEM)."),
    ("meta", "https-private-key", "Its key, if it is not in the same file."),
    ("meta", "https-insecure-certificate", "Whether the files of certificate and key may be readable by others."),
    ("meta", "https-insecure-tls", "Whether certificates of other meta nodes are taken unseen."),
    (
        "meta",
        "https-ca",
        "Certificates of those who sign the certificates of other nodes (PEM); those of the system otherwise.",
    ),
    (
        "meta",
        "https-client-ca",
        "Whoever calls must show a certificate that one of these has signed (PEM); nobody must otherwise.",
    ),
    ("meta", "data-use-tls", "Whether data nodes are called over TLS."),
    ("meta", "data-insecure-tls", "Whether certificates of data nodes are taken unseen."),
    ("meta", "meta-tls-enabled", "Whether meta nodes are called over TLS. For meta nodes that have https-enabled."),
    ("meta", "meta-insecure-tls", "Whether certificates of meta nodes are taken unseen."),
    (
        "meta",
        "meta-auth-enabled",
        "Whether meta nodes ask who calls. For meta nodes that have auth-enabled; needs the secret of the cluster.",
    ),
    (
        "meta",
        "meta-internal-shared-secret",
        "The secret of the cluster: signs every call between nodes. The same on all nodes; meta nodes call it \
      internal-shared-secret. At least 16 bytes; 32 or more are good, as from `openssl rand -hex 32`.",
    ),
    (
        "meta",
        "auth-enabled",
        "If this is a meta node: whether its admin API asks who calls. Needs the secret of the cluster.",
    ),
    (
        "meta",
        "shared-secret",
        "If this is a meta node: signs tokens of users of its admin API. Empty: no such tokens are taken.",
    ),
    ("meta", "internal-shared-secret", "If this is a meta node: another name of meta-internal-shared-secret."),
    (
        "meta",
        "require-cluster-auth",
        "Whether a missing secret of the cluster stops the start instead of only being warned of.",
    ),
    (
        "meta",
        "password-hash",
        "How new passwords are hashed: bcrypt, pbkdf2-sha256 or pbkdf2-sha512, with options as in bcrypt;cost=12 or \
      pbkdf2-sha512;rounds=64000;salt_len=32. The same on all nodes.",
    ),
    ("meta", "ensure-fips", "Whether a password-hash that FIPS 140 does not allow stops the start."),
    ("meta", "gossip-frequency", "How often what data nodes tell of themselves is passed on."),
    ("meta", "announcement-expiration", "What a data node told of itself is forgotten after this."),
    ("meta", "ldap-allowed", "Whether users may be looked up in a directory."),
    (
        "meta",
        "raft-portal-auth-required",
        "Whether meta nodes that call must prove who they are. They must wherever there is a secret; true stops the start \
      without one.",
    ),
    (
        "meta",
        "raft-dialer-auth-required",
        "Whether this node proves to meta nodes who it is. It does wherever there is a secret; true stops the start without \
      one.",
    ),
    ("data", "enabled", "Whether this node keeps points."),
    ("data", "dir", "Where shards are kept, each in a directory of its own."),
    ("data", "wal-dir", "A directory for write-ahead logs."),
    ("data", "engine", "The storage engine. tsm1 is the one word that is taken."),
    (
        "data",
        "wal-fsync-delay",
        "How long a write may wait for others before all are synced together. 0s: it does not wait.",
    ),
    ("data", "trace-logging-enabled", "Whether the storage engine logs in detail."),
    ("data", "wal-logging-enabled", "Whether the write-ahead log logs."),
    ("data", "data-logging-enabled", "Whether the storage engine logs."),
    ("data", "query-log-enabled", "Whether queries are logged before they run."),
    ("data", "query-log-path", "A file for the log of queries."),
    ("data", "ingress-metric-by-measurement-enabled", "Whether writes are counted for each measurement."),
    ("data", "ingress-metric-by-login-enabled", "Whether writes are counted for each user."),
    ("data", "validate-keys", "Whether keys with characters that cannot be printed are refused."),
    ("data", "strict-error-handling", "Whether more kinds of errors stop the work of the engine."),
    ("data", "cache-max-memory-size", "Rows in memory, of one shard, beyond which writes are refused."),
    ("data", "cache-snapshot-memory-size", "Rows in memory, of one shard, that are written into a data file."),
    (
        "data",
        "cache-snapshot-write-cold-duration",
        "Rows in memory are written into a data file when their shard took no writes for this long.",
    ),
    (
        "data",
        "compact-full-write-cold-duration",
        "How long after its last write a copy of a shard counts as cold. influxd-ctl show-shards -v tells.",
    ),
    ("data", "compact-throughput", "Bytes a second that merging may write."),
    ("data", "compact-throughput-burst", "Bytes a second that merging may write for a short time."),
    ("data", "max-concurrent-compactions", "Merges at a time; 0 for half the number of cores."),
    ("data", "aggressive-points-per-block", "Points in a block of files that are merged once more."),
    ("data", "index-version", "Kind of the series index."),
    ("data", "max-series-per-database", "Series that a database may have; 0 for no limit."),
    ("data", "max-values-per-tag", "Values that a tag may have; 0 for no limit."),
    ("data", "max-index-log-file-size", "Size of a log of the series index at which it is rewritten."),
    ("data", "series-id-set-cache-size", "Answers of the series index that are remembered."),
    ("data", "series-file-max-concurrent-snapshot-compactions", "Rewrites of the series file at a time."),
    ("data", "max-concurrent-deletes", "Deletes at a time, in one shard."),
    ("data", "tsm-use-madv-willneed", "Whether the kernel is asked to read data files ahead."),
    ("data", "max-points-per-block", "Points in a block of a data file."),
    ("data", "max-wal-size", "Size of a write-ahead log at which it is flushed."),
    ("data", "wal-flush-interval", "Age of a write-ahead log at which it is flushed."),
    ("data", "wal-partition-flush-delay", "Pause between flushes of the parts of a write-ahead log."),
    ("data", "wal-ready-series-size", "Size of a series in the write-ahead log at which it is flushed."),
    ("data", "wal-compaction-threshold", "Share of series that must be ready before a write-ahead log is flushed."),
    ("data", "wal-max-series-size", "Size of a series in the write-ahead log at which everything is flushed."),
    ("data", "wal-flush-cold-interval", "A write-ahead log without writes for this long is flushed."),
    ("data", "wal-partition-size-threshold", "Size of a part of a write-ahead log at which it is flushed."),
    ("cluster", "dial-timeout", "How long connecting to another node may take."),
    (
        "cluster",
        "write-timeout",
        "How long a write may wait for other data nodes before it is answered with an error. It may arrive \
      all the same.",
    ),
    (
        "cluster",
        "shard-reader-timeout",
        "How long another data node may take for its part of a query. 0s: no limit of its own.",
    ),
    ("cluster", "query-timeout", "How long a query may take. 0s: no limit."),
    ("cluster", "max-concurrent-queries", "Queries at a time; 0 for no limit."),
    ("cluster", "max-select-buckets", "Windows of GROUP BY time() that a query may have; 0 for no limit."),
    (
        "cluster",
        "max-query-memory",
        "Memory of all queries together; one may have half of it. 0 for a quarter of the machine's.",
    ),
    ("cluster", "max-select-point", "Points that a query may read; 0 for no limit."),
    ("cluster", "max-select-series", "Series that a query may read; 0 for no limit."),
    ("cluster", "log-queries-after", "Queries that take longer are logged. 0s: none."),
    ("cluster", "log-timedout-queries", "Whether queries that ran into query-timeout are logged."),
    ("cluster", "termination-query-log", "Whether queries that run are logged when the server is asked to end."),
    ("cluster", "max-concurrent-deletes", "Deletes at a time, in one shard."),
    ("cluster", "pool-max-idle-time", "How long an idle connection to another data node is kept."),
    ("cluster", "pool-max-idle-streams", "Idle connections that are kept, for each data node."),
    (
        "cluster",
        "allow-out-of-order-writes",
        "Whether new points go to a data node at once while older ones still wait for it.",
    ),
    (
        "cluster",
        "rpc-resettable-read-timeout",
        "How long a call from another node may be silent while it is read. 0s: no limit.",
    ),
    (
        "cluster",
        "rpc-resettable-write-timeout",
        "How long a call from another node may be silent while it is answered. 0s: no limit.",
    ),
    ("cluster", "https-enabled", "Encrypts calls between data nodes."),
    ("cluster", "https-certificate", "Certificate of this node, or certificate and key in one file (PEM)."),
    ("cluster", "https-private-key", "Its key, if it is not in the same file."),
    ("cluster", "https-insecure-tls", "Whether certificates of other nodes are taken unseen."),
    ("cluster", "https-insecure-certificate", "Whether the files of certificate and key may be readable by others."),
    (
        "cluster",
        "https-ca",
        "Certificates of those who sign the certificates of data nodes (PEM); those of the system otherwise.",
    ),
    (
        "cluster",
        "https-client-ca",
        "Whoever calls must show a certificate that one of these has signed (PEM); nobody must otherwise.",
    ),
    ("cluster", "cluster-tracing", "Whether each call between nodes is logged, without what it carries."),
    ("cluster", "max-remote-write-connections", "Connections to another data node for writes."),
    ("cluster", "shard-writer-timeout", "How long another data node may take for its part of a write."),
    ("cluster", "shard-mapper-timeout", "How long another data node may take to answer a query."),
    ("cluster", "force-remote-mapping", "Whether a node asks itself as it asks others."),
    ("hinted-handoff", "enabled", "Whether such writes are kept. Otherwise the copy lacks them until it is mended."),
    ("hinted-handoff", "dir", "Where they are kept, in a queue for each node and shard."),
    (
        "hinted-handoff",
        "max-size",
        "Bytes that are kept for one node. Beyond them writes for it are refused, and its copy is mended later.",
    ),
    ("hinted-handoff", "max-age", "What has waited this long is dropped, and the copy is mended later."),
    ("hinted-handoff", "retry-rate-limit", "Bytes a second that are sent to one node; 0 for no limit."),
    ("hinted-handoff", "retry-interval", "First pause after a node could not be reached; the next are longer."),
    ("hinted-handoff", "retry-max-interval", "Longest pause."),
    ("hinted-handoff", "retry-concurrency", "Writes that are sent to one node at a time."),
    ("hinted-handoff", "purge-interval", "How often old writes and empty queues are looked for."),
    ("hinted-handoff", "batch-size", "Bytes that are sent in one request."),
    ("hinted-handoff", "max-writes-pending", "Writes at a time that wait to be put into one queue; 0 for no limit."),
    ("anti-entropy", "enabled", "Whether copies are compared and mended."),
    ("anti-entropy", "check-interval", "How often."),
    ("anti-entropy", "max-fetch", "Shards that are copied at a time."),
    ("anti-entropy", "max-sync", "Shards that are mended at a time."),
    ("anti-entropy", "auto-repair-missing", "Whether a copy that is missing is made."),
    ("retention", "enabled", "Whether shards are dropped when they have expired."),
    ("retention", "check-interval", "How often that is looked at."),
    ("shard-precreation", "enabled", "Whether shard groups are made ahead."),
    ("shard-precreation", "check-interval", "How often that is looked at."),
    ("shard-precreation", "advance-period", "How long before their time they are made."),
    ("monitor", "store-enabled", "Whether the server writes numbers about itself into a database."),
    ("monitor", "store-database", "Which database that is."),
    ("monitor", "store-interval", "How often they are written."),
    ("monitor", "remote-collect-interval", "How often numbers are fetched from other nodes."),
    ("http", "enabled", "Whether clients are served."),
    ("http", "bind-address", "Where clients connect."),
    (
        "http",
        "auth-enabled",
        "Whether clients are asked who they are. Make an administrator first, or as the first statement.",
    ),
    ("http", "log-enabled", "Whether requests are logged."),
    ("http", "max-body-size", "Bytes that the body of a write may have; 0 for no limit."),
    ("http", "max-row-limit", "Rows of an answer that is not chunked; 0 for no limit."),
    ("http", "max-connection-limit", "Connections of clients at a time; 0 for 10000."),
    ("http", "https-enabled", "Encrypts the HTTP API."),
    ("http", "https-certificate", "Its certificate, or certificate and key in one file (PEM)."),
    ("http", "https-private-key", "Its key, if it is not in the same file."),
    ("http", "https-insecure-certificate", "Whether the files of certificate and key may be readable by others."),
    ("http", "realm", "What clients without credentials are told to log in to."),
    ("http", "flux-enabled", "Whether Flux queries are answered."),
    ("http", "flux-log-enabled", "Whether they are logged."),
    ("http", "suppress-write-log", "Whether writes that succeeded are left out of the log of requests."),
    (
        "http",
        "access-log-path",
        "A file for the log of requests, opened anew on SIGHUP; the log of the server when empty.",
    ),
    ("http", "access-log-status-filters", "Statuses that the log of requests has, as 4xx or 503; empty for all."),
    ("http", "write-tracing", "Whether the points of writes are logged."),
    ("http", "pprof-enabled", "Whether a profiler answers under /debug/pprof."),
    ("http", "pprof-auth-enabled", "Whether /debug asks for an administrator, if auth-enabled is on."),
    ("http", "debug-pprof-enabled", "Whether a profiler listens on localhost:6060 during the start."),
    (
        "http",
        "ping-auth-enabled",
        "Whether /ping, /status, /health and /metrics ask for credentials, if auth-enabled is on.",
    ),
    ("http", "prom-read-auth-enabled", "Whether Prometheus is asked for credentials when it reads."),
    ("http", "user-query-bytes-enabled", "Whether the bytes of answers are counted for each user."),
    ("http", "shared-secret", "Signs tokens of users. Empty: no tokens are taken."),
    ("http", "unix-socket-enabled", "Whether clients may connect to a UNIX socket, too."),
    ("http", "unix-socket-group", "The group of that socket."),
    ("http", "unix-socket-permissions", "Its mode."),
    ("http", "bind-socket", "Its path."),
    ("http", "max-concurrent-write-limit", "Writes at a time; 0 for no limit."),
    ("http", "max-enqueued-write-limit", "Writes that wait for their turn; 0 for no limit."),
    ("http", "enqueued-write-timeout", "How long a write waits for its turn; 0s for no limit."),
    ("subscriber", "enabled", "Whether writes are forwarded."),
    ("subscriber", "http-timeout", "How long a receiver may take."),
    ("subscriber", "insecure-skip-verify", "Whether certificates of receivers are taken unseen."),
    ("subscriber", "ca-certs", "A file of certificates (PEM) that vouch for receivers."),
    ("subscriber", "write-concurrency", "Writes on their way to one receiver at a time."),
    ("subscriber", "write-buffer-size", "Writes that wait for one receiver; beyond them they are dropped."),
    ("subscriber", "total-buffer-bytes", "Bytes that wait for all receivers; 0 for no limit."),
    ("continuous_queries", "enabled", "Whether they run."),
    ("continuous_queries", "log-enabled", "Whether that is logged."),
    ("continuous_queries", "query-stats-enabled", "Whether their durations are recorded."),
    ("continuous_queries", "run-interval", "How often it is looked whether one is due."),
    ("logging", "format", "auto, logfmt or json; auto is logfmt unless a person looks at a terminal."),
    ("logging", "level", "error, warn, info or debug."),
    ("logging", "suppress-logo", "Whether the start goes without a logo."),
    ("tls", "ciphers", "Cipher suites, by name; empty for all that are safe."),
    ("tls", "min-version", "Oldest version, as tls1.2; empty for the oldest that is safe."),
    ("tls", "max-version", "Newest version, as tls1.3; empty for the newest."),
    ("tls", "advanced-expiration", "How long before a certificate ends the log begins to warn."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_about_a_key_that_does_not_exist() {
        let about = |program: Program, texts: &[(&str, &str, &str)]| {
            texts.iter().all(|text| program.find(text.0, text.1).is_some())
        };
        assert!(about(Program::InfluxdMeta, META_KEYS));
        for text in KEYS {
            let known =
                [Program::Influxd, Program::InfluxdMeta].iter().any(|program| program.find(text.0, text.1).is_some());
            assert!(known, "{text:?}");
        }
    }

    #[test]
    fn every_text_is_a_sentence() {
        for text in KEYS.iter().chain(META_KEYS) {
            assert!(text.2.ends_with('.') && text.2.starts_with(|c: char| !c.is_whitespace()), "{text:?}");
            assert!(!text.2.contains("  "), "{text:?}");
        }
    }
}
