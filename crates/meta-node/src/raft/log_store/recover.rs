//! What the log keeps for `peers.json`, and how its memberships are exchanged when a majority was lost for good.
//!
//! A recovery adds no entry and takes none away: each membership in the log is replaced by that of the members that are
//! left, under the index and the term that it has. Every one of them does the same, so their logs still agree wherever
//! they have an entry of the same index and term, and Raft elects whoever has the most of them. All of this, and the note
//! that it was begun, is one transaction.

use std::collections::BTreeMap;

use openraft::{BasicNode, Entry, EntryPayload, LogId, Membership};
use redb::{Durability, ReadableTable};
use serde::{Deserialize, Serialize};

use super::{LOG, LogStore, STATE, StoreError, seal, unseal};
use crate::raft::types::TypeConfig;

const PEERS: &str = "peers";
const RECOVERY: &str = "recovery";

/// Raft addresses of members, by number.
pub(crate) type Roster = BTreeMap<u64, String>;

/// What this node wrote to `peers.json`: what is found there and is neither of the two, somebody else wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// The last that was written whole.
    pub(crate) last: Roster,
    /// What is about to be written, or was when the node ended.
    #[serde(default)]
    pub(crate) next: Option<Roster>,
    /// The hash of what stood there before `next`; see [`crate::peers::hash`].
    #[serde(default)]
    pub(crate) before: u64,
}

/// A recovery that this node went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// Who is left.
    pub(crate) members: Roster,
    /// How many there were, with this one.
    pub(crate) count: u64,
    /// What members name in messages to each other from now on; see [`crate::identity::Member::group`].
    pub(crate) group: u64,
    /// Where the log of this member ended. While it still does, nobody led since.
    #[serde(default)]
    pub(crate) last_log: Option<LogId<u64>>,
    /// Whether it has come to its end.
    pub(crate) done: bool,
}

/// The membership of those who are left.
pub(crate) fn membership(members: &Roster) -> Membership<u64, BasicNode> {
    let nodes: BTreeMap<u64, BasicNode> = members.iter().map(|(id, addr)| (*id, BasicNode::new(addr))).collect();
    Membership::new(vec![members.keys().copied().collect()], nodes)
}

impl LogStore {
    pub(crate) async fn peers_written(&self) -> Result<Option<Written>, StoreError> {
        self.read_state(PEERS).await
    }

    /// On `Ok` it is on the disk.
    pub(crate) async fn note_peers(&self, written: &Written) -> Result<(), StoreError> {
        self.write_state(PEERS, written, Durability::Immediate).await
    }

    /// The latest recovery, if there was one.
    pub(crate) async fn recovery(&self) -> Result<Option<Recovery>, StoreError> {
        self.read_state(RECOVERY).await
    }

    /// Exchanges all memberships in the log, and notes that the rest is to be done as well.
    pub(crate) async fn begin_recovery(&self, recovery: &Recovery) -> Result<(), StoreError> {
        let recovery = recovery.clone();
        self.write(Durability::Immediate, move |transaction| {
            transaction.open_table(STATE)?.insert(RECOVERY, seal(RECOVERY.as_bytes(), &recovery).as_slice())?;
            let mut log = transaction.open_table(LOG)?;
            let mut changed = Vec::new();
            for item in log.iter()? {
                let (index, value) = item?;
                let index = index.value();
                let entry: Entry<TypeConfig> = unseal(&index.to_le_bytes(), value.value(), &format!("entry {index}"))?;
                if matches!(entry.payload, EntryPayload::Membership(_)) {
                    let payload = EntryPayload::Membership(membership(&recovery.members));
                    changed.push((index, seal(&index.to_le_bytes(), &Entry::<TypeConfig> { payload, ..entry })));
                }
            }
            for (index, sealed) in &changed {
                log.insert(index, sealed.as_slice())?;
            }
            Ok(())
        })
        .await
    }

    /// Notes that nothing is left to be done; `peers.json` counts as written.
    pub(crate) async fn end_recovery(&self, recovery: &Recovery) -> Result<(), StoreError> {
        let ended = Recovery { done: true, ..recovery.clone() };
        let written = Written { last: recovery.members.clone(), ..Written::default() };
        self.write(Durability::Immediate, move |transaction| {
            let mut state = transaction.open_table(STATE)?;
            state.insert(RECOVERY, seal(RECOVERY.as_bytes(), &ended).as_slice())?;
            state.insert(PEERS, seal(PEERS.as_bytes(), &written).as_slice())?;
            Ok(())
        })
        .await
    }
}
