//! Meta nodes whose members come and go while things break.
//!
//! One to five hosts run the real code of `influxd-meta`; clients change the metadata and read it; members are added,
//! removed, leave, lose their disks and get old ones back; nodes crash, links break, clocks jump. A `watch` sees every
//! vote, entry and state in the moment in which it is durable and checks what Raft promises, event by event; what
//! clients saw is checked by them; a `view` follows as a data node does; in the end the cluster has to work again.

pub mod clients;
pub mod nemesis;
pub mod servers;
pub mod view;
pub mod watch;

use std::panic;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use turmoil::{Builder, Sim};

use crate::dice::Dice;
use crate::run::client;
use servers::Servers;
use watch::Watch;

/// Within this much simulated time the cluster is formed, and works again after the faults.
const START_MAX: Duration = Duration::from_secs(60);
/// Fewer acknowledged changes than this prove nothing.
const ACKED_MIN: usize = 20;

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A bug that is put in on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Bug {
    /// None: the run must pass.
    #[default]
    None,
    /// The disk says that it synced and did not: votes and entries are forgotten. Must be found.
    LyingDisk,
    /// Consistent reads come from any member's copy. Must be found.
    StaleReads,
}

impl Bug {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::None => "none",
            Bug::LyingDisk => "lying-disk",
            Bug::StaleReads => "stale-reads",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Changes that were acknowledged.
    pub acked: usize,
    /// Reads that were confirmed.
    pub reads: usize,
    /// Elections.
    pub elections: usize,
    /// Entries that were committed.
    pub committed: usize,
    /// Faults and changes of members, by name.
    pub events: String,
    /// Leases that were given or renewed.
    pub leases: usize,
    /// Versions that a data node has shown.
    pub versions: usize,
    /// Simulated time in all.
    pub elapsed: Duration,
    /// A number that differs when anything happened otherwise.
    pub trace: u64,
}

/// Runs what the seed says. Once per process.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn run(seed: u64, bug: Bug) -> anyhow::Result<Summary> {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(info.to_string());
        }
    }));
    let mut dice = Dice::new(seed, 1);
    let mut builder = Builder::new();
    builder
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(3_600))
        .tick_duration(Duration::from_millis(2))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(dice.millis(1, 20))
        .tcp_capacity(4_096);
    let mut sim = builder.build();
    let watch = Arc::new(Watch::default());
    let servers = Servers::new(seed, bug, Arc::clone(&watch));
    (0..servers::NAMES.len()).for_each(|index| servers.register(&mut sim, index));
    until(&mut sim, &servers, &watch, || servers.all_answer()).context("the nodes do not start")?;

    let history = Rc::new(clients::History::default());
    let first = 1 + dice.index(servers::NAMES.len());
    let forming = client(&mut sim, "operator", nemesis::form(Rc::clone(&servers), first));
    until(&mut sim, &servers, &watch, || forming.borrow().is_some()).context("the cluster is not formed")?;
    forming.borrow_mut().take().unwrap_or(Ok(()))?;
    for number in 0..3 {
        let working = clients::work(seed, number, bug, Rc::clone(&servers), Rc::clone(&history));
        client(&mut sim, &format!("client{number}"), working);
    }
    let view = Rc::new(view::View::default());
    client(&mut sim, "view", Rc::clone(&view).run(seed, Rc::clone(&servers), Arc::clone(&watch)));
    let breaking = client(&mut sim, "nemesis", nemesis::run(seed, bug, Rc::clone(&servers), Rc::clone(&history)));
    until(&mut sim, &servers, &watch, || breaking.borrow().is_some()).context("the faults do not end")?;
    history.is_over.set(true);
    view.stays_up.set(true);
    let healing = nemesis::heal(Rc::clone(&servers), Rc::clone(&history), Rc::clone(&view));
    let healing = client(&mut sim, "healer", healing);
    until(&mut sim, &servers, &watch, || healing.borrow().is_some()).context("the cluster does not work again")?;
    healing.borrow_mut().take().unwrap_or(Ok(()))?;
    let events = breaking.borrow_mut().take().unwrap_or_default();
    let (elections, committed) = watch.counts();
    let (acked, reads) = history.counts();
    ensure!(acked >= ACKED_MIN && reads > 0, "unknown: only {acked} changes were acknowledged, {reads} reads");
    let (leases, versions, elapsed, trace) = (history.grants(), view.versions(), sim.elapsed(), watch.trace());
    Ok(Summary { acked, reads, elections, committed, events, leases, versions, elapsed, trace })
}

/// Lets simulated time pass until something is true, and looks after each tick whether something is wrong.
fn until(
    sim: &mut Sim<'static>,
    servers: &Rc<Servers>,
    watch: &Watch,
    is_true: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let end = sim.elapsed() + START_MAX * 4;
    while !is_true() {
        sim.step().map_err(|error| anyhow::anyhow!("the simulation ended: {error}"))?;
        servers.carry_out(sim);
        if let Some(problem) = watch.problem().or_else(|| servers.problems.borrow().first().cloned()) {
            bail!("{problem}");
        }
        if let Some(panic) = PANICS.lock().ok().and_then(|panics| panics.first().cloned()) {
            bail!("panic: {panic}");
        }
        ensure!(sim.elapsed() < end, "not in time; nodes: {}", servers.describe());
    }
    Ok(())
}
