//! Asking the owners of shards: one owner a shard, nearest first, the next one silently when it fails.
//!
//! A question goes to as few nodes as possible, with all shards that each of them is asked about. A node that fails
//! drops out for these shards and they go to other owners. Copies that may lack rows are asked only when nobody better
//! is left. Choosing is pure (`assign`); asking is handed in, so that every kind of question shares this.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use meta::Data;
use model::{NodeId, ShardId};

use crate::local::{LocalShards, Trust};
use crate::peers::Peers;

/// Why no answer came for a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FanOutError {
    /// Every owner failed; the text is what the last one said.
    #[error("shard {shard}: {last}")]
    NoOwner {
        /// Which.
        shard: ShardId,
        /// What the last owner said.
        last: String,
    },
}

/// How an owner failed to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// It cannot answer for one of the shards; it may for the others.
    SomeShard(String),
    /// It cannot answer at all.
    Node(String),
    /// The question itself is at fault; asking others is no use.
    Question(String),
}

/// One question to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// To whom.
    pub node: NodeId,
    /// About which shards.
    pub shards: Vec<ShardId>,
    /// Whether copies that may lack rows are good enough.
    pub accept_behind: bool,
}

/// The result of a fan-out.
#[derive(Debug)]
pub struct Gathered<A> {
    /// One for each question that was answered; together they cover every shard once.
    pub answers: Vec<A>,
    /// Shards that nobody owns any more.
    pub ownerless: Vec<ShardId>,
}

/// What is tried for one shard.
#[derive(Clone, Debug)]
struct Candidate {
    shard: ShardId,
    /// Owners still to be asked, best first.
    owners: Vec<NodeId>,
    /// Whether copies that may lack rows are accepted by now.
    accept_behind: bool,
    /// Asked without other shards in the same question, after a question about several failed.
    alone: bool,
    last_error: String,
}

/// Asks about every shard until each has one answer. With `only` that node alone is asked, for its own copies as they
/// are.
///
/// # Errors
/// When no owner of a shard answers, or the question is at fault.
pub async fn gather<A, F, Fut>(
    shards: &[ShardId],
    only: Option<NodeId>,
    data: &Data,
    peers: &Peers,
    local: Option<&Arc<LocalShards>>,
    ask: F,
) -> Result<Gathered<A>, FanOutError>
where
    F: Fn(Ask) -> Fut,
    Fut: Future<Output = Result<A, AskError>>,
{
    let mut gathered = Gathered { answers: Vec::new(), ownerless: Vec::new() };
    let mut waiting = Vec::new();
    for shard in shards {
        let owners = match only {
            Some(node) => vec![node],
            None => owners_by_preference(*shard, data, peers, local, false),
        };
        if data.shard(*shard).is_none_or(|place| place.shard.owners.is_empty()) {
            gathered.ownerless.push(*shard);
            continue;
        }
        let last_error = "no owner is complete".to_owned();
        let accept_behind = only.is_some();
        waiting.push(Candidate { shard: *shard, owners, accept_behind, alone: false, last_error });
    }
    while !waiting.is_empty() {
        for candidate in &mut waiting {
            if !candidate.owners.is_empty() {
                continue;
            }
            if candidate.accept_behind {
                return Err(FanOutError::NoOwner { shard: candidate.shard, last: candidate.last_error.clone() });
            }
            candidate.accept_behind = true;
            candidate.owners = owners_by_preference(candidate.shard, data, peers, local, true);
            if candidate.owners.is_empty() {
                return Err(FanOutError::NoOwner { shard: candidate.shard, last: candidate.last_error.clone() });
            }
        }
        let asks = assign(&waiting, peers.me());
        let answers = futures_util::future::join_all(asks.into_iter().map(|question| {
            let answer = ask(question.clone());
            async move { (question, answer.await) }
        }));
        for (question, answer) in answers.await {
            match answer {
                Ok(answer) => {
                    gathered.answers.push(answer);
                    waiting.retain(|candidate| !question.shards.contains(&candidate.shard));
                }
                Err(AskError::Question(last)) => {
                    return Err(FanOutError::NoOwner { shard: question.shards[0], last });
                }
                Err(error) => note_failure(&mut waiting, &question, &error),
            }
        }
    }
    Ok(gathered)
}

fn note_failure(waiting: &mut [Candidate], question: &Ask, error: &AskError) {
    for candidate in waiting.iter_mut().filter(|candidate| question.shards.contains(&candidate.shard)) {
        match error {
            AskError::SomeShard(_) if question.shards.len() > 1 => candidate.alone = true,
            AskError::SomeShard(text) | AskError::Node(text) | AskError::Question(text) => {
                candidate.owners.retain(|owner| *owner != question.node);
                candidate.last_error.clone_from(text);
            }
        }
    }
}

/// One question a node, and one a shard for those that are asked alone. The first owner of each shard is asked, but a
/// node that is asked anyhow is taken before another.
fn assign(waiting: &[Candidate], me: NodeId) -> Vec<Ask> {
    let mut together: BTreeMap<(NodeId, bool), Vec<ShardId>> = BTreeMap::new();
    let mut alone = Vec::new();
    for candidate in waiting {
        let Some(first) = candidate.owners.first() else { continue };
        if candidate.alone {
            alone.push(Ask { node: *first, shards: vec![candidate.shard], accept_behind: candidate.accept_behind });
            continue;
        }
        let asked_anyhow =
            |owner: &&NodeId| **owner == me || together.contains_key(&(**owner, candidate.accept_behind));
        // The owners stand in order of health; only the healthiest two are worth swapping.
        let node = candidate.owners.iter().take(2).find(asked_anyhow).unwrap_or(first);
        together.entry((*node, candidate.accept_behind)).or_default().push(candidate.shard);
    }
    let together = together.into_iter().map(|((node, accept_behind), shards)| Ask { node, shards, accept_behind });
    together.chain(alone).collect()
}

/// Who may be asked about a shard, best first: this node, then nodes that answer, then nodes that did not.
fn owners_by_preference(
    shard: ShardId,
    data: &Data,
    peers: &Peers,
    local: Option<&Arc<LocalShards>>,
    accept_behind: bool,
) -> Vec<NodeId> {
    let Some(place) = data.shard(shard) else { return Vec::new() };
    let mut owners: Vec<NodeId> =
        place.shard.owners.iter().filter(|owner| !data.is_blank(**owner)).map(|owner| owner.node).collect();
    if !owners.is_empty() {
        // Shards start with different owners, so that work spreads.
        let start = usize::try_from(shard.0).unwrap_or(0) % owners.len();
        owners.rotate_left(start);
    }
    let trust = local.map(|local| local.trust(shard));
    let here_is_good = match trust {
        Some(Ok(Trust::Whole)) => true,
        Some(Ok(Trust::Behind)) => accept_behind,
        _ => false,
    };
    if !here_is_good {
        owners.retain(|owner| *owner != peers.me());
    }
    owners.sort_by_key(|owner| match *owner {
        owner if owner == peers.me() && !accept_behind => 0,
        owner if peers.is_up(owner) && owner != peers.me() => 1,
        // Behind, but at hand.
        owner if owner == peers.me() => 2,
        _ => 3,
    });
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(shard: u64, owners: &[u64], alone: bool) -> Candidate {
        Candidate {
            shard: ShardId(shard),
            owners: owners.iter().map(|owner| NodeId(*owner)).collect(),
            accept_behind: false,
            alone,
            last_error: String::new(),
        }
    }

    fn plain(asks: Vec<Ask>) -> Vec<(u64, Vec<u64>)> {
        asks.into_iter().map(|ask| (ask.node.0, ask.shards.into_iter().map(|shard| shard.0).collect())).collect()
    }

    #[test]
    fn few_nodes_are_asked_and_this_one_first() {
        let waiting = [candidate(1, &[2, 3], false), candidate(2, &[3, 2], false), candidate(3, &[1, 2], false)];
        assert_eq!(plain(assign(&waiting, NodeId(1))), [(1, vec![3]), (2, vec![1, 2])]);
    }

    #[test]
    fn a_shard_whose_question_failed_in_company_is_asked_alone() {
        let mut waiting = [candidate(1, &[2, 3], false), candidate(2, &[2, 3], false)];
        let question = Ask { node: NodeId(2), shards: vec![ShardId(1), ShardId(2)], accept_behind: false };
        note_failure(&mut waiting, &question, &AskError::SomeShard("behind".to_owned()));
        assert_eq!(plain(assign(&waiting, NodeId(9))), [(2, vec![1]), (2, vec![2])]);
        let question = Ask { node: NodeId(2), shards: vec![ShardId(1)], accept_behind: false };
        note_failure(&mut waiting, &question, &AskError::SomeShard("behind".to_owned()));
        assert_eq!(plain(assign(&waiting, NodeId(9))), [(3, vec![1]), (2, vec![2])]);
    }

    #[test]
    fn a_node_that_fails_drops_out() {
        let mut waiting = [candidate(1, &[2, 3], false)];
        let question = Ask { node: NodeId(2), shards: vec![ShardId(1)], accept_behind: false };
        note_failure(&mut waiting, &question, &AskError::Node("gone".to_owned()));
        assert_eq!(plain(assign(&waiting, NodeId(9))), [(3, vec![1])]);
        assert_eq!(waiting[0].last_error, "gone");
    }
}
