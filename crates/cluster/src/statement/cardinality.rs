//! `SHOW … CARDINALITY … GROUP BY`: counts of series, measurements, tags and fields by the values of some tags.

use std::collections::{BTreeMap, BTreeSet};

use influxql::ast::{CardinalityOf, Expr, Literal, ShowCardinality};
use meta::Access;
use model::result::{Series, Value};
use model::series_key::split_key;
use model::{Pattern, SeriesKey, Tags, TimeRange};
use plan::rewrite::key_filter;

use super::schema::{Meant, Wanted, compile, lossy};
use super::{QueryContext, StatementError, Statements};

/// The tags that a statement groups by.
struct Dimensions {
    names: BTreeSet<Vec<u8>>,
    patterns: Vec<Pattern>,
    all: bool,
}

impl Dimensions {
    fn new(list: &[Expr]) -> Result<Dimensions, StatementError> {
        let mut dimensions = Dimensions { names: BTreeSet::new(), patterns: Vec::new(), all: false };
        for dimension in list {
            match dimension {
                Expr::VarRef(tag) => drop(dimensions.names.insert(tag.name.clone().into_bytes())),
                Expr::Literal(Literal::Regex(text)) => dimensions.patterns.push(compile(text)?),
                Expr::Wildcard(_) => dimensions.all = true,
                other => return Err(StatementError::NotYet(format!("GROUP BY {other} in SHOW CARDINALITY"))),
            }
        }
        Ok(dimensions)
    }

    fn takes(&self, tag: &[u8]) -> bool {
        self.all || self.names.contains(tag) || self.patterns.iter().any(|pattern| pattern.is_match(tag))
    }

    /// The keys to group by: those that are named, and of the tags that there are those that are meant.
    fn keys(&self, series: &[(Vec<u8>, Tags)]) -> BTreeSet<Vec<u8>> {
        let there = series.iter().flat_map(|(_, tags)| tags.iter().map(|(key, _)| key));
        let meant = there.filter(|key| self.takes(key)).map(<[u8]>::to_vec);
        meant.chain(self.names.iter().cloned()).collect()
    }
}

/// A measurement, or nothing where measurements are counted, and the values of the tags.
type Group = (Vec<u8>, Vec<Vec<u8>>);

/// Tags as bytes that no other tags have.
fn text(tags: &Tags) -> Vec<u8> {
    SeriesKey::new(b"", tags).as_bytes().to_vec()
}

/// Counts what differs, group by group.
fn count(
    show: &ShowCardinality,
    series: &[(Vec<u8>, Tags)],
    keys: &BTreeSet<Vec<u8>>,
    counts: impl Fn(&[u8], &Tags) -> Vec<Vec<u8>>,
) -> BTreeMap<Group, usize> {
    let mut found: BTreeMap<Group, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (name, tags) in series {
        let values = keys.iter().map(|key| tags.get(key).to_vec()).collect();
        let counted = counts(name, tags);
        if !counted.is_empty() {
            let name = if show.of == CardinalityOf::Measurement { Vec::new() } else { name.clone() };
            found.entry((name, values)).or_default().extend(counted);
        }
    }
    found.into_iter().map(|(group, counted)| (group, counted.len())).collect()
}

impl Statements {
    /// The answer to a statement with `GROUP BY`.
    pub(super) async fn grouped_cardinality(
        &self,
        show: &ShowCardinality,
        place: (&str, &str),
        (wanted, meant): (&Wanted, &Meant),
        context: &QueryContext,
    ) -> Result<Vec<Series>, StatementError> {
        let dimensions = Dimensions::new(&show.dimensions)?;
        let (db, rp) = place;
        let series: Vec<_> =
            self.keys(db, rp, wanted, meant, context).await?.iter().map(|key| split_key(key)).collect();
        let keys = dimensions.keys(&series);
        let counted = match &show.of {
            CardinalityOf::Series => count(show, &series, &keys, |_, tags| vec![text(tags)]),
            CardinalityOf::Measurement => count(show, &series, &keys, |name, _| vec![name.to_vec()]),
            CardinalityOf::TagKey => {
                count(show, &series, &keys, |_, tags| tags.iter().map(|(key, _)| key.to_vec()).collect())
            }
            CardinalityOf::TagValues(condition) => {
                let filter = key_filter(condition)?;
                count(show, &series, &keys, |_, tags| {
                    let pairs = tags.iter().filter(|(key, value)| filter.accepts(key) && meant.takes_value(value));
                    pairs.map(|(key, value)| text(&Tags::new(vec![(key.to_vec(), value.to_vec())]))).collect()
                })
            }
            CardinalityOf::FieldKey => {
                let shards = self.shards(db, rp, TimeRange::ALL, context);
                let rules = self.rules(db, Access::Read, context)?;
                let schemas = self.describe(&shards, wanted, &rules, context).await?;
                count(show, &series, &keys, |name, _| {
                    let fields = schemas.get(name).map(|schema| schema.fields().map(|(field, _)| field.to_vec()));
                    fields.into_iter().flatten().collect()
                })
            }
        };
        let keys: Vec<String> = keys.iter().map(|key| lossy(key)).collect();
        let answers = counted.into_iter().map(|((name, values), count)| {
            let mut series = Series::new(lossy(&name), &["count"]);
            series.tags = keys.iter().cloned().zip(values.iter().map(|value| lossy(value))).collect();
            series.rows.push([Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))]);
            series
        });
        Ok(answers.collect())
    }
}
