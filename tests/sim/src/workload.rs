//! What clients write, and what they were told.
//!
//! Every point of a writer has a number of its own, which is its value; its time follows from the number. One more
//! client overwrites a single point through one coordinator with growing values.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::dice::Dice;
use crate::hosts::HOSTS;
use crate::http;
use crate::plan::Plan;

/// The database of the run.
pub const DATABASE: &str = "d";
/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(4);
/// Where the first shard group begins, nanoseconds.
const FIRST_TIME: i64 = 1_700_000_000_000_000_000 / GROUP_NS * GROUP_NS;
/// The span of a shard group.
const GROUP_NS: i64 = 3_600_000_000_000;
/// The point that is overwritten.
pub const OVERWRITTEN_TIME: i64 = FIRST_TIME + 1;

/// What is known of a point that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its time, nanoseconds.
    pub time: i64,
    /// Its writer.
    pub writer: u64,
    /// Whether it was acknowledged.
    pub is_acked: bool,
}

/// Everything that clients sent and were told.
#[derive(Debug, Default)]
pub struct History {
    /// By number.
    pub points: RefCell<BTreeMap<u64, Sent>>,
    /// The largest value of the overwritten point that was sent and that was acknowledged.
    pub overwrites: Cell<(u64, u64)>,
    /// How many requests got each answer; 0 for none.
    pub answers: RefCell<BTreeMap<u16, u64>>,
    /// Set when clients are to stop.
    pub is_over: Cell<bool>,
    /// Clients that write.
    pub busy: Cell<usize>,
}

impl History {
    /// How many points were acknowledged.
    pub fn acked(&self) -> usize {
        self.points.borrow().values().filter(|sent| sent.is_acked).count()
    }

    fn count(&self, answer: &anyhow::Result<http::Answer>) -> bool {
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        *self.answers.borrow_mut().entry(status).or_insert(0) += 1;
        status == 204
    }
}

async fn post(host: &str, level: &str, lines: &str) -> anyhow::Result<http::Answer> {
    let target = format!("/write?db={DATABASE}&consistency={level}");
    http::request(host, "POST", &target, lines.as_bytes(), ANSWER_MAX).await
}

/// Writes numbered points through random nodes until the run is over.
pub async fn write_numbers(plan: Rc<Plan>, history: Rc<History>, writer: u64) {
    let mut dice = Dice::new(plan.seed, 10 + writer);
    let mut next = 1u64;
    while !history.is_over.get() {
        let mut lines = String::new();
        let first = next;
        for _ in 0..1 + dice.below(12) {
            let number = writer * 1_000_000 + next;
            let group = dice.below(plan.groups) as i64;
            let time = FIRST_TIME + group * GROUP_NS + number as i64 * 10;
            lines.push_str(&format!("m,w=w{writer} v={number}i {time}\n"));
            history.points.borrow_mut().insert(number, Sent { time, writer, is_acked: false });
            next += 1;
        }
        let (host, level) = (dice.pick(&HOSTS), dice.pick(&["quorum", "quorum", "one"]));
        let answer = post(host, level, &lines).await;
        if history.count(&answer) {
            for number in first..next {
                if let Some(sent) = history.points.borrow_mut().get_mut(&(writer * 1_000_000 + number)) {
                    sent.is_acked = true;
                }
            }
        }
        tokio::time::sleep(dice.millis(5, 120)).await;
    }
    history.busy.set(history.busy.get() - 1);
}

/// Overwrites one point through one coordinator until the run is over.
pub async fn overwrite(plan: Rc<Plan>, history: Rc<History>) {
    let mut dice = Dice::new(plan.seed, 9);
    let coordinator = dice.pick(&HOSTS);
    let mut value = 0;
    while !history.is_over.get() {
        value += 1;
        let (_, acked) = history.overwrites.get();
        history.overwrites.set((value, acked));
        let answer = post(coordinator, "quorum", &format!("o v={value}i {OVERWRITTEN_TIME}\n")).await;
        if history.count(&answer) {
            history.overwrites.set((value, value));
        }
        tokio::time::sleep(dice.millis(5, 200)).await;
    }
    history.busy.set(history.busy.get() - 1);
}
