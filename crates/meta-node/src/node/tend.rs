//! What a member does by itself: the leader keeps Raft's membership in step with the metadata, the others see to it that
//! they vote and are known under their present addresses.

use std::sync::{Arc, Weak};
use std::time::Duration;

use env::TaskHandle;
use meta::Command;
use openraft::Raft;
use tokio::sync::watch;

use super::{FIRST, Inner, MetaNode, Port, Running};
use crate::identity::Member;
use crate::join::{self, AskError, JoinRequest, Stage};
use crate::raft::TypeConfig;

/// How long to wait before something is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the leader may take to make a voter of us.
const PROMOTE_DEADLINE: Duration = Duration::from_secs(30);

/// Whether anything is left to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Done,
    Left,
}

/// Reports when Raft ends.
pub(super) async fn watch_failure(raft: Raft<TypeConfig>, failure: watch::Sender<Option<String>>) {
    let mut metrics = raft.metrics();
    let why = match metrics.wait_for(|metrics| metrics.running_state.is_err()).await {
        Ok(metrics) => metrics.running_state.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        Err(_) => "raft ended".to_owned(),
    };
    tracing::error!(reason = why, "raft has ended");
    failure.send_replace(Some(why));
}

impl MetaNode {
    pub(super) fn spawn_tending(&self, raft: &Raft<TypeConfig>) -> TaskHandle<()> {
        // Only a weak handle: the task belongs to the node, not the other way round.
        let (node, raft) = (Arc::downgrade(&self.0), raft.clone());
        self.0.env.spawn(tend(node, raft))
    }

    /// One look around.
    async fn tend_once(&self) -> Work {
        let Some(running) = self.running() else { return Work::Left };
        let mut work = self.remember_servers().await;
        if !self.keep_peers(&running).await {
            work = Work::Left;
        }
        let step = match (self.is_leader(&running), self.is_backed(&running)) {
            (true, true) => self.lead(&running).await,
            (true, false) => self.lead_nobody(&running).await,
            (false, _) => self.follow(&running).await,
        };
        if step == Work::Left {
            work = Work::Left;
        }
        work
    }

    async fn lead(&self, running: &Running) -> Work {
        if self.data().cluster_id() == 0 {
            return self.register_first(running).await;
        }
        if let Err(error) = self.settle_recovery(running).await {
            tracing::warn!(%error, "members that were left out may still be in the metadata");
            return Work::Left;
        }
        match self.reconcile_membership(running).await {
            Ok(()) => self.announce_addresses(running).await,
            Err(error) => {
                tracing::warn!(%error, "raft membership does not follow the metadata yet");
                Work::Left
            }
        }
    }

    /// Cut off; or removed in the moment in which it was elected, and then nobody tells it.
    async fn lead_nobody(&self, running: &Running) -> Work {
        if self.is_dropped() {
            return Work::Done;
        }
        self.ask(running, Stage::Update).await;
        Work::Left
    }

    /// The first entry of every cluster: its founder.
    async fn register_first(&self, running: &Running) -> Work {
        let Some(member) = self.member().filter(|_| running.id == FIRST) else { return Work::Left };
        let facts = meta::LeaderFacts { random: member.cluster_id, ..self.facts() };
        let addresses = self.addresses();
        let command = Command::CreateMetaNode {
            incarnation: self.incarnation(),
            http_addr: addresses.http_addr,
            tcp_addr: addresses.tcp_addr,
        };
        match self.propose_with(facts, &command).await {
            Ok(_) => Work::Done,
            Err(error) => {
                tracing::warn!(%error, "the cluster cannot register its first node yet");
                Work::Left
            }
        }
    }

    async fn follow(&self, running: &Running) -> Work {
        if self.is_dropped() {
            return Work::Done;
        }
        let votes = {
            let metrics = running.raft.server_metrics();
            let metrics = metrics.borrow();
            metrics.membership_config.voter_ids().any(|id| id == running.id.0)
        };
        if !votes {
            return self.ask(running, Stage::Promote).await;
        }
        if self.leader().is_some() {
            return self.announce_addresses(running).await;
        }
        // An election is under way, or we were removed and nobody tells us: the leader stops sending to a member in the
        // moment that it is none. So we ask.
        self.ask(running, Stage::Update).await;
        Work::Left
    }

    /// Tells the leader when this node has moved.
    async fn announce_addresses(&self, running: &Running) -> Work {
        let addresses = self.addresses();
        let data = self.data();
        let known = data.node(running.id).and_then(|node| node.meta.as_ref());
        match known {
            Some(meta) if meta.http_addr == addresses.http_addr && meta.tcp_addr == addresses.tcp_addr => Work::Done,
            Some(_) => self.ask(running, Stage::Update).await,
            // Not there yet, or not any more.
            None => Work::Done,
        }
    }

    async fn ask(&self, running: &Running, stage: Stage) -> Work {
        let request = JoinRequest {
            stage,
            incarnation: self.incarnation(),
            id: Some(running.id),
            meta: Some(self.addresses()),
            data: None,
        };
        if self.is_leader(running) && self.is_backed(running) {
            return match self.admit(request).await {
                Ok(_) => Work::Done,
                Err(error) => {
                    tracing::warn!(%error, ?stage, "refused");
                    Work::Left
                }
            };
        }
        let mut servers = self.member().map(|member| member.meta_servers).unwrap_or_default();
        servers.retain(|server| *server != self.0.config.http_addr);
        if let Some(leader) = self.leader().filter(|leader| leader.id != running.id) {
            servers.insert(0, leader.http_addr);
        }
        for server in &servers {
            match join::ask_one(self.dialer(Port::Admin), &self.0.config.auth, server, &request, PROMOTE_DEADLINE).await
            {
                Ok(_) => return Work::Done,
                Err(AskError::NotMember { cluster_id, by })
                    if cluster_id == self.data_cluster()
                        && by.is_later_than(running.id, self.data().index(), self.group()) =>
                {
                    tracing::error!(node = running.id.0, "this node was removed from its cluster");
                    self.0.dropped.send_replace(true);
                    return Work::Done;
                }
                Err(error) => tracing::warn!(address = server, %error, ?stage, "meta node did not help"),
            }
        }
        Work::Left
    }

    /// Whom members mean by the cluster; see [`Member::group`].
    pub(crate) fn group(&self) -> u64 {
        self.member().map_or(0, |member| member.group)
    }

    fn data_cluster(&self) -> u64 {
        self.member().map_or(0, |member| member.cluster_id)
    }

    /// Keeps the list of meta nodes in `node.json`.
    async fn remember_servers(&self) -> Work {
        let data = self.data();
        let Some(member) = self.member() else { return Work::Left };
        if data.meta_http_addrs().next().is_none() || data.meta_http_addrs().eq(&member.meta_servers) {
            return Work::Done;
        }
        let meta_servers = data.meta_http_addrs().cloned().collect();
        match self.remember(Member { meta_servers, ..member }).await {
            Ok(()) => Work::Done,
            Err(error) => {
                tracing::warn!(%error, "node.json cannot be written");
                Work::Left
            }
        }
    }
}

async fn tend(node: Weak<Inner>, raft: Raft<TypeConfig>) {
    let mut server = raft.server_metrics();
    let Some((mut data, mut alone)) = node.upgrade().map(|inner| (inner.data.subscribe(), inner.alone.subscribe()))
    else {
        return;
    };
    loop {
        server.mark_unchanged();
        data.mark_unchanged();
        alone.mark_unchanged();
        let Some(inner) = node.upgrade() else { return };
        let work = MetaNode(inner).tend_once().await;
        let retry = async {
            match work {
                Work::Left => tokio::time::sleep(RETRY).await,
                Work::Done => std::future::pending().await,
            }
        };
        // Each of these only wakes us; nothing is lost when another comes first.
        tokio::select! {
            changed = server.changed() => if changed.is_err() { return },
            changed = data.changed() => if changed.is_err() { return },
            changed = alone.changed() => if changed.is_err() { return },
            () = retry => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use env::Env;
    use env::simulated::{SimClock, SimDisk};
    use model::Timestamp;

    use super::*;
    use crate::MetaConfig;
    use crate::identity::{self, Files};
    use crate::transport::Nobody;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_over_the_mark_of_one_that_has_left() {
        let dir = PathBuf::from("/meta");
        let env = Env::simulated(7, &SimClock::new(Timestamp(0)), &SimDisk::new(7));
        let config = MetaConfig::new(dir.clone(), "a:8091".to_owned(), "a:8088".to_owned());
        let node = MetaNode::start(env.clone(), config, Arc::new(Nobody)).await.expect("starts");
        node.bootstrap().await.expect("forms");
        let member = node.member().expect("a member");
        // As when the list of servers changes in the moment of leaving.
        let moved = Member { meta_servers: vec!["b:8091".to_owned()], ..member };
        let (left, remembered) = tokio::join!(node.mark_left(), node.remember(moved.clone()));
        left.expect("marked");
        remembered.expect("nothing to do");
        node.remember(moved).await.expect("nothing to do");
        let has_left = identity::has_left(&env, &dir, Files::NODE).await.expect("readable");
        assert!(has_left, "it would come back as who it was");
        node.shutdown().await;
    }
}
