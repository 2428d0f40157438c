//! What the owner of a shard answers: for each group its rows, or the states of its calls.
//!
//! Partial results of one plan can be joined as long as no point is in two of them: shards of a shard group hold
//! different series, shard groups different times. Joining is associative and any order gives the same answer.
//!
//! [`Partial::encode`] makes the bytes that go to the coordinator, [`Partial::decode`] takes any bytes and either refuses
//! them or gives a partial result that can be merged and finished without a panic. See `docs/format/partial.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bytes::{DecodeError, Reader, Writer};
use crate::state::SeriesRows;
use crate::states::{CallStates, DIFFERENT_CALLS};

/// The version of the bytes. A reader refuses any other.
const VERSION: u8 = 1;

/// The values of the `GROUP BY` tags, in the order of their keys; empty for a missing tag.
pub(crate) type GroupKey = Box<[Arc<[u8]>]>;

/// What one shard, or several, know of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partial {
    /// Whether rows and points stay in the order in which they stand here, as those of a subquery may.
    pub(crate) as_given: bool,
    pub(crate) groups: BTreeMap<GroupKey, Body>,
}

/// What is known of one group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// Rows by series; pieces of one series may be apart.
    Rows(Vec<SeriesRows>),
    /// The states of each call.
    Calls(Vec<CallStates>),
}

impl Partial {
    /// Whether no group has anything to say.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes in what another shard knows.
    ///
    /// # Errors
    /// When the two are not of one plan.
    pub fn merge(&mut self, other: Partial) -> Result<(), DecodeError> {
        self.as_given |= other.as_given;
        if self.groups.is_empty() {
            self.groups = other.groups;
            return Ok(());
        }
        for (key, body) in other.groups {
            self.add(key, body)?;
        }
        Ok(())
    }

    /// Takes in what is known of a group.
    pub(crate) fn add(&mut self, key: GroupKey, body: Body) -> Result<(), DecodeError> {
        match self.groups.get_mut(&key) {
            None => {
                self.groups.insert(key, body);
                Ok(())
            }
            Some(known) => known.merge(body),
        }
    }

    /// The bytes for the coordinator.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.u8(u8::from(self.as_given));
        out.count(self.groups.len());
        for (key, body) in &self.groups {
            out.count(key.len());
            key.iter().for_each(|value| out.bytes(value));
            match body {
                Body::Rows(rows) => {
                    out.u8(1);
                    out.count(rows.len());
                    rows.iter().for_each(|rows| rows.encode(&mut out));
                }
                Body::Calls(calls) => {
                    out.u8(2);
                    out.count(calls.len());
                    calls.iter().for_each(|states| states.encode(&mut out));
                }
            }
        }
        out.out
    }

    /// The inverse of [`Partial::encode`].
    ///
    /// # Errors
    /// On any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Partial, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != VERSION {
            return Err(DecodeError("unknown version"));
        }
        let mut partial = Partial { as_given: input.u8()? != 0, groups: BTreeMap::new() };
        for _ in 0..input.count()? {
            let width = input.count()?;
            let key = (0..width).map(|_| input.shared_bytes()).collect::<Result<GroupKey, _>>()?;
            let kind = input.u8()?;
            let count = input.count()?;
            let body = match kind {
                1 => Body::Rows((0..count).map(|_| SeriesRows::decode(&mut input)).collect::<Result<_, _>>()?),
                2 => Body::Calls((0..count).map(|_| CallStates::decode(&mut input)).collect::<Result<_, _>>()?),
                _ => return Err(DecodeError("unknown kind of group")),
            };
            if partial.groups.insert(key, body).is_some() {
                return Err(DecodeError("a group twice"));
            }
        }
        if input.is_empty() { Ok(partial) } else { Err(DecodeError("bytes left over")) }
    }
}

impl Body {
    fn merge(&mut self, other: Body) -> Result<(), DecodeError> {
        match (self, other) {
            (Body::Rows(rows), Body::Rows(mut more)) => rows.append(&mut more),
            (Body::Calls(calls), Body::Calls(more)) if calls.len() == more.len() => {
                for (states, more) in calls.iter_mut().zip(more) {
                    states.merge(more)?;
                }
            }
            _ => return Err(DIFFERENT_CALLS),
        }
        Ok(())
    }
}
