//! The faults of a run, the changes of its members, and the repair of everything.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{bail, ensure};
use env::simulated::{Effect, Fuse, LossModel, SimDisk};
use meta_node::MetaNode;
use model::NodeId;

use super::clients::History;
use super::servers::{NAMES, Servers, State, Wish};
use super::view::View;
use super::{ACKED_MIN, Bug};
use crate::dice::Dice;
use crate::http;

/// Faults go on until enough was acknowledged among them, but no longer than this.
const LASTS_MAX: Duration = Duration::from_secs(150);
/// How long an operator waits for an answer.
const OPERATE_MAX: Duration = Duration::from_secs(30);
/// How often an operator tries again.
const ATTEMPTS_MAX: usize = 40;
/// Until everything works again after the faults.
const HEAL_MAX: Duration = Duration::from_secs(90);
/// Fewest members while members are taken away.
const MEMBERS_MIN: usize = 3;

fn admin(index: usize) -> String {
    format!("{}:8091", NAMES[index])
}

/// Has the first node form a cluster and adds more until there are `count`.
pub async fn form(servers: Rc<Servers>, count: usize) -> anyhow::Result<()> {
    ensure!(ask(0, "/join", &format!("addr={}", admin(0))).await, "no cluster is formed");
    for (index, name) in NAMES.iter().enumerate().take(count).skip(1) {
        ensure!(operate(&servers, "/join", &format!("addr={}", admin(index))).await, "{name} is not added");
    }
    Ok(())
}

/// Asks who leads, again and again; whether it was done. Nobody else is asked: a node that is in no cluster would form
/// one.
async fn operate(servers: &Servers, path: &str, form: &str) -> bool {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(leader) = leader(servers)
            && ask(leader, path, form).await
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    false
}

async fn ask(host: usize, path: &str, form: &str) -> bool {
    let answer = http::post_form(NAMES[host], path, form, OPERATE_MAX).await;
    let is_done = answer.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status));
    if !is_done {
        tracing::debug!(path, form, ?answer, "not done");
    }
    is_done
}

/// The host that leads.
fn leader(servers: &Servers) -> Option<usize> {
    let leads = |node: &MetaNode| node.leader().is_some_and(|leader| Some(leader.id) == node.id());
    servers.all.iter().position(|server| server.node().as_ref().is_some_and(leads))
}

/// The members as the leader knows them: host, and number.
fn members(servers: &Servers) -> BTreeMap<usize, u64> {
    let Some(node) = leader(servers).and_then(|index| servers.all[index].node()) else { return BTreeMap::new() };
    let data = node.data();
    let host = |address: &str| (0..NAMES.len()).find(|index| admin(*index) == address);
    data.meta_nodes().filter_map(|node| Some((host(&node.meta.as_ref()?.http_addr)?, node.id.0))).collect()
}

/// How many members vote, as the leader knows it.
fn voters(servers: &Servers) -> usize {
    let node = leader(servers).and_then(|index| servers.all[index].node());
    node.map_or(0, |node| node.status().peers.len())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Crash,
    CrashAll,
    Fuse,
    Cut,
    Hold,
    Clock,
    Add,
    Remove,
    Leave,
    LoseDisk,
    OldDisk,
}

struct Nemesis {
    servers: Rc<Servers>,
    dice: Dice,
    links: BTreeMap<(usize, usize), bool>,
    copies: BTreeMap<usize, SimDisk>,
    counts: BTreeMap<Event, usize>,
}

/// Breaks and changes things; how often each.
pub async fn run(seed: u64, bug: Bug, servers: Rc<Servers>, history: Rc<History>) -> String {
    let mut dice = Dice::new(seed, 3);
    let all = [
        Event::Crash,
        Event::CrashAll,
        Event::Fuse,
        Event::Cut,
        Event::Hold,
        Event::Clock,
        Event::Add,
        Event::Remove,
        Event::Leave,
        Event::LoseDisk,
        Event::OldDisk,
    ];
    // Each kind is off in half of the runs; members are always added, or soon there would be none to take away.
    let mut events: Vec<Event> = all.into_iter().filter(|event| *event == Event::Add || dice.chance(50)).collect();
    if bug == Bug::LyingDisk {
        events = vec![Event::CrashAll, Event::Crash];
    }
    let lasts = dice.millis(20_000, 40_000);
    let (links, copies, counts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut nemesis = Nemesis { servers, dice, links, copies, counts };
    let start = tokio::time::Instant::now();
    while start.elapsed() < lasts || (start.elapsed() < LASTS_MAX && history.counts().0 < ACKED_MIN) {
        tokio::time::sleep(nemesis.dice.millis(100, 1_500)).await;
        // When time is up and too little was done, faults are to become fewer.
        if nemesis.dice.chance(if start.elapsed() < lasts { 40 } else { 85 }) {
            nemesis.repair_one();
        } else {
            let event = nemesis.dice.pick(&events);
            nemesis.happen(event).await;
        }
    }
    nemesis.repair_links();
    nemesis.servers.all.iter().for_each(|server| server.disk.borrow().disarm());
    let counts = nemesis.counts.iter().map(|(event, count)| format!("{event:?} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}

impl Nemesis {
    fn count(&mut self, event: Event) {
        *self.counts.entry(event).or_insert(0) += 1;
    }

    async fn happen(&mut self, event: Event) {
        let host = self.dice.index(NAMES.len());
        let loss = self.dice.pick(&LossModel::ALL);
        tracing::info!(?event, host = NAMES[host], "happens");
        match event {
            Event::Crash => self.servers.wish(Wish::Crash(host, loss)),
            Event::CrashAll => (0..NAMES.len()).for_each(|host| self.servers.wish(Wish::Crash(host, loss))),
            Event::Fuse => {
                let fuse = Fuse { kinds: Fuse::CHANGES, after: self.dice.below(40), effect: Effect::PowerOff };
                self.servers.all[host].disk.borrow().arm(fuse);
            }
            Event::Cut => self.isolate(host, false),
            Event::Hold => self.isolate(host, true),
            Event::Clock => {
                let milliseconds = self.dice.below(7_200_000) as i64 - 3_600_000;
                self.servers.jump_clock(host, milliseconds * 1_000_000);
            }
            Event::Add => {
                let waits = |node: MetaNode| node.id().is_none();
                if !self.servers.all[host].node().is_some_and(waits) {
                    return;
                }
                let form = format!("addr={}", admin(host));
                let Some(asked) = leader(&self.servers) else { return };
                // What comes of it is seen in the end.
                let _ = http::post_form(NAMES[asked], "/join", &form, Duration::from_secs(3)).await;
            }
            Event::Remove | Event::Leave => {
                let known = members(&self.servers);
                let Some(asked) = leader(&self.servers).filter(|_| known.len() > MEMBERS_MIN) else { return };
                if !known.contains_key(&host) {
                    return;
                }
                let (asked, path) = if event == Event::Leave { (host, "/leave") } else { (asked, "/remove") };
                let form = format!("httpAddr={}", admin(host));
                let _ = http::post_form(NAMES[asked], path, &form, Duration::from_secs(3)).await;
            }
            Event::LoseDisk | Event::OldDisk => return self.another_disk(event, host).await,
        }
        self.count(event);
    }

    /// A member loses its disk, or gets one back that it had. Only while all others are well: else what was acknowledged
    /// may be nowhere, or nobody may know that the disk is old.
    async fn another_disk(&mut self, event: Event, host: usize) {
        if event == Event::OldDisk && !self.copies.contains_key(&host) {
            // A copy from when it was alone knows nobody who could tell it of what came later.
            let is_alone = |node: MetaNode| node.id().is_some() && node.status().peers.len() < 2;
            if self.servers.all[host].node().is_none_or(is_alone) {
                return;
            }
            let copy = self.servers.all[host].disk.borrow().fork(self.dice.bits());
            copy.crash(LossModel::KeepAll);
            self.copies.insert(host, copy);
            return;
        }
        self.repair_links();
        self.servers.all.iter().for_each(|server| server.disk.borrow().disarm());
        (0..NAMES.len()).for_each(|host| self.servers.wish(Wish::Start(host)));
        tokio::time::sleep(Duration::from_secs(6)).await;
        let known = members(&self.servers);
        let well = |index: &usize| self.servers.all[*index].state.get() == State::Up;
        let is_safe = voters(&self.servers) >= MEMBERS_MIN && known.keys().all(well);
        let Some(number) = known.get(&host).copied().filter(|_| is_safe) else { return };
        let disk = match event {
            Event::OldDisk => self.copies.remove(&host).unwrap_or_else(|| SimDisk::new(1)),
            _ => SimDisk::new(self.dice.bits()),
        };
        self.servers.wish(Wish::Crash(host, LossModel::KeepAll));
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.servers.wish(Wish::Disk(host, disk));
        self.servers.wish(Wish::Start(host));
        self.count(event);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let server = &self.servers.all[host];
        tracing::info!(host = NAMES[host], number, state = ?server.state.get(), "has another disk");
        let is_member = server.node().is_some_and(|node| node.id() == Some(NodeId(number)));
        if !is_member || server.state.get() == State::Refused {
            replace(&self.servers, host, self.dice.bits()).await;
        }
    }

    fn isolate(&mut self, host: usize, hold: bool) {
        let one_only = self.dice.chance(50).then(|| self.dice.index(NAMES.len()));
        for other in (0..NAMES.len()).filter(|other| *other != host && one_only.is_none_or(|only| only == *other)) {
            let link = (host.min(other), host.max(other));
            if self.links.contains_key(&link) {
                continue;
            }
            if hold {
                turmoil::hold(NAMES[link.0], NAMES[link.1])
            } else {
                turmoil::partition(NAMES[link.0], NAMES[link.1])
            }
            self.links.insert(link, hold);
        }
    }

    fn repair_links(&mut self) {
        for ((a, b), hold) in std::mem::take(&mut self.links) {
            if hold { turmoil::release(NAMES[a], NAMES[b]) } else { turmoil::repair(NAMES[a], NAMES[b]) }
        }
    }

    /// Starts a host that is down, or mends all links.
    fn repair_one(&mut self) {
        let down: Vec<usize> =
            (0..NAMES.len()).filter(|host| self.servers.all[*host].state.get() == State::Down).collect();
        if down.is_empty() {
            self.repair_links();
        } else {
            let host = self.dice.pick(&down);
            self.servers.wish(Wish::Start(host));
        }
    }
}

/// What the documentation tells operators to do with a member whose directory is of no use: remove it, empty the
/// directory, add it again.
async fn replace(servers: &Servers, host: usize, seed: u64) {
    if servers.all[host].state.get() == State::Refused {
        servers.wish(Wish::Crash(host, LossModel::KeepAll));
        tokio::time::sleep(Duration::from_millis(10)).await;
        servers.wish(Wish::Disk(host, SimDisk::new(seed)));
    }
    let form = format!("httpAddr={}&force=true&tcpAddr={}:8089", admin(host), NAMES[host]);
    operate(servers, "/remove", &form).await;
    servers.wish(Wish::Start(host));
    tokio::time::sleep(Duration::from_secs(1)).await;
    operate(servers, "/join", &format!("addr={}", admin(host))).await;
}

/// Starts everything and waits until the cluster works: somebody leads, a change is decided, every member has it, and
/// nothing that was acknowledged is missing.
///
/// # Errors
/// What is not so in time.
pub async fn heal(servers: Rc<Servers>, history: Rc<History>, view: Rc<View>) -> anyhow::Result<()> {
    let start = tokio::time::Instant::now();
    loop {
        let why = match look(&servers, &history).await {
            Ok(()) if !view.has_newest(&servers) => anyhow::anyhow!("the data node lags behind"),
            Ok(()) => {
                let Some(node) = leader(&servers).and_then(|index| servers.all[index].node()) else { return Ok(()) };
                return view.hears(&node).await;
            }
            Err(why) => why,
        };
        if start.elapsed() > HEAL_MAX {
            bail!("{why:#}; nodes: {}", servers.describe());
        }
        for host in 0..NAMES.len() {
            if servers.all[host].state.get() == State::Refused {
                replace(&servers, host, 7 + host as u64).await;
            }
            servers.wish(Wish::Start(host));
        }
        // Who was counted among the members and broke down before it knew has to be added again.
        let waits = |host: &usize| servers.all[*host].node().is_some_and(|node| node.id().is_none());
        if let Some(host) = members(&servers).into_keys().find(waits) {
            operate(&servers, "/join", &format!("addr={}", admin(host))).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn look(servers: &Servers, history: &History) -> anyhow::Result<()> {
    let Some(leads) = leader(servers) else { bail!("nobody leads") };
    let Some(node) = servers.all[leads].node() else { bail!("the leader is gone") };
    let data = tokio::time::timeout(Duration::from_secs(6), node.ensure_linearizable()).await??;
    let acked = history.acked.borrow();
    let lost = acked.keys().find(|name| data.database(name).is_none());
    ensure!(lost.is_none(), "{lost:?} was acknowledged and is not there");
    for host in members(servers).into_keys() {
        let index = servers.all[host].node().map(|node| node.data().index());
        ensure!(index >= Some(data.index()), "{} has {index:?} of {}", NAMES[host], data.index());
    }
    Ok(())
}
