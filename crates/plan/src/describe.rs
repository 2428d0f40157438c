//! A plan as text, for people and for tests. Nothing reads it back.
//!
//! Inputs of a condition are `$0`, `$1`, the columns of the plan; inputs of an output column are `#0`, `#1`.

use std::fmt::{self, Display, Formatter};

use influxql::duration::format_duration;
use model::{FieldValue, TagFilter, TagTest, TimeRange, Timestamp};

use crate::expr::{Expr, Node};
use crate::finish_plan::{Absent, FinishPlan, RowTime, Stream};
use crate::select_plan::{Input, SelectPlan};
use crate::shard_plan::{ColumnKind, Function, PartialCall, ShardPlan, Work};
use crate::window::Window;

impl Display for SelectPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_select(f, self, "")
    }
}

fn write_select(f: &mut Formatter<'_>, plan: &SelectPlan, indent: &str) -> fmt::Result {
    if plan.outputs.is_empty() {
        writeln!(f, "{indent}nothing to read")?;
    }
    for output in &plan.outputs {
        for input in &output.inputs {
            let below = match input {
                Input::Shards { database, retention_policy, plan } => {
                    writeln!(f, "{indent}{}: shards of {database}.{retention_policy}", output.name)?;
                    plan
                }
                Input::Subquery { index, plan } => {
                    writeln!(f, "{indent}{}: subquery {index}", output.name)?;
                    plan
                }
            };
            write_shard_plan(f, below, indent)?;
        }
    }
    write_finish(f, &plan.finish, indent)?;
    if let Some(target) = &plan.target {
        let tags: Vec<String> = target.tag_columns.iter().map(|column| column.to_string()).collect();
        let place = (target.database.as_deref().unwrap_or(""), target.retention_policy.as_deref().unwrap_or(""));
        writeln!(f, "{indent}into: {}.{} {:?} tags [{}]", place.0, place.1, target.name, tags.join(", "))?;
    }
    for (index, subquery) in plan.subqueries.iter().enumerate() {
        writeln!(f, "{indent}subquery {index}:")?;
        write_select(f, subquery, &format!("{indent}  "))?;
    }
    Ok(())
}

impl Display for ShardPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_shard_plan(f, self, "")
    }
}

fn write_shard_plan(f: &mut Formatter<'_>, plan: &ShardPlan, indent: &str) -> fmt::Result {
    let columns: Vec<String> = plan
        .columns
        .iter()
        .map(|column| {
            let kind = match column.kind {
                ColumnKind::Field(kind) => kind.name(),
                ColumnKind::Tag => "tag",
            };
            format!("{}::{kind}", text(&column.name))
        })
        .collect();
    writeln!(f, "{indent}  read {} {:?}: {}", Range(plan.range), plan.direction, columns.join(", "))?;
    if !matches!(plan.series, TagFilter::All) {
        writeln!(f, "{indent}  series: {}", Filter(&plan.series))?;
    }
    if let Some(condition) = &plan.condition {
        writeln!(f, "{indent}  rows: {}", Inputs("$", condition))?;
    }
    if !plan.group_by.is_empty() {
        let tags: Vec<_> = plan.group_by.iter().map(|tag| text(tag)).collect();
        writeln!(f, "{indent}  group by: {}", tags.join(", "))?;
    }
    if let Some(window) = &plan.window {
        writeln!(f, "{indent}  window: {window}")?;
    }
    match &plan.work {
        Work::Rows { columns, limit } => {
            let columns: Vec<String> = columns.iter().map(|column| format!("${column}")).collect();
            let limit = limit.map_or(String::new(), |limit| format!(" first {limit}"));
            writeln!(f, "{indent}  rows of: {}{limit}", columns.join(", "))
        }
        Work::Calls(calls) => calls.iter().enumerate().try_for_each(|(index, call)| {
            let range = if call.range == plan.range { String::new() } else { format!(" over {}", Range(call.range)) };
            writeln!(f, "{indent}  call {index}: {call}{range}")
        }),
    }
}

fn write_finish(f: &mut Formatter<'_>, plan: &FinishPlan, indent: &str) -> fmt::Result {
    for (index, stream) in plan.streams.iter().enumerate() {
        writeln!(f, "{indent}  #{index}: {stream}")?;
    }
    let columns: Vec<String> =
        plan.columns.iter().map(|column| format!("{} = {}", column.name, Inputs("#", &column.expr))).collect();
    writeln!(f, "{indent}  columns: {}, {}", plan.time_column, columns.join(", "))?;
    match plan.absent {
        Absent::Null => {}
        absent => writeln!(f, "{indent}  absent: {absent:?}")?,
    }
    let some = |name: &str, count: u64| if count > 0 { format!(" {name} {count}") } else { String::new() };
    let limits = [
        some("limit", plan.limit.unwrap_or(0)),
        some("offset", plan.offset),
        some("slimit", plan.slimit.unwrap_or(0)),
        some("soffset", plan.soffset),
    ]
    .concat();
    if !limits.is_empty() {
        writeln!(f, "{indent} {limits}")?;
    }
    Ok(())
}

impl Display for PartialCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = match &self.function {
            Function::Percentile { percent } => format!("Percentile {percent}"),
            Function::Integral { unit_ns } => format!("Integral {}", format_duration(*unit_ns)),
            Function::Sample { count } => format!("Sample {count}"),
            Function::Top { count, by } => format!("Top {count}{}", by_text(by)),
            Function::Bottom { count, by } => format!("Bottom {count}{}", by_text(by)),
            other => format!("{other:?}"),
        };
        write!(f, "{name} of ${}", self.column)?;
        if !self.auxiliary.is_empty() {
            let columns: Vec<String> = self.auxiliary.iter().map(|column| format!("${column}")).collect();
            write!(f, " with {}", columns.join(", "))?;
        }
        Ok(())
    }
}

fn by_text(by: &[Vec<u8>]) -> String {
    if by.is_empty() {
        return String::new();
    }
    format!(" by {}", by.iter().map(|tag| text(tag)).collect::<Vec<_>>().join(" "))
}

impl Display for Stream {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let time = match self.time {
            RowTime::Point => "point".to_owned(),
            RowTime::Window => "window".to_owned(),
            RowTime::Fixed(at) => At(at).to_string(),
        };
        write!(f, "call {} {} at {time}", self.call, self.call_type)?;
        if self.fill != crate::finish_plan::Fill::None {
            write!(f, " fill {:?} over {}", self.fill, Range(self.range))?;
        }
        for transform in &self.transforms {
            write!(f, " then {transform:?}")?;
        }
        if self.value_type != self.call_type { write!(f, " {}", self.value_type) } else { Ok(()) }
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.interval_ns()))?;
        if self.offset_ns() != 0 {
            write!(f, " offset {}", format_duration(self.offset_ns()))?;
        }
        self.zone().map_or(Ok(()), |zone| write!(f, " in {}", zone.name()))
    }
}

/// An expression with the mark of its inputs.
struct Inputs<'a>(&'static str, &'a Expr);

impl Display for Inputs<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Inputs(mark, expr) = *self;
        match expr.node() {
            Node::Null => f.write_str("null"),
            Node::Literal(FieldValue::String(bytes)) => write!(f, "'{}'", text(bytes)),
            Node::Literal(FieldValue::Float(value)) => write!(f, "{value:?}"),
            Node::Literal(FieldValue::Integer(value)) => value.fmt(f),
            Node::Literal(FieldValue::Unsigned(value)) => write!(f, "{value}u"),
            Node::Literal(FieldValue::Boolean(value)) => value.fmt(f),
            Node::Input(index) => write!(f, "{mark}{index}"),
            Node::TagTest { key, test } => write!(f, "{}", Test(key, test)),
            Node::Cast(inner) => {
                let to = expr.value_type().map_or("nothing", |kind| kind.name());
                write!(f, "{to}({})", Inputs(mark, inner))
            }
            Node::Binary { operator, lhs, rhs } => {
                write!(f, "({} {} {})", Inputs(mark, lhs), operator.as_str(), Inputs(mark, rhs))
            }
            Node::Match { negated, pattern, value } => {
                let operator = if *negated { "!~" } else { "=~" };
                write!(f, "({} {operator} {pattern:?})", Inputs(mark, value))
            }
            Node::Math { function, args } => {
                let args: Vec<String> = args.iter().map(|arg| Inputs(mark, arg).to_string()).collect();
                write!(f, "{}({})", function.name(), args.join(", "))
            }
        }
    }
}

struct Filter<'a>(&'a TagFilter);

impl Display for Filter<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let list = |filters: &[TagFilter], word: &str| {
            let parts: Vec<String> = filters.iter().map(|filter| Filter(filter).to_string()).collect();
            format!("({})", parts.join(word))
        };
        match self.0 {
            TagFilter::All => f.write_str("all"),
            TagFilter::None => f.write_str("none"),
            TagFilter::Test { key, test } => Test(key, test).fmt(f),
            TagFilter::And(all) => f.write_str(&list(all, " AND ")),
            TagFilter::Or(any) => f.write_str(&list(any, " OR ")),
        }
    }
}

struct Test<'a>(&'a [u8], &'a TagTest);

impl Display for Test<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = text(self.0);
        match self.1 {
            TagTest::Equal(value) => write!(f, "{key} = '{}'", text(value)),
            TagTest::NotEqual(value) => write!(f, "{key} != '{}'", text(value)),
            TagTest::Match(pattern) => write!(f, "{key} =~ {pattern:?}"),
            TagTest::NotMatch(pattern) => write!(f, "{key} !~ {pattern:?}"),
        }
    }
}

/// A half open range; an end where there is no bound is left out.
struct Range(TimeRange);

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.0.start(), self.0.end());
        if start != Timestamp::MIN {
            At(start).fmt(f)?;
        }
        f.write_str("..")?;
        if end.0 != i64::MAX { At(end).fmt(f) } else { Ok(()) }
    }
}

struct At(Timestamp);

impl Display for At {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0.0))
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
