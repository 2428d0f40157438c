//! The search for an order (after Wing and Gong, with Lowe's memory of what was tried).
//!
//! A history of one key is linearizable when its operations can be put in an order in which each takes its moment between
//! its beginning and its end, and each saw what the ones before it left. Keys do not influence each other, so each is
//! searched alone. An operation without an answer ends never, and what it does is allowed everywhere: it can always come
//! last, where it means nothing. Three things keep such operations from making the search endless, and none of them loses
//! an order: they are put somewhere only where they change the value; of those that do the same, the one that began first
//! goes first; and values that nobody ever saw are one value.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::history::{Action, Operation};
use crate::model::step;

/// Steps of a search after which it is given up.
pub const STEPS_MAX: u64 = 20_000_000;

/// What was found out about one key, or about all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Linearizable,
    /// There is none: no order gets past these operations.
    Violation(Vec<Operation>),
    /// The search took too long.
    Unknown,
}

/// Stands for every value that an operation without an answer may have brought, and that nobody saw.
const UNSEEN: u64 = u64::MAX;

/// Checks each key by itself; the first that is not linearizable, or not known to be, decides.
pub fn check(operations: &[Operation]) -> BTreeMap<String, Verdict> {
    let mut keys: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(operation.key.clone()).or_default().push(operation.clone());
    }
    keys.into_iter().map(|(key, operations)| (key, check_key(&simplified(operations)))).collect()
}

/// Without writes that may not have happened and whose value nobody saw, where no other operation brings that value: if an
/// order has such a write, the same order without it is one as well. Where it may be what a refused creation met, it stays,
/// as [`UNSEEN`].
fn simplified(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut known = HashSet::new();
    for operation in &operations {
        match operation.action {
            Action::Read(value) | Action::Create(value) | Action::Conflict(value) => drop(known.insert(value)),
            Action::Write(value) if operation.ended.is_some() => drop(known.insert(value)),
            _ => {}
        }
    }
    let conflicts = operations.iter().any(|operation| matches!(operation.action, Action::Conflict(_)));
    operations.retain(|operation| match operation.action {
        Action::Write(value) | Action::MaybeCreate(value) => {
            operation.ended.is_some() || conflicts || value == 0 || known.contains(&value)
        }
        _ => true,
    });
    for operation in operations.iter_mut().filter(|operation| operation.ended.is_none()) {
        match &mut operation.action {
            Action::Write(value) | Action::MaybeCreate(value) if *value != 0 && !known.contains(value) => {
                *value = UNSEEN;
            }
            _ => {}
        }
    }
    operations
}

/// For each operation without an answer, the one before it that does the same.
fn earlier_same(operations: &[Operation]) -> Vec<Option<usize>> {
    let mut open: Vec<usize> = (0..operations.len()).filter(|index| operations[*index].ended.is_none()).collect();
    open.sort_by_key(|index| operations[*index].began);
    let mut earlier = vec![None; operations.len()];
    let mut last: HashMap<Action, usize> = HashMap::new();
    for index in open {
        earlier[index] = last.insert(operations[index].action, index);
    }
    earlier
}

/// A number for each operation; those of a set, put together by exclusive or, stand for the set. Two sets of one search
/// share such a number of 128 bits with a probability that is none, and then a violation is reported that is none.
fn marks(count: usize) -> Vec<u128> {
    let mut dice = crate::run::Dice(count as u64);
    let mut half = || u128::from(dice.below(u64::MAX));
    (0..count).map(|_| half() << 64 | half()).collect()
}

/// One end of an operation in the list of what happened, in order of time.
#[derive(Clone, Copy, Debug)]
struct Event {
    operation: usize,
    is_end: bool,
    before: usize,
    after: usize,
}

/// Events that are not in the order yet, as a list that elements can be taken out of and put back into.
struct Events(Vec<Event>);

/// Both ends of the list.
const HEAD: usize = 0;

impl Events {
    /// The head, then all events.
    fn new(operations: &[Operation]) -> (Events, Vec<(usize, usize)>) {
        let mut times: Vec<(u64, bool, usize)> = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            times.push((operation.began, false, index));
            times.push((operation.ended.unwrap_or(u64::MAX), true, index));
        }
        // What begins in the moment in which something else ends was there with it: clocks are not that exact.
        times.sort_unstable();
        let count = times.len() + 1;
        let mut events = vec![Event { operation: usize::MAX, is_end: false, before: count - 1, after: 1 % count }];
        let mut ends = vec![(0, 0); operations.len()];
        for (index, (_, is_end, operation)) in (1..).zip(times) {
            events.push(Event { operation, is_end, before: index - 1, after: (index + 1) % count });
            if is_end { ends[operation].1 = index } else { ends[operation].0 = index }
        }
        (Events(events), ends)
    }

    fn take(&mut self, (from, to): (usize, usize)) {
        for index in [from, to] {
            let Event { before, after, .. } = self.0[index];
            self.0[before].after = after;
            self.0[after].before = before;
        }
    }

    /// In the opposite order of [`Events::take`].
    fn put_back(&mut self, (from, to): (usize, usize)) {
        for index in [to, from] {
            let Event { before, after, .. } = self.0[index];
            self.0[before].after = index;
            self.0[after].before = index;
        }
    }
}

fn check_key(operations: &[Operation]) -> Verdict {
    let (mut events, ends) = Events::new(operations);
    let (earlier, marks) = (earlier_same(operations), marks(operations.len()));
    let mut value = 0;
    let (mut placed, mut placed_mark) = (vec![false; operations.len()], 0);
    let mut tried: HashSet<(u128, u64)> = HashSet::new();
    let mut order: Vec<(usize, u64)> = Vec::new();
    let (mut farthest, mut stuck_at) = (0, Vec::new());
    let mut at = events.0[HEAD].after;
    for _ in 0..STEPS_MAX {
        if at == HEAD {
            return Verdict::Linearizable;
        }
        let Event { operation, is_end, after, .. } = events.0[at];
        let is_open = operations[operation].ended.is_none();
        if !is_end {
            // Put it next, if it fits and this was not tried before.
            let is_first = earlier[operation].is_none_or(|earlier| placed[earlier]);
            let next =
                step(value, operations[operation].action).filter(|next| !is_open || (is_first && *next != value));
            if let Some(next) = next
                && tried.insert((placed_mark ^ marks[operation], next))
            {
                placed[operation] = true;
                placed_mark ^= marks[operation];
                order.push((operation, value));
                value = next;
                events.take(ends[operation]);
                at = events.0[HEAD].after;
                continue;
            }
            at = after;
            continue;
        }
        // Nothing is left but what may never have happened.
        if is_open {
            return Verdict::Linearizable;
        }
        // It has ended and cannot come later, so something before it was put in the wrong place.
        if order.len() >= farthest {
            farthest = order.len();
            stuck_at = open_operations(&events, at, operations);
        }
        let Some((last, value_before)) = order.pop() else { return Verdict::Violation(stuck_at) };
        placed[last] = false;
        placed_mark ^= marks[last];
        value = value_before;
        events.put_back(ends[last]);
        at = events.0[ends[last].0].after;
    }
    Verdict::Unknown
}

/// What had begun before the event `end` and is in no place.
fn open_operations(events: &Events, end: usize, operations: &[Operation]) -> Vec<Operation> {
    let mut open = Vec::new();
    let mut at = events.0[HEAD].after;
    while at != HEAD {
        open.push(operations[events.0[at].operation].clone());
        if at == end {
            break;
        }
        at = events.0[at].after;
    }
    open.dedup();
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::read;

    fn verdict(text: &str) -> &'static str {
        let verdicts = check(&read(text).expect("readable"));
        match verdicts.values().find(|verdict| **verdict != Verdict::Linearizable) {
            None => "linearizable",
            Some(Verdict::Violation(_)) => "violation",
            Some(_) => "unknown",
        }
    }

    #[test]
    fn operations_one_after_the_other_see_each_other() {
        assert_eq!(verdict("k 1 2 write 7\nk 3 4 read 7"), "linearizable");
        assert_eq!(verdict("k 1 2 write 7\nk 3 4 read 0"), "violation");
        assert_eq!(verdict("k 1 2 write 7\nk 3 4 write 8\nk 5 6 read 7"), "violation");
        assert_eq!(verdict("a 1 2 write 7\nb 3 4 read 0"), "linearizable");
    }

    #[test]
    fn operations_at_the_same_time_may_have_any_order_but_one() {
        assert_eq!(verdict("k 1 9 write 7\nk 2 3 read 0\nk 4 5 read 7"), "linearizable");
        assert_eq!(verdict("k 1 9 write 7\nk 2 3 read 7\nk 4 5 read 0"), "violation");
        assert_eq!(verdict("k 1 9 write 7\nk 1 9 write 8\nk 2 3 read 8\nk 4 5 read 7\nk 6 7 read 7"), "linearizable");
        assert_eq!(verdict("k 1 9 write 7\nk 1 9 write 8\nk 2 3 read 8\nk 4 5 read 7\nk 6 7 read 8"), "violation");
    }

    #[test]
    fn what_had_no_answer_may_happen_late_or_never_but_once() {
        assert_eq!(verdict("k 1 - write 7\nk 2 3 read 0\nk 8 9 read 7"), "linearizable");
        assert_eq!(verdict("k 1 - write 7\nk 2 3 read 0\nk 8 9 read 0"), "linearizable");
        assert_eq!(verdict("k 1 - write 7\nk 2 3 read 7\nk 4 5 write 8\nk 6 7 read 8\nk 8 9 read 7"), "violation");
        assert_eq!(verdict("k 5 - write 7\nk 2 3 read 7"), "violation");
    }

    #[test]
    fn a_creation_tells_what_was_there() {
        assert_eq!(verdict("k 1 2 create 7\nk 3 4 conflict 8\nk 5 6 write 0\nk 7 8 create 8"), "linearizable");
        assert_eq!(verdict("k 1 2 create 7\nk 3 4 create 8"), "violation");
        assert_eq!(verdict("k 1 2 conflict 7"), "violation");
        // The one without an answer is what the other met.
        assert_eq!(verdict("k 1 - maybe-create 7\nk 3 4 conflict 8"), "linearizable");
        assert_eq!(verdict("k 3 4 conflict 8\nk 5 - maybe-create 7"), "violation");
    }

    /// Every order of a few operations, tried by hand.
    fn has_order(operations: &[Operation], placed: &mut Vec<usize>, value: u64) -> bool {
        if placed.len() == operations.len() {
            return true;
        }
        (0..operations.len()).any(|next| {
            let rest = |other: &usize| *other != next && !placed.contains(other);
            let too_early = (0..operations.len())
                .filter(rest)
                .any(|other| operations[other].ended.is_some_and(|ended| ended < operations[next].began));
            if placed.contains(&next) || too_early {
                return false;
            }
            let Some(value) = step(value, operations[next].action) else { return false };
            placed.push(next);
            let found = has_order(operations, placed, value);
            placed.pop();
            found
        })
    }

    #[test]
    fn it_says_what_trying_every_order_says() {
        let mut dice = crate::run::Dice(42);
        let (mut linearizable, mut not) = (0, 0);
        for _ in 0..4_000 {
            let operations: Vec<Operation> = (0..6).map(|_| random_operation(&mut dice)).collect();
            let found = has_order(&operations, &mut Vec::new(), 0);
            let verdicts = check(&operations);
            assert_eq!(verdicts["k"] == Verdict::Linearizable, found, "{}", crate::history::write(&operations));
            if found { linearizable += 1 } else { not += 1 }
        }
        assert!(linearizable > 200 && not > 200, "{linearizable} and {not}");
    }

    fn random_operation(dice: &mut crate::run::Dice) -> Operation {
        let began = dice.below(12);
        let value = dice.below(3);
        let is_known = dice.below(4) > 0;
        let ended = is_known.then(|| began + 1 + dice.below(6));
        let action = match (dice.below(4), is_known) {
            (0, true) => Action::Read(value),
            (1, true) => Action::Create(value + 1),
            (2, true) => Action::Conflict(value + 1),
            (0 | 1, false) => Action::MaybeCreate(value + 1),
            _ => Action::Write(value),
        };
        Operation { key: "k".to_owned(), began, ended, action }
    }
}
