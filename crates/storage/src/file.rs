//! Data files: rows of many series, sorted by measurement, series key and time, written once.
//!
//! A file has a header, the chunks and a footer. A chunk holds up to some ten thousand rows of one series, cut into
//! pages; all fields of the series share its time and stamp columns. Within a chunk the blocks of one column lie side by
//! side, page after page, so that a question about one field reads two short ranges; the chunk's own index with the
//! statistics of every page comes behind them. The footer lists measurements, fields, series and chunks. Exact bytes:
//! `docs/format/shard.md`.
//!
//! Invariants
//! - A file is named by the manifest only after it and its directory entry are durable; it never changes.
//! - Every block, index and footer has a checksum over the file's random identity, its offset and its bytes, verified
//!   each time it is read: bytes that moved or belong to an older file are found out.
//! - Rows of one instant of a series lie in one page.

mod cache;
mod format;
mod source;
mod stats;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Env, File, OpenMode};
use model::FieldType;

use crate::error::ReadError;
use crate::manifest::FileEntry;

pub(crate) use cache::{Chunk, ChunkCache};
pub(crate) use format::{ChunkIndex, ChunkRef, Footer, FooterMeasurement, HEADER_BYTES, VERSION, later_version};
pub(crate) use source::{FileSource, Wanted};
pub use stats::{FieldSummary, Number, NumberSummary};

pub(crate) use write::FileWriter;

#[cfg(test)]
pub(crate) use tests::fuzz_seeds;

/// Most rows of a page, except where more stand at one instant.
pub(crate) const PAGE_ROWS: usize = 1_024;
/// A page with more than this many bytes of values, decoded, is ended early.
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Set in the identity of every file.
pub(crate) const FILE_IDENTITY_BIT: u64 = 1 << 63;
/// Chunks with blocks of up to this many bytes are read and kept whole.
const SMALL_CHUNK_BYTES: u32 = 64 << 10;
/// Most pages of a chunk.
pub(crate) const CHUNK_PAGES: usize = 64;

/// Feeds any bytes to the decoders of a file's parts, as if their checksums were right. What is read comes back the same.
pub(crate) fn fuzz_parts(bytes: &[u8]) {
    const FOOTER_END: u64 = 1 << 20;
    let entry = FileEntry { number: 1, bytes: 0, identity: 1, rows: 0, clock_max: 0 };
    let _ = format::check_header(bytes, &entry);
    let _ = format::decode_trailer(bytes, &entry, 0);
    if let Some(body) = bytes.first_chunk::<20>() {
        let sum = format::checksum(entry.identity, FOOTER_END, body).to_le_bytes();
        let trailer = [body.as_slice(), &sum, format::TRAILER_MAGIC].concat();
        if let Ok(part) = format::decode_trailer(&trailer, &entry, FOOTER_END) {
            let again = format::encode_trailer(part, entry.identity, FOOTER_END);
            assert_eq!(format::decode_trailer(&again, &entry, FOOTER_END), Ok(part));
        }
    }

    let footer = |bytes: &[u8]| {
        let sum = format::checksum(entry.identity, FOOTER_END, bytes);
        let part = format::PartRef { offset: FOOTER_END, length: bytes.len() as u32, sum };
        format::decode_footer(bytes, &entry, part)
    };
    if let Ok(read) = footer(bytes) {
        assert_eq!(footer(&read.encode()), Ok(read), "a footer comes back the same");
    }

    // The first four bytes tell the chunk's bytes of blocks and its rows.
    let Some((head, index)) = bytes.split_first_chunk::<4>() else { return };
    let (data_bytes, rows) = (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
    let _ = write::decode_stamps(index, usize::from(rows));
    let chunk = ChunkRef {
        offset: 0,
        data_bytes: u32::from(data_bytes),
        index_bytes: index.len() as u32,
        index_sum: 0,
        rows: u32::from(rows),
        time_first: 0,
        time_last: 0,
        repeats: false,
    };
    if let Ok(read) = ChunkIndex::decode(index, &chunk) {
        let written = read.encode();
        let again = ChunkIndex::decode(&written, &chunk).expect("what was written can be read");
        assert_eq!(again.encode(), written, "a chunk index comes back the same");
    }
}

/// Where the data file with this number lies.
pub(crate) fn file_path(shard_dir: &Path, number: u64) -> PathBuf {
    shard_dir.join(format!("{number:016x}.data"))
}

/// The number in the name of a data file, or of one that was not finished.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(".data").or_else(|| name.strip_suffix(".data.new"))?;
    (stem.len() == 16).then(|| u64::from_str_radix(stem, 16).ok())?
}

/// An open data file, and what its footer says in the numbers of the index.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) entry: FileEntry,
    path: PathBuf,
    file: Arc<dyn File>,
    cache: Arc<ChunkCache>,
    /// By measurement number, ascending.
    measurements: Vec<FileMeasurement>,
}

/// A measurement of a file.
#[derive(Debug)]
pub(crate) struct FileMeasurement {
    pub(crate) measurement: u32,
    /// The index's number of each field of the file.
    pub(crate) fields: Vec<(u32, FieldType)>,
    /// Series number and its chunks, by number.
    pub(crate) series: Vec<(u32, Range<u32>)>,
    pub(crate) chunks: Vec<ChunkRef>,
}

impl FileMeasurement {
    /// The chunks of a series, in the order of time.
    pub(crate) fn chunks_of(&self, series: u32) -> &[ChunkRef] {
        match self.series.binary_search_by_key(&series, |(id, _)| *id) {
            Ok(index) => {
                let range = &self.series[index].1;
                &self.chunks[range.start as usize..range.end as usize]
            }
            Err(_) => &[],
        }
    }
}

impl DataFile {
    /// Opens a file that the manifest lists and reads its footer.
    pub(crate) fn open(
        env: &Env,
        shard_dir: &Path,
        entry: &FileEntry,
        cache: &Arc<ChunkCache>,
    ) -> Result<(DataFile, Footer), ReadError> {
        let path = file_path(shard_dir, entry.number);
        let io = |source: io::Error| ReadError::Io { path: path.clone(), source: Arc::new(source) };
        let damaged =
            |offset: u64, reason: &str| ReadError::Damaged { path: path.clone(), offset, reason: reason.into() };
        let file = env.fs().open(&path, OpenMode::Read).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(0, "the file is missing"),
            _ => io(error),
        })?;
        let length = file.len().map_err(io)?;
        if length != entry.bytes {
            return Err(damaged(length.min(entry.bytes), "the file has another length than when it was written"));
        }
        let read = |offset: u64, length: usize| -> Result<Vec<u8>, ReadError> {
            let mut bytes = vec![0; length];
            file.read_exact_at(offset, &mut bytes).map_err(io)?;
            Ok(bytes)
        };
        let ends = format::HEADER_BYTES + format::TRAILER_BYTES;
        if length < ends as u64 {
            return Err(damaged(0, "the file is too short"));
        }
        let header = read(0, format::HEADER_BYTES)?;
        format::check_header(&header, entry).map_err(|error| damaged(0, &error.to_string()))?;
        let trailer_at = length - format::TRAILER_BYTES as u64;
        let trailer = read(trailer_at, format::TRAILER_BYTES)?;
        let footer_ref =
            format::decode_trailer(&trailer, entry, trailer_at).map_err(|e| damaged(trailer_at, &e.to_string()))?;
        let bytes = read(footer_ref.offset, footer_ref.length as usize)?;
        let footer = format::decode_footer(&bytes, entry, footer_ref)
            .map_err(|error| damaged(footer_ref.offset, &error.to_string()))?;
        let file = DataFile { entry: entry.clone(), path, file, cache: cache.clone(), measurements: Vec::new() };
        Ok((file, footer))
    }

    /// Takes over what the footer says, in the numbers of the index: measurement, fields and series for each of its
    /// measurements.
    pub(crate) fn set_measurements(&mut self, mut measurements: Vec<FileMeasurement>) {
        for measurement in &mut measurements {
            measurement.series.sort_unstable_by_key(|(series, _)| *series);
        }
        measurements.sort_unstable_by_key(|entry| entry.measurement);
        self.measurements = measurements;
    }

    /// What the file has of a measurement.
    pub(crate) fn measurement(&self, measurement: u32) -> Option<&FileMeasurement> {
        let index = self.measurements.binary_search_by_key(&measurement, |entry| entry.measurement).ok()?;
        Some(&self.measurements[index])
    }

    pub(crate) fn measurements(&self) -> &[FileMeasurement] {
        &self.measurements
    }

    /// A chunk, from the cache or the disk: a small one with all its blocks, of a large one the index alone.
    pub(crate) fn chunk(&self, chunk: &ChunkRef) -> Result<Arc<Chunk>, ReadError> {
        let key = (self.entry.identity, chunk.offset);
        if let Some(found) = self.cache.get(key) {
            return Ok(found);
        }
        let index_offset = chunk.offset + u64::from(chunk.data_bytes);
        let is_small = chunk.data_bytes <= SMALL_CHUNK_BYTES;
        let start = if is_small { chunk.offset } else { index_offset };
        let length = (index_offset - start) as usize + chunk.index_bytes as usize;
        let mut data = self.read(start, length)?;
        let bytes = data.split_off((index_offset - start) as usize);
        if format::checksum(self.entry.identity, index_offset, &bytes) != chunk.index_sum {
            return Err(self.damaged(index_offset, "checksum of a chunk index"));
        }
        let index =
            ChunkIndex::decode(&bytes, chunk).map_err(|error| self.damaged(index_offset, &error.to_string()))?;
        let read = if is_small {
            Chunk::with_data(index, data, |block, bytes| {
                format::checksum(self.entry.identity, chunk.offset + u64::from(block.offset), bytes) == block.sum
            })
        } else {
            Chunk::of_index(index)
        };
        let read = Arc::new(read);
        self.cache.put(key, read.clone());
        Ok(read)
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(offset, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged(offset, "the file is cut")),
            Err(error) => Err(ReadError::Io { path: self.path.clone(), source: Arc::new(error) }),
        }
    }

    pub(crate) fn damaged(&self, offset: u64, reason: &str) -> ReadError {
        ReadError::Damaged { path: self.path.clone(), offset, reason: reason.into() }
    }
}
