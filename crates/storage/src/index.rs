//! The series of a shard: keys to dense numbers, tags to sets of them, fields and their types.
//!
//! It is kept in memory and made again at open, from the footers of the data files and the replay of the log. Series
//! numbers are given out in the order of arrival and never change while the shard is open; a reader that remembers how
//! many there were sees the index as it was.
//!
//! Invariants
//! - Every series belongs to the measurement that its key names, and stands in one postings set for each of its tags.
//! - A pair of field name and type has one number within its measurement, for as long as the shard is open.

mod filter;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::{FieldType, Table, Tags, series_key};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use std::hash::BuildHasher;

/// A series number that stands for "not in the index yet".
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// Parsed tags that are kept for later questions.
const TAGS_CACHED_MAX: usize = 65_536;

#[derive(Debug)]
pub(crate) struct Index {
    hasher: FixedState,
    series: Vec<Series>,
    by_key: HashTable<u32>,
    measurements: Vec<Measurement>,
    by_name: BTreeMap<Arc<[u8]>, u32>,
    tags_cached: Mutex<hashbrown::HashMap<u32, Arc<Tags>>>,
}

#[derive(Debug)]
struct Series {
    key: Arc<[u8]>,
    measurement: u32,
}

/// The values of a tag, and the series that have them.
pub(crate) type Values = BTreeMap<Box<[u8]>, RoaringBitmap>;

/// What the index knows of one measurement.
#[derive(Debug)]
pub(crate) struct Measurement {
    /// Its series.
    pub(crate) series: RoaringBitmap,
    /// Tag key, tag value, series that have it.
    pub(crate) postings: BTreeMap<Box<[u8]>, Values>,
    /// Fields by number.
    pub(crate) fields: Vec<Field>,
    /// Numbers of the fields of a name, in the order of arrival.
    fields_by_name: BTreeMap<Arc<[u8]>, Vec<u32>>,
}

/// A field under one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Arc<[u8]>,
    pub(crate) field_type: FieldType,
}

impl Index {
    /// An empty index. `seed` keeps clients from choosing keys that collide.
    pub(crate) fn new(seed: u64) -> Index {
        Index {
            hasher: FixedState::with_seed(seed),
            series: Vec::new(),
            by_key: HashTable::new(),
            measurements: Vec::new(),
            by_name: BTreeMap::new(),
            tags_cached: Mutex::new(hashbrown::HashMap::new()),
        }
    }

    /// How many series there are; also the number of the next one.
    pub(crate) fn series_count(&self) -> u32 {
        self.series.len() as u32
    }

    pub(crate) fn measurement_count(&self) -> u32 {
        self.measurements.len() as u32
    }

    /// Names and numbers of the measurements, sorted by name.
    pub(crate) fn measurement_names(&self) -> impl Iterator<Item = (&Arc<[u8]>, u32)> {
        self.by_name.iter().map(|(name, id)| (name, *id))
    }

    pub(crate) fn measurement_id(&self, name: &[u8]) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn measurement(&self, id: u32) -> &Measurement {
        &self.measurements[id as usize]
    }

    pub(crate) fn key(&self, series: u32) -> &Arc<[u8]> {
        &self.series[series as usize].key
    }

    pub(crate) fn measurement_of(&self, series: u32) -> u32 {
        self.series[series as usize].measurement
    }

    /// The tags of a series, parsed once and kept while there is room.
    pub(crate) fn tags(&self, series: u32) -> Arc<Tags> {
        if let Some(tags) = self.tags_cached.lock().get(&series) {
            return tags.clone();
        }
        let tags = Arc::new(series_key::split_key(self.key(series)).1);
        let mut cached = self.tags_cached.lock();
        if cached.len() >= TAGS_CACHED_MAX {
            cached.clear();
        }
        cached.insert(series, tags.clone());
        tags
    }

    /// The number of a series, if it is known.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.by_key.find(hash, |id| &*self.series[*id as usize].key == key).copied()
    }

    /// The numbers of the series of a table; [`UNKNOWN`] for new ones. Tells whether all are known.
    ///
    /// Requests come in the same order again and again, so the series after the last one is tried before the hash.
    pub(crate) fn resolve(&self, table: &Table, ids: &mut Vec<u32>) -> bool {
        ids.clear();
        let mut next = UNKNOWN;
        let mut all_known = true;
        for key in table.series.iter() {
            let predicted = self.series.get(next as usize).filter(|series| &*series.key == key);
            let id = match predicted {
                Some(_) => next,
                None => self.find(key).unwrap_or(UNKNOWN),
            };
            all_known &= id != UNKNOWN;
            next = id.wrapping_add(1);
            ids.push(id);
        }
        all_known
    }

    /// The number of a measurement, which is made when it is new.
    pub(crate) fn add_measurement(&mut self, name: &[u8]) -> u32 {
        if let Some(id) = self.measurement_id(name) {
            return id;
        }
        let id = self.measurement_count();
        let name: Arc<[u8]> = name.into();
        self.measurements.push(Measurement {
            series: RoaringBitmap::new(),
            postings: BTreeMap::new(),
            fields: Vec::new(),
            fields_by_name: BTreeMap::new(),
        });
        self.by_name.insert(name, id);
        id
    }

    /// The number of a series of `measurement`, which is made when it is new.
    pub(crate) fn add_series(&mut self, measurement: u32, key: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(key);
        if let Some(id) = self.by_key.find(hash, |id| &*self.series[*id as usize].key == key) {
            return *id;
        }
        let id = self.series_count();
        assert!(id < UNKNOWN, "a shard has less than four billion series");
        self.series.push(Series { key: key.into(), measurement });
        let (series, hasher) = (&self.series, &self.hasher);
        self.by_key.insert_unique(hash, id, |id| hasher.hash_one(&*series[*id as usize].key));
        let (_, tags) = series_key::split_key(key);
        let entry = &mut self.measurements[measurement as usize];
        entry.series.insert(id);
        for (tag, value) in tags.iter() {
            if !entry.postings.contains_key(tag) {
                entry.postings.insert(tag.into(), BTreeMap::new());
            }
            let values = entry.postings.get_mut(tag).expect("inserted above");
            match values.get_mut(value) {
                Some(postings) => {
                    postings.insert(id);
                }
                None => {
                    values.insert(value.into(), RoaringBitmap::from_iter([id]));
                }
            }
        }
        id
    }

    /// The number of a field under a type, which is made when it is new.
    pub(crate) fn add_field(&mut self, measurement: u32, name: &[u8], field_type: FieldType) -> u32 {
        let entry = &mut self.measurements[measurement as usize];
        if let Some(id) = entry.field(name, field_type) {
            return id;
        }
        let id = entry.fields.len() as u32;
        let name: Arc<[u8]> = name.into();
        entry.fields.push(Field { name: name.clone(), field_type });
        entry.fields_by_name.entry(name).or_default().push(id);
        id
    }
}

impl Measurement {
    /// The number of a field under a type.
    pub(crate) fn field(&self, name: &[u8], field_type: FieldType) -> Option<u32> {
        let ids = self.fields_by_name.get(name)?;
        ids.iter().copied().find(|id| self.fields[*id as usize].field_type == field_type)
    }

    /// The types of a field, the one that came first in front. Empty when there is no such field.
    pub(crate) fn field_types(&self, name: &[u8]) -> impl Iterator<Item = FieldType> {
        let ids = self.fields_by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        ids.iter().map(|id| self.fields[*id as usize].field_type)
    }

    /// Field names, sorted, with their types in the order of preference.
    pub(crate) fn fields_sorted(&self) -> Vec<(Vec<u8>, Vec<FieldType>)> {
        let by_name = self.fields_by_name.iter();
        by_name
            .map(|(name, ids)| {
                let mut types: Vec<_> = ids.iter().map(|id| self.fields[*id as usize].field_type).collect();
                types.sort_unstable();
                (name.to_vec(), types)
            })
            .collect()
    }
}
