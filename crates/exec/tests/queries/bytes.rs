//! Partial results that were damaged on the way are refused or understood, whatever the damage.

use exec::{Budget, ExecError, Partial, Refusal, Shards, Unlimited, run_select};
use plan::ShardPlan;
use proptest::prelude::*;

use crate::cuts::{QUERIES, points};
use crate::database::{Cut, Database};

/// Cuts each partial result short, or changes bytes of it.
struct Damage<'a> {
    database: &'a Database,
    changes: &'a [(usize, u8)],
    cut: Option<usize>,
    sent: usize,
    refused: usize,
}

/// Damaged times can make a fill endless; this one is not endless.
struct Limited(usize);

impl Budget for Limited {
    fn rows(&mut self, count: usize) -> Result<(), Refusal> {
        self.0 = self.0.checked_sub(count).ok_or("too many rows")?;
        Ok(())
    }

    fn grow(&mut self, _: usize) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Shards for Damage<'_> {
    fn run(&mut self, database: &str, retention_policy: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError> {
        let mut partials = Vec::new();
        for partial in self.database.partials(database, retention_policy, plan)? {
            let mut bytes = partial.encode();
            self.sent += 1;
            // Not both: a changed count can make the beginning a whole of its own.
            if let Some(cut) = self.cut {
                bytes.truncate(cut % bytes.len());
            } else {
                for (position, value) in self.changes {
                    let position = position % bytes.len();
                    bytes[position] = *value;
                }
            }
            match Partial::decode(&bytes) {
                Ok(partial) => partials.push(partial),
                Err(error) => {
                    assert!(error.to_string().starts_with("malformed partial result: "));
                    self.refused += 1;
                }
            }
        }
        Ok(partials)
    }

    fn budget(&self) -> Box<dyn Budget> {
        Box::new(Limited(200_000))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_never_panic(
        points in points(),
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<usize>()),
    ) {
        let database = Database::new(&points, Cut { group_ns: 150, shards: 2 });
        for query in QUERIES {
            let Some(plan) = database.plan(query).expect("a plan") else { continue };
            let mut damage = Damage { database: &database, changes: &changes, cut, sent: 0, refused: 0 };
            if let Ok(pieces) = run_select(&plan, &mut damage) {
                for piece in pieces {
                    if piece.is_err() {
                        break;
                    }
                }
            }
            prop_assert!(cut.is_none() || damage.refused == damage.sent, "what is cut short is refused");
        }
    }
}

#[test]
fn other_versions_and_bytes_left_over_are_refused() {
    let empty = Partial::default().encode();
    assert_eq!(Partial::decode(&empty), Ok(Partial::default()));
    assert!(Partial::decode(&[]).is_err());
    assert!(Partial::decode(&[empty.as_slice(), b"x"].concat()).is_err());
    let mut newer = empty;
    newer[0] += 1;
    let error = Partial::decode(&newer).expect_err("a newer version");
    assert_eq!(error.to_string(), "malformed partial result: unknown version");
}

#[test]
fn partial_results_of_two_plans_do_not_merge() {
    let database = Database::new(&crate::lines::parse("m f=1 1\nm f=2 2"), Cut::WHOLE);
    let partial = |query: &str| {
        let plan = database.plan(query).expect("a plan").expect("an output");
        let mut found = None;
        let mut keep = Keep { database: &database, found: &mut found };
        run_select(&plan, &mut keep).expect("an answer");
        found.expect("one shard")
    };
    let mut counts = partial("SELECT count(f) FROM m");
    assert!(counts.clone().merge(partial("SELECT count(f) FROM m")).is_ok());
    for other in ["SELECT sum(f) FROM m", "SELECT f FROM m", "SELECT count(f), sum(f) FROM m"] {
        assert!(counts.merge(partial(other)).is_err(), "{other}");
    }
    let mut largest = partial("SELECT max(f) FROM m");
    assert!(largest.merge(partial("SELECT min(f) FROM m")).is_err());
}

struct Keep<'a> {
    database: &'a Database,
    found: &'a mut Option<Partial>,
}

impl Shards for Keep<'_> {
    fn run(&mut self, database: &str, retention_policy: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError> {
        let partials = self.database.partials(database, retention_policy, plan)?;
        *self.found = partials.first().cloned();
        Ok(partials)
    }

    fn budget(&self) -> Box<dyn Budget> {
        Box::new(Unlimited)
    }
}
