//! Bytes to plan.

use influxql::ast::Direction;
use model::{FieldType, FieldValue, Pattern, TagFilter, TagTest, TimeRange, Timestamp};
use stdx::varint::{take_bytes, take_i64, take_u64};

use super::DecodeError;
use crate::expr::{EXPR_HEIGHT_MAX, Expr, MathFunction, Operator};
use crate::shard_plan::{Column, ColumnKind, Function, PartialCall, ShardPlan, Work};
use crate::window::{Window, Zone};

const UNFIT: DecodeError = DecodeError::Malformed("operands do not fit");

type Result<T> = std::result::Result<T, DecodeError>;

fn malformed<T>(what: &'static str) -> Result<T> {
    Err(DecodeError::Malformed(what))
}

/// Reads a plan without its version.
pub(super) fn read_plan(bytes: &[u8]) -> Result<ShardPlan> {
    let mut input = Input { rest: bytes };
    let measurement = input.bytes()?.to_vec();
    let range = input.range()?;
    let direction = match input.byte()? {
        0 => Direction::Ascending,
        1 => Direction::Descending,
        _ => return malformed("direction"),
    };
    let columns = input.list(Input::column)?;
    let series = input.filter(0)?;
    let condition = if input.flag()? { Some(input.expr(&columns, 0)?) } else { None };
    if condition.as_ref().is_some_and(|condition| condition.value_type() != Some(FieldType::Boolean)) {
        return malformed("condition that is no condition");
    }
    let group_by = input.list(|input| Ok(input.bytes()?.to_vec()))?;
    if !group_by.is_sorted_by(|a, b| a < b) {
        return malformed("tags out of order");
    }
    let window = if input.flag()? { Some(input.window()?) } else { None };
    let work = input.work(&columns, range)?;
    if !input.rest.is_empty() {
        return malformed("bytes after the end");
    }
    Ok(ShardPlan { measurement, range, direction, columns, series, condition, group_by, window, work })
}

/// Reads a filter without its version.
pub(super) fn read_filter(bytes: &[u8]) -> Result<TagFilter> {
    let mut input = Input { rest: bytes };
    let filter = input.filter(0)?;
    if input.rest.is_empty() { Ok(filter) } else { malformed("bytes after the end") }
}

/// What is left to read.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Malformed("cut short"))?;
        self.rest = rest;
        Ok(*first)
    }

    fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => malformed("flag"),
        }
    }

    fn u64(&mut self) -> Result<u64> {
        take_u64(&mut self.rest).ok_or(DecodeError::Malformed("number"))
    }

    fn i64(&mut self) -> Result<i64> {
        take_i64(&mut self.rest).ok_or(DecodeError::Malformed("number"))
    }

    fn f64(&mut self) -> Result<f64> {
        let (bits, rest) = self.rest.split_first_chunk::<8>().ok_or(DecodeError::Malformed("cut short"))?;
        self.rest = rest;
        Ok(f64::from_bits(u64::from_le_bytes(*bits)))
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        take_bytes(&mut self.rest).ok_or(DecodeError::Malformed("bytes"))
    }

    fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).or(malformed("text"))
    }

    /// A list. Each item takes at least a byte, so a length that is a lie is found before anything is allocated for it.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.length()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn length(&mut self) -> Result<usize> {
        match usize::try_from(self.u64()?) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => malformed("length"),
        }
    }

    fn range(&mut self) -> Result<TimeRange> {
        let (start, end) = (self.i64()?, self.i64()?);
        TimeRange::new(Timestamp(start), Timestamp(end)).ok_or(DecodeError::Malformed("empty range"))
    }

    fn field_type(&mut self) -> Result<FieldType> {
        FieldType::from_code(self.byte()?).ok_or(DecodeError::Malformed("field type"))
    }

    fn column(&mut self) -> Result<Column> {
        let name = self.bytes()?.to_vec();
        let kind = match self.byte()? {
            0 => ColumnKind::Tag,
            code => ColumnKind::Field(FieldType::from_code(code).ok_or(DecodeError::Malformed("field type"))?),
        };
        Ok(Column { name, kind })
    }

    fn window(&mut self) -> Result<Window> {
        let (interval_ns, offset_ns) = (self.i64()?, self.i64()?);
        let zone = match self.text()? {
            "" => None,
            name => Some(Zone::get(name).ok_or(DecodeError::Malformed("time zone"))?),
        };
        Window::new(interval_ns, offset_ns, zone)
            .filter(|window| window.offset_ns() == offset_ns)
            .ok_or(DecodeError::Malformed("window"))
    }

    fn pattern(&mut self) -> Result<Pattern> {
        Pattern::compile(self.text()?).or(malformed("pattern"))
    }

    fn filter(&mut self, depth: usize) -> Result<TagFilter> {
        if depth > EXPR_HEIGHT_MAX {
            return malformed("filter is too deep");
        }
        Ok(match self.byte()? {
            0 => TagFilter::All,
            1 => TagFilter::None,
            2 => {
                let (key, test) = self.test()?;
                TagFilter::Test { key, test }
            }
            3 => TagFilter::And(self.filters(depth)?),
            4 => TagFilter::Or(self.filters(depth)?),
            _ => return malformed("filter"),
        })
    }

    // Of what recurses, each branch is a function of its own: the frame of one level stays small.

    fn filters(&mut self, depth: usize) -> Result<Vec<TagFilter>> {
        let count = self.length()?;
        let mut filters = Vec::new();
        for _ in 0..count {
            filters.push(self.filter(depth + 1)?);
        }
        Ok(filters)
    }

    fn test(&mut self) -> Result<(Vec<u8>, TagTest)> {
        let key = self.bytes()?.to_vec();
        let test = match self.byte()? {
            0 => TagTest::Equal(self.bytes()?.to_vec()),
            1 => TagTest::NotEqual(self.bytes()?.to_vec()),
            2 => TagTest::Match(self.pattern()?),
            3 => TagTest::NotMatch(self.pattern()?),
            _ => return malformed("test"),
        };
        Ok((key, test))
    }

    fn expr(&mut self, columns: &[Column], depth: usize) -> Result<Expr> {
        if depth >= EXPR_HEIGHT_MAX {
            return malformed("expression is too deep");
        }
        match self.byte()? {
            0 => Ok(Expr::null()),
            1 => Ok(Expr::literal(self.value()?)),
            2 => {
                let index = self.index(columns)?;
                Ok(Expr::input(index, columns[index].kind.value_type()))
            }
            3 => {
                let (key, test) = self.test()?;
                Ok(Expr::tag_test(key, test))
            }
            4 => self.cast(columns, depth + 1),
            5 => self.binary(columns, depth + 1),
            6 => self.matching(columns, depth + 1),
            7 => self.math(columns, depth + 1),
            _ => malformed("expression"),
        }
    }

    fn cast(&mut self, columns: &[Column], depth: usize) -> Result<Expr> {
        let to = self.field_type()?;
        let inner = self.expr(columns, depth)?;
        Expr::cast(inner, to).ok_or(UNFIT)
    }

    fn binary(&mut self, columns: &[Column], depth: usize) -> Result<Expr> {
        let code = self.byte()?;
        let operator = Operator::ALL.into_iter().find(|operator| *operator as u8 == code);
        let operator = operator.ok_or(DecodeError::Malformed("operator"))?;
        let lhs = self.expr(columns, depth)?;
        let rhs = self.expr(columns, depth)?;
        Expr::binary(operator, lhs, rhs).ok_or(UNFIT)
    }

    fn matching(&mut self, columns: &[Column], depth: usize) -> Result<Expr> {
        let negated = self.flag()?;
        let pattern = self.pattern()?;
        let value = self.expr(columns, depth)?;
        Expr::matches(value, pattern, negated).ok_or(UNFIT)
    }

    fn math(&mut self, columns: &[Column], depth: usize) -> Result<Expr> {
        let code = self.byte()?;
        let function = MathFunction::ALL.into_iter().find(|function| *function as u8 == code);
        let function = function.ok_or(DecodeError::Malformed("function"))?;
        let mut args = Vec::with_capacity(function.arity());
        for _ in 0..function.arity() {
            args.push(self.expr(columns, depth)?);
        }
        Expr::math(function, args).ok_or(UNFIT)
    }

    fn value(&mut self) -> Result<FieldValue> {
        Ok(match self.field_type()? {
            FieldType::Float => FieldValue::Float(self.f64()?),
            FieldType::Integer => FieldValue::Integer(self.i64()?),
            FieldType::Unsigned => FieldValue::Unsigned(self.u64()?),
            FieldType::String => FieldValue::String(self.bytes()?.to_vec()),
            FieldType::Boolean => FieldValue::Boolean(self.flag()?),
        })
    }

    /// The index of a column.
    fn index(&mut self, columns: &[Column]) -> Result<usize> {
        match usize::try_from(self.u64()?) {
            Ok(index) if index < columns.len() => Ok(index),
            _ => malformed("index of a column"),
        }
    }

    fn work(&mut self, columns: &[Column], range: TimeRange) -> Result<Work> {
        match self.byte()? {
            0 => {
                let chosen = self.list(|input| input.index(columns))?;
                let limit = if self.flag()? { Some(self.u64()?) } else { None };
                if !chosen.iter().any(|index| columns[*index].kind != ColumnKind::Tag) {
                    return malformed("rows without a field");
                }
                Ok(Work::Rows { columns: chosen, limit })
            }
            1 => {
                let calls = self.list(|input| input.call(columns, range))?;
                let alone = calls.len() == 1;
                let carries = |call: &PartialCall| !call.auxiliary.is_empty();
                let may_carry = |call: &PartialCall| alone && call.function.is_selector();
                if calls.is_empty() || calls.iter().any(|call| carries(call) && !may_carry(call)) {
                    return malformed("calls");
                }
                Ok(Work::Calls(calls))
            }
            _ => malformed("work"),
        }
    }

    fn call(&mut self, columns: &[Column], within: TimeRange) -> Result<PartialCall> {
        let function = self.function()?;
        let column = self.index(columns)?;
        let auxiliary = self.list(|input| input.index(columns))?;
        let range = self.range()?;
        if function.output_type(columns[column].kind.value_type()).is_none() {
            return malformed("function does not take its column");
        }
        if range.intersect(within) != Some(range) {
            return malformed("call outside of the range");
        }
        Ok(PartialCall { function, column, auxiliary, range })
    }

    fn function(&mut self) -> Result<Function> {
        Ok(match self.byte()? {
            1 => Function::Count,
            2 => Function::CountDistinct,
            3 => Function::Sum,
            4 => Function::Mean,
            5 => Function::Min,
            6 => Function::Max,
            7 => Function::First,
            8 => Function::Last,
            9 => Function::Spread,
            10 => Function::Stddev,
            11 => Function::Median,
            12 => Function::Mode,
            13 => Function::Distinct,
            14 => match self.f64()? {
                percent if percent.is_finite() => Function::Percentile { percent },
                _ => return malformed("percent"),
            },
            15 => match self.i64()? {
                unit_ns if unit_ns > 0 => Function::Integral { unit_ns },
                _ => return malformed("unit"),
            },
            16 => Function::Sample { count: self.count()? },
            17 => Function::Top { count: self.count()?, by: self.tags()? },
            18 => Function::Bottom { count: self.count()?, by: self.tags()? },
            19 => Function::Points,
            _ => return malformed("function"),
        })
    }

    fn count(&mut self) -> Result<u64> {
        match self.u64()? {
            0 => malformed("count"),
            count => Ok(count),
        }
    }

    fn tags(&mut self) -> Result<Vec<Vec<u8>>> {
        self.list(|input| Ok(input.bytes()?.to_vec()))
    }
}
