//! Plan to bytes.

use influxql::ast::Direction;
use model::{FieldValue, TagFilter, TagTest, TimeRange};
use stdx::varint::{put_bytes, put_i64, put_u64};

use crate::expr::{Expr, Node};
use crate::shard_plan::{ColumnKind, Function, PartialCall, ShardPlan, Work};
use crate::window::Window;

pub(super) fn put_plan(out: &mut Vec<u8>, plan: &ShardPlan) {
    put_bytes(out, &plan.measurement);
    put_range(out, plan.range);
    out.push(match plan.direction {
        Direction::Ascending => 0,
        Direction::Descending => 1,
    });
    put_u64(out, plan.columns.len() as u64);
    for column in &plan.columns {
        put_bytes(out, &column.name);
        out.push(match column.kind {
            ColumnKind::Tag => 0,
            ColumnKind::Field(kind) => kind as u8,
        });
    }
    put_filter(out, &plan.series);
    put_option(out, plan.condition.as_ref(), put_expr);
    put_u64(out, plan.group_by.len() as u64);
    plan.group_by.iter().for_each(|tag| put_bytes(out, tag));
    put_option(out, plan.window.as_ref(), put_window);
    put_work(out, &plan.work);
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

fn put_range(out: &mut Vec<u8>, range: TimeRange) {
    put_i64(out, range.start().0);
    put_i64(out, range.end().0);
}

fn put_window(out: &mut Vec<u8>, window: &Window) {
    put_i64(out, window.interval_ns());
    put_i64(out, window.offset_ns());
    put_bytes(out, window.zone().map_or(b"", |zone| zone.name().as_bytes()));
}

pub(super) fn put_filter(out: &mut Vec<u8>, filter: &TagFilter) {
    match filter {
        TagFilter::All => out.push(0),
        TagFilter::None => out.push(1),
        TagFilter::Test { key, test } => {
            out.push(2);
            put_test(out, key, test);
        }
        TagFilter::And(all) => put_filters(out, 3, all),
        TagFilter::Or(any) => put_filters(out, 4, any),
    }
}

fn put_filters(out: &mut Vec<u8>, code: u8, filters: &[TagFilter]) {
    out.push(code);
    put_u64(out, filters.len() as u64);
    filters.iter().for_each(|filter| put_filter(out, filter));
}

fn put_test(out: &mut Vec<u8>, key: &[u8], test: &TagTest) {
    put_bytes(out, key);
    let (code, text) = match test {
        TagTest::Equal(value) => (0, value.as_slice()),
        TagTest::NotEqual(value) => (1, value.as_slice()),
        TagTest::Match(pattern) => (2, pattern.text().as_bytes()),
        TagTest::NotMatch(pattern) => (3, pattern.text().as_bytes()),
    };
    out.push(code);
    put_bytes(out, text);
}

fn put_expr(out: &mut Vec<u8>, expr: &Expr) {
    match expr.node() {
        Node::Null => out.push(0),
        Node::Literal(value) => {
            out.push(1);
            put_value(out, value);
        }
        Node::Input(index) => {
            out.push(2);
            put_u64(out, *index as u64);
        }
        Node::TagTest { key, test } => {
            out.push(3);
            put_test(out, key, test);
        }
        Node::Cast(inner) => {
            out.push(4);
            out.push(expr.value_type().map_or(0, |kind| kind as u8));
            put_expr(out, inner);
        }
        Node::Binary { operator, lhs, rhs } => {
            out.push(5);
            out.push(*operator as u8);
            put_expr(out, lhs);
            put_expr(out, rhs);
        }
        Node::Match { negated, pattern, value } => {
            out.push(6);
            out.push(u8::from(*negated));
            put_bytes(out, pattern.text().as_bytes());
            put_expr(out, value);
        }
        Node::Math { function, args } => {
            out.push(7);
            out.push(*function as u8);
            // As many as the function takes.
            args.iter().for_each(|arg| put_expr(out, arg));
        }
    }
}

fn put_value(out: &mut Vec<u8>, value: &FieldValue) {
    out.push(value.field_type() as u8);
    match value {
        FieldValue::Float(value) => out.extend_from_slice(&value.to_bits().to_le_bytes()),
        FieldValue::Integer(value) => put_i64(out, *value),
        FieldValue::Unsigned(value) => put_u64(out, *value),
        FieldValue::String(bytes) => put_bytes(out, bytes),
        FieldValue::Boolean(value) => out.push(u8::from(*value)),
    }
}

fn put_work(out: &mut Vec<u8>, work: &Work) {
    match work {
        Work::Rows { columns, limit } => {
            out.push(0);
            put_indexes(out, columns);
            put_option(out, *limit, put_u64);
        }
        Work::Calls(calls) => {
            out.push(1);
            put_u64(out, calls.len() as u64);
            calls.iter().for_each(|call| put_call(out, call));
        }
    }
}

fn put_indexes(out: &mut Vec<u8>, indexes: &[usize]) {
    put_u64(out, indexes.len() as u64);
    indexes.iter().for_each(|index| put_u64(out, *index as u64));
}

fn put_call(out: &mut Vec<u8>, call: &PartialCall) {
    match &call.function {
        Function::Count => out.push(1),
        Function::CountDistinct => out.push(2),
        Function::Sum => out.push(3),
        Function::Mean => out.push(4),
        Function::Min => out.push(5),
        Function::Max => out.push(6),
        Function::First => out.push(7),
        Function::Last => out.push(8),
        Function::Spread => out.push(9),
        Function::Stddev => out.push(10),
        Function::Median => out.push(11),
        Function::Mode => out.push(12),
        Function::Distinct => out.push(13),
        Function::Percentile { percent } => {
            out.push(14);
            out.extend_from_slice(&percent.to_bits().to_le_bytes());
        }
        Function::Integral { unit_ns } => {
            out.push(15);
            put_i64(out, *unit_ns);
        }
        Function::Sample { count } => {
            out.push(16);
            put_u64(out, *count);
        }
        Function::Top { count, by } => put_ranked(out, 17, *count, by),
        Function::Bottom { count, by } => put_ranked(out, 18, *count, by),
        Function::Points => out.push(19),
    }
    put_u64(out, call.column as u64);
    put_indexes(out, &call.auxiliary);
    put_range(out, call.range);
}

fn put_ranked(out: &mut Vec<u8>, code: u8, count: u64, by: &[Vec<u8>]) {
    out.push(code);
    put_u64(out, count);
    put_u64(out, by.len() as u64);
    by.iter().for_each(|tag| put_bytes(out, tag));
}
