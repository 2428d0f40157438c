//! What Raft promises, checked whenever a member has made something durable.
//!
//! - A member's vote only grows.
//! - Log matching: entries with the same place and leader are the same, and so is the one before each.
//! - Who is elected was voted for by a majority, and has every entry that was committed by earlier leaders.
//! - What is applied is held by a majority of the voters, and stays: no entry with another leader is ever applied there,
//!   and no member takes it out of its log.
//! - The state behind an entry is the same everywhere.
//! - Numbers of nodes and databases are never used again; the metadata hold together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meta::Data;
use meta::codec::encode_snapshot;
use meta_node::{LogMark, RaftWitness};

type Leader = (u64, u64);

/// One member as far as it was seen.
#[derive(Clone, Debug, Default)]
struct Member {
    vote: (u64, u64, bool),
    log: BTreeMap<u64, Leader>,
    /// It has everything up to here as a snapshot.
    base: u64,
}

impl Member {
    fn holds(&self, index: u64, leader: Leader) -> bool {
        index <= self.base || self.log.get(&index) == Some(&leader)
    }
}

#[derive(Debug)]
struct Election {
    vote: Leader,
    as_it_was: Member,
}

/// An entry that was applied somewhere.
#[derive(Clone, Copy, Debug)]
struct Committed {
    leader: Leader,
    checksum: u32,
    /// Under which leader it was committed, or under an earlier one: it may be older than the leader that commits it.
    under: Leader,
}

#[derive(Debug, Default)]
struct Model {
    members: BTreeMap<u64, Member>,
    /// By place and leader: contents, and the leader of the entry before.
    entries: BTreeMap<(u64, Leader), (u32, Option<Leader>)>,
    voters: BTreeMap<(u64, Leader), Vec<Vec<u64>>>,
    committed: BTreeMap<u64, Committed>,
    states: BTreeMap<u64, u32>,
    elections: Vec<Election>,
    nodes: BTreeMap<u64, u128>,
    databases: BTreeMap<u64, String>,
    problem: Option<String>,
    trace: u64,
}

/// Sees everything.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Model>);

impl Watch {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first thing that was wrong.
    pub fn problem(&self) -> Option<String> {
        self.model().problem.clone()
    }

    /// A data node shows a version.
    pub fn seen(&self, by: &str, data: &Data) {
        if data.cluster_id() != 0 {
            self.model().state(by, data.index().0, data);
        }
    }

    /// A number that differs when anything happened otherwise.
    pub fn trace(&self) -> u64 {
        self.model().trace
    }

    /// Elections, and entries that were committed.
    pub fn counts(&self) -> (usize, usize) {
        let model = self.model();
        (model.elections.len(), model.committed.len())
    }
}

impl Model {
    fn wrong(&mut self, text: String) {
        self.problem.get_or_insert(text);
    }

    /// Something happened to a member.
    fn note(&mut self, member: u64, kind: u64, place: (u64, u64, u64)) {
        for number in [member, kind, place.0, place.1, place.2] {
            self.trace = (self.trace ^ number).wrapping_mul(0x100_0000_01b3).rotate_left(23);
        }
    }

    fn member(&mut self, id: u64) -> &mut Member {
        self.members.entry(id).or_default()
    }

    /// The memberships that may decide about the entry at `index`, as a member that has applied it sees them.
    fn memberships(&self, member: u64, index: u64) -> Vec<Vec<Vec<u64>>> {
        let log = self.members.get(&member).map(|member| &member.log);
        let has = |place: &(u64, Leader)| {
            let committed = self.committed.get(&place.0).is_some_and(|known| known.leader == place.1);
            committed || log.is_some_and(|log| log.get(&place.0) == Some(&place.1))
        };
        let known: Vec<_> = self.voters.iter().filter(|(place, _)| has(place)).collect();
        let before = known.iter().rfind(|(place, _)| place.0 <= index).into_iter();
        before.chain(known.iter().filter(|(place, _)| place.0 > index)).map(|(_, voters)| (*voters).clone()).collect()
    }

    fn is_held(&self, voters: &[Vec<u64>], index: u64, leader: Leader) -> bool {
        voters.iter().all(|set| {
            let holders = set.iter().filter(|id| self.members.get(id).is_some_and(|one| one.holds(index, leader)));
            holders.count() > set.len() / 2
        })
    }

    fn commit(&mut self, by: u64, index: u64, leader: Leader, checksum: u32) {
        if let Some(known) = self.committed.get(&index).copied() {
            if (known.leader, known.checksum) != (leader, checksum) {
                self.wrong(format!("{by} applies {leader:?} at {index}, where {:?} was committed", known.leader));
            }
            return;
        }
        let memberships = self.memberships(by, index);
        if !memberships.is_empty() && !memberships.iter().any(|voters| self.is_held(voters, index, leader)) {
            self.wrong(format!("{by} applies {index} of {leader:?}, which no majority of {memberships:?} has"));
        }
        let vote = self.member(by).vote;
        let under = (vote.0, vote.1);
        let lacks = self.elections.iter().find(|later| later.vote > under && !later.as_it_was.holds(index, leader));
        if let Some(later) = lacks {
            let text = format!("{:?} was elected without {index} of {leader:?}, which is committed", later.vote);
            self.wrong(text);
        }
        self.committed.insert(index, Committed { leader, checksum, under });
    }

    fn elected(&mut self, member: u64, vote: Leader) {
        if self.elections.iter().any(|known| known.vote == vote) {
            return;
        }
        let as_it_was = self.members.get(&member).cloned().unwrap_or_default();
        let lacks =
            self.committed.iter().find(|(index, known)| known.under < vote && !as_it_was.holds(**index, known.leader));
        if let Some((index, Committed { leader, .. })) = lacks {
            let text = format!("{member} is elected as {vote:?} and lacks {index} of {leader:?}, which is committed");
            self.wrong(text);
        }
        let last = as_it_was.log.keys().next_back().copied().unwrap_or(as_it_was.base);
        let memberships = self.memberships(member, last);
        let voted = |id: &&u64| self.members.get(id).is_some_and(|one| (one.vote.0, one.vote.1) >= vote);
        let is_majority =
            |voters: &Vec<Vec<u64>>| voters.iter().all(|set| set.iter().filter(voted).count() > set.len() / 2);
        if !memberships.is_empty() && !memberships.iter().any(is_majority) {
            self.wrong(format!("{member} leads as {vote:?} without the votes of a majority of {memberships:?}"));
        }
        self.elections.push(Election { vote, as_it_was });
    }

    fn state(&mut self, by: &str, index: u64, data: &Data) {
        if let Err(violation) = data.validate() {
            self.wrong(format!("{by}: the metadata at {index} do not hold together: {violation}"));
        }
        let sum = checksum(&encode_snapshot(data));
        if *self.states.entry(index).or_insert(sum) != sum {
            self.wrong(format!("{by}: the state behind {index} differs from that of others"));
        }
        for node in data.nodes() {
            let known = *self.nodes.entry(node.id.0).or_insert(node.incarnation.0);
            // Another directory may take the place of a data node; there are none here.
            if known != node.incarnation.0 {
                self.wrong(format!("the number {} was used again", node.id));
            }
        }
        for database in data.databases() {
            let known = self.databases.entry(database.id.0).or_insert_with(|| database.name.to_string());
            if *known != *database.name {
                let text = format!("the number of the database {known} was used again");
                self.wrong(text);
            }
        }
    }
}

/// FNV-1a: any sum does.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl RaftWitness for Watch {
    fn voted(&self, member: u64, vote: (u64, u64, bool)) {
        let mut model = self.model();
        model.note(member, 1, (vote.0, vote.1, vote.2.into()));
        let known = model.member(member).vote;
        if vote < known {
            model.wrong(format!("{member} goes back from the vote {known:?} to {vote:?}"));
        }
        model.member(member).vote = vote;
        if vote.2 && vote.1 == member {
            model.elected(member, (vote.0, vote.1));
        }
    }

    fn appended(&self, member: u64, mark: LogMark) {
        let mut model = self.model();
        model.note(member, 2, (mark.index, mark.leader.0, mark.checksum.into()));
        let place = (mark.index, mark.leader);
        let before = mark.index.checked_sub(1).and_then(|before| model.member(member).log.get(&before).copied());
        model.member(member).log.insert(mark.index, mark.leader);
        if let Some(voters) = mark.voters {
            model.voters.insert(place, voters);
        }
        let known = *model.entries.entry(place).or_insert((mark.checksum, before));
        if known.0 != mark.checksum {
            model.wrong(format!("{member} has another entry {place:?} than others"));
        }
        match (known.1, before) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                model.wrong(format!("{member}: before {place:?} stands {ours:?}, elsewhere {theirs:?}"));
            }
            (None, Some(_)) => drop(model.entries.insert(place, (mark.checksum, before))),
            _ => {}
        }
    }

    fn truncated(&self, member: u64, from: u64) {
        let mut model = self.model();
        model.note(member, 3, (from, 0, 0));
        let gone = model.member(member).log.split_off(&from);
        let committed = gone
            .iter()
            .find(|(index, leader)| model.committed.get(index).is_some_and(|known| known.leader == **leader));
        if let Some((index, leader)) = committed {
            let text = format!("{member} takes {index} of {leader:?} out of its log, which is committed");
            model.wrong(text);
        }
    }

    fn applied(&self, member: u64, mark: LogMark, data: &Data) {
        let mut model = self.model();
        model.note(member, 4, (mark.index, mark.leader.0, mark.checksum.into()));
        model.commit(member, mark.index, mark.leader, mark.checksum);
        model.state(&member.to_string(), mark.index, data);
    }

    fn installed(&self, member: u64, index: u64, leader: (u64, u64), data: &Data) {
        let mut model = self.model();
        model.note(member, 5, (index, leader.0, leader.1));
        if model.committed.get(&index).is_some_and(|known| known.leader != leader) {
            model.wrong(format!("{member} gets a snapshot at {index} of {leader:?}, which is not what was committed"));
        }
        let one = model.member(member);
        one.base = one.base.max(index);
        one.log.retain(|place, _| *place > index);
        model.state(&member.to_string(), index, data);
    }
}
