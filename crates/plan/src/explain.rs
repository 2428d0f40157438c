//! `EXPLAIN` and `EXPLAIN ANALYZE` as the reference prints them.
//!
//! What a plan reads is listed by [`parts`]; the coordinator finds out what each part costs and [`lines()`] prints both.
//! `EXPLAIN ANALYZE` runs the query and draws a [`Tree`] of what it measured.
//!
//! Not here: counting and measuring.

use crate::select_plan::{Input, SelectPlan};
use crate::shard_plan::{Column, ColumnKind, Function, PartialCall, ShardPlan, Work};

/// The name of the column of `EXPLAIN`.
pub const PLAN_COLUMN: &str = "QUERY PLAN";

/// The name of the column of `EXPLAIN ANALYZE`.
pub const ANALYZE_COLUMN: &str = "EXPLAIN ANALYZE";

/// One call over one measurement, or its rows.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The database.
    pub database: &'a str,
    /// The retention policy.
    pub retention_policy: &'a str,
    /// What is read.
    pub plan: &'a ShardPlan,
    /// `mean(v::float)`; `None` for rows.
    pub expression: Option<String>,
    /// `h::tag, i::integer`; empty when there are none.
    pub auxiliary: String,
}

/// What one part reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Shards in the range.
    pub shards: u64,
    /// Series that match, counted in each shard.
    pub series: u64,
    /// Values in memory.
    pub cached_values: u64,
    /// Data files.
    pub files: u64,
    /// Blocks (pages) in them.
    pub blocks: u64,
    /// Bytes of those.
    pub block_bytes: u64,
}

/// What a plan and its subqueries read from shards: call by call, and for each the measurements.
pub fn parts(plan: &SelectPlan) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    collect(plan, &mut found);
    found
}

/// The rows of the answer. Parts are apart by an empty row; no part at all is one empty row.
pub fn lines(parts: &[(Part<'_>, Cost)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (part, cost) in parts {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("EXPRESSION: {}", part.expression.as_deref().unwrap_or("<nil>")));
        if !part.auxiliary.is_empty() {
            lines.push(format!("AUXILIARY FIELDS: {}", part.auxiliary));
        }
        lines.push(format!("NUMBER OF SHARDS: {}", cost.shards));
        lines.push(format!("NUMBER OF SERIES: {}", cost.series));
        lines.push(format!("CACHED VALUES: {}", cost.cached_values));
        lines.push(format!("NUMBER OF FILES: {}", cost.files));
        lines.push(format!("NUMBER OF BLOCKS: {}", cost.blocks));
        lines.push(format!("SIZE OF BLOCKS: {}", cost.block_bytes));
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn collect<'a>(plan: &'a SelectPlan, found: &mut Vec<Part<'a>>) {
    let inputs = || plan.outputs.iter().flat_map(|output| &output.inputs);
    let works = inputs().map(|input| match input {
        Input::Shards { plan, .. } | Input::Subquery { plan, .. } => &plan.work,
    });
    let most_calls = works.map(|work| if let Work::Calls(calls) = work { calls.len() } else { 1 }).max();
    for index in 0..most_calls.unwrap_or(0) {
        for input in inputs() {
            if let Input::Shards { database, retention_policy, plan } = input {
                found.extend(part(database, retention_policy, plan, index));
            }
        }
    }
    plan.subqueries.iter().for_each(|subquery| collect(subquery, found));
}

fn part<'a>(database: &'a str, retention_policy: &'a str, plan: &'a ShardPlan, index: usize) -> Option<Part<'a>> {
    let (expression, auxiliary) = match &plan.work {
        Work::Rows { columns, .. } => (None, columns),
        Work::Calls(calls) => {
            let call = calls.get(index)?;
            (Some(expression(call, &plan.columns)), &call.auxiliary)
        }
    };
    let mut auxiliary: Vec<String> = auxiliary.iter().map(|column| reference(&plan.columns[*column])).collect();
    auxiliary.sort();
    Some(Part { database, retention_policy, plan, expression, auxiliary: auxiliary.join(", ") })
}

/// What the reference lets its shards compute: for most functions that are no simple folds, only the values.
fn expression(call: &PartialCall, columns: &[Column]) -> String {
    let column = reference(&columns[call.column]);
    let name = match &call.function {
        Function::Count => "count",
        Function::Sum => "sum",
        Function::Mean => "mean",
        Function::Min => "min",
        Function::Max => "max",
        Function::First => "first",
        Function::Last => "last",
        Function::Top { by, .. } if !by.is_empty() => "max",
        Function::Bottom { by, .. } if !by.is_empty() => "min",
        _ => return column,
    };
    format!("{name}({column})")
}

fn reference(column: &Column) -> String {
    let kind = match column.kind {
        ColumnKind::Field(kind) => kind.name(),
        ColumnKind::Tag => "tag",
    };
    format!("{}::{kind}", String::from_utf8_lossy(&column.name))
}

/// A tree of what was done and measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// `select`, `execution_time: 61.491µs`
    pub text: String,
    /// What it consists of.
    pub children: Vec<Tree>,
}

impl Tree {
    /// A leaf.
    pub fn new(text: impl Into<String>) -> Tree {
        Tree { text: text.into(), children: Vec::new() }
    }

    /// With one child more.
    #[must_use]
    pub fn with(mut self, child: Tree) -> Tree {
        self.children.push(child);
        self
    }

    /// The tree as rows, below the dot that stands for the whole, with an empty row at the end.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![".".to_owned()];
        self.draw("", true, &mut lines);
        lines.push(String::new());
        lines
    }

    fn draw(&self, indent: &str, is_last: bool, lines: &mut Vec<String>) {
        let (branch, below) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        lines.push(format!("{indent}{branch}{}", self.text));
        let indent = format!("{indent}{below}");
        for (index, child) in self.children.iter().enumerate() {
            child.draw(&indent, index + 1 == self.children.len(), lines);
        }
    }
}

#[cfg(test)]
mod tests;
