//! What a meta node is told at start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rpc::ClusterAuth;
use tls::Dialer;

use crate::identity::Files;
use crate::raft::RaftWitness;

/// Settings of a meta node. All are fixed while it runs.
#[derive(Clone, Debug)]
pub struct MetaConfig {
    /// `[meta] dir`: everything it keeps is here.
    pub dir: PathBuf,
    /// What the files with its identity are called there.
    pub files: Files,
    /// Whether the cluster is to have one meta node and one data node, and the meta node forms it by itself.
    pub single_server: bool,
    /// How often what is known of other nodes is passed on.
    pub gossip_interval: Duration,
    /// What a node said of itself counts for so long.
    pub announcement_age_max: Duration,
    /// How long a lease is good.
    pub lease_duration: Duration,
    /// What this node proves itself with to others.
    pub auth: ClusterAuth,
    /// How others are called, to their admin API and to their port for calls between nodes; plainly where nothing is
    /// said.
    pub dialers: Option<Dialers>,
    /// `http` or `https`, as clients reach this node; for one that is a data node, too.
    pub client_scheme: Option<&'static str>,
    /// What members are told to be running, like `1.12.4-c1.12.4`.
    pub version: String,
    /// `host:port` under which others reach its admin API (8091).
    pub http_addr: String,
    /// `host:port` under which others reach its Raft.
    pub tcp_addr: String,
    /// How fast a lost leader is noticed.
    pub timeouts: Timeouts,
    /// `consensus-timeout`, at most: how long a proposal may take before its outcome counts as unknown.
    pub propose_timeout: Duration,
    /// `max-shard-groups-per-policy`; 0 means no limit.
    pub shard_groups_max: u32,
    /// Watches Raft, in simulations.
    pub witness: Option<Arc<dyn RaftWitness>>,
    /// Entries of the log between two snapshots; at least 1. Twice as many stay in the log behind a snapshot.
    pub snapshot_entries: u64,
    /// About how many bytes of changes are kept in memory for nodes that follow by them.
    pub changes_bytes_max: usize,
}

/// About how many bytes of changes a meta node keeps: thousands of them.
pub const CHANGES_BYTES_MAX: usize = 1 << 20;

/// How others are called: with TLS or without.
#[derive(Clone, Debug)]
pub struct Dialers {
    /// The admin API of meta nodes (8091).
    pub to_meta: Dialer,
    /// The port for calls between nodes of data nodes (8088).
    pub to_data: Dialer,
}

impl MetaConfig {
    /// What holds where nothing else is said.
    pub fn new(dir: PathBuf, http_addr: String, tcp_addr: String) -> MetaConfig {
        MetaConfig {
            dir,
            files: Files::NODE,
            single_server: false,
            gossip_interval: Duration::from_secs(5),
            announcement_age_max: Duration::from_secs(30),
            lease_duration: Duration::from_secs(60),
            auth: ClusterAuth::default(),
            dialers: None,
            client_scheme: None,
            version: String::new(),
            http_addr,
            tcp_addr,
            timeouts: Timeouts::from_keys(Duration::from_secs(1), Duration::from_secs(1)),
            propose_timeout: Duration::from_secs(5),
            shard_groups_max: 10_000,
            witness: None,
            snapshot_entries: 1_000,
            changes_bytes_max: CHANGES_BYTES_MAX,
        }
    }
}

/// The clockwork of Raft. A new leader comes between one time and one and a half times `election_max` after the old one was
/// last heard of, if a majority can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two signs of life of the leader. A message to a follower must get through within this time.
    pub heartbeat: Duration,
    /// How far members spread out, and how long one may take to be elected; longer than `heartbeat`.
    pub election_min: Duration,
    /// Shortest patience of a follower, and how long a leader counts without hearing of a majority; longer than
    /// `election_min`.
    pub election_max: Duration,
}

impl Timeouts {
    /// By the keys `heartbeat-timeout` and `election-timeout`, 1 s each by default: that gives 200 ms and 500 to 800 ms.
    /// Values too short to work, and those that contradict each other, are raised to the nearest that do.
    pub fn from_keys(heartbeat_timeout: Duration, election_timeout: Duration) -> Timeouts {
        let heartbeat = (heartbeat_timeout / 5).max(Duration::from_millis(20));
        let election_min = (election_timeout / 2).max(heartbeat * 2);
        let election_max = (election_timeout * 4 / 5).max(election_min + heartbeat);
        Timeouts { heartbeat, election_min, election_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_follow_the_keys_and_stay_workable() {
        let ms = Duration::from_millis;
        let usual = Timeouts::from_keys(ms(1_000), ms(1_000));
        assert_eq!(usual, Timeouts { heartbeat: ms(200), election_min: ms(500), election_max: ms(800) });
        for (heartbeat, election) in [(0, 0), (10_000, 100), (100, 10_000)] {
            let timeouts = Timeouts::from_keys(ms(heartbeat), ms(election));
            assert!(timeouts.heartbeat < timeouts.election_min && timeouts.election_min < timeouts.election_max);
        }
    }
}
