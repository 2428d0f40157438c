//! What clients do: statements through the data nodes, and reads that the leader has to confirm.
//!
//! `r` keys are databases whose only policy gets another duration with each write; `c` keys are databases that are
//! created with a duration of their own, if they are not there, and dropped. A duration is a number of hours that is
//! never used twice, so every value tells who wrote it. `g` keys are what a user may do with a database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meta::Data;
use serde_json::Value;
use testkit::http::encode;

use crate::history::{Action, Operation};
use crate::run::Dice;

/// Keys of each kind.
const REGISTERS: u64 = 4;
const CREATED: u64 = 3;
/// The user whose privileges change, and the database on which they do.
const USER: &str = "u";
const GRANTED: &str = "g0";
/// How long a writer rests after each operation, at most.
const REST_MS: u64 = 40;

/// What clients have to know.
#[derive(Debug)]
pub struct World {
    /// `host:8086` of the data nodes.
    pub data: Vec<String>,
    /// `host:8091` of the meta nodes.
    pub metas: Vec<String>,
    /// When time began.
    pub start: Instant,
    /// Set when it ends.
    pub is_over: AtomicBool,
    /// Hours that were used.
    pub hours: AtomicU64,
    /// Read from any member's copy: what the checker has to notice.
    pub stale_reads: bool,
}

impl World {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn statement(&self, dice: &mut Dice, text: &str) -> anyhow::Result<Value> {
        let node = &self.data[dice.index(self.data.len())];
        let answer = testkit::http::request("POST", node, &format!("/query?q={}", encode(text)), b"")?;
        let document: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        Ok(document["results"][0].clone())
    }

    /// Makes what the keys are about.
    ///
    /// # Errors
    /// When the cluster does not take it.
    pub fn set_up(&self) -> anyhow::Result<()> {
        let mut dice = Dice(1);
        let mut statements =
            vec![format!("CREATE DATABASE {GRANTED}"), format!("CREATE USER {USER} WITH PASSWORD 'p'")];
        statements.extend((0..REGISTERS).map(|key| create(&format!("r{key}"), 1)));
        for text in statements {
            let result = self.statement(&mut dice, &text)?;
            if let Some(error) = result["error"].as_str() {
                bail!("{text}: {error}");
            }
        }
        Ok(())
    }

    /// Writes until the end.
    pub fn write(&self, seed: u64) -> Vec<Operation> {
        let (mut dice, mut done) = (Dice(seed), Vec::new());
        while !self.is_over.load(Ordering::Relaxed) {
            let hours = self.hours.fetch_add(1, Ordering::Relaxed) + 2;
            let (key, text, action) = choose(&mut dice, hours);
            let began = self.now();
            let result = self.statement(&mut dice, &text);
            let ended = self.now();
            let (action, ended) = understand(action, &result, ended);
            done.push(Operation { key, began, ended, action });
            // Whoever was refused does not ask again at once.
            let patience = if ended.is_none() { 4 } else { 1 };
            std::thread::sleep(Duration::from_millis(dice.below(REST_MS * patience)));
        }
        done
    }

    /// Reads until the end. One answer holds every key.
    pub fn read(&self, seed: u64) -> Vec<Operation> {
        let (mut dice, mut done, mut leader) = (Dice(seed), Vec::new(), 0);
        while !self.is_over.load(Ordering::Relaxed) {
            if self.stale_reads {
                leader = dice.index(self.metas.len());
            }
            let began = self.now();
            match self.read_at(&self.metas[leader]) {
                Ok(data) => {
                    let ended = Some(self.now());
                    let seen = see(&data).into_iter();
                    done.extend(seen.map(|(key, value)| Operation { key, began, ended, action: Action::Read(value) }));
                }
                Err(_) => leader = dice.index(self.metas.len()),
            }
            std::thread::sleep(Duration::from_millis(10 + dice.below(REST_MS)));
        }
        done
    }

    fn read_at(&self, meta: &str) -> anyhow::Result<Data> {
        let target = if self.stale_reads { "/?format=own&index=0" } else { "/?format=own&consistent=true" };
        let bytes = crate::run::get_bytes(meta, target)?;
        meta::codec::decode_snapshot(&bytes).context("metadata")
    }
}

fn create(key: &str, hours: u64) -> String {
    format!("CREATE DATABASE {key} WITH DURATION {hours}h REPLICATION 1 SHARD DURATION 1h NAME rp")
}

fn choose(dice: &mut Dice, hours: u64) -> (String, String, Action) {
    match dice.below(10) {
        0..4 => {
            let key = format!("r{}", dice.below(REGISTERS));
            (key.clone(), format!("ALTER RETENTION POLICY rp ON {key} DURATION {hours}h"), Action::Write(hours))
        }
        4..7 => {
            let key = format!("c{}", dice.below(CREATED));
            (key.clone(), create(&key, hours), Action::Create(hours))
        }
        7..9 => {
            let key = format!("c{}", dice.below(CREATED));
            (key.clone(), format!("DROP DATABASE {key}"), Action::Write(0))
        }
        _ => {
            let value = dice.below(4);
            let text = match value {
                0 => format!("REVOKE ALL ON {GRANTED} FROM {USER}"),
                1 => format!("GRANT READ ON {GRANTED} TO {USER}"),
                2 => format!("GRANT WRITE ON {GRANTED} TO {USER}"),
                _ => format!("GRANT ALL ON {GRANTED} TO {USER}"),
            };
            (GRANTED.to_owned(), text, Action::Write(value))
        }
    }
}

/// What came of it, and when, if that is known.
fn understand(action: Action, result: &anyhow::Result<Value>, ended: u64) -> (Action, Option<u64>) {
    let error = match result {
        Ok(result) => result["error"].as_str(),
        Err(_) => Some("no answer"),
    };
    match (action, error) {
        (action, None) => (action, Some(ended)),
        (Action::Create(hours), Some(error)) if error.contains("conflicts with an existing policy") => {
            (Action::Conflict(hours), Some(ended))
        }
        // Dropped from the metadata; files remain on a node that is away.
        (action, Some(error)) if error.starts_with("partial success") => (action, Some(ended)),
        (Action::Create(hours), Some(_)) => (Action::MaybeCreate(hours), None),
        (action, Some(_)) => (action, None),
    }
}

/// The value of every key.
fn see(data: &Data) -> Vec<(String, u64)> {
    let hours = |key: &str| {
        let policy = data.database(key).and_then(|database| database.policy("rp"));
        policy.map_or(0, |policy| policy.duration.as_secs() / 3_600)
    };
    let keys = (0..REGISTERS).map(|key| format!("r{key}")).chain((0..CREATED).map(|key| format!("c{key}")));
    let mut seen: Vec<(String, u64)> = keys.map(|key| (key.clone(), hours(&key))).collect();
    let granted = data.user(USER).and_then(|user| user.privileges.get(GRANTED).copied());
    let granted = match granted {
        None | Some(meta::Privilege::None) => 0,
        Some(meta::Privilege::Read) => 1,
        Some(meta::Privilege::Write) => 2,
        Some(meta::Privilege::All) => 3,
    };
    seen.push((GRANTED.to_owned(), granted));
    seen
}

/// What the registers hold when it begins, as operations.
pub fn beginning() -> Vec<Operation> {
    (0..REGISTERS)
        .map(|key| Operation { key: format!("r{key}"), began: 0, ended: Some(0), action: Action::Write(1) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_makes_an_operation_certain() {
        let said = |error: &str| Ok(serde_json::json!({ "error": error }));
        let fine = Ok(serde_json::json!({ "statement_id": 0 }));
        let conflict = said("retention policy conflicts with an existing policy");
        assert_eq!(understand(Action::Create(5), &fine, 9), (Action::Create(5), Some(9)));
        assert_eq!(understand(Action::Create(5), &conflict, 9), (Action::Conflict(5), Some(9)));
        assert_eq!(understand(Action::Create(5), &said("timeout"), 9), (Action::MaybeCreate(5), None));
        assert_eq!(understand(Action::Write(5), &Err(anyhow::anyhow!("reset")), 9), (Action::Write(5), None));
        assert_eq!(understand(Action::Write(0), &said("partial success, node 5"), 9), (Action::Write(0), Some(9)));
    }
}
