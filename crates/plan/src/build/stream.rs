//! Calls of the select list: what they read, how their results are filled, transformed and timed.

use influxql::ast::{Call, DataType, Fill as AstFill, FillNumber};
use model::{FieldType, FieldValue, TimeRange, Timestamp};

use super::Builder;
use super::chain::{Chain, chain_of};
use super::columns::WantedKind;
use crate::compile::extended;
use crate::error::PlanError;
use crate::expr::Expr;
use crate::finish_plan::{Fill, RowTime, Stream};
use crate::resolve::{ResolvedSource, field_type};
use crate::shard_plan::{Function, PartialCall};

impl Builder<'_> {
    /// The results of a call as an input of the output row. Equal calls are one.
    pub(super) fn call(&mut self, call: &Call) -> Result<Expr, PlanError> {
        let text = call.to_string();
        let stream = match self.seen.get(&text) {
            Some(stream) => *stream,
            None => {
                let stream = self.new_stream(call)?;
                self.seen.insert(text, stream);
                stream
            }
        };
        Ok(stream.map_or_else(Expr::null, |index| Expr::input(index, self.streams[index].value_type)))
    }

    /// `None` when the call can have no results.
    fn new_stream(&mut self, call: &Call) -> Result<Option<usize>, PlanError> {
        let interval_ns = self.window.as_ref().map(|window| window.interval_ns());
        let mut chain = chain_of(call, interval_ns)?;
        self.note_tags(call, &mut chain);
        let Some((kind, input)) = self.argument(&chain) else { return Ok(None) };
        let Some((call_type, value_type)) = self.types(call, &chain, input) else { return Ok(None) };
        let Some(range) = self.range else { return Ok(None) };
        let range = (0..chain.warmup_windows()).fold(range, |range, _| match interval_ns {
            Some(length_ns) => extended(range, length_ns, self.resolved.compiled.direction),
            None => range,
        });
        let Some(read) = range.intersect(self.clip) else { return Ok(None) };
        let column = self.column(&chain.column.name, kind);
        let time = self.row_time(&chain.function, read);
        let fill = self.fill(&chain.function, call_type);
        let partial = PartialCall { function: chain.function, column, auxiliary: Vec::new(), range: read };
        let known = self.calls.iter().position(|other| *other == partial);
        let call = known.unwrap_or_else(|| {
            self.calls.push(partial);
            self.calls.len() - 1
        });
        let transforms = chain.transforms.into_iter().map(|(_, transform)| transform).collect();
        self.streams.push(Stream { call, time, fill, range, transforms, call_type, value_type });
        Ok(Some(self.streams.len() - 1))
    }

    /// The tags between the first and last argument of `top` and `bottom`.
    fn note_tags(&mut self, call: &Call, chain: &mut Chain) {
        let (Function::Top { by, .. } | Function::Bottom { by, .. }) = &mut chain.function else { return };
        for var in crate::resolve::extra_columns(call) {
            let raw = self.resolved.scope.raw(&var.name);
            if !by.contains(&raw) {
                by.push(raw);
            }
            self.by.insert(var.name.clone());
        }
    }

    /// The column that a call reads and the type that it has there; `None` when there is nothing to read.
    fn argument(&self, chain: &Chain) -> Option<(WantedKind, FieldType)> {
        let cast = chain.column.cast;
        if let Some(kind) = field_type(cast) {
            return Some((WantedKind::Field(kind), kind));
        }
        let from_subquery = self.resolved.sources.iter().any(|source| matches!(source, ResolvedSource::Subquery(_)));
        (cast == Some(DataType::Tag) && from_subquery).then_some((WantedKind::TagOfSubquery, FieldType::String))
    }

    /// What the function gives and what the last transformation gives. What does not take its argument is remembered.
    fn types(&mut self, call: &Call, chain: &Chain, input: FieldType) -> Option<(FieldType, FieldType)> {
        let Some(call_type) = chain.function.output_type(input) else {
            self.note_unsupported(innermost_name(call), input);
            return None;
        };
        let mut value_type = call_type;
        for (name, transform) in &chain.transforms {
            let Some(next) = transform.output_type(value_type) else {
                self.note_unsupported(name, value_type);
                return None;
            };
            value_type = next;
        }
        Some((call_type, value_type))
    }

    fn note_unsupported(&mut self, name: &str, input: FieldType) {
        let words = match name {
            "non_negative_derivative" => "derivative".to_owned(),
            "non_negative_difference" => "difference".to_owned(),
            // So it says in the reference.
            "holt_winters" | "holt_winters_with_fit" => "elapsed".to_owned(),
            name => name.replace('_', " "),
        };
        let error = PlanError::new(format!("unsupported {words} iterator type: *query.{input}InterruptIterator"));
        self.unsupported.get_or_insert(error);
    }

    /// The time of results; of a selector as if there were other calls beside it.
    fn row_time(&self, function: &Function, range: TimeRange) -> RowTime {
        match function {
            Function::Points | Function::Sample { .. } | Function::Top { .. } | Function::Bottom { .. } => {
                RowTime::Point
            }
            _ if self.window.is_some() => RowTime::Window,
            Function::Integral { .. } => RowTime::Fixed(Timestamp(0)),
            _ if range.start() == Timestamp::MIN => RowTime::Fixed(Timestamp(0)),
            _ => RowTime::Fixed(range.start()),
        }
    }

    /// A selector that is the only call keeps the time of its point, where there are no windows.
    pub(super) fn settle_times(&mut self) {
        let [stream] = self.streams.as_mut_slice() else { return };
        let is_alone = self.seen.len() == 1;
        let is_selector = is_alone && self.calls[stream.call].function.is_selector() && stream.transforms.is_empty();
        if is_selector && self.window.is_none() {
            stream.time = RowTime::Point;
        }
    }

    fn fill(&self, function: &Function, call_type: FieldType) -> Fill {
        let fills = !matches!(
            function,
            Function::Distinct
                | Function::Sample { .. }
                | Function::Top { .. }
                | Function::Bottom { .. }
                | Function::Integral { .. }
                | Function::Points
        );
        if self.window.is_none() || !fills {
            return Fill::None;
        }
        match self.resolved.compiled.fill {
            AstFill::None => Fill::None,
            AstFill::Null if matches!(function, Function::Count | Function::CountDistinct) => {
                Fill::Value(FieldValue::Integer(0))
            }
            AstFill::Null => Fill::Null,
            AstFill::Previous => Fill::Previous,
            AstFill::Linear => Fill::Linear,
            AstFill::Number(number) => Fill::Value(as_type(number, call_type)),
        }
    }
}

/// The name of the function below the cut.
fn innermost_name(call: &Call) -> &str {
    match call.args.first() {
        Some(influxql::ast::Expr::Call(inner)) => innermost_name(inner),
        _ => &call.name,
    }
}

/// A number as a value of a type; types that are no numbers get their zero.
fn as_type(number: FillNumber, to: FieldType) -> FieldValue {
    let (integer, double) = match number {
        FillNumber::Integer(value) => (value, value as f64),
        FillNumber::Float(value) => (value as i64, value),
    };
    match to {
        FieldType::Float => FieldValue::Float(double),
        FieldType::Integer => FieldValue::Integer(integer),
        FieldType::Unsigned => FieldValue::Unsigned(integer as u64),
        FieldType::String => FieldValue::String(Vec::new()),
        FieldType::Boolean => FieldValue::Boolean(false),
    }
}
