//! The hosts that nodes run on: each with a disk and a clock of its own that outlive its crashes.
//!
//! A node is started by turmoil whenever its host starts. Crashes and restarts are done by the driver of the
//! simulation between two ticks; whoever runs inside asks for them with a [`Wish`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context;
use config::{DataNodeConfig, Program, Settings};
use env::simulated::{LossModel, SimClock, SimDisk};
use env::{Env, Fs};
use influxd::node::Node;
use influxd::program::Ended;
use turmoil::Sim;

use crate::dice::Dice;
use crate::lying_fs::LyingFs;
use crate::plan::{Plan, Plant};

/// Names of the hosts. The first node makes the cluster, the others join it.
pub const HOSTS: [&str; 3] = ["n1", "n2", "n3"];
const DATA_DIR: &str = "/var/data";
const HINTS_DIR: &str = "/var/hh";

/// What a node is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The host has no power.
    Down,
    /// It starts.
    Starting,
    /// It serves clients under this number.
    Serving(u64),
    /// It ended by itself.
    Ended,
}

/// What the driver is asked to do between two ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Take the power from a host.
    Crash(usize, LossModel),
    /// Give it back.
    Start(usize),
}

/// One host.
#[derive(Debug)]
pub struct Host {
    /// What it is called.
    pub name: &'static str,
    /// Its disk.
    pub disk: SimDisk,
    /// What its node is doing.
    pub state: RefCell<State>,
    /// Made when it starts first, so that it counts simulated time only.
    clock: RefCell<Option<SimClock>>,
    starts: Cell<u64>,
    /// What a fuse does to the disk when it blows.
    loss: Cell<LossModel>,
}

/// All hosts.
#[derive(Debug)]
pub struct Hosts {
    /// In order of their names.
    pub all: Vec<Host>,
    plan: Plan,
    wishes: RefCell<VecDeque<Wish>>,
    /// What nodes did that they should not: start that failed, ends without a reason.
    pub problems: RefCell<Vec<String>>,
    /// Crashes and restarts that took place.
    pub crashes: Cell<u64>,
}

impl Hosts {
    /// Hosts with empty disks.
    pub fn new(plan: &Plan) -> Rc<Hosts> {
        let mut dice = Dice::new(plan.seed, 2);
        let all = HOSTS.map(|name| Host {
            name,
            disk: SimDisk::new(dice.bits()),
            state: RefCell::new(State::Starting),
            clock: RefCell::new(None),
            starts: Cell::new(0),
            loss: Cell::new(LossModel::LoseAll),
        });
        Rc::new(Hosts {
            all: all.into_iter().collect(),
            plan: plan.clone(),
            wishes: RefCell::default(),
            problems: RefCell::default(),
            crashes: Cell::new(0),
        })
    }

    /// Makes a host known to the simulation and starts its node.
    pub fn register(self: &Rc<Self>, sim: &mut Sim<'static>, index: usize) {
        let hosts = Rc::clone(self);
        sim.host(HOSTS[index], move || {
            let hosts = Rc::clone(&hosts);
            async move {
                hosts.run(index).await;
                // A host whose node ended stays; the driver decides what becomes of it.
                std::future::pending().await
            }
        });
    }

    async fn run(&self, index: usize) {
        let host = &self.all[index];
        host.state.replace(State::Starting);
        host.starts.set(host.starts.get() + 1);
        let clock = host.clock.borrow_mut().get_or_insert_with(SimClock::default).clone();
        let entropy = Dice::new(self.plan.seed, 1_000 + 100 * index as u64 + host.starts.get()).bits();
        let mut env = Env::simulated(entropy, &clock, &host.disk);
        if self.plan.plant == Plant::UnsyncedAcks {
            let lying = LyingFs::new(host.disk.clone(), Path::new(DATA_DIR));
            env = env.with_fs(std::sync::Arc::new(lying));
        }
        let why = match config(&self.plan, index) {
            Err(error) => format!("{error:#}"),
            Ok(config) => match Node::start(env, config, Vec::new()).await {
                Err(error) => format!("does not start: {error:#}"),
                Ok(node) => {
                    host.state.replace(State::Serving(node.id().0));
                    match node.ended().await {
                        Ended::Failed(why) => why,
                        Ended::Left => "has left its cluster".to_owned(),
                    }
                }
            },
        };
        host.state.replace(State::Ended);
        if !host.disk.is_off() {
            self.problems.borrow_mut().push(format!("{}: {why}", host.name));
        }
    }

    /// Asks the driver for something.
    pub fn wish(&self, wish: Wish) {
        self.wishes.borrow_mut().push_back(wish);
    }

    /// What becomes of unsynced changes when a fuse cuts the power.
    pub fn set_loss(&self, index: usize, loss: LossModel) {
        self.all[index].loss.set(loss);
    }

    /// Puts the wall clock of a host forward, or back. Must be called inside the simulation.
    pub fn jump_clock(&self, index: usize, nanoseconds: i64) {
        if let Some(clock) = self.all[index].clock.borrow().as_ref() {
            clock.jump(nanoseconds);
        }
    }

    /// Carries out what was wished for, and takes hosts down whose power a fuse has cut. Called between ticks.
    pub fn carry_out(&self, sim: &mut Sim<'static>) {
        for (index, host) in self.all.iter().enumerate() {
            if host.disk.is_off() && *host.state.borrow() != State::Down {
                self.crash(sim, index, host.loss.get());
            }
        }
        loop {
            // Taken out first: a crash drops tasks, which may wish for something.
            let Some(wish) = self.wishes.borrow_mut().pop_front() else { break };
            match wish {
                Wish::Crash(index, loss) => self.crash(sim, index, loss),
                Wish::Start(index) => self.start(sim, index),
            }
        }
    }

    fn crash(&self, sim: &mut Sim<'static>, index: usize, loss: LossModel) {
        let host = &self.all[index];
        if *host.state.borrow() == State::Down {
            return;
        }
        // First the disk, so that nothing that tasks do while they are dropped reaches it.
        host.disk.crash(loss);
        sim.crash(host.name);
        host.state.replace(State::Down);
        self.crashes.set(self.crashes.get() + 1);
    }

    fn start(&self, sim: &mut Sim<'static>, index: usize) {
        let host = &self.all[index];
        if *host.state.borrow() != State::Down {
            return;
        }
        if self.plan.plant.wipes_hints()
            && let Err(error) = wipe(&host.disk, Path::new(HINTS_DIR))
        {
            self.problems.borrow_mut().push(format!("{}: hints cannot be wiped: {error}", host.name));
        }
        host.state.replace(State::Starting);
        sim.bounce(host.name);
    }

    /// The numbers of all nodes, when all of them serve.
    pub fn serving(&self) -> Option<Vec<u64>> {
        let number = |host: &Host| match *host.state.borrow() {
            State::Serving(number) => Some(number),
            _ => None,
        };
        self.all.iter().map(number).collect()
    }
}

fn wipe(disk: &SimDisk, dir: &Path) -> std::io::Result<()> {
    if !disk.exists(dir)? {
        return Ok(());
    }
    disk.remove_dir_all(dir)?;
    dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent))
}

/// The configuration of a node, by way of the text that a file would have.
fn config(plan: &Plan, index: usize) -> anyhow::Result<DataNodeConfig> {
    let text = format!(
        "[meta]\nenabled = true\ndir = \"/var/meta\"\nbind-address = \":8088\"\nhttp-bind-address = \":8091\"\n\
         [data]\nenabled = true\ndir = \"{DATA_DIR}\"\nwal-dir = \"/var/wal\"\ncache-snapshot-memory-size = {}\n\
         cache-snapshot-write-cold-duration = \"3s\"\n\
         [hinted-handoff]\nenabled = true\ndir = \"{HINTS_DIR}\"\n\
         [anti-entropy]\nenabled = {}\ncheck-interval = \"{}s\"\n\
         [http]\nenabled = true\nbind-address = \":8086\"\nlog-enabled = false\n",
        plan.flush_bytes,
        plan.plant.compares_copies(),
        plan.compare_interval.as_secs(),
    );
    let (settings, _) =
        Settings::read(Program::Influxd, "simulated.conf", &text).context("the configuration of the simulation")?;
    let join = (index > 0).then(|| format!("{}:8091", HOSTS[0]));
    Ok(DataNodeConfig::new(&settings, join.as_deref(), Some(HOSTS[index]))?)
}
