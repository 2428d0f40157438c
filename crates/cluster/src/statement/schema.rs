//! Questions about measurements, series, tags and fields: the union over all shards that may hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use influxql::ast::{
    CardinalityOf, Expr, KeyCondition, Measurement, MeasurementFilter, MeasurementName, NameOrWildcard, OnDatabase,
    ShowCardinality, ShowFieldKeys, ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues, Source,
};
use meta::{Access, Data, RuleSet};
use model::result::{Series, Value};
use model::series_key::split_key;
use model::{FieldType, Pattern, ShardId, TagFilter, TagTest, TimeRange};
use plan::rewrite::{SeriesStatement, key_filter, series_condition};
use plan::{PlanContext, Schema};
use rpc::Lane;
use wire::v1;

use NameOrWildcard::Wildcard;

use crate::fan_out::AskError;
use crate::question::{self, SchemaAnswer, SeriesAnswer};
use crate::statement::{Answers, QueryContext, StatementError, Statements, ask_error};

/// The condition of a statement about the schema: which series it means, and when.
pub(super) struct Meant {
    filter: TagFilter,
    /// The same for a peer.
    text: String,
    /// `None` when nothing is meant.
    range: Option<TimeRange>,
    /// Tests of the values that are answered.
    values: Vec<TagTest>,
}

impl Meant {
    /// Every series, whenever.
    fn everything() -> Meant {
        Meant { filter: TagFilter::All, text: String::new(), range: Some(TimeRange::ALL), values: Vec::new() }
    }

    fn is_all(&self) -> bool {
        matches!(self.filter, TagFilter::All)
    }

    /// Whether a tag value is answered.
    pub(super) fn takes_value(&self, value: &[u8]) -> bool {
        self.values.iter().all(|test| test.accepts(value))
    }
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rows from `offset` on, at most `limit` of them; a limit of 0 is none.
fn page<T>(rows: impl IntoIterator<Item = T>, limit: u64, offset: u64) -> impl Iterator<Item = T> {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    rows.into_iter().skip(size(offset)).take(if limit == 0 { usize::MAX } else { size(limit) })
}

/// The measurements that the sources of a statement name, and the policy that one of them names.
pub(super) struct Wanted {
    names: Vec<String>,
    patterns: Vec<Pattern>,
    retention_policy: Option<String>,
}

impl Wanted {
    fn new(sources: &[Source]) -> Result<Wanted, StatementError> {
        let mut wanted = Wanted { names: Vec::new(), patterns: Vec::new(), retention_policy: None };
        for source in sources {
            let Source::Measurement(Measurement { retention_policy, name, .. }) = source else {
                return Err(StatementError::Wrong("invalid measurement".to_owned()));
            };
            if retention_policy.is_some() {
                wanted.retention_policy.clone_from(retention_policy);
            }
            match name {
                MeasurementName::Name(name) => wanted.names.push(name.clone()),
                MeasurementName::Regex(text) => wanted.patterns.push(compile(text)?),
            }
        }
        Ok(wanted)
    }

    fn all(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    fn accepts(&self, name: &[u8]) -> bool {
        self.all()
            || self.names.iter().any(|wanted| wanted.as_bytes() == name)
            || self.patterns.iter().any(|pattern| pattern.is_match(name))
    }
}

pub(super) fn compile(text: &str) -> Result<Pattern, StatementError> {
    Pattern::compile(text).map_err(|error| StatementError::Wrong(format!("error parsing regexp: {error}")))
}

type Schemas = BTreeMap<Vec<u8>, Schema>;

impl Statements {
    fn meant(&self, statement: SeriesStatement, condition: Option<&Expr>) -> Result<Meant, StatementError> {
        let context = PlanContext { now: self.env.now(), local_zone: None, select_buckets_max: 0 };
        let meant = series_condition(statement, condition, &context)?;
        let text = condition.map(ToString::to_string).unwrap_or_default();
        Ok(Meant { filter: meant.series, text, range: meant.range, values: meant.values })
    }

    /// The shards that may hold what is meant.
    fn meant_shards(&self, db: &str, rp: &str, meant: &Meant, context: &QueryContext) -> Vec<ShardId> {
        meant.range.map(|range| self.shards(db, rp, range, context)).unwrap_or_default()
    }

    pub(super) async fn show_measurements(
        &self,
        show: &ShowMeasurements,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let meant = self.meant(SeriesStatement::ShowMeasurements, show.condition.as_ref())?;
        let sources: Vec<Source> = show.filter.iter().map(measurement_source).collect();
        let wanted = Wanted::new(&sources)?;
        if let Some(on) = show.on.as_ref().filter(|on| on.retention_policy.is_some() || on.database == Wildcard) {
            let mut rows = Vec::new();
            for (db, rp) in self.places(on).await? {
                for name in self.names(&db, &rp, &wanted, &meant, context).await? {
                    rows.push([lossy(&name), db.clone(), rp.clone()].map(Value::text));
                }
            }
            let mut series = Series::new("measurements", &["name", "database", "retention policy"]);
            page(rows, show.limit, show.offset).for_each(|row| series.rows.push(row));
            return if series.rows.is_empty() { Ok(()) } else { answers.series(series, false).await };
        }
        let named = show.on.as_ref().and_then(|on| match &on.database {
            NameOrWildcard::Name(name) => Some(name.as_str()),
            Wildcard => None,
        });
        // Unlike for other statements, a database that does not exist has no measurements.
        let name = named.unwrap_or(&context.db);
        if !name.is_empty() && self.data_with(|data| data.database(name).map(|_| ())).await.is_none() {
            return Ok(());
        }
        let db = self.database(named, context).await?;
        let names = self.names(&db, "", &wanted, &meant, context).await?;
        let mut series = Series::new("measurements", &["name"]);
        for name in page(names, show.limit, show.offset) {
            series.rows.push([Value::text(lossy(&name))]);
        }
        if series.rows.is_empty() { Ok(()) } else { answers.series(series, false).await }
    }

    /// The databases and policies that `ON` means when it names a policy or has a `*`, sorted.
    async fn places(&self, on: &OnDatabase) -> Result<BTreeSet<(String, String)>, StatementError> {
        let (db, rp) = match (&on.database, &on.retention_policy) {
            (Wildcard, Some(Wildcard)) => (None, None),
            (NameOrWildcard::Name(db), Some(Wildcard)) => (Some(db), None),
            (NameOrWildcard::Name(db), Some(NameOrWildcard::Name(rp))) => (Some(db), Some(rp)),
            _ => {
                let on = format!("query 'SHOW MEASUREMENTS ON {on}' not supported. use 'ON *.*' or specify a database");
                return Err(StatementError::Wrong(on));
            }
        };
        let known = |data: &Data| {
            let found = |name: &str| db.is_none_or(|db| db == name);
            let databases = data.databases().iter().filter(|database| found(&database.name));
            let policies = databases.flat_map(|database| {
                let policies = database.policies.iter().filter(|policy| rp.is_none_or(|rp| **rp == *policy.name));
                policies.map(|policy| (database.name.to_string(), policy.name.to_string()))
            });
            let places: BTreeSet<_> = policies.collect();
            (!places.is_empty()).then_some(places)
        };
        let places = self.data_with(known).await;
        match (places, db, rp) {
            (Some(places), ..) => Ok(places),
            (None, None, _) => Ok(BTreeSet::new()),
            (None, Some(db), rp) if self.meta.data().database(db).is_some() => {
                let rp = rp.map(String::as_str).unwrap_or_default();
                Err(StatementError::Wrong(format!("retention policy not found: {rp}")))
            }
            (None, Some(db), _) => Err(StatementError::Wrong(format!("unknown database {db}"))),
        }
    }

    /// The measurements of a policy, or of all policies when `rp` is empty, that have a series that is meant.
    async fn names(
        &self,
        db: &str,
        rp: &str,
        wanted: &Wanted,
        meant: &Meant,
        context: &QueryContext,
    ) -> Result<Vec<Vec<u8>>, StatementError> {
        let shards = self.shards(db, rp, TimeRange::ALL, context);
        let rules = self.rules(db, Access::Read, context)?;
        let mut names = Vec::new();
        for name in self.describe(&shards, wanted, &rules, context).await?.into_keys() {
            if meant.is_all() || !self.series_of(&shards, &name, (meant, &rules), &[], context).await?.keys.is_empty() {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub(super) async fn show_series(
        &self,
        show: &ShowSeries,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let db = self.database(show.database.as_deref(), context).await?;
        let meant = self.meant(SeriesStatement::ShowSeries, show.condition.as_ref())?;
        let wanted = Wanted::new(&show.sources)?;
        let keys = self.keys(&db, &self.one_policy(&db, &wanted, context)?, &wanted, &meant, context).await?;
        let mut series = Series::new("", &["key"]);
        for key in page(keys, show.limit, show.offset) {
            series.rows.push([Value::text(lossy(&key))]);
        }
        if series.rows.is_empty() { Ok(()) } else { answers.series(series, false).await }
    }

    pub(super) async fn show_field_keys(
        &self,
        show: &ShowFieldKeys,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let db = self.database(show.database.as_deref(), context).await?;
        let wanted = Wanted::new(&show.sources)?;
        let shards = self.shards(&db, &self.one_policy(&db, &wanted, context)?, TimeRange::ALL, context);
        let rules = self.rules(&db, Access::Read, context)?;
        for (name, schema) in self.describe(&shards, &wanted, &rules, context).await? {
            let rows = schema.fields().flat_map(|(field, types)| {
                let field = lossy(field);
                let mut names: Vec<&str> = types.map(FieldType::name).collect();
                names.sort_unstable();
                names.into_iter().map(move |name| [Value::text(field.clone()), Value::text(name)]).collect::<Vec<_>>()
            });
            let mut series = Series::new(lossy(&name), &["fieldKey", "fieldType"]);
            page(rows, show.limit, show.offset).for_each(|row| series.rows.push(row));
            if !series.rows.is_empty() {
                answers.series(series, false).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn show_tag_keys(
        &self,
        show: &ShowTagKeys,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let db = self.database(show.database.as_deref(), context).await?;
        let found = self.tag_keys(&db, "", &show.sources, show.key.as_ref(), show.condition.as_ref(), context).await?;
        let found = found.into_iter().filter(|(_, keys)| !keys.is_empty());
        for (name, keys) in page(found, show.slimit, show.soffset) {
            let mut series = Series::new(lossy(&name), &["tagKey"]);
            page(keys, show.limit, show.offset).for_each(|key| series.rows.push([Value::text(lossy(&key))]));
            if !series.rows.is_empty() {
                answers.series(series, false).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn show_tag_values(
        &self,
        show: &ShowTagValues,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let db = self.database(show.database.as_deref(), context).await?;
        let rp = Wanted::new(&show.sources)?.retention_policy.unwrap_or_default();
        let found = self.tag_values(&db, &rp, &show.sources, &show.key, show.condition.as_ref(), context).await?;
        for (name, pairs) in found {
            let mut series = Series::new(lossy(&name), &["key", "value"]);
            for (key, value) in page(pairs, show.limit, show.offset) {
                series.rows.push([Value::text(lossy(&key)), Value::text(lossy(&value))]);
            }
            if !series.rows.is_empty() {
                answers.series(series, false).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn show_cardinality(
        &self,
        show: &ShowCardinality,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        if !show.dimensions.is_empty() {
            return self.show_grouped_cardinality(show, context, answers).await;
        }
        let counted = self.count_cardinality(show, context).await?;
        let wide = matches!(show.of, CardinalityOf::Series | CardinalityOf::Measurement);
        let whole = is_whole(show);
        let column = if wide && !show.exact { "cardinality estimation" } else { "count" };
        let single = whole || matches!(show.of, CardinalityOf::Measurement);
        let total: usize = counted.values().sum();
        let rows: Vec<(String, usize)> = match (&show.of, single) {
            (CardinalityOf::Measurement, _) => vec![(String::new(), counted.len())],
            (_, true) => vec![(String::new(), total)],
            _ => counted.iter().map(|(name, count)| (lossy(name), *count)).collect(),
        };
        for (name, count) in rows {
            let mut series = Series::new(name, &[column]);
            let count = Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
            page([count], show.limit, show.offset).for_each(|count| series.rows.push([count]));
            if !series.rows.is_empty() {
                answers.series(series, false).await?;
            }
        }
        Ok(())
    }

    async fn show_grouped_cardinality(
        &self,
        show: &ShowCardinality,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let db = self.database(show.database.as_deref(), context).await?;
        let meant = self.meant(counted_as(&show.of), show.condition.as_ref())?;
        let wanted = Wanted::new(&show.sources)?;
        let rp = self.one_policy(&db, &wanted, context)?;
        let counted = self.grouped_cardinality(show, (&db, &rp), (&wanted, &meant), context).await?;
        if show.offset == 0 {
            for series in counted {
                answers.series(series, false).await?;
            }
        }
        Ok(())
    }

    /// For each measurement how many there are of what is counted.
    async fn count_cardinality(
        &self,
        show: &ShowCardinality,
        context: &QueryContext,
    ) -> Result<BTreeMap<Vec<u8>, usize>, StatementError> {
        let named = show.database.as_deref();
        let missing = named.unwrap_or(&context.db);
        let estimated = !show.exact && matches!(show.of, CardinalityOf::Series | CardinalityOf::Measurement);
        if estimated && !missing.is_empty() && self.data_with(|data| data.database(missing).map(|_| ())).await.is_none()
        {
            return Ok(BTreeMap::new());
        }
        let db = self.database(named, context).await?;
        let meant = self.meant(counted_as(&show.of), show.condition.as_ref())?;
        let condition = show.condition.as_ref();
        let wanted = Wanted::new(&show.sources)?;
        // An estimate looks at the whole database, everything else at one policy.
        let rp = if is_whole(show) { String::new() } else { self.one_policy(&db, &wanted, context)? };
        Ok(match &show.of {
            CardinalityOf::TagKey => {
                let found = self.tag_keys(&db, &rp, &show.sources, None, condition, context).await?;
                found.into_iter().map(|(name, keys)| (name, keys.len())).filter(|(_, count)| *count > 0).collect()
            }
            CardinalityOf::TagValues(keys) => {
                let found = self.tag_values(&db, &rp, &show.sources, keys, condition, context).await?;
                found.into_iter().map(|(name, pairs)| (name, pairs.len())).collect()
            }
            CardinalityOf::FieldKey => {
                let shards = self.shards(&db, &rp, TimeRange::ALL, context);
                let rules = self.rules(&db, Access::Read, context)?;
                let schemas = self.describe(&shards, &wanted, &rules, context).await?;
                schemas.into_iter().map(|(name, schema)| (name, schema.fields().count())).collect()
            }
            CardinalityOf::Series | CardinalityOf::Measurement => {
                let mut counted = BTreeMap::new();
                for key in self.keys(&db, &rp, &wanted, &meant, context).await? {
                    *counted.entry(split_key(&key).0).or_default() += 1;
                }
                counted
            }
        })
    }

    /// The tag keys of each measurement, in one policy, or in all when `rp` is empty.
    async fn tag_keys(
        &self,
        db: &str,
        rp: &str,
        sources: &[Source],
        key: Option<&KeyCondition>,
        condition: Option<&Expr>,
        context: &QueryContext,
    ) -> Result<BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>, StatementError> {
        let meant = self.meant(SeriesStatement::ShowTagKeys, condition)?;
        let keys = key.map(key_filter).transpose()?;
        let shards = self.meant_shards(db, rp, &meant, context);
        let rules = self.rules(db, Access::Read, context)?;
        let mut found = BTreeMap::new();
        for (name, schema) in self.describe(&shards, &Wanted::new(sources)?, &rules, context).await? {
            let mut tags: BTreeSet<Vec<u8>> = if meant.is_all() && rules.is_open() {
                schema.tags().map(<[u8]>::to_vec).collect()
            } else {
                let keys = self.series_of(&shards, &name, (&meant, &rules), &[], context).await?.keys;
                let tags = keys.iter().map(|key| split_key(key).1);
                tags.flat_map(|tags| tags.iter().map(|(key, _)| key.to_vec()).collect::<Vec<_>>()).collect()
            };
            if let Some(keys) = &keys {
                tags.retain(|tag| keys.accepts(tag));
            }
            found.insert(name, tags);
        }
        Ok(found)
    }

    /// The pairs of tag key and value of each measurement, in one policy, or in all when `rp` is empty.
    async fn tag_values(
        &self,
        db: &str,
        rp: &str,
        sources: &[Source],
        key: &KeyCondition,
        condition: Option<&Expr>,
        context: &QueryContext,
    ) -> Result<BTreeMap<Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>>, StatementError> {
        let meant = self.meant(SeriesStatement::ShowTagValues, condition)?;
        let keys = key_filter(key)?;
        let wanted = Wanted::new(sources)?;
        let shards = self.meant_shards(db, rp, &meant, context);
        let rules = self.rules(db, Access::Read, context)?;
        let mut found = BTreeMap::new();
        for (name, schema) in self.describe(&shards, &wanted, &rules, context).await? {
            let tags: Vec<Vec<u8>> = schema.tags().filter(|tag| keys.accepts(tag)).map(<[u8]>::to_vec).collect();
            if !tags.is_empty() {
                let mut pairs = self.series_of(&shards, &name, (&meant, &rules), &tags, context).await?.pairs;
                pairs.retain(|(_, value)| meant.takes_value(value));
                found.insert(name, pairs);
            }
        }
        Ok(found)
    }

    /// The policy that statements look at which look at one: the one named, or the default.
    fn one_policy(&self, db: &str, wanted: &Wanted, context: &QueryContext) -> Result<String, StatementError> {
        let named = wanted.retention_policy.as_deref().unwrap_or(&context.rp);
        let data = self.meta.data();
        match data.policy(db, named) {
            Ok(policy) => Ok(policy.name.to_string()),
            Err(_) if named.is_empty() => {
                Err(StatementError::Wrong(format!("default retention policy not set for: {db}")))
            }
            Err(rejection) => Err(StatementError::Wrong(rejection.to_string())),
        }
    }

    /// Canonical keys of the series meant, sorted.
    pub(super) async fn keys(
        &self,
        db: &str,
        rp: &str,
        wanted: &Wanted,
        meant: &Meant,
        context: &QueryContext,
    ) -> Result<BTreeSet<Vec<u8>>, StatementError> {
        let shards = self.meant_shards(db, rp, meant, context);
        let rules = self.rules(db, Access::Read, context)?;
        let mut keys = BTreeSet::new();
        for name in self.describe(&shards, wanted, &rules, context).await?.into_keys() {
            keys.extend(self.series_of(&shards, &name, (meant, &rules), &[], context).await?.keys);
        }
        Ok(keys)
    }

    /// Fields and tags of the wanted measurements of some shards. Measurements of which every series is hidden are left
    /// out.
    pub(super) async fn describe(
        &self,
        shards: &[ShardId],
        wanted: &Wanted,
        rules: &RuleSet,
        context: &QueryContext,
    ) -> Result<Schemas, StatementError> {
        // Patterns are matched here; names alone narrow what owners send.
        let names: Vec<Vec<u8>> = match wanted.patterns.is_empty() {
            true => wanted.names.iter().map(|name| name.clone().into_bytes()).collect(),
            false => Vec::new(),
        };
        let mut schemas = self.schemas(shards, names, context).await?;
        schemas.retain(|name, _| wanted.accepts(name));
        if rules.is_open() {
            return Ok(schemas);
        }
        let (mut seen, everything) = (Schemas::new(), Meant::everything());
        for (name, schema) in schemas {
            let whole = matches!(rules.filter(&name), TagFilter::All);
            if whole || !self.series_of(shards, &name, (&everything, rules), &[], context).await?.keys.is_empty() {
                seen.insert(name, schema);
            }
        }
        Ok(seen)
    }

    /// The schemas of some measurements, or of all when none is named, united over the shards.
    pub(super) async fn schemas(
        &self,
        shards: &[ShardId],
        names: Vec<Vec<u8>>,
        context: &QueryContext,
    ) -> Result<Schemas, StatementError> {
        let names = Arc::new(names);
        let gathered = self
            .gather(shards, context, |ask| {
                let names = Arc::clone(&names);
                async move {
                    if ask.node == self.peers.me() {
                        let Some(local) = self.local.clone() else {
                            return Err(AskError::Node("no shards here".to_owned()));
                        };
                        let work = move || question::describe(&local, &ask.shards, &names, ask.accept_behind);
                        return self.env.blocking(work).await.map_err(|error| AskError::SomeShard(error.to_string()));
                    }
                    let request = v1::DescribeRequest {
                        header: self.peers.header(),
                        shards: ask.shards.iter().map(|shard| shard.0).collect(),
                        accept_behind: ask.accept_behind,
                        measurements: names.iter().map(|name| Bytes::from(name.clone())).collect(),
                    };
                    let timeout = self.remote_read_timeout();
                    let reply = self
                        .peers
                        .call(ask.node, Lane::Query, timeout, |mut peer| async move { peer.describe(request).await })
                        .await
                        .map_err(ask_error)?;
                    self.peers.heard(reply.header.as_ref());
                    match reply.fault {
                        Some(fault) => Err(question::fault_to_ask_error(&fault)),
                        None => Ok(question::schemas_from_wire(&reply.measurements)),
                    }
                }
            })
            .await?;
        let mut united = Schemas::new();
        for SchemaAnswer(schemas) in gathered.answers {
            for (name, schema) in schemas {
                united.entry(name).or_default().unite(&schema);
            }
        }
        Ok(united)
    }

    /// The series of a measurement that are meant and not hidden, or the values of their tags, united over the shards.
    async fn series_of(
        &self,
        shards: &[ShardId],
        measurement: &[u8],
        (meant, rules): (&Meant, &RuleSet),
        tag_keys: &[Vec<u8>],
        context: &QueryContext,
    ) -> Result<SeriesAnswer, StatementError> {
        let (visible, mut filter) = (rules.filter(measurement), meant.filter.clone());
        let mut encoded = Bytes::new();
        if !matches!(visible, TagFilter::All) {
            encoded = plan::encode_filter(&visible).into();
            filter = TagFilter::And(vec![visible, filter]);
        }
        let (filter, encoded) = (&filter, &encoded);
        let gathered = self
            .gather(shards, context, |ask| async move {
                if ask.node == self.peers.me() {
                    let Some(local) = self.local.clone() else {
                        return Err(AskError::Node("no shards here".to_owned()));
                    };
                    let (name, filter, tags) = (measurement.to_vec(), filter.clone(), tag_keys.to_vec());
                    let work = move || question::series(&local, &ask.shards, &name, &filter, &tags, ask.accept_behind);
                    return self.env.blocking(work).await.map_err(|error| AskError::SomeShard(error.to_string()));
                }
                let request = v1::SeriesRequest {
                    header: self.peers.header(),
                    shards: ask.shards.iter().map(|shard| shard.0).collect(),
                    measurement: Bytes::copy_from_slice(measurement),
                    condition: meant.text.clone(),
                    tag_keys: tag_keys.iter().map(|key| Bytes::from(key.clone())).collect(),
                    accept_behind: ask.accept_behind,
                    visible: encoded.clone(),
                };
                let timeout = self.remote_read_timeout();
                let reply = self
                    .peers
                    .call(ask.node, Lane::Query, timeout, |mut peer| async move { peer.series(request).await })
                    .await
                    .map_err(ask_error)?;
                self.peers.heard(reply.header.as_ref());
                match reply.fault {
                    Some(fault) => Err(question::fault_to_ask_error(&fault)),
                    None => Ok(SeriesAnswer {
                        keys: reply.keys.into_iter().map(|key| key.to_vec()).collect(),
                        pairs: reply.pairs.into_iter().map(|pair| (pair.key.to_vec(), pair.value.to_vec())).collect(),
                    }),
                }
            })
            .await?;
        let (mut keys, mut pairs) = (BTreeSet::new(), BTreeSet::new());
        for answer in gathered.answers {
            keys.extend(answer.keys);
            pairs.extend(answer.pairs);
        }
        Ok(SeriesAnswer { keys: keys.into_iter().collect(), pairs: pairs.into_iter().collect() })
    }
}

/// Whether a statement counts all series or measurements of a database, by estimate.
fn counted_as(of: &CardinalityOf) -> SeriesStatement {
    match of {
        CardinalityOf::Series => SeriesStatement::SeriesCardinality,
        CardinalityOf::Measurement => SeriesStatement::MeasurementCardinality,
        CardinalityOf::TagKey => SeriesStatement::TagKeyCardinality,
        CardinalityOf::TagValues(_) => SeriesStatement::ShowTagValues,
        CardinalityOf::FieldKey => SeriesStatement::FieldKeyCardinality,
    }
}

fn is_whole(show: &ShowCardinality) -> bool {
    let wide = matches!(show.of, CardinalityOf::Series | CardinalityOf::Measurement);
    wide && !show.exact && show.sources.is_empty() && show.condition.is_none()
}

fn measurement_source(filter: &MeasurementFilter) -> Source {
    let name = match filter {
        MeasurementFilter::Name(name) => MeasurementName::Name(name.clone()),
        MeasurementFilter::Regex(text) => MeasurementName::Regex(text.clone()),
    };
    Source::Measurement(Measurement { database: None, retention_policy: None, name })
}
