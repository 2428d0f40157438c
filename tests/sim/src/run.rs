//! One run: forms the cluster, lets clients write while faults happen, repairs everything, checks.

use std::cell::{Cell, RefCell};
use std::panic;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, ensure};
use turmoil::{Builder, Sim};

use crate::hosts::{HOSTS, Hosts};
use crate::plan::Plan;
use crate::workload::{DATABASE, History};
use crate::{check, http, nemesis, workload};

/// Within this much simulated time the cluster is formed, and all nodes serve again after the faults.
const START_MAX: Duration = Duration::from_secs(60);
/// Fewer acknowledged points than this prove nothing.
const ACKED_MIN: usize = 50;

/// Panics of any task since the start of the process; tokio keeps them to itself.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Points that were sent, and acknowledged.
    pub sent: usize,
    /// Acknowledged points.
    pub acked: usize,
    /// Crashes of single hosts.
    pub crashes: u64,
    /// How long it took until all copies were the same and whole.
    pub converged: Duration,
    /// Simulated time in all.
    pub elapsed: Duration,
    /// A number that differs when anything was done otherwise.
    pub trace: u64,
}

/// Runs what the plan says. Once per process: dependencies keep random state that leaks from run to run.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn run(plan: &Plan) -> anyhow::Result<Summary> {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(info.to_string());
        }
    }));
    let mut builder = Builder::new();
    builder
        .rng_seed(plan.seed)
        .simulation_duration(Duration::from_secs(3_600))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(plan.latency_max)
        .tcp_capacity(4_096);
    let mut sim = builder.build();
    let hosts = Hosts::new(plan);
    let history = Rc::new(History::default());
    let result = phases(plan, &mut sim, &hosts, &history);
    let result = result.and_then(|converged| {
        ensure!(history.acked() >= ACKED_MIN, "unknown: only {} points were acknowledged", history.acked());
        Ok(converged)
    });
    tracing::info!(answers = ?history.answers.borrow(), "what clients were answered");
    let converged = result?;
    let counts = hosts.all.iter().map(|host| host.disk.counts());
    let trace = counts.fold(history.acked() as u64, |trace, counts| {
        trace.wrapping_mul(0x100_0000_01b3)
            ^ counts.reads
            ^ counts.writes << 20
            ^ counts.syncs << 40
            ^ counts.names << 52
    });
    Ok(Summary {
        sent: history.points.borrow().len(),
        acked: history.acked(),
        crashes: hosts.crashes.get(),
        converged,
        elapsed: sim.elapsed(),
        trace,
    })
}

fn phases(plan: &Plan, sim: &mut Sim<'static>, hosts: &Rc<Hosts>, history: &Rc<History>) -> anyhow::Result<Duration> {
    let plan = Rc::new(plan.clone());
    (0..HOSTS.len()).for_each(|index| hosts.register(sim, index));
    until(sim, hosts, START_MAX, || hosts.serving().is_some()).context("the cluster is not formed")?;
    let formed = client(sim, "setup", set_up());
    until(sim, hosts, START_MAX, || formed.borrow().is_some()).context("the cluster is not formed")?;
    formed.borrow_mut().take().unwrap_or(Ok(()))?;

    history.busy.set(plan.writers as usize + 1);
    for writer in 1..=plan.writers {
        let writing = workload::write_numbers(Rc::clone(&plan), Rc::clone(history), writer);
        client(sim, &format!("w{writer}"), writing);
    }
    client(sim, "overwriter", workload::overwrite(Rc::clone(&plan), Rc::clone(history)));
    let breaking = client(sim, "nemesis", nemesis::run(Rc::clone(&plan), Rc::clone(hosts)));
    until(sim, hosts, plan.duration * 2, || breaking.borrow().is_some()).context("faults do not end")?;
    history.is_over.set(true);
    until(sim, hosts, START_MAX, || hosts.serving().is_some() && history.busy.get() == 0)
        .context("not all nodes serve after the faults")?;

    let checked = client(sim, "checker", check::run(Rc::clone(hosts), Rc::clone(history)));
    until(sim, hosts, check::CONVERGE_MAX * 3, || checked.borrow().is_some()).context("the checker does not end")?;
    let result = checked.borrow_mut().take();
    result.context("the checker gave no verdict")?.map_err(anyhow::Error::msg)
}

/// Runs a future as a client of the simulation; its result is there once it has ended.
pub(crate) fn client<T: 'static>(
    sim: &mut Sim<'static>,
    name: &str,
    work: impl Future<Output = T> + 'static,
) -> Rc<RefCell<Option<T>>> {
    let result = Rc::new(RefCell::new(None));
    let copy = Rc::clone(&result);
    sim.client(name, async move {
        let value = work.await;
        copy.borrow_mut().replace(value);
        Ok(())
    });
    result
}

/// Lets simulated time pass until something is true.
fn until(sim: &mut Sim<'static>, hosts: &Rc<Hosts>, limit: Duration, is_true: impl Fn() -> bool) -> anyhow::Result<()> {
    let end = sim.elapsed() + limit;
    while !is_true() {
        sim.step().map_err(|error| anyhow::anyhow!("the simulation ended: {error}"))?;
        hosts.carry_out(sim);
        if let Some(problem) = hosts.problems.borrow().first() {
            anyhow::bail!("{problem}");
        }
        if let Some(panic) = PANICS.lock().ok().and_then(|panics| panics.first().cloned()) {
            anyhow::bail!("panic: {panic}");
        }
        let states: Vec<_> = hosts.all.iter().map(|host| host.state.borrow().clone()).collect();
        ensure!(sim.elapsed() < end, "not within {} simulated seconds; nodes: {states:?}", limit.as_secs());
    }
    Ok(())
}

/// Waits until all nodes know each other and makes the database.
async fn set_up() -> anyhow::Result<()> {
    let limit = Duration::from_secs(5);
    for host in HOSTS {
        let start = tokio::time::Instant::now();
        loop {
            let servers = http::rows(host, "SHOW SERVERS", "", limit).await;
            // Each is listed as a data node and as a meta node.
            if servers.as_ref().is_ok_and(|rows| rows.len() == 2 * HOSTS.len()) {
                break;
            }
            ensure!(start.elapsed() < START_MAX, "{host} does not list all nodes: {servers:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let create = format!("CREATE DATABASE {DATABASE} WITH DURATION INF REPLICATION 3 SHARD DURATION 1h NAME rp");
    http::rows(HOSTS[0], &create, "", limit).await.context("create the database")?;
    Ok(())
}

/// Counts of simulated time for log lines: nanoseconds since the start.
#[must_use]
pub fn simulated_now() -> i64 {
    thread_local!(static LAST: Cell<i64> = const { Cell::new(0) });
    if let Some(elapsed) = turmoil::sim_elapsed() {
        LAST.set(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
    }
    LAST.get()
}
