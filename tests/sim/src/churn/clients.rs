//! What clients change, and what they must see afterwards.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use meta::{Command, PolicySpec};
use model::Timestamp;

use super::Bug;
use super::servers::Servers;
use crate::dice::Dice;

/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// The database whose shard groups everybody wants made.
const SHARED: &str = "shared";

/// What was acknowledged.
#[derive(Debug, Default)]
pub struct History {
    /// Databases, whose creation was acknowledged.
    pub acked: RefCell<BTreeMap<String, ()>>,
    reads: Cell<usize>,
    /// Set when clients are to stop.
    pub is_over: Cell<bool>,
}

impl History {
    /// Acknowledged changes and confirmed reads.
    pub fn counts(&self) -> (usize, usize) {
        (self.acked.borrow().len(), self.reads.get())
    }
}

fn create(name: &str) -> Command {
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
