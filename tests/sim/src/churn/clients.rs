//! What clients change, and what they must see afterwards.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use meta::{Command, PolicySpec};
use model::Timestamp;

use serde_json::Value;
use tokio::time::Instant;

use super::Bug;
use super::servers::{LEASE, Servers};
use crate::dice::Dice;
use crate::http;

/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// The database whose shard groups everybody wants made.
const SHARED: &str = "shared";

/// A lease that was given, and when it was asked for and answered.
#[derive(Clone, Copy, Debug)]
struct Grant {
    name: u64,
    owner: u64,
    fence: (u64, u64),
    asked: Instant,
    answered: Instant,
}

/// What was acknowledged.
#[derive(Debug, Default)]
pub struct History {
    /// Databases, whose creation was acknowledged.
    pub acked: RefCell<BTreeMap<String, ()>>,
    reads: Cell<usize>,
    grants: RefCell<Vec<Grant>>,
    /// Set when clients are to stop.
    pub is_over: Cell<bool>,
}

impl History {
    /// Acknowledged changes and confirmed reads.
    pub fn counts(&self) -> (usize, usize) {
        (self.acked.borrow().len(), self.reads.get())
    }

    /// Leases that were given or renewed.
    pub fn grants(&self) -> usize {
        self.grants.borrow().len()
    }

    /// Takes note of a lease; what is wrong with it. A later grant has a larger number, one number has one holder, and
    /// one leader gives a lease to nobody else before it has ended.
    fn grant(&self, new: Grant) -> Option<String> {
        let mut grants = self.grants.borrow_mut();
        let wrong = grants.iter().find(|old| {
            let (is_mine, is_later) = (old.owner == new.owner, old.answered < new.asked);
            let is_shared = new.fence == old.fence && !is_mine;
            let goes_back = is_later && new.fence < old.fence;
            let is_early = is_later && !is_mine && new.fence.0 == old.fence.0 && new.answered < old.asked + LEASE;
            old.name == new.name && (is_shared || goes_back || is_early)
        });
        let wrong = wrong.map(|old| format!("the lease {new:?} was given after {old:?}"));
        grants.push(new);
        wrong
    }
}

/// Asks a node that may lead for a lease.
async fn lease(host: &str, name: u64, owner: u64) -> Option<Grant> {
    let asked = Instant::now();
    let answer = http::get_admin(host, &format!("/lease?name=l{name}&nodeid={owner}"), ANSWER_MAX).await.ok()?;
    let document: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
    let fence = (document["fence"][0].as_u64()?, document["fence"][1].as_u64()?);
    Some(Grant { name, owner, fence, asked, answered: Instant::now() })
}

/// Makes a database.
pub(super) fn create(name: &str) -> Command {
    Command::CreateDatabase { name: name.to_owned(), policy: Some(PolicySpec::automatic()), explicit: false }
}

/// Works until it is over.
pub async fn work(seed: u64, number: u64, bug: Bug, servers: Rc<Servers>, history: Rc<History>) {
    let mut dice = Dice::new(seed, 50 + number);
    let mut next = 0;
    while !history.is_over.get() {
        tokio::time::sleep(dice.millis(20, 400)).await;
        let index = dice.index(super::servers::NAMES.len());
        let Some(mut node) = servers.all[index].node() else { continue };
        // Clients follow hints, most of the time.
        let hint = node.leader().filter(|_| bug != Bug::StaleReads && dice.chance(90));
        let hinted = hint.and_then(|leader| servers.node_at(&leader.http_addr));
        node = hinted.unwrap_or(node);
        if dice.chance(15) {
            let Some(host) = node.config().http_addr.strip_suffix(":8091") else { continue };
            // For one of the members; others get none.
            let members: Vec<u64> = node.data().nodes().iter().map(|node| node.id.0).collect();
            let Some(owner) = members.get(dice.index(members.len().max(1))) else { continue };
            let grant = lease(host, dice.below(2), *owner).await;
            if let Some(wrong) = grant.and_then(|grant| history.grant(grant)) {
                servers.problem(wrong);
            }
            continue;
        }
        if dice.chance(35) {
            let known: Vec<String> = history.acked.borrow().keys().cloned().collect();
            let data = match bug {
                Bug::StaleReads => Some(node.data()).filter(|data| data.cluster_id() != 0),
                _ => tokio::time::timeout(ANSWER_MAX, node.ensure_linearizable()).await.ok().and_then(Result::ok),
            };
            let Some(data) = data else { continue };
            history.reads.set(history.reads.get() + 1);
            if let Some(lost) = known.iter().find(|name| data.database(name).is_none()) {
                servers.problem(format!(
                    "a read at {} does not show {lost}, which was acknowledged",
                    servers.all[index].name
                ));
            }
            continue;
        }
        let (name, command) = match dice.below(5) {
            0 => {
                let instants = vec![Timestamp(dice.below(20) as i64 * 86_400_000_000_000 * 7)];
                let (database, policy) = (SHARED.to_owned(), "autogen".to_owned());
                (None, Command::CreateShardGroups { database, policy, instants })
            }
            1 => (Some(SHARED.to_owned()), create(SHARED)),
            _ => {
                next += 1;
                let name = format!("c{number}-{next}");
                (Some(name.clone()), create(&name))
            }
        };
        let done = tokio::time::timeout(ANSWER_MAX, node.propose(&command)).await;
        if let (Ok(Ok(_)), Some(name)) = (done, name) {
            history.acked.borrow_mut().insert(name, ());
        }
    }
}
