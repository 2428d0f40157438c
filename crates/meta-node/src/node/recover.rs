//! `peers.json`: kept current, and followed when an operator has taken members out of it.
//!
//! After a majority was lost for good nothing is decided any more, and nothing that runs by itself can tell that from a
//! majority that is merely out of reach. An operator can, and says so by what the file lists ([`crate::peers`]). A member
//! that starts with such a file
//! 1. asks the others whether anybody who is not listed runs, or a majority does, and if so does not start;
//! 2. exchanges each membership in its log and in its snapshots for that of the listed ones. No entry comes or goes, and
//!    the end of the log stays, decided or not: whoever of those left has the longest log is elected and decides it;
//! 3. names another group in its messages from then on. All that were given the same list name the same; those that were
//!    left out, or given another list, are not heard and do not hear.
//!
//! A crash on the way is made up for by the next start. Once there is a leader it takes the roles of those left out from
//! the metadata. One of them that comes back with its old directory asks the others when it starts
//! (`older_copy`), is told, and does not take part. Numbers that the lost ones may have given are left out, for data nodes and
//! files may name them yet.
//!
//! What cannot be told apart: those left out, if a majority of them comes back and reaches nobody else. See
//! `docs/hazards.md`.

use std::cmp::Ordering;
use std::sync::{Arc, atomic};
use std::time::Duration;

use futures_util::future::join_all;
use meta::Command;
use model::NodeId;
use openraft::storage::RaftLogStorage;
use serde::Deserialize;

use super::older_copy::Recovered;
use super::{MetaNode, Port, ProposeError, Running, StartError};
use crate::identity::{Member, PEERS, format_cluster_id, read_if_there};
use crate::peers::{self, PeersError};
use crate::raft::{LogStore, Recovery, Roster, StoreError, Written, membership};
use crate::snapshots::SnapshotDir;

/// How long another member may take to say whether it runs. Lost ones are waited for, once.
const STATUS_DEADLINE: Duration = Duration::from_secs(5);

/// More nodes than a lost majority will have let in without those that are left.
const SKIPPED_NODES: u64 = 100;
/// More databases, shard groups, shards and rules than it will have made, and than a node brings that stood alone.
const SKIPPED_OTHERS: u64 = 50_000;

/// What another member says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    raft_addr: String,
    leader: String,
    peers: Option<Vec<String>>,
}

/// Why the file was not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{PEERS}: {0}")]
    Io(#[from] std::io::Error),
}

/// Whether a leader may take the command though it has not settled yet what comes first after a recovery: nobody gets a new
/// id before the ids are left out that the lost ones may have given.
pub(super) fn comes_first(command: &Command) -> bool {
    matches!(command, Command::Recover { .. })
}

impl MetaNode {
    /// Follows what an operator wrote to `peers.json`, and ends what an earlier start began. Answers as whom this node goes
    /// on.
    pub(super) async fn recover(
        &self,
        mut member: Member,
        log: &LogStore,
        snapshots: &SnapshotDir,
    ) -> Result<Member, StartError> {
        loop {
            let begun = log.recovery().await?.filter(|recovery| !recovery.done);
            let recovery = match begun {
                Some(begun) => begun,
                None => match self.asked_for(&member, log).await? {
                    Some(asked) => asked,
                    None => return Ok(member),
                },
            };
            log.begin_recovery(&recovery).await?;
            snapshots.replace_membership(&membership(&recovery.members)).await?;
            member = Member { recoveries: recovery.count, group: recovery.group, ..member };
            self.remember(member.clone()).await?;
            log.end_recovery(&recovery).await?;
            tracing::warn!(members = ?recovery.members, "the cluster goes on with these members");
        }
    }

    /// The recovery that the file asks for.
    async fn asked_for(&self, member: &Member, log: &LogStore) -> Result<Option<Recovery>, StartError> {
        let (fs, path) = (Arc::clone(self.0.env.fs()), self.0.config.dir.join(PEERS));
        let read = self.0.env.blocking(move || read_if_there(&*fs, &path));
        let Some(text) = read.await? else { return Ok(None) };
        let Some(written) = log.peers_written().await? else {
            tracing::warn!("{PEERS} is not this node's and says nothing to it; it will be replaced");
            return Ok(None);
        };
        let refused = |why| StartError::Peers { path: self.0.config.dir.join(PEERS).display().to_string(), why };
        let judged = peers::judge(&text, &written, member.id.0, &self.0.config.tcp_addr);
        let Some(members) = judged.map_err(refused)? else { return Ok(None) };
        tracing::warn!(
            listed = ?members, known = ?written.last,
            "{PEERS} was edited: the members that it does not list are taken for lost"
        );
        let before = written.next.as_ref().unwrap_or(&written.last);
        if 2 * members.len() > before.len() {
            let there = members.values().map(String::as_str).collect::<Vec<_>>().join(" ");
            return Err(refused(PeersError::Majority(there)));
        }
        self.refuse_while_others_run(member, &members).await.map_err(refused)?;
        let count = member.recoveries + 1;
        let group = peers::group_of(member.group, count, &members);
        let state = log.clone().get_log_state().await.map_err(|error| StartError::Raft(error.to_string()))?;
        let last_log = state.last_log_id;
        Ok(Some(Recovery { members, count, group, last_log, done: false }))
    }

    /// Whoever does not answer counts as lost: that is what the operator says.
    async fn refuse_while_others_run(&self, member: &Member, listed: &Roster) -> Result<(), PeersError> {
        let others = member.meta_servers.iter().filter(|server| **server != self.0.config.http_addr);
        let asked = others.map(|server| async move {
            (server, self.request(Port::Admin, server, "/status", None, STATUS_DEADLINE).await)
        });
        let mut listed: Vec<&String> = listed.values().collect();
        listed.sort();
        let (mut running, mut needed, mut leader) = (Vec::new(), usize::MAX, String::new());
        for (server, answer) in join_all(asked).await {
            let Ok(answer) = answer else { continue };
            // Who refuses to say what it is, is there.
            let status = serde_json::from_slice::<Status>(&answer.body).ok().filter(|_| answer.status.is_success());
            let Some(status) = status else { return Err(PeersError::Running(server.clone())) };
            // One that waits to be added is somebody new at an old address.
            let Some(mut peers) = status.peers.filter(|peers| !peers.is_empty()) else { continue };
            if !listed.contains(&&status.raft_addr) {
                return Err(PeersError::Running(status.raft_addr));
            }
            peers.sort();
            // With the listed ones alone it is one that has gone this way before us.
            if peers.iter().ne(listed.iter().copied()) {
                needed = needed.min(peers.len() / 2 + 1);
                running.push(status.raft_addr);
                leader = if leader.is_empty() { status.leader } else { leader };
            }
        }
        // Together with this one.
        match running.len() + 1 >= needed || !leader.is_empty() {
            true => Err(PeersError::Majority(running.join(" "))),
            false => Ok(()),
        }
    }

    /// For a member of `cluster` that starts and knows of so many recoveries and this group: whether the cluster went
    /// another way since, and with which members.
    pub(crate) fn recovered_since(&self, cluster: &str, recoveries: u64, group: &str) -> Option<Recovered> {
        let member = self.member().filter(|member| format_cluster_id(member.cluster_id) == cluster)?;
        let is_known = match member.recoveries.cmp(&recoveries) {
            Ordering::Less => true,
            Ordering::Equal => format_cluster_id(member.group) == group,
            Ordering::Greater => false,
        };
        if is_known {
            return None;
        }
        let running = self.running()?;
        // A node that was added since has not gone through it, and knows those who vote now.
        let members = running.recovered.as_ref().map(|recovery| recovery.members.clone());
        let members = members.or_else(|| self.voters_by_address(&running)).unwrap_or_default();
        Some(Recovered { recoveries: member.recoveries, members: members.into_iter().collect() })
    }

    /// Has the metadata know of the recovery that this member went through: nobody who was left out has the meta role any
    /// more, and the ids are left out that the lost ones may have given. A leader that is lost here leaves it to the next.
    pub(super) async fn settle_recovery(&self, running: &Running) -> Result<(), ProposeError> {
        let Some(recovery) = running.recovered.as_ref().filter(|_| !running.settled.load(atomic::Ordering::Acquire))
        else {
            return Ok(());
        };
        if self.ensure_linearizable().await?.recoveries() < recovery.count {
            let members = recovery.members.keys().copied().map(NodeId).collect();
            tracing::warn!(?members, "taking the meta role from all but the members that are left");
            let (recovery, nodes, others) = (recovery.count, SKIPPED_NODES, SKIPPED_OTHERS);
            self.propose(&Command::Recover { recovery, members, nodes, others }).await?;
        }
        running.settled.store(true, atomic::Ordering::Release);
        Ok(())
    }

    /// Writes the file when it does not list those who vote. Tells whether it does now.
    pub(super) async fn keep_peers(&self, running: &Running) -> bool {
        let Some(wanted) = self.voters_by_address(running) else { return true };
        if *self.0.peers.lock() == Some(wanted.clone()) {
            return true;
        }
        match self.write_peers(&running.log, &wanted).await {
            Ok(()) => {
                *self.0.peers.lock() = Some(wanted);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the list of members for operators cannot be written");
                false
            }
        }
    }

    /// Those who vote, under the addresses where they are now. `None` between two memberships, and while this node does
    /// not vote itself.
    fn voters_by_address(&self, running: &Running) -> Option<Roster> {
        let metrics = running.raft.server_metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let [voters] = membership.get_joint_config().as_slice() else { return None };
        let data = self.data();
        let address = |id: &u64| match data.node(NodeId(*id)).and_then(|node| node.meta.as_ref()) {
            Some(meta) => meta.tcp_addr.clone(),
            None => membership.get_node(id).map(|node| node.addr.clone()).unwrap_or_default(),
        };
        voters.contains(&running.id.0).then(|| voters.iter().map(|id| (*id, address(id))).collect())
    }

    /// In this order: what the file may say is noted before it says it, and until it surely does.
    async fn write_peers(&self, log: &LogStore, wanted: &Roster) -> Result<(), WriteError> {
        let (fs, path, text) = (Arc::clone(self.0.env.fs()), self.0.config.dir.join(PEERS), peers::print(wanted));
        let known = log.peers_written().await?;
        let (reader, file) = (Arc::clone(&fs), path.clone());
        let found =
            self.0.env.blocking(move || if reader.exists(&file)? { reader.read(&file) } else { Ok(Vec::new()) });
        let (found, done) = (found.await?, Written { last: wanted.clone(), ..Written::default() });
        if known.as_ref() == Some(&done) && found == text {
            return Ok(());
        }
        let last = known.map_or_else(|| wanted.clone(), |known| known.last);
        log.note_peers(&Written { last, next: Some(wanted.clone()), before: peers::hash(&found) }).await?;
        self.0.env.blocking(move || fs.replace(&path, &text)).await?;
        log.note_peers(&done).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
