//! The syntax tree: what a statement says, not what it means.
//!
//! The parser fills in nothing: an absent database, retention policy or time range stays absent and is
//! resolved in `plan` and `cluster::statement`. Bound parameters do not occur in a tree: the parser puts
//! their values in place.
//!
//! Conventions
//! - Names are plain `String`s without quotes or escapes. An absent name is `None`; an empty segment of a
//!   dotted name counts as absent.
//! - Durations and times are `i64` nanoseconds, and a field that holds one ends in `_ns`. In retention
//!   policy options 0 stands for `INF`.
//! - `limit`, `offset`, `slimit` and `soffset` are 0 when absent; `LIMIT 0` means no limit.
//! - Regular expressions are kept as source text, without the slashes and with `\/` already turned to `/`.
//! - A chain of `AND`s or of `OR`s is a balanced tree, so that a condition of thousands of terms is a few
//!   levels deep. Both are associative, so only the shape differs from reading left to right.
//!
//! Not here: column names, types, checks of function arguments. See `plan`.

pub mod admin;
pub mod expr;
pub mod select;
pub mod show;
pub mod statement;

pub use admin::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription, CreateUser,
    DatabaseOptions, DestinationMode, Grant, KillQuery, Privilege, Resample, Revoke, ServerKind, SetPassword,
};
pub use expr::{Binary, BinaryOp, Call, DataType, Expr, Literal, VarRef, WildcardKind};
pub use select::{
    Direction, Explain, Field, Fill, FillNumber, Measurement, MeasurementName, OrderBy, SelectStatement, Source,
    Target, TargetName,
};
pub use show::{
    CardinalityOf, KeyCondition, MeasurementFilter, NameOrWildcard, OnDatabase, ShowCardinality, ShowFieldKeys,
    ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues,
};
pub use statement::{Delete, DropSeries, Statement};
