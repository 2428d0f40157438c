//! Flush and compaction: the same work on different inputs, one at a time for each shard.
//!
//! A new file is written and synced under a name of its own, then the manifest lists it, and only then the log is
//! purged or the inputs are removed. An error or a crash at any point leaves what was listed before.

use std::sync::Arc;

use model::FieldType;

use super::core::Core;
use crate::cursor::{Keep, Merge, Source};
use crate::error::{MaintenanceError, ReadError};
use crate::file::{DataFile, FileSource, FileWriter, Footer, FooterMeasurement, Wanted, file_path};
use crate::index::Index;
use crate::manifest::{FileEntry, Manifest};
use crate::memory::{RunSource, Runs};
use crate::plan;
use crate::wal::Position;

impl Core {
    /// Writes the memory table to a data file and gives its log back. `false` when there was nothing to do.
    pub(crate) fn flush(&self) -> Result<bool, MaintenanceError> {
        self.flush_with(&mut self.maintenance.lock())
    }

    /// Flushes unless a flush or merge is under way. Tells whether memory was freed.
    pub(super) fn flush_if_free(&self) -> bool {
        let Some(mut manifest) = self.maintenance.try_lock() else { return false };
        matches!(self.flush_with(&mut manifest), Ok(true))
    }

    fn flush_with(&self, manifest: &mut Manifest) -> Result<bool, MaintenanceError> {
        self.check_usable()?;
        let Some((runs, position)) = self.freeze() else { return Ok(false) };
        let inputs = Inputs { runs: Some(&runs), files: &[] };
        let result = self.write_and_list(manifest, &inputs, |manifest, entry| {
            manifest.files.push(entry);
            manifest.flushed = position;
        });
        let file = match result {
            Ok(file) => file,
            Err(error) => {
                self.thaw(&runs);
                return Err(error);
            }
        };
        let log = {
            let mut writer = self.writer.lock();
            let inputs = runs.iter().flatten().map(|run| run.identity()).collect();
            Core::note_replaced(&mut writer, inputs, file.entry.identity);
            writer.files = writer.files.iter().cloned().chain([file]).collect();
            writer.frozen = None;
            self.count_memory(&mut writer);
            writer.log.clone()
        };
        if let Some(log) = log
            && let Err(error) = log.purge_before(position)
        {
            // The rows are in the file; a log that failed is opened again by the next write.
            self.log_refused(error);
        }
        Ok(true)
    }

    /// Merges some data files if there are too many. `false` when there was nothing to do.
    pub(crate) fn compact(&self) -> Result<bool, MaintenanceError> {
        let mut manifest = self.maintenance.lock();
        self.check_usable()?;
        let sizes: Vec<u64> = manifest.files.iter().map(|file| file.bytes).collect();
        let Some(range) = plan::pick_compaction(&sizes, self.config.compact_files) else { return Ok(false) };
        let files = self.writer.lock().files.clone();
        let inputs = Inputs { runs: None, files: &files[range.clone()] };
        let listed = range.clone();
        let merged = self.write_and_list(&mut manifest, &inputs, |manifest, entry| {
            manifest.files.splice(listed, [entry]);
        })?;
        {
            let mut writer = self.writer.lock();
            let replaced = inputs.files.iter().map(|file| file.entry.identity).collect();
            Core::note_replaced(&mut writer, replaced, merged.entry.identity);
            let mut files = writer.files.to_vec();
            files.splice(range, [merged]);
            writer.files = files.into();
        }
        for file in inputs.files {
            // What cannot be removed now is removed at the next open: no manifest lists it.
            let _ = self.env.fs().remove_file(&file_path(&self.dir, file.entry.number));
        }
        Ok(true)
    }

    /// Puts the memory table aside, still readable, and tells where the log stands then. `None` when it is empty.
    fn freeze(&self) -> Option<(Arc<Runs>, Position)> {
        let mut writer = self.writer.lock();
        debug_assert!(writer.frozen.is_none(), "one flush at a time");
        if writer.memory.row_count() == 0 {
            return None;
        }
        let position = writer.log.as_ref()?.end();
        let runs = writer.memory.take();
        writer.frozen = Some(runs.clone());
        self.count_memory(&mut writer);
        Some((runs, position))
    }

    /// Puts what was frozen back.
    fn thaw(&self, runs: &Runs) {
        let mut writer = self.writer.lock();
        writer.frozen = None;
        writer.memory.restore(runs);
        self.count_memory(&mut writer);
    }

    /// Writes a file, lists it in the manifest with `change`, and opens it.
    fn write_and_list(
        &self,
        manifest: &mut Manifest,
        inputs: &Inputs<'_>,
        change: impl FnOnce(&mut Manifest, FileEntry),
    ) -> Result<Arc<DataFile>, MaintenanceError> {
        // Also when this fails the number is not used again: a manifest that names it may be on the disk.
        let number = manifest.file_next;
        manifest.file_next += 1;
        let mut writer = FileWriter::create(&self.env, &self.dir, self.id, number)?;
        if let Err(error) = self.write_rows(&mut writer, inputs) {
            writer.abandon();
            return Err(error);
        }
        let entry = writer.finish()?;
        let (mut file, footer) = DataFile::open(&self.env, &self.dir, &entry, &self.cache)?;
        adopt(&mut self.index.write(), &mut file, footer);
        let mut next = manifest.clone();
        change(&mut next, entry);
        next.store(&self.env, &self.dir)?;
        *manifest = next;
        Ok(Arc::new(file))
    }

    fn write_rows(&self, writer: &mut FileWriter, inputs: &Inputs<'_>) -> Result<(), MaintenanceError> {
        let contents = inputs.measurements(&self.index.read());
        for content in contents {
            writer.begin_measurement(&content.name, &content.fields);
            let field_types: Vec<FieldType> = content.fields.iter().map(|(_, kind)| *kind).collect();
            let wanted = Wanted {
                fields: content.field_ids.iter().map(|id| Some(*id)).collect(),
                range: model::TimeRange::ALL,
                descending: false,
            };
            for (key, series) in &content.series {
                let sources = inputs.sources(content.measurement, *series, &wanted);
                let mut merge = Merge::new(sources, field_types.clone(), false, Keep::Stamps);
                writer.begin_series(key);
                while let Some(block) = merge.next_block()? {
                    writer.push(&block)?;
                }
                writer.end_series()?;
            }
        }
        Ok(())
    }
}

/// What a file is made of, older first.
struct Inputs<'a> {
    runs: Option<&'a Runs>,
    files: &'a [Arc<DataFile>],
}

/// What the inputs have of one measurement, in the order of a file.
struct Content {
    measurement: u32,
    name: Vec<u8>,
    fields: Vec<(Vec<u8>, FieldType)>,
    /// The index's numbers of `fields`.
    field_ids: Vec<u32>,
    series: Vec<(Arc<[u8]>, u32)>,
}

impl Inputs<'_> {
    fn measurements(&self, index: &Index) -> Vec<Content> {
        let named = index.measurement_names();
        named.filter_map(|(name, measurement)| self.content(index, name, measurement)).collect()
    }

    fn content(&self, index: &Index, name: &[u8], measurement: u32) -> Option<Content> {
        let runs = self.runs.and_then(|runs| runs.get(measurement as usize)).map(Vec::as_slice).unwrap_or_default();
        let files = self.files.iter().filter_map(|file| file.measurement(measurement));
        let mut field_ids = Vec::new();
        let mut series = Vec::new();
        for run in runs {
            field_ids.extend(run.columns().iter().map(|(slot, _)| slot.id));
            series.extend(run.series_ranges().map(|(id, _)| id));
        }
        for file in files {
            field_ids.extend(file.fields.iter().map(|(id, _)| *id));
            series.extend(file.series.iter().map(|(id, _)| *id));
        }
        series.sort_unstable();
        series.dedup();
        if series.is_empty() {
            return None;
        }
        let entry = index.measurement(measurement);
        let field = |id: &u32| &entry.fields[*id as usize];
        field_ids.sort_unstable_by_key(|id| (field(id).name.clone(), field(id).field_type));
        field_ids.dedup();
        let mut series: Vec<_> = series.into_iter().map(|id| (index.key(id).clone(), id)).collect();
        series.sort_unstable();
        Some(Content {
            measurement,
            name: name.to_vec(),
            fields: field_ids.iter().map(|id| (field(id).name.to_vec(), field(id).field_type)).collect(),
            field_ids,
            series,
        })
    }

    fn sources(&self, measurement: u32, series: u32, wanted: &Wanted) -> Vec<Box<dyn Source>> {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        for file in self.files {
            if let Some(source) = FileSource::new(file, measurement, series, wanted) {
                sources.push(Box::new(source));
            }
        }
        let runs = self.runs.and_then(|runs| runs.get(measurement as usize)).map(Vec::as_slice).unwrap_or_default();
        for run in runs {
            if let Some(source) = RunSource::new(run, series, wanted) {
                sources.push(Box::new(source));
            }
        }
        sources
    }
}

/// Puts what a footer names into the index, and the index's numbers into the file.
pub(super) fn adopt(index: &mut Index, file: &mut DataFile, footer: Footer) {
    let measurements = footer.measurements.into_iter();
    let measurements = measurements.map(|entry: FooterMeasurement| {
        let measurement = index.add_measurement(&entry.name);
        let fields = entry.fields.iter();
        let fields = fields.map(|(name, kind)| (index.add_field(measurement, name, *kind), *kind)).collect();
        let mut next_chunk = 0;
        let series = entry.series.iter().map(|(key, chunk_count)| {
            let chunks = next_chunk..next_chunk + chunk_count;
            next_chunk = chunks.end;
            (index.add_series(measurement, key), chunks)
        });
        crate::file::FileMeasurement { measurement, fields, series: series.collect(), chunks: entry.chunks }
    });
    let measurements = measurements.collect();
    file.set_measurements(measurements);
}

/// Reads the files that a manifest lists, older first.
pub(super) fn open_files(core: &Core, manifest: &Manifest) -> Result<Vec<Arc<DataFile>>, ReadError> {
    let mut files = Vec::new();
    for entry in &manifest.files {
        let (mut file, footer) = DataFile::open(&core.env, &core.dir, entry, &core.cache)?;
        adopt(&mut core.index.write(), &mut file, footer);
        files.push(Arc::new(file));
    }
    Ok(files)
}
