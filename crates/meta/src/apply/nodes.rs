//! Members come, move and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::NodeId;

use super::{DONE, Effect, NOTHING_TO_DO, Outcome};
use crate::command::{LeaderFacts, Rejection, Reply, SKIPPED_IDS_MAX};
use crate::data::{Data, DataRole, Incarnation, MetaRole, Node};

impl Data {
    pub(super) fn create_meta_node(
        &mut self,
        facts: &LeaderFacts,
        incarnation: Incarnation,
        http_addr: &str,
        tcp_addr: &str,
    ) -> Outcome {
        let role = MetaRole { http_addr: http_addr.to_owned(), tcp_addr: tcp_addr.to_owned() };
        if let Some(node) = self.node_by_incarnation(incarnation).filter(|node| node.meta.as_ref() == Some(&role)) {
            return Ok((Reply::Node(node.id), Effect::Unchanged));
        }
        let taken = |node: &Node| node.meta.as_ref().is_some_and(|meta| meta.shares_address(&role));
        let others: Vec<_> = self.nodes.iter().filter(|node| node.incarnation != incarnation && taken(node)).collect();
        for id in others.iter().map(|node| node.id).collect::<Vec<_>>() {
            self.change_node(id, |node| node.meta = None);
        }
        let id = self.member(facts, incarnation);
        self.change_node(id, |node| node.meta = Some(role));
        Ok((Reply::Node(id), Effect::Changed))
    }

    pub(super) fn create_data_node(
        &mut self,
        facts: &LeaderFacts,
        incarnation: Incarnation,
        http_addr: &str,
        tcp_addr: &str,
        passive: bool,
    ) -> Outcome {
        let role = DataRole { http_addr: http_addr.to_owned(), tcp_addr: tcp_addr.to_owned(), passive };
        if let Some(node) = self.node_by_incarnation(incarnation).filter(|node| node.data.as_ref() == Some(&role)) {
            return Ok((Reply::Node(node.id), Effect::Unchanged));
        }
        let taken = |node: &Node| node.data.as_ref().is_some_and(|data| data.tcp_addr == role.tcp_addr);
        let others: Vec<_> = self.nodes.iter().filter(|node| node.incarnation != incarnation && taken(node)).collect();
        for id in others.iter().map(|node| node.id).collect::<Vec<_>>() {
            self.take_data_role(id);
        }
        let id = self.member(facts, incarnation);
        self.change_node(id, |node| node.data = Some(role));
        Ok((Reply::Node(id), Effect::Changed))
    }

    pub(super) fn update_meta_node(&mut self, id: NodeId, http_addr: &str, tcp_addr: &str) -> Outcome {
        let role = MetaRole { http_addr: http_addr.to_owned(), tcp_addr: tcp_addr.to_owned() };
        let node = self.node(id).ok_or(Rejection::NodeNotFound)?;
        let present = node.meta.as_ref().ok_or(Rejection::NodeNotFound)?;
        if *present == role {
            return Ok((Reply::Node(id), Effect::Unchanged));
        }
        let taken = |node: &&Arc<Node>| node.meta.as_ref().is_some_and(|meta| meta.shares_address(&role));
        if self.nodes.iter().filter(|node| node.id != id).any(|node| taken(&node)) {
            return Err(Rejection::NodeExists);
        }
        self.change_node(id, |node| node.meta = Some(role));
        Ok((Reply::Node(id), Effect::Changed))
    }

    pub(super) fn update_data_node(
        &mut self,
        id: NodeId,
        http_addr: &str,
        tcp_addr: &str,
        incarnation: Option<Incarnation>,
    ) -> Outcome {
        let node = self.node(id).ok_or(Rejection::NodeNotFound)?;
        let present = node.data.as_ref().ok_or(Rejection::NodeNotFound)?;
        let incarnation = incarnation.unwrap_or(node.incarnation);
        let role =
            DataRole { http_addr: http_addr.to_owned(), tcp_addr: tcp_addr.to_owned(), passive: present.passive };
        if *present == role && node.incarnation == incarnation {
            return Ok((Reply::Node(id), Effect::Unchanged));
        }
        let collides = |node: &Node| {
            node.incarnation == incarnation || node.data.as_ref().is_some_and(|data| data.tcp_addr == tcp_addr)
        };
        if self.nodes.iter().any(|node| node.id != id && collides(node)) {
            return Err(Rejection::NodeExists);
        }
        self.change_node(id, |node| {
            node.incarnation = incarnation;
            node.data = Some(role);
        });
        Ok((Reply::Node(id), Effect::Changed))
    }

    pub(super) fn delete_meta_node(&mut self, id: NodeId) -> Outcome {
        let node = self.node(id).ok_or(Rejection::NodeNotFound)?;
        if node.meta.is_none() {
            return Err(Rejection::NodeNotFound);
        }
        if self.meta_nodes().count() == 1 {
            return Err(Rejection::FinalNode);
        }
        self.change_node(id, |node| node.meta = None);
        DONE
    }

    pub(super) fn delete_data_node(&mut self, id: NodeId) -> Outcome {
        let node = self.node(id).ok_or(Rejection::NodeNotFound)?;
        if node.data.is_none() {
            return Err(Rejection::NodeNotFound);
        }
        self.take_data_role(id);
        DONE
    }

    pub(super) fn change_labels(&mut self, id: NodeId, set: &BTreeMap<String, String>, remove: &[String]) -> Outcome {
        let present = &self.node(id).ok_or(Rejection::NodeNotFound)?.labels;
        let mut labels = present.clone();
        labels.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
        labels.retain(|key, _| !remove.contains(key));
        if labels == *present {
            return NOTHING_TO_DO;
        }
        self.change_node(id, |node| node.labels = labels);
        DONE
    }

    pub(super) fn recover(&mut self, recovery: u64, members: &[NodeId], nodes: u64, others: u64) -> Outcome {
        if recovery <= self.recoveries {
            return NOTHING_TO_DO;
        }
        self.recoveries = recovery;
        let (left, lost): (Vec<NodeId>, Vec<NodeId>) =
            self.meta_nodes().map(|node| node.id).partition(|id| members.contains(id));
        if !left.is_empty() {
            lost.into_iter().for_each(|id| self.change_node(id, |node| node.meta = None));
        }
        let (nodes, others) = (nodes.min(SKIPPED_IDS_MAX), others.min(SKIPPED_IDS_MAX));
        self.node_id_max.0 += nodes;
        self.database_id_max.0 += others;
        self.shard_group_id_max.0 += others;
        self.shard_id_max.0 += others;
        self.rule_id_max += others;
        DONE
    }

    /// The member that a directory is; a new one if it is none yet. A new one has no role so far.
    fn member(&mut self, facts: &LeaderFacts, incarnation: Incarnation) -> NodeId {
        if self.cluster_id == 0 {
            self.cluster_id = facts.random.max(1);
        }
        if let Some(node) = self.node_by_incarnation(incarnation) {
            return node.id;
        }
        self.node_id_max.0 += 1;
        let id = self.node_id_max;
        let node = Node { id, incarnation, meta: None, data: None, labels: BTreeMap::new() };
        Arc::make_mut(&mut self.nodes).push(Arc::new(node));
        id
    }

    /// Changes a member; one that is left without a role is no member any more.
    fn change_node(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        let nodes = Arc::make_mut(&mut self.nodes);
        let position = nodes.binary_search_by_key(&id, |node| node.id).expect("callers name members");
        change(Arc::make_mut(&mut nodes[position]));
        if nodes[position].meta.is_none() && nodes[position].data.is_none() {
            nodes.remove(position);
        }
    }

    /// Takes the data role from a member, and its shards. Nobody is put in its place.
    fn take_data_role(&mut self, id: NodeId) {
        self.change_groups(
            |group| group.shards.iter().any(|shard| shard.is_owned_by(id)),
            |group| group.shards.iter_mut().for_each(|shard| shard.owners.retain(|owner| owner.node != id)),
        );
        self.change_node(id, |node| node.data = None);
    }
}

impl MetaRole {
    fn shares_address(&self, other: &MetaRole) -> bool {
        self.http_addr == other.http_addr || self.tcp_addr == other.tcp_addr
    }
}
