//! Queries as text over rows in memory: parsed, planned, run over several shards, merged and finished.

#[path = "queries/budget.rs"]
mod budget;
#[path = "queries/bytes.rs"]
mod bytes;
#[path = "queries/cases.rs"]
mod cases;
#[path = "queries/cuts.rs"]
mod cuts;
#[path = "queries/database.rs"]
mod database;
#[path = "queries/expected.rs"]
mod expected;
#[path = "queries/lines.rs"]
mod lines;
#[path = "queries/naive.rs"]
mod naive;
#[path = "queries/pieces.rs"]
mod pieces;
#[path = "queries/summaries.rs"]
mod summaries;
#[path = "queries/types.rs"]
mod types;
