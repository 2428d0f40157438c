//! Large answers leave in pieces, and nothing changes where one ends.

use exec::finish::PIECE_ROWS_MAX;
use exec::{Budget, ExecError, Partial, Piece, Shards, Unlimited, finish, run_select};
use model::result::Value;
use plan::ShardPlan;

use crate::database::{Cut, Database};
use crate::lines;

struct Runner<'a>(&'a Database);

impl Shards for Runner<'_> {
    fn run(&mut self, database: &str, retention_policy: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError> {
        self.0.partials(database, retention_policy, plan)
    }

    fn budget(&self) -> Box<dyn Budget> {
        Box::new(Unlimited)
    }
}

/// Ten thousand rows of two series, a field in every third row.
fn database() -> Database {
    let line = |n: i64| format!("m,host=h{} v={n}i{} {n}", n % 2, if n % 3 == 0 { ",w=1i" } else { "" });
    let text: Vec<String> = (0..10_000).map(line).collect();
    Database::new(&lines::parse(&text.join("\n")), Cut::WHOLE)
}

fn pieces(query: &str) -> Vec<Piece> {
    let database = database();
    let plan = database.plan(query).expect("a plan").expect("an output");
    let pieces = run_select(&plan, &mut Runner(&database)).expect("an answer");
    pieces.map(|piece| piece.expect("a piece")).collect()
}

fn sizes(query: &str) -> Vec<(usize, bool)> {
    pieces(query).iter().map(|piece| (piece.series.rows.len(), piece.continues)).collect()
}

#[test]
fn all_but_the_last_piece_go_on() {
    let rest = 10_000 - 2 * PIECE_ROWS_MAX;
    let whole = [(PIECE_ROWS_MAX, true), (PIECE_ROWS_MAX, true), (rest, false)];
    assert_eq!(sizes("SELECT v FROM m"), whole);
    assert_eq!(sizes("SELECT sum(v) FROM m WHERE time >= 0 AND time < 10000 GROUP BY time(1ns)"), whole);
    let grouped = [(PIECE_ROWS_MAX, true), (5_000 - PIECE_ROWS_MAX, false)];
    assert_eq!(sizes("SELECT v FROM m GROUP BY host"), [grouped, grouped].concat());
}

#[test]
fn limit_and_offset_reach_over_pieces() {
    let pieces = pieces("SELECT v FROM m LIMIT 6000 OFFSET 3000");
    let values: Vec<Value> =
        pieces.iter().flat_map(|piece| piece.series.rows.iter().map(|row| row[1].clone())).collect();
    let want: Vec<Value> = (3_000..9_000).map(Value::Integer).collect();
    assert_eq!(values, want);
    assert!(pieces.iter().rev().skip(1).all(|piece| piece.continues) && !pieces[pieces.len() - 1].continues);
}

#[test]
fn the_previous_value_is_remembered_over_pieces() {
    let pieces = pieces("SELECT v, w FROM m WHERE v < 1 OR v > 3 fill(previous)");
    let known = |row: &[Value]| row[2] == Value::Integer(1);
    assert!(pieces.iter().all(|piece| piece.series.rows.iter().all(known)));
}

#[test]
fn partial_results_of_another_plan_are_not_finished() {
    let database = database();
    let plan = |query: &str| database.plan(query).expect("a plan").expect("an output");
    let partial = |query: &str| {
        let plan = plan(query);
        let plan::Input::Shards { plan, .. } = &plan.outputs[0].inputs[0] else { panic!("a plan of shards") };
        database.partials("db", "rp", plan).expect("partial results")
    };
    let pairs = [
        ("SELECT sum(v) FROM m", "SELECT count(v) FROM m"),
        ("SELECT sum(v) FROM m", "SELECT v FROM m"),
        ("SELECT v FROM m", "SELECT sum(v) FROM m"),
        ("SELECT v FROM m", "SELECT v, w FROM m"),
        ("SELECT sum(v) FROM m", "SELECT sum(v) FROM m GROUP BY host"),
        ("SELECT max(v), w FROM m", "SELECT max(v) FROM m"),
        ("SELECT sum(v) FROM m", "SELECT sum(v), count(v) FROM m"),
    ];
    for (asked, got) in pairs {
        let plan = plan(asked);
        let pieces = finish(&plan, vec![partial(got)], Box::new(Unlimited)).expect("partial results that merge");
        let outcomes: Vec<_> = pieces.collect();
        assert!(matches!(outcomes.as_slice(), [Err(ExecError::Mismatch(_))]), "{asked} / {got}: {outcomes:?}");
    }
    let rows = plan("SELECT v FROM m");
    let outputs = finish(&rows, Vec::new(), Box::new(Unlimited));
    assert!(matches!(outputs, Err(ExecError::Mismatch(_))));
}
