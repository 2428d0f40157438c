//! The hosts of meta nodes: each with a disk that can be lost or put back, and a clock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::{MetaNodeConfig, Program, Settings};
use env::Env;
use env::simulated::{LossModel, SimClock, SimDisk};
use influxd::meta_only::MetaOnly;
use influxd::program::Ended;
use influxd::tls::NodeTls;
use meta_node::{MetaNode, RaftWitness};
use turmoil::Sim;

use super::Bug;
use super::watch::Watch;
use crate::dice::Dice;

/// Names of the hosts.
pub const NAMES: [&str; 5] = ["m1", "m2", "m3", "m4", "m5"];

/// How long a lease is good.
pub const LEASE: Duration = Duration::from_secs(5);

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The host has no power.
    Down,
    /// It starts, or waits to be started anew.
    Starting,
    /// It answers.
    Up,
    /// It found that its directory is an older copy, and ended.
    Refused,
}

/// What the driver is asked to do between two ticks.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Take the power from a host.
    Crash(usize, LossModel),
    /// Give it back.
    Start(usize),
    /// Put this disk into a host that has no power.
    Disk(usize, SimDisk),
}

/// One host.
#[derive(Debug)]
pub struct Server {
    /// What it is called.
    pub name: &'static str,
    /// Its disk.
    pub disk: RefCell<SimDisk>,
    /// What its node is doing.
    pub state: Cell<State>,
    node: RefCell<Option<MetaNode>>,
    clock: RefCell<Option<SimClock>>,
    starts: Cell<u64>,
}

impl Server {
    /// The node, while it answers.
    pub fn node(&self) -> Option<MetaNode> {
        self.node.borrow().clone().filter(|_| self.state.get() == State::Up)
    }
}

/// All hosts.
#[derive(Debug)]
pub struct Servers {
    /// In order of their names.
    pub all: Vec<Server>,
    seed: u64,
    wishes: RefCell<VecDeque<Wish>>,
    /// What nodes did that they should not.
    pub problems: RefCell<Vec<String>>,
    watch: Arc<Watch>,
}

impl Servers {
    /// Hosts with empty disks.
    pub fn new(seed: u64, bug: Bug, watch: Arc<Watch>) -> Rc<Servers> {
        let mut dice = Dice::new(seed, 2);
        let all = NAMES.map(|name| {
            let disk = SimDisk::new(dice.bits());
            disk.ignore_file_syncs(bug == Bug::LyingDisk);
            Server {
                name,
                disk: RefCell::new(disk),
                state: Cell::new(State::Starting),
                node: RefCell::default(),
                clock: RefCell::default(),
                starts: Cell::new(0),
            }
        });
        let (wishes, problems) = (RefCell::default(), RefCell::default());
        Rc::new(Servers { all: all.into_iter().collect(), seed, wishes, problems, watch })
    }

    /// Makes a host known to the simulation and starts its node.
    pub fn register(self: &Rc<Self>, sim: &mut Sim<'static>, index: usize) {
        let servers = Rc::clone(self);
        sim.host(NAMES[index], move || {
            let servers = Rc::clone(&servers);
            async move {
                while servers.run(index).await {}
                std::future::pending().await
            }
        });
    }

    /// One life; whether another follows at once.
    async fn run(&self, index: usize) -> bool {
        let server = &self.all[index];
        server.state.set(State::Starting);
        server.starts.set(server.starts.get() + 1);
        let clock = server.clock.borrow_mut().get_or_insert_with(SimClock::default).clone();
        let disk = server.disk.borrow().clone();
        let entropy = Dice::new(self.seed, 1_000 + 100 * index as u64 + server.starts.get()).bits();
        let env = Env::simulated(entropy, &clock, &disk);
        let config = match config(server.name) {
            Ok(config) => config,
            Err(error) => return self.ended(&disk, server, &format!("{error:#}")),
        };
        let tls = match NodeTls::open(&env, &config.tls) {
            Ok(tls) => tls,
            Err(error) => return self.ended(&disk, server, &format!("{error:#}")),
        };
        let witness = Arc::clone(&self.watch) as Arc<dyn RaftWitness>;
        let mut attempts = 0;
        let node = loop {
            match MetaOnly::start_watched(env.clone(), config.clone(), tls.clone(), false, Some(Arc::clone(&witness)))
                .await
            {
                Ok(node) => break node,
                Err(error) => {
                    let why = format!("{error:#}");
                    if why.contains("is an older copy") {
                        server.state.set(State::Refused);
                        return false;
                    }
                    attempts += 1;
                    // After a life that has left its directory and ports are taken for a moment.
                    if attempts > 50 || disk.is_off() {
                        return self.ended(&disk, server, &format!("does not start: {why}"));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        server.node.replace(Some(node.meta().clone()));
        server.state.set(State::Up);
        let ended = node.ended().await;
        server.node.replace(None);
        match ended {
            Ended::Failed(why) => self.ended(&disk, server, &why),
            Ended::Left => {
                server.state.set(State::Starting);
                node.stop().await;
                true
            }
        }
    }

    fn ended(&self, disk: &SimDisk, server: &Server, why: &str) -> bool {
        if !disk.is_off() {
            self.problem(format!("{}: {why}", server.name));
        }
        false
    }

    /// Notes that something is wrong.
    pub fn problem(&self, text: String) {
        self.problems.borrow_mut().push(text);
    }

    /// Asks the driver for something.
    pub fn wish(&self, wish: Wish) {
        self.wishes.borrow_mut().push_back(wish);
    }

    /// Puts the wall clock of a host forward, or back.
    pub fn jump_clock(&self, index: usize, nanoseconds: i64) {
        if let Some(clock) = self.all[index].clock.borrow().as_ref() {
            clock.jump(nanoseconds);
        }
    }

    /// Carries out what was wished for, and takes hosts down whose power a fuse has cut. Called between ticks.
    pub fn carry_out(&self, sim: &mut Sim<'static>) {
        for (index, server) in self.all.iter().enumerate() {
            if server.disk.borrow().is_off() && server.state.get() != State::Down {
                self.crash(sim, index, LossModel::Random);
            }
        }
        loop {
            let Some(wish) = self.wishes.borrow_mut().pop_front() else { break };
            match wish {
                Wish::Crash(index, loss) => self.crash(sim, index, loss),
                Wish::Start(index) => {
                    if self.all[index].state.get() == State::Down {
                        self.all[index].state.set(State::Starting);
                        sim.bounce(NAMES[index]);
                    }
                }
                Wish::Disk(index, disk) => {
                    if self.all[index].state.get() == State::Down {
                        self.all[index].disk.replace(disk);
                    }
                }
            }
        }
    }

    fn crash(&self, sim: &mut Sim<'static>, index: usize, loss: LossModel) {
        let server = &self.all[index];
        if server.state.get() == State::Down {
            return;
        }
        server.disk.borrow().crash(loss);
        sim.crash(server.name);
        server.node.replace(None);
        server.state.set(State::Down);
    }

    /// The node with this admin address, while it answers.
    pub fn node_at(&self, http_addr: &str) -> Option<MetaNode> {
        let at = self.all.iter().find(|server| http_addr.strip_suffix(":8091") == Some(server.name));
        at.and_then(Server::node)
    }

    /// Whether all nodes answer.
    pub fn all_answer(&self) -> bool {
        self.all.iter().all(|server| server.state.get() == State::Up)
    }

    /// In a few words.
    pub fn describe(&self) -> String {
        let describe = |server: &Server| match server.node() {
            None => format!("{} {:?}", server.name, server.state.get()),
            Some(node) => format!("{} {:?}", server.name, node.status()),
        };
        self.all.iter().map(describe).collect::<Vec<_>>().join("; ")
    }
}

fn config(name: &str) -> anyhow::Result<MetaNodeConfig> {
    let text = format!(
        "hostname = \"{name}\"\n[meta]\ndir = \"/var/meta\"\nbind-address = \":8089\"\nhttp-bind-address = \":8091\"\n\
         lease-duration = \"{}s\"\n",
        LEASE.as_secs()
    );
    let (settings, _) = Settings::read(Program::InfluxdMeta, "simulated.conf", &text)?;
    Ok(MetaNodeConfig::new(&settings, Some(name))?)
}
