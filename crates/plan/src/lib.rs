//! Syntax tree and schema to a checked plan, cut in two.
//!
//! A `SELECT` becomes a [`SelectPlan`]: for every measurement a [`ShardPlan`], the part below the cut that runs where
//! the shards are, and one [`FinishPlan`], the part above it that runs at the coordinator. Planning is two calls with
//! the coordinator's I/O between them: [`analyse`] tells which schema is needed, [`Analysis::plan`] does the rest.
//!
//! Invariants
//! - What compiles is complete: names are resolved, types chosen, ranges half open, windows and fills decided. Nobody
//!   below looks at the syntax tree again.
//! - Plans are data. Bytes that decode to a [`ShardPlan`] obey every invariant that its types promise.
//!
//! Not here: which databases and retention policies exist (see [`rewrite::qualify`] for their defaults), which shards a
//! plan goes to, and anything that touches a row.

mod build;
pub mod codec;
mod compile;
mod condition;
mod describe;
pub mod error;
pub mod explain;
pub mod expr;
pub mod finish_plan;
mod fold;
pub mod fuzzing;
mod operand;
mod output;
mod resolve;
pub mod rewrite;
pub mod schema;
pub mod select;
pub mod select_plan;
pub mod shard_plan;
mod time_bounds;
mod time_text;
pub mod window;

pub use codec::{DecodeError, decode_filter, encode_filter};
pub use compile::PlanContext;
pub use error::PlanError;
pub use expr::{Expr, MathFunction, Node, Operator};
pub use finish_plan::{Absent, Exponential, Fill, FinishPlan, OutputColumn, RowTime, Stream, Transform, Warmup};
pub use influxql::ast::Direction;
pub use schema::{Catalog, Schema};
pub use select::{Analysis, Need, analyse, plan_select};
pub use select_plan::{Input, OutputPlan, SelectPlan, TargetPlan};
pub use shard_plan::{Column, ColumnKind, Function, PartialCall, ShardPlan, Work};
pub use window::{Window, Zone};
