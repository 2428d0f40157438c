//! What is known of the measurements a statement reads.
//!
//! The coordinator gathers it from an owner of every shard in range and unites the answers.

use std::collections::{BTreeMap, BTreeSet};

use model::{FieldType, Pattern};

/// Fields and tags of one measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Field key to the types it was seen with; never an empty set.
    fields: BTreeMap<Vec<u8>, BTreeSet<FieldType>>,
    tags: BTreeSet<Vec<u8>>,
}

impl Schema {
    /// Adds a field of a type.
    pub fn add_field(&mut self, key: impl Into<Vec<u8>>, field_type: FieldType) {
        self.fields.entry(key.into()).or_default().insert(field_type);
    }

    /// Adds a tag key.
    pub fn add_tag(&mut self, key: impl Into<Vec<u8>>) {
        self.tags.insert(key.into());
    }

    /// Adds all that `other` knows.
    pub fn unite(&mut self, other: &Schema) {
        for (key, types) in &other.fields {
            self.fields.entry(key.clone()).or_default().extend(types);
        }
        self.tags.extend(other.tags.iter().cloned());
    }

    /// Field keys in order, each with its types in order of preference.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], impl Iterator<Item = FieldType>)> {
        self.fields.iter().map(|(key, types)| (key.as_slice(), types.iter().copied()))
    }

    /// Tag keys in order.
    pub fn tags(&self) -> impl Iterator<Item = &[u8]> {
        self.tags.iter().map(Vec::as_slice)
    }

    /// The preferred type of a field.
    pub fn field_type(&self, key: &[u8]) -> Option<FieldType> {
        self.fields.get(key).and_then(|types| types.first().copied())
    }
}

/// The schemas of the measurements a statement may read, by database and retention policy.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    measurements: BTreeMap<(String, String), BTreeMap<Vec<u8>, Schema>>,
}

impl Catalog {
    /// Unites `schema` with what is known of the measurement.
    pub fn add(&mut self, database: &str, retention_policy: &str, measurement: &[u8], schema: &Schema) {
        let place = self.measurements.entry((database.to_owned(), retention_policy.to_owned())).or_default();
        place.entry(measurement.to_vec()).or_default().unite(schema);
    }

    /// The schema of one measurement.
    pub fn schema(&self, database: &str, retention_policy: &str, measurement: &[u8]) -> Option<&Schema> {
        self.place(database, retention_policy)?.get(measurement)
    }

    /// The measurements in which `pattern` is found, in order.
    pub fn matching<'a>(
        &'a self,
        database: &str,
        retention_policy: &str,
        pattern: &Pattern,
    ) -> impl Iterator<Item = (&'a [u8], &'a Schema)> {
        let place = self.place(database, retention_policy).into_iter().flatten();
        place.map(|(name, schema)| (name.as_slice(), schema)).filter(|(name, _)| pattern.is_match(name))
    }

    fn place(&self, database: &str, retention_policy: &str) -> Option<&BTreeMap<Vec<u8>, Schema>> {
        self.measurements.get(&(database.to_owned(), retention_policy.to_owned()))
    }
}
