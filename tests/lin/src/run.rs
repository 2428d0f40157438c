//! One run: a cluster, clients, disturbances, then the verdict.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::checker::{Verdict, check};
use crate::clients::{World, beginning};
use crate::history::{self, Operation};
use crate::hosts::Network;
use crate::nemesis::{self, Disturbance};

/// Writers, and readers beside them.
const WRITERS: u64 = 24;
const READERS: u64 = 4;
/// A run with fewer operations, or fewer a second, proves nothing.
pub const OPERATIONS_MIN: usize = 3_000;
pub const RATE_MIN: f64 = 50.0;
/// How long the cluster may take to work again after the last disturbance.
const HEAL_MAX: Duration = Duration::from_secs(30);

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides what clients do and which disturbances come, not what the operating system makes of it.
    pub seed: u64,
    /// How long clients work.
    pub lasts: Duration,
    /// Where the programs are.
    pub bin: PathBuf,
    /// Where nodes keep their files, and the history goes.
    pub dir: PathBuf,
    /// What the namespaces are called.
    pub prefix: String,
    /// The planted bug.
    pub stale_reads: bool,
}

/// Repeatable dice (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }

    /// An index in `0..bound`.
    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What clients asked for; a read of all keys counts once.
    pub operations: usize,
    /// Of these, without an answer.
    pub unknown: usize,
    /// How long clients worked.
    pub lasted: Duration,
    /// How often there was each disturbance.
    pub disturbances: Vec<(Disturbance, usize)>,
    /// How long the search for an order took.
    pub checked_in: Duration,
}

/// Forms a cluster, has clients use it while it is disturbed, and checks what they saw.
///
/// # Errors
/// What is wrong: `violation: …`, or why nothing is known.
pub fn run(plan: &Plan) -> anyhow::Result<Summary> {
    let mut network = Network::form(&plan.prefix, &plan.dir, &plan.bin, 3, 2)?;
    let world = World {
        data: network.hosts[3..].iter().map(|host| format!("{}:8086", host.ip)).collect(),
        metas: network.metas().iter().map(crate::hosts::Host::named).collect(),
        start: Instant::now(),
        is_over: AtomicBool::new(false),
        hours: AtomicU64::new(0),
        stale_reads: plan.stale_reads,
    };
    world.set_up()?;
    let world = World { start: Instant::now(), ..world };
    let mut counts = Disturbance::ALL.map(|kind| (kind, 0));
    let (operations, reads, disturbed) = std::thread::scope(|scope| {
        let (world, seed) = (&world, plan.seed);
        let seed_of = move |number: u64| seed.wrapping_mul(1_000).wrapping_add(number);
        let writers: Vec<_> = (0..WRITERS).map(|number| scope.spawn(move || world.write(seed_of(number)))).collect();
        let readers: Vec<_> =
            (0..READERS).map(|number| scope.spawn(move || world.read(seed_of(100 + number)))).collect();
        let disturbed = disturb_all(&mut network, plan, &mut counts);
        world.is_over.store(true, Ordering::Relaxed);
        let join = |threads: Vec<std::thread::ScopedJoinHandle<'_, Vec<Operation>>>| -> Vec<Operation> {
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        };
        (join(writers), join(readers), disturbed)
    });
    let lasted = world.start.elapsed();
    // One answer held all keys.
    let mut moments: Vec<_> = reads.iter().map(|read| (read.began, read.ended)).collect();
    moments.sort_unstable();
    moments.dedup();
    let unknown = operations.iter().filter(|operation| operation.ended.is_none()).count();
    let count = operations.len() + moments.len();
    let all = [beginning(), operations, reads].concat();
    std::fs::write(plan.dir.join("history"), history::write(&all)).context("keep the history")?;
    network.remove();
    let began = Instant::now();
    decide(&all)?;
    let checked_in = began.elapsed();
    disturbed.context("unknown")?;
    ensure!(count >= OPERATIONS_MIN, "unknown: only {count} operations");
    let rate = count as f64 / lasted.as_secs_f64();
    ensure!(rate >= RATE_MIN, "unknown: only {rate:.0} operations a second");
    Ok(Summary { operations: count, unknown, lasted, disturbances: counts.to_vec(), checked_in })
}

/// Whether a history has an order.
///
/// # Errors
/// When it has none, or the search took too long.
pub fn decide(operations: &[Operation]) -> anyhow::Result<()> {
    for (key, verdict) in check(operations) {
        match verdict {
            Verdict::Linearizable => {}
            Verdict::Violation(open) => {
                anyhow::bail!("violation: no order of key {key} gets past one of these:\n{}", history::write(&open))
            }
            Verdict::Unknown => anyhow::bail!("unknown: the search for an order of key {key} took too long"),
        }
    }
    Ok(())
}

fn disturb_all(network: &mut Network, plan: &Plan, counts: &mut [(Disturbance, usize)]) -> anyhow::Result<()> {
    let mut dice = Dice(plan.seed);
    let end = Instant::now() + plan.lasts;
    // Every kind in its turn, beginning somewhere.
    let mut next = dice.index(Disturbance::ALL.len());
    while Instant::now() < end {
        std::thread::sleep(nemesis::rest(&mut dice));
        let index = next % counts.len();
        next += 1;
        nemesis::disturb(network, counts[index].0, &mut dice).with_context(|| format!("{:?}", counts[index].0))?;
        counts[index].1 += 1;
    }
    testkit::until("the cluster has a leader again", HEAL_MAX, || Ok(network.leader().ok()))?;
    Ok(())
}

/// Asks and reads the body of an answer 200.
///
/// # Errors
/// Any other answer, and none within two seconds.
pub fn get_bytes(address: &str, target: &str) -> anyhow::Result<Vec<u8>> {
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address.parse()?, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n").context("an answer has a head")?;
    let head = String::from_utf8_lossy(&raw[..split]).to_ascii_lowercase();
    ensure!(head.split(' ').nth(1) == Some("200"), "{}", head.lines().next().unwrap_or_default());
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let body = raw.split_off(split + 4);
    ensure!(length == Some(body.len()), "the answer is cut short");
    Ok(body)
}

/// Reads a history and decides.
///
/// # Errors
/// As [`decide`].
pub fn check_file(path: &Path) -> anyhow::Result<usize> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let operations = history::read(&text)?;
    decide(&operations)?;
    Ok(operations.len())
}
