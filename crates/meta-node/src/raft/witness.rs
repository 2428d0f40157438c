//! Somebody who watches what a member's Raft does, event by event: simulations check with it what Raft promises.

use std::fmt::Debug;

use meta::Data;
use openraft::{Entry, LogId};

use super::types::TypeConfig;

/// One entry of the log, by what tells it from any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMark {
    /// Where it stands.
    pub index: u64,
    /// The term and the number of the leader that made it.
    pub leader: (u64, u64),
    /// Over its contents.
    pub checksum: u32,
    /// Who votes from this entry on, if it says so: one set, or two during a change.
    pub voters: Option<Vec<Vec<u64>>>,
}

/// Is told of everything when it is durable, before anybody else is.
pub trait RaftWitness: Send + Sync + Debug {
    /// The member with this number has voted: term, for whom, and whether that one leads.
    fn voted(&self, member: u64, vote: (u64, u64, bool));
    /// An entry was appended.
    fn appended(&self, member: u64, mark: LogMark);
    /// The entries from this index on were taken out of the log.
    fn truncated(&self, member: u64, from: u64);
    /// An entry was applied, and this is the state behind it.
    fn applied(&self, member: u64, mark: LogMark, data: &Data);
    /// The state behind the entry with this index came as a snapshot.
    fn installed(&self, member: u64, index: u64, leader: (u64, u64), data: &Data);
}

pub(super) fn mark(entry: &Entry<TypeConfig>) -> LogMark {
    let voters = match &entry.payload {
        openraft::EntryPayload::Membership(membership) => {
            Some(membership.get_joint_config().iter().map(|voters| voters.iter().copied().collect()).collect())
        }
        _ => None,
    };
    let bytes = rmp_serde::to_vec_named(entry).expect("writing to memory does not fail");
    LogMark { index: entry.log_id.index, leader: leader(&entry.log_id), checksum: crc32fast::hash(&bytes), voters }
}

pub(super) fn leader(log_id: &LogId<u64>) -> (u64, u64) {
    (log_id.leader_id.term, log_id.leader_id.node_id)
}
