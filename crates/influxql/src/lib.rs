//! InfluxQL text to a syntax tree and back.
//!
//! ```text
//! text ─▶ scan ─▶ parse ─▶ ast ─▶ print ─▶ text
//!                   ▲       │
//!                params   visit, privileges
//! ```
//!
//! [`parse_query`] reads what a client wrote, [`parse_canonical`] what `Display` of a [`Statement`] printed. The texts
//! of errors and the canonical text are part of our compatibility; `tests/cases` has both, recorded from the
//! reference.
//!
//! Invariants
//! - No input makes a function here panic, and none overflows the stack.
//! - What `Display` prints reads back to an equal tree. The few exceptions are listed in [`print`](mod@print).
//!
//! Not here: what a statement means. See the `plan` crate for queries and `cluster::statement` for the rest.

pub mod ast;
pub mod duration;
mod error;
pub mod fuzzing;
pub mod params;
pub mod parse;
pub mod print;
pub mod privileges;
pub mod sanitize;
mod scan;
mod token;
pub mod visit;
mod zone;

pub use ast::{Expr, SelectStatement, Statement};
pub use error::{ParseError, Pos};
pub use params::{ParamValue, Params, ParamsError};
pub use parse::{parse_canonical, parse_canonical_expr, parse_canonical_select, parse_expr, parse_query};
