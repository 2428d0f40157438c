//! Answering for the shards held here: schema, series, and the lower half of a `SELECT`.
//!
//! The same functions serve peers (through `shard_server`) and this node's own statements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use exec::{ExecError, Partial};
use model::{FieldType, ShardId, TagFilter};
use plan::rewrite::SeriesStatement;
use plan::{Schema, ShardPlan};
use wire::v1;

use crate::budget::Query;
use crate::fan_out::AskError;
use crate::local::{LocalError, LocalShards};
use crate::shard_server;
use crate::shard_source::ShardSource;

/// Fields and tags of measurements, by name.
#[derive(Clone, Debug, Default)]
pub struct SchemaAnswer(pub BTreeMap<Vec<u8>, Schema>);

/// Series keys, or pairs of tag key and value; sorted and distinct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesAnswer {
    /// Canonical keys.
    pub keys: Vec<Vec<u8>>,
    /// Tag key and value.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why the lower half of a query failed here.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The shard cannot answer.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl SelectError {
    /// As a peer is told.
    pub fn to_fault(&self) -> v1::Fault {
        match self {
            SelectError::Local(error) => shard_server::fault(error),
            // Another owner may be able to read it.
            SelectError::Exec(error @ ExecError::Source(_)) => {
                v1::Fault::new(v1::fault::Kind::Retry, error.to_string())
            }
            SelectError::Exec(error) => v1::Fault::new(v1::fault::Kind::Refused, error.to_string()),
        }
    }

    /// As the fan-out is told.
    pub fn to_ask_error(&self) -> AskError {
        fault_to_ask_error(&self.to_fault())
    }
}

/// What a fault means to the fan-out.
pub fn fault_to_ask_error(fault: &v1::Fault) -> AskError {
    match fault.kind() {
        v1::fault::Kind::Refused => AskError::Question(fault.text.clone()),
        _ => AskError::SomeShard(fault.text.clone()),
    }
}

/// How a condition on series is read, by what is asked: `value` is a word of its own where values are.
pub fn statement_of<K>(tag_keys: &[K]) -> SeriesStatement {
    if tag_keys.is_empty() { SeriesStatement::ShowSeries } else { SeriesStatement::ShowTagValues }
}

/// The schemas of some measurements, or of all when none is named.
///
/// # Errors
/// When one of the shards cannot answer.
pub fn describe(
    local: &LocalShards,
    shards: &[ShardId],
    measurements: &[Vec<u8>],
    accept_behind: bool,
) -> Result<SchemaAnswer, LocalError> {
    let mut answer = SchemaAnswer::default();
    for shard in shards {
        let Some(reader) = local.read(*shard, accept_behind)? else { continue };
        let known = reader.measurements();
        for name in known.into_iter().filter(|name| measurements.is_empty() || measurements.contains(name)) {
            let schema = answer.0.entry(name.clone()).or_default();
            for (field, types) in reader.fields(&name) {
                types.into_iter().for_each(|kind| schema.add_field(field.clone(), kind));
            }
            reader.tag_keys(&name).into_iter().for_each(|key| schema.add_tag(key));
        }
    }
    Ok(answer)
}

/// The series of a measurement, or the values of some of their tags.
///
/// # Errors
/// When one of the shards cannot answer.
pub fn series(
    local: &LocalShards,
    shards: &[ShardId],
    measurement: &[u8],
    filter: &TagFilter,
    tag_keys: &[Vec<u8>],
    accept_behind: bool,
) -> Result<SeriesAnswer, LocalError> {
    let (mut keys, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    for shard in shards {
        let Some(reader) = local.read(*shard, accept_behind)? else { continue };
        if tag_keys.is_empty() {
            keys.extend(reader.series(measurement, filter).into_iter().map(|series| series.key.to_vec()));
        }
        for key in tag_keys {
            let values = reader.tag_values(measurement, key, filter);
            pairs.extend(values.into_iter().map(|value| (key.clone(), value)));
        }
    }
    Ok(SeriesAnswer { keys: keys.into_iter().collect(), pairs: pairs.into_iter().collect() })
}

/// Runs the lower half of a query over some shards, side by side, and merges what comes out.
///
/// # Errors
/// When one of the shards cannot answer.
pub async fn select(
    env: &Env,
    local: &Arc<LocalShards>,
    shards: &[ShardId],
    plan: &Arc<ShardPlan>,
    accept_behind: bool,
    query: &Query,
) -> Result<Partial, SelectError> {
    let runs = shards.iter().map(|shard| {
        let (local, plan, shard, mut budget) = (Arc::clone(local), Arc::clone(plan), *shard, query.budget());
        env.blocking(move || match local.read(shard, accept_behind)? {
            Some(reader) => {
                let source = ShardSource::new(reader, &plan.measurement);
                Ok(exec::run_shard(&plan, &source, &mut budget)?)
            }
            None => Ok(Partial::default()),
        })
    });
    let mut merged: Option<Partial> = None;
    for partial in futures_util::future::join_all(runs).await {
        let partial: Partial = partial.map_err(|error: SelectError| error)?;
        match &mut merged {
            Some(merged) => merged.merge(partial).map_err(ExecError::from)?,
            None => merged = Some(partial),
        }
    }
    Ok(merged.unwrap_or_default())
}

/// Schemas as messages.
pub fn schemas_to_wire(schemas: &BTreeMap<Vec<u8>, Schema>) -> Vec<v1::MeasurementSchema> {
    let measurement = |(name, schema): (&Vec<u8>, &Schema)| v1::MeasurementSchema {
        name: Bytes::from(name.clone()),
        fields: schema
            .fields()
            .map(|(field, types)| v1::FieldSchema {
                name: Bytes::copy_from_slice(field),
                types: types.map(|kind| kind as u8).collect::<Vec<u8>>().into(),
            })
            .collect(),
        tag_keys: schema.tags().map(Bytes::copy_from_slice).collect(),
    };
    schemas.iter().map(measurement).collect()
}

/// Schemas from messages. Codes of types that this release does not know are left out.
pub fn schemas_from_wire(messages: &[v1::MeasurementSchema]) -> SchemaAnswer {
    let mut answer = SchemaAnswer::default();
    for message in messages {
        let schema = answer.0.entry(message.name.to_vec()).or_default();
        for field in &message.fields {
            for kind in field.types.iter().filter_map(|code| FieldType::from_code(*code)) {
                schema.add_field(field.name.to_vec(), kind);
            }
        }
        message.tag_keys.iter().for_each(|key| schema.add_tag(key.to_vec()));
    }
    answer
}
