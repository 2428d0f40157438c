//! The states of one call over all its windows, whatever their type.

use crate::bytes::{DecodeError, Reader, Writer};
use crate::run::Run;
use crate::state::{
    Best, Extent, Extreme, Moments, Pick, Points, Rule, Sample, Selected, State, Sum, Tally, decode_run, encode_run,
};
use crate::sum::DoubleSum;

/// States by window, each variant for the functions that it serves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum States {
    /// `count`
    Count(Run<u64>),
    /// `sum` and `mean` of doubles.
    FloatSum(Run<Sum<DoubleSum>>),
    /// `sum` and `mean` of integers.
    IntegerSum(Run<Sum<i64>>),
    /// `sum` and `mean` of unsigned integers.
    UnsignedSum(Run<Sum<u64>>),
    /// `min` and `max` of doubles when only the value is wanted.
    FloatExtreme(Run<Extreme<f64>>),
    /// The same of integers.
    IntegerExtreme(Run<Extreme<i64>>),
    /// The same of unsigned integers.
    UnsignedExtreme(Run<Extreme<u64>>),
    /// `spread` of doubles.
    FloatExtent(Run<Extent<f64>>),
    /// `spread` of integers.
    IntegerExtent(Run<Extent<i64>>),
    /// `spread` of unsigned integers.
    UnsignedExtent(Run<Extent<u64>>),
    /// `first`, `last`, and `min` and `max` when more than the value is wanted.
    Selected(Run<Selected>),
    /// `stddev`
    Moments(Run<Moments>),
    /// `median` and `percentile` of doubles when only the value is wanted.
    FloatValues(Run<Vec<f64>>),
    /// The same of integers.
    IntegerValues(Run<Vec<i64>>),
    /// The same of unsigned integers.
    UnsignedValues(Run<Vec<u64>>),
    /// `distinct`, `mode` and `count(distinct)`.
    Tally(Run<Tally>),
    /// `integral`, transformations of a field, and `percentile` when more than the value is wanted.
    Points(Run<Points>),
    /// `top` and `bottom`
    Best(Run<Best>),
    /// `sample`
    Sample(Run<Sample>),
}

/// Does the same with the run of any variant.
macro_rules! each_run {
    ($states:expr, $run:ident => $body:expr) => {
        match $states {
            States::Count($run) => $body,
            States::FloatSum($run) => $body,
            States::IntegerSum($run) => $body,
            States::UnsignedSum($run) => $body,
            States::FloatExtreme($run) => $body,
            States::IntegerExtreme($run) => $body,
            States::UnsignedExtreme($run) => $body,
            States::FloatExtent($run) => $body,
            States::IntegerExtent($run) => $body,
            States::UnsignedExtent($run) => $body,
            States::Selected($run) => $body,
            States::Moments($run) => $body,
            States::FloatValues($run) => $body,
            States::IntegerValues($run) => $body,
            States::UnsignedValues($run) => $body,
            States::Tally($run) => $body,
            States::Points($run) => $body,
            States::Best($run) => $body,
            States::Sample($run) => $body,
        }
    };
}

/// Does the same with the runs of two states of one variant.
macro_rules! each_pair {
    ($pair:expr, ($a:ident, $b:ident) => $body:expr, $else:expr, [$($variant:ident)*]) => {
        match $pair {
            $((States::$variant($a), States::$variant($b)) => $body,)*
            _ => $else,
        }
    };
}

/// The states of one call, and the rule by which they are joined.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallStates {
    pub(crate) rule: Rule,
    pub(crate) states: States,
}

/// Two partial results that are not of one plan.
pub(crate) const DIFFERENT_CALLS: DecodeError = DecodeError("states of different calls");

impl CallStates {
    /// Whether no window has a point.
    pub(crate) fn is_empty(&self) -> bool {
        each_run!(&self.states, run => run.is_empty())
    }

    /// Joins the states of the same call from elsewhere.
    pub(crate) fn merge(&mut self, other: CallStates) -> Result<(), DecodeError> {
        if self.rule != other.rule {
            return Err(DIFFERENT_CALLS);
        }
        let rule = self.rule;
        each_pair!(
            (&mut self.states, other.states),
            (mine, other) => {
                mine.merge(other, |state, more| state.merge(more, rule));
                Ok(())
            },
            Err(DIFFERENT_CALLS),
            [Count FloatSum IntegerSum UnsignedSum FloatExtreme IntegerExtreme UnsignedExtreme FloatExtent
             IntegerExtent UnsignedExtent Selected Moments FloatValues IntegerValues UnsignedValues Tally Points Best
             Sample]
        )
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        encode_rule(self.rule, out);
        out.u8(self.states.code());
        each_run!(&self.states, run => encode_run(run, out));
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<CallStates, DecodeError> {
        let rule = decode_rule(input)?;
        let states = match input.u8()? {
            1 => States::Count(decode_run(input, rule)?),
            2 => States::FloatSum(decode_run(input, rule)?),
            3 => States::IntegerSum(decode_run(input, rule)?),
            4 => States::UnsignedSum(decode_run(input, rule)?),
            5 => States::FloatExtreme(decode_run(input, rule)?),
            6 => States::IntegerExtreme(decode_run(input, rule)?),
            7 => States::UnsignedExtreme(decode_run(input, rule)?),
            8 => States::FloatExtent(decode_run(input, rule)?),
            9 => States::IntegerExtent(decode_run(input, rule)?),
            10 => States::UnsignedExtent(decode_run(input, rule)?),
            11 => States::Selected(decode_run(input, rule)?),
            12 => States::Moments(decode_run(input, rule)?),
            13 => States::FloatValues(decode_run(input, rule)?),
            14 => States::IntegerValues(decode_run(input, rule)?),
            15 => States::UnsignedValues(decode_run(input, rule)?),
            16 => States::Tally(decode_run(input, rule)?),
            17 => States::Points(decode_run(input, rule)?),
            18 => States::Best(decode_run(input, rule)?),
            19 => States::Sample(decode_run(input, rule)?),
            _ => return Err(DecodeError("unknown states")),
        };
        let fits = match &states {
            States::Best(_) => matches!(rule, Rule::Best { .. }),
            States::Sample(_) => matches!(rule, Rule::Sample { .. }),
            States::Selected(_) | States::FloatExtreme(_) | States::IntegerExtreme(_) | States::UnsignedExtreme(_) => {
                matches!(rule, Rule::Pick(_))
            }
            _ => rule == Rule::Plain,
        };
        if fits { Ok(CallStates { rule, states }) } else { Err(DecodeError("states and rule differ")) }
    }
}

impl States {
    /// The number of the variant on the wire.
    fn code(&self) -> u8 {
        match self {
            States::Count(_) => 1,
            States::FloatSum(_) => 2,
            States::IntegerSum(_) => 3,
            States::UnsignedSum(_) => 4,
            States::FloatExtreme(_) => 5,
            States::IntegerExtreme(_) => 6,
            States::UnsignedExtreme(_) => 7,
            States::FloatExtent(_) => 8,
            States::IntegerExtent(_) => 9,
            States::UnsignedExtent(_) => 10,
            States::Selected(_) => 11,
            States::Moments(_) => 12,
            States::FloatValues(_) => 13,
            States::IntegerValues(_) => 14,
            States::UnsignedValues(_) => 15,
            States::Tally(_) => 16,
            States::Points(_) => 17,
            States::Best(_) => 18,
            States::Sample(_) => 19,
        }
    }
}

fn encode_rule(rule: Rule, out: &mut Writer) {
    match rule {
        Rule::Plain => out.u8(0),
        Rule::Pick(pick) => {
            out.u8(1);
            out.u8(pick.code());
        }
        Rule::Best { pick, limit, by_key } => {
            out.u8(2);
            out.u8(pick.code());
            out.count(limit);
            out.u8(u8::from(by_key));
        }
        Rule::Sample { limit } => {
            out.u8(3);
            out.count(limit);
        }
    }
}

fn decode_rule(input: &mut Reader<'_>) -> Result<Rule, DecodeError> {
    let pick = |input: &mut Reader<'_>| Pick::from_code(input.u8()?).ok_or(DecodeError("unknown preference"));
    let limit = |input: &mut Reader<'_>| {
        let limit = usize::try_from(input.u64()?).ok().filter(|limit| *limit > 0);
        limit.ok_or(DecodeError("bad limit"))
    };
    Ok(match input.u8()? {
        0 => Rule::Plain,
        1 => Rule::Pick(pick(input)?),
        2 => Rule::Best { pick: pick(input)?, limit: limit(input)?, by_key: input.u8()? != 0 },
        3 => Rule::Sample { limit: limit(input)? },
        _ => return Err(DecodeError("unknown rule")),
    })
}
