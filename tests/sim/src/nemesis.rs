//! The faults of a run, one after the other, and their repair.

use std::rc::Rc;
use std::time::Duration;

use env::simulated::{Effect, Fuse, LossModel};

use crate::dice::Dice;
use crate::hosts::{HOSTS, Hosts, State, Wish};
use crate::plan::{Plan, Plant};

/// The pairs of hosts.
const LINKS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Crash,
    Fuse,
    CrashAll,
    Partition,
    Hold,
    Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Works,
    Cut,
    Held,
}

struct Nemesis {
    plan: Rc<Plan>,
    hosts: Rc<Hosts>,
    dice: Dice,
    links: [Link; 3],
}

/// Breaks things for as long as the plan says, then repairs everything.
pub async fn run(plan: Rc<Plan>, hosts: Rc<Hosts>) {
    let dice = Dice::new(plan.seed, 3);
    let (duration, faults) = (plan.duration, faults(&plan));
    let mut nemesis = Nemesis { plan, hosts, dice, links: [Link::Works; 3] };
    let end = tokio::time::Instant::now() + duration;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(nemesis.dice.millis(100, 2_000)).await;
        if nemesis.dice.chance(45) {
            nemesis.repair_one();
        } else if !faults.is_empty() {
            let fault = nemesis.dice.pick(&faults);
            nemesis.break_something(fault);
        }
    }
    nemesis.repair_all().await;
}

fn faults(plan: &Plan) -> Vec<Fault> {
    let on = plan.faults;
    let all = [
        (Fault::Crash, on.crash),
        (Fault::Fuse, on.fuse),
        (Fault::CrashAll, on.crash_all),
        (Fault::Partition, on.partition),
        (Fault::Hold, on.hold),
        (Fault::Clock, on.clock),
    ];
    all.into_iter().filter(|(_, on)| *on).map(|(fault, _)| fault).collect()
}

impl Nemesis {
    fn loss(&mut self) -> LossModel {
        match self.plan.plant {
            // What is not synced is to be lost.
            Plant::UnsyncedAcks => LossModel::LoseAll,
            _ => self.dice.pick(&LossModel::ALL),
        }
    }

    fn break_something(&mut self, fault: Fault) {
        let host = self.dice.index(HOSTS.len());
        tracing::info!(?fault, host = HOSTS[host], "a fault");
        match fault {
            Fault::Crash => {
                let loss = self.loss();
                self.hosts.wish(Wish::Crash(host, loss));
            }
            Fault::Fuse => {
                let (loss, after) = (self.loss(), self.dice.below(60));
                self.hosts.set_loss(host, loss);
                self.hosts.all[host].disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
            }
            Fault::CrashAll => {
                for host in 0..HOSTS.len() {
                    let loss = self.loss();
                    self.hosts.wish(Wish::Crash(host, loss));
                }
            }
            Fault::Partition => self.isolate(host, Link::Cut),
            Fault::Hold => self.isolate(host, Link::Held),
            Fault::Clock => {
                let milliseconds = self.dice.below(7_200_000) as i64 - 3_600_000;
                self.hosts.jump_clock(host, milliseconds * 1_000_000);
            }
        }
    }

    /// Breaks one link of a host, or all.
    fn isolate(&mut self, host: usize, how: Link) {
        let one_only = self.dice.chance(50).then(|| self.dice.index(LINKS.len()));
        for (index, (a, b)) in LINKS.into_iter().enumerate() {
            let meant = match one_only {
                Some(only) => only == index,
                None => a == host || b == host,
            };
            if !meant || self.links[index] != Link::Works {
                continue;
            }
            match how {
                Link::Cut => turmoil::partition(HOSTS[a], HOSTS[b]),
                Link::Held => turmoil::hold(HOSTS[a], HOSTS[b]),
                Link::Works => {}
            }
            self.links[index] = how;
        }
    }

    fn mend(&mut self, index: usize) {
        let (a, b) = LINKS[index];
        match self.links[index] {
            Link::Works => {}
            Link::Cut => turmoil::repair(HOSTS[a], HOSTS[b]),
            Link::Held => turmoil::release(HOSTS[a], HOSTS[b]),
        }
        self.links[index] = Link::Works;
    }

    /// Starts a host that is down, or mends all links.
    fn repair_one(&mut self) {
        let down: Vec<usize> =
            (0..HOSTS.len()).filter(|host| *self.hosts.all[*host].state.borrow() == State::Down).collect();
        if down.is_empty() {
            (0..LINKS.len()).for_each(|link| self.mend(link));
        } else {
            let host = self.dice.pick(&down);
            self.hosts.wish(Wish::Start(host));
        }
    }

    async fn repair_all(&mut self) {
        (0..LINKS.len()).for_each(|link| self.mend(link));
        self.hosts.all.iter().for_each(|host| host.disk.disarm());
        // A fuse may have blown in this very tick.
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            (0..HOSTS.len()).for_each(|host| self.hosts.wish(Wish::Start(host)));
        }
        tracing::info!("everything is repaired");
    }
}
