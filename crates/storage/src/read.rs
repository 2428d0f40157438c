//! Reading a shard, as it was at one instant.

use std::sync::Arc;

use model::{FieldType, TagFilter, Tags, TimeRange};
use parking_lot::RwLock;

use crate::cursor::{RowCursor, Source};
use crate::digest::{Extents, Visit};
use crate::file::{DataFile, FileSource, Wanted};
use crate::index::{Index, Measurement};
use crate::memory::{Run, RunSource, Runs};

/// Whether stamps of files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StampsRead {
    /// Where two sources have rows in the same time.
    WhereNeeded,
    Always,
}

/// A run or file and the keys of its series.
struct Part<'a> {
    index: &'a Index,
    holds: Holds<'a>,
}

enum Holds<'a> {
    File(&'a DataFile),
    Run(&'a Run),
}

impl Extents for Part<'_> {
    fn visit(&self, visit: &mut Visit<'_>) {
        match self.holds {
            Holds::File(file) => {
                for measurement in file.measurements() {
                    for (series, _) in &measurement.series {
                        for chunk in measurement.chunks_of(*series) {
                            visit(self.index.key(*series), chunk.time_first, chunk.time_last);
                        }
                    }
                }
            }
            Holds::Run(run) => {
                for (series, rows) in run.series_ranges() {
                    let times = &run.times()[rows];
                    visit(self.index.key(series), times[0], times[times.len() - 1]);
                }
            }
        }
    }
}

/// A series that a question found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Names the series within its shard, for as long as the shard is open.
    pub handle: u64,
    /// The canonical key.
    pub key: Arc<[u8]>,
    /// The tags of the key.
    pub tags: Arc<Tags>,
}

/// A shard as it was when the reader was made: later writes, flushes and compactions do not show.
#[derive(Clone, Debug)]
pub struct ShardReader {
    index: Arc<RwLock<Index>>,
    series_count: u32,
    /// Older content first.
    files: Arc<[Arc<DataFile>]>,
    /// Being flushed.
    frozen: Option<Arc<Runs>>,
    runs: Arc<Runs>,
}

impl ShardReader {
    pub(crate) fn new(
        index: Arc<RwLock<Index>>,
        files: Arc<[Arc<DataFile>]>,
        frozen: Option<Arc<Runs>>,
        runs: Arc<Runs>,
    ) -> ShardReader {
        let series_count = index.read().series_count();
        ShardReader { index, series_count, files, frozen, runs }
    }

    /// The names of the measurements that have series, raw, sorted.
    pub fn measurements(&self) -> Vec<Vec<u8>> {
        let index = self.index.read();
        let names = index.measurement_names().filter(|(_, id)| self.has_series(index.measurement(*id)));
        names.map(|(name, _)| name.to_vec()).collect()
    }

    /// The fields of a measurement, raw, sorted by name, each with its types in the order of preference.
    pub fn fields(&self, measurement: &[u8]) -> Vec<(Vec<u8>, Vec<FieldType>)> {
        self.with(measurement, |_, entry| entry.fields_sorted())
    }

    /// The tag keys of a measurement, raw, sorted.
    pub fn tag_keys(&self, measurement: &[u8]) -> Vec<Vec<u8>> {
        self.with(measurement, |_, entry| {
            let postings = entry.postings.iter();
            let used = postings.filter(|(_, values)| values.values().any(|series| self.sees_any(series)));
            used.map(|(key, _)| key.to_vec()).collect()
        })
    }

    /// The distinct values of a tag among the series that `filter` means, raw, sorted.
    pub fn tag_values(&self, measurement: &[u8], key: &[u8], filter: &TagFilter) -> Vec<Vec<u8>> {
        self.with(measurement, |_, entry| {
            let Some(values) = entry.postings.get(key) else { return Vec::new() };
            let wanted = (!matches!(filter, TagFilter::All)).then(|| entry.matching(filter));
            let values = values.iter().filter(|(_, series)| match &wanted {
                None => self.sees_any(series),
                Some(wanted) => self.sees_any(&(wanted & *series)),
            });
            values.map(|(value, _)| value.to_vec()).collect()
        })
    }

    /// The series of a measurement that `filter` means, sorted by key.
    pub fn series(&self, measurement: &[u8], filter: &TagFilter) -> Vec<SeriesEntry> {
        self.with(measurement, |index, entry| {
            let matching = entry.matching(filter);
            let seen = matching.iter().take_while(|series| *series < self.series_count);
            let mut series: Vec<SeriesEntry> = seen
                .map(|id| SeriesEntry { handle: u64::from(id), key: index.key(id).clone(), tags: index.tags(id) })
                .collect();
            series.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            series
        })
    }

    /// How many series of a measurement `filter` means.
    pub fn series_cardinality(&self, measurement: &[u8], filter: &TagFilter) -> u64 {
        self.with(measurement, |_, entry| entry.matching(filter).range_cardinality(..self.series_count))
    }

    /// How many series the shard has.
    pub fn series_count(&self) -> u64 {
        u64::from(self.series_count)
    }

    /// The rows of a series with a value in at least one of `fields` (raw name and type), with distinct times, from
    /// `range`. A field that the series lacks is a column without values.
    pub fn rows<N: AsRef<[u8]>>(
        &self,
        handle: u64,
        fields: &[(N, FieldType)],
        range: TimeRange,
        descending: bool,
    ) -> RowCursor {
        let field_types = fields.iter().map(|(_, kind)| *kind).collect();
        RowCursor::new(
            self.sources(handle, fields, range, descending, StampsRead::WhereNeeded),
            field_types,
            descending,
        )
    }

    /// The sources of a series, older first, with all stamps.
    pub(crate) fn stamped_sources<N: AsRef<[u8]>>(
        &self,
        handle: u64,
        fields: &[(N, FieldType)],
        range: TimeRange,
    ) -> Vec<Box<dyn Source>> {
        self.sources(handle, fields, range, false, StampsRead::Always)
    }

    /// Shows every run and file that the reader sees, with its identity.
    pub(crate) fn for_each_part(&self, mut visit: impl FnMut(u64, &dyn Extents)) {
        let index = self.index.read();
        for file in self.files.iter() {
            visit(file.entry.identity, &Part { index: &index, holds: Holds::File(file) });
        }
        let frozen = self.frozen.iter().flat_map(|runs| runs.iter().flatten());
        for run in frozen.chain(self.runs.iter().flatten()) {
            visit(run.identity(), &Part { index: &index, holds: Holds::Run(run) });
        }
    }

    fn sources<N: AsRef<[u8]>>(
        &self,
        handle: u64,
        fields: &[(N, FieldType)],
        range: TimeRange,
        descending: bool,
        stamps: StampsRead,
    ) -> Vec<Box<dyn Source>> {
        let Ok(series) = u32::try_from(handle) else { return Vec::new() };
        if series >= self.series_count {
            return Vec::new();
        }
        let index = self.index.read();
        let measurement = index.measurement_of(series);
        let entry = index.measurement(measurement);
        let ids: Arc<[Option<u32>]> = fields.iter().map(|(name, kind)| entry.field(name.as_ref(), *kind)).collect();
        drop(index);
        if !fields.is_empty() && ids.iter().all(Option::is_none) {
            return Vec::new();
        }
        self.sources_of(measurement, series, &Wanted { fields: ids, range, descending }, stamps)
    }

    /// The sources of a series, older first.
    fn sources_of(&self, measurement: u32, series: u32, wanted: &Wanted, stamps: StampsRead) -> Vec<Box<dyn Source>> {
        let files = self.files.iter().filter_map(|file| FileSource::new(file, measurement, series, wanted));
        let mut files: Vec<FileSource> = files.collect();
        let of_measurement = |runs: &'_ Runs| runs.get(measurement as usize).cloned().unwrap_or_default();
        let frozen = self.frozen.as_deref().map(of_measurement).unwrap_or_default();
        let runs = frozen.into_iter().chain(of_measurement(&self.runs));
        let mut runs: Vec<RunSource> = runs.filter_map(|run| RunSource::new(&run, series, wanted)).collect();
        let extents: Vec<(i64, i64)> =
            files.iter().map(FileSource::extent).chain(runs.iter().map(RunSource::extent)).collect();
        let is_alone = |place: usize| {
            let (first, last) = extents[place];
            let meets = |(other, extent): (usize, &(i64, i64))| other != place && extent.0 <= last && first <= extent.1;
            stamps == StampsRead::WhereNeeded && !extents.iter().enumerate().any(meets)
        };
        let file_count = files.len();
        files.iter_mut().enumerate().filter(|(place, _)| is_alone(*place)).for_each(|(_, file)| file.set_uncontested());
        let runs_alone = runs.iter_mut().enumerate().filter(|(place, _)| is_alone(file_count + *place));
        runs_alone.for_each(|(_, run)| run.set_uncontested());
        let files = files.into_iter().map(|source| Box::new(source) as Box<dyn Source>);
        files.chain(runs.into_iter().map(|source| Box::new(source) as Box<dyn Source>)).collect()
    }

    fn with<T: Default>(&self, measurement: &[u8], question: impl FnOnce(&Index, &Measurement) -> T) -> T {
        let index = self.index.read();
        let Some(id) = index.measurement_id(measurement) else { return T::default() };
        let entry = index.measurement(id);
        if self.has_series(entry) { question(&index, entry) } else { T::default() }
    }

    fn has_series(&self, entry: &Measurement) -> bool {
        self.sees_any(&entry.series)
    }

    fn sees_any(&self, series: &roaring::RoaringBitmap) -> bool {
        series.min().is_some_and(|first| first < self.series_count)
    }
}
