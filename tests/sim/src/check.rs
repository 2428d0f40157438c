//! What must be true once everything is repaired.
//!
//! Within [`CONVERGE_MAX`] each node's own copies are the same as the others', hold every acknowledged point, and the
//! same comes out of queries through every node. At no time does a node return a value that nobody sent.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::hosts::{HOSTS, Hosts};
use crate::http;
use crate::workload::{DATABASE, History, OVERWRITTEN_TIME, Sent};

/// How long copies may take to become equal after the last fault and the last write.
pub const CONVERGE_MAX: Duration = Duration::from_secs(60);
/// How long a question waits for its answer.
const QUESTION_MAX: Duration = Duration::from_secs(5);
/// First and longest pause between two looks.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// Examples that a complaint names.
const EXAMPLES: usize = 5;

/// What a node returned for both measurements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Copy {
    /// Time and writer by number.
    points: BTreeMap<u64, (i64, String)>,
    /// The overwritten point.
    overwritten: Option<u64>,
}

/// Why a check fails.
enum Complaint {
    /// It may become right.
    NotYet(String),
    /// Nothing makes it right.
    Wrong(String),
}

/// Waits until everything is as it must be.
///
/// # Errors
/// What is not, after the time has passed.
pub async fn run(hosts: Rc<Hosts>, history: Rc<History>) -> Result<Duration, String> {
    let start = tokio::time::Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        let complaint = match check(&hosts, &history).await {
            Ok(()) => return Ok(start.elapsed()),
            Err(Complaint::Wrong(text)) => return Err(text),
            Err(Complaint::NotYet(text)) => text,
        };
        if start.elapsed() > CONVERGE_MAX {
            return Err(format!("after {} s: {complaint}", CONVERGE_MAX.as_secs()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn check(hosts: &Hosts, history: &History) -> Result<(), Complaint> {
    let numbers = hosts.serving().ok_or_else(|| Complaint::NotYet("not all nodes serve".to_owned()))?;
    let mut copies = Vec::new();
    let mut complaints = Vec::new();
    for (host, number) in HOSTS.iter().zip(numbers) {
        for (how, more) in [("own copies", format!("&node_id={number}")), ("answers", String::new())] {
            let name = format!("{host}'s {how}");
            match read(host, &more).await {
                Err(error) => complaints.push(format!("{name}: {error:#}")),
                Ok(rows) => {
                    let copy =
                        understand(&rows, history).map_err(|text| Complaint::Wrong(format!("{name}: {text}")))?;
                    complaints.extend(lacks(&copy, history).into_iter().map(|text| format!("{name}: {text}")));
                    copies.push((name, copy));
                }
            }
        }
    }
    if let Some((first, rest)) = copies.split_first() {
        for other in rest {
            complaints.extend(differ(first, other));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(Complaint::NotYet(complaints.join("; "))) }
}

async fn read(host: &str, more: &str) -> anyhow::Result<[Vec<Value>; 2]> {
    let more = format!("&db={DATABASE}{more}");
    let numbers = http::rows(host, "SELECT v, w FROM m", &more, QUESTION_MAX).await?;
    let overwritten = http::rows(host, "SELECT v FROM o", &more, QUESTION_MAX).await?;
    Ok([numbers, overwritten])
}

/// Reads rows; tells of those that nobody sent.
fn understand([numbers, overwritten]: &[Vec<Value>; 2], history: &History) -> Result<Copy, String> {
    let sent = history.points.borrow();
    let mut copy = Copy::default();
    for row in numbers {
        let (time, number, writer) = (row[0].as_i64(), row[1].as_u64(), row[2].as_str().unwrap_or_default());
        let (Some(time), Some(number)) = (time, number) else { return Err(format!("a strange row {row}")) };
        match sent.get(&number) {
            Some(Sent { time: then, writer: by, .. }) if *then == time && writer == format!("w{by}") => {}
            _ => return Err(format!("a row that nobody sent: {row}")),
        }
        if copy.points.insert(number, (time, writer.to_owned())).is_some() {
            return Err(format!("a row twice: {row}"));
        }
    }
    for row in overwritten {
        let value = row[1].as_u64().filter(|value| (1..=history.overwrites.get().0).contains(value));
        if row[0].as_i64() != Some(OVERWRITTEN_TIME) || value.is_none() || copy.overwritten.is_some() {
            return Err(format!("a row that nobody sent: {row}"));
        }
        copy.overwritten = value;
    }
    Ok(copy)
}

/// What was acknowledged and is not there.
fn lacks(copy: &Copy, history: &History) -> Vec<String> {
    let mut complaints = Vec::new();
    let sent = history.points.borrow();
    let lost: Vec<u64> =
        sent.iter().filter(|(n, sent)| sent.is_acked && !copy.points.contains_key(n)).map(|(n, _)| *n).collect();
    if !lost.is_empty() {
        let examples = &lost[..lost.len().min(EXAMPLES)];
        complaints.push(format!("{} acknowledged points are missing, such as {examples:?}", lost.len()));
    }
    let (_, acked) = history.overwrites.get();
    if copy.overwritten.unwrap_or(0) < acked {
        complaints.push(format!("the overwritten point is {:?}, {acked} was acknowledged", copy.overwritten));
    }
    complaints
}

fn differ((name, copy): &(String, Copy), (other_name, other): &(String, Copy)) -> Option<String> {
    if copy == other {
        return None;
    }
    let only = |a: &Copy, b: &Copy| -> Vec<u64> {
        a.points.keys().filter(|number| !b.points.contains_key(number)).take(EXAMPLES).copied().collect()
    };
    Some(format!(
        "{name} and {other_name} differ: {} and {} points, only in the first {:?}, only in the second {:?}, \
         overwritten point {:?} and {:?}",
        copy.points.len(),
        other.points.len(),
        only(copy, other),
        only(other, copy),
        copy.overwritten,
        other.overwritten,
    ))
}
