use super::*;
use crate::cursor::{Block, RowCursor, Source};
use crate::stamps::Stamps;
use model::{Column, FieldValue, Stamp, TimeRange, Timestamp};
use tempfile::TempDir;

const SHARD: model::ShardId = model::ShardId(9);

fn fields() -> Vec<(Vec<u8>, FieldType)> {
    vec![
        (b"f".to_vec(), FieldType::Float),
        (b"i".to_vec(), FieldType::Integer),
        (b"none".to_vec(), FieldType::Boolean),
        (b"s".to_vec(), FieldType::String),
    ]
}

/// Rows with a value of `i` each, of `f` in every second and of `s` in every third.
fn block(start: i64, count: i64) -> Block {
    let mut columns: Vec<Column> = fields().iter().map(|(_, kind)| Column::new(*kind)).collect();
    for row in 0..count {
        let n = start + row;
        if n % 2 == 0 {
            columns[0].push(&FieldValue::Float(n as f64 / 4.0));
        }
        columns[1].push(&FieldValue::Integer(n * n % 1000));
        if n % 3 == 0 {
            columns[3].push(&FieldValue::String(format!("text {}", n % 5).into_bytes()));
        }
        columns.iter_mut().for_each(|column| column.pad_to(row as usize + 1));
    }
    let spans: Vec<(u32, Stamp)> =
        (0..count as u32).map(|row| (row, stamp(start as u64 + u64::from(row) / 10))).collect();
    Block {
        times: (0..count).map(|row| (start + row) * 10).collect(),
        stamps: Stamps::from_spans(&spans, count as usize),
        columns: columns.into_iter().map(Some).collect(),
        repeats: false,
    }
}

fn stamp(clock: u64) -> Stamp {
    Stamp { clock, coordinator: 3 }
}

fn write(dir: &Path) -> FileEntry {
    let mut writer = FileWriter::create(&Env::real(), dir, SHARD, 5).expect("created");
    writer.begin_measurement(b"cpu", &fields());
    for key in [b"cpu,host=a".as_slice(), b"cpu,host=b"] {
        writer.begin_series(key);
        writer.push(&block(0, 700)).expect("pushed");
        writer.push(&block(700, 800)).expect("pushed");
        writer.end_series().expect("ended");
    }
    writer.begin_measurement(b"mem", &fields()[1..2]);
    writer.begin_series(b"mem");
    let mut integers = block(0, 3);
    integers.columns = vec![integers.columns.swap_remove(1)];
    writer.push(&integers).expect("pushed");
    writer.end_series().expect("ended");
    writer.finish().expect("finished")
}

/// Parts of a data file, as `fuzz_parts` wants them.
pub(crate) fn fuzz_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let dir = TempDir::new().expect("a directory");
    let entry = write(dir.path());
    let bytes = std::fs::read(file_path(dir.path(), entry.number)).expect("just written");
    let part = |offset: usize, length: u32| bytes[offset..offset + length as usize].to_vec();
    let end = bytes.len() - format::TRAILER_BYTES;
    let trailer = part(end, format::TRAILER_BYTES as u32);
    let footer = format::decode_trailer(&trailer, &entry, end as u64).expect("just written");
    let footer_bytes = part(footer.offset as usize, footer.length);
    let measurements = format::decode_footer(&footer_bytes, &entry, footer).expect("just written").measurements;
    let headed = |chunk: &ChunkRef, tail: Vec<u8>| {
        let head = [chunk.data_bytes as u16, chunk.rows as u16];
        [head.map(u16::to_le_bytes).concat(), tail].concat()
    };
    let index =
        |chunk: &ChunkRef| headed(chunk, part(chunk.offset as usize + chunk.data_bytes as usize, chunk.index_bytes));
    let (cpu, mem) = (&measurements[0].chunks[0], &measurements[1].chunks[0]);
    let read = ChunkIndex::decode(&index(mem)[4..], mem).expect("just written");
    let stamps = part(mem.offset as usize + read.stamps[0].offset as usize, read.stamps[0].length);
    vec![
        ("footer", footer_bytes),
        ("header", part(0, format::HEADER_BYTES as u32)),
        ("index_large", index(cpu)),
        ("index_small", index(mem)),
        ("stamps", headed(mem, stamps)),
        ("trailer", trailer),
    ]
}

/// Opens the file with measurement 0 = cpu, series 0 and 1.
fn open(dir: &Path, entry: &FileEntry) -> Result<Arc<DataFile>, ReadError> {
    let cache = Arc::new(ChunkCache::new(1 << 20));
    let (mut file, footer) = DataFile::open(&Env::real(), dir, entry, &cache)?;
    let mut series = 0;
    let measurements = footer.measurements.into_iter().enumerate().map(|(number, entry)| FileMeasurement {
        measurement: number as u32,
        fields: (0..).zip(entry.fields).map(|(id, (_, kind))| (id, kind)).collect(),
        series: entry
            .series
            .iter()
            .scan(0, |chunk, (_, count)| {
                let range = *chunk..*chunk + count;
                *chunk = range.end;
                series += 1;
                Some((series - 1, range))
            })
            .collect(),
        chunks: entry.chunks,
    });
    let measurements = measurements.collect();
    file.set_measurements(measurements);
    Ok(Arc::new(file))
}

fn wanted(range: TimeRange, descending: bool) -> Wanted {
    Wanted { fields: (0..4).map(Some).collect(), range, descending }
}

fn rows(file: &Arc<DataFile>, series: u32, range: TimeRange, descending: bool) -> Result<Vec<String>, ReadError> {
    let Some(source) = FileSource::new(file, 0, series, &wanted(range, descending)) else { return Ok(Vec::new()) };
    let types = fields().iter().map(|(_, kind)| *kind).collect();
    let mut cursor = RowCursor::new(vec![Box::new(source)], types, descending);
    let mut out = Vec::new();
    while let Some(batch) = cursor.next()? {
        for (row, time) in batch.times.iter().enumerate() {
            out.push(format!("{time} {:?}", batch.columns.iter().map(|column| column.get(row)).collect::<Vec<_>>()));
        }
    }
    Ok(out)
}

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp(start), Timestamp(end)).expect("not empty")
}

#[test]
fn rows_come_back_from_any_range_in_both_directions() {
    let dir = TempDir::new().expect("a directory");
    let entry = write(dir.path());
    assert_eq!((entry.rows, entry.clock_max), (3_003, 779));
    let file = open(dir.path(), &entry).expect("opened");
    let all = rows(&file, 1, TimeRange::ALL, false).expect("read");
    assert_eq!(all.len(), 1_500);
    assert_eq!(all[3], "30 [None, Some(Integer(9)), None, Some(String([116, 101, 120, 116, 32, 51]))]");
    for (start, end) in
        [(0, 15_000), (5, 12), (10_230, 10_250), (-5, 1), (14_990, 20_000), (20_000, 30_000), (3_333, 12_345)]
    {
        let wanted: Vec<String> = all
            .iter()
            .filter(|row| {
                let time: i64 = row.split(' ').next().expect("a time").parse().expect("a number");
                (start..end).contains(&time)
            })
            .cloned()
            .collect();
        assert_eq!(rows(&file, 0, range(start, end), false).expect("read"), wanted);
        let mut down = rows(&file, 0, range(start, end), true).expect("read");
        down.reverse();
        assert_eq!(down, wanted);
    }
    assert!(rows(&file, 7, TimeRange::ALL, false).expect("read").is_empty());
}

#[test]
fn pages_carry_their_statistics() {
    let dir = TempDir::new().expect("a directory");
    let entry = write(dir.path());
    let file = open(dir.path(), &entry).expect("opened");
    let chunk = file.measurement(0).expect("cpu").chunks_of(0)[0];
    let chunk = file.chunk(&chunk).expect("read");
    let index = &chunk.index;
    assert_eq!(index.pages.iter().map(|page| page.rows).collect::<Vec<_>>(), [1024, 476]);
    assert!(index.field(2).is_none(), "a field without values takes no place");
    let stats = index.field(1).expect("i").stats[0].expect("values");
    assert_eq!(stats.count, 1024);
    let sum: i64 = (0..1024).map(|n| n * n % 1000).sum();
    assert_eq!(stats.numbers.expect("numbers").sum, Number::Integer(sum));
}

#[test]
fn stamps_come_back_where_sources_meet() {
    let dir = TempDir::new().expect("a directory");
    let entry = write(dir.path());
    let file = open(dir.path(), &entry).expect("opened");
    let mut source = FileSource::new(&file, 0, 0, &wanted(range(7_000, 7_200), false)).expect("rows");
    let block = source.next_block().expect("read").expect("rows");
    assert_eq!((block.stamps.get(0), block.stamps.get(19)), (stamp(700), stamp(701)));
}

#[test]
fn every_flipped_bit_is_an_error_or_changes_nothing() {
    let dir = TempDir::new().expect("a directory");
    let entry = write(dir.path());
    let file = open(dir.path(), &entry).expect("opened");
    let right: Vec<Vec<String>> =
        (0..2).map(|series| rows(&file, series, TimeRange::ALL, false).expect("read")).collect();
    let path = file_path(dir.path(), entry.number);
    let bytes = std::fs::read(&path).expect("read");
    let mut found = 0;
    for byte in (0..bytes.len()).step_by(7) {
        let mut wrong = bytes.clone();
        wrong[byte] ^= 1 << (byte % 8);
        std::fs::write(&path, &wrong).expect("written");
        let read = open(dir.path(), &entry).and_then(|file| {
            (0..2).map(|series| rows(&file, series, TimeRange::ALL, false)).collect::<Result<Vec<_>, _>>()
        });
        match read {
            Ok(same) => assert_eq!(same, right, "byte {byte}"),
            Err(error) => {
                assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
                found += 1;
            }
        }
    }
    // The rest are blocks of the third series, and stamps, that nobody asked for.
    assert!(found * 70 > bytes.len() * 8, "{found} of {} found", bytes.len());
}

#[test]
fn a_cut_stale_or_foreign_file_is_refused() {
    let dir = TempDir::new().expect("a directory");
    let entry = write(dir.path());
    let path = file_path(dir.path(), entry.number);
    let bytes = std::fs::read(&path).expect("read");
    for length in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).expect("written");
        assert!(matches!(open(dir.path(), &entry), Err(ReadError::Damaged { .. })));
    }
    // Written again, it has another identity: the old bytes are no answer for the new entry.
    let newer = write(dir.path());
    assert_eq!(newer.bytes, entry.bytes);
    std::fs::write(&path, &bytes).expect("written");
    let error = open(dir.path(), &newer).expect_err("stale");
    assert!(error.to_string().contains("header of another file"), "{error}");
    std::fs::remove_file(&path).expect("removed");
    assert!(open(dir.path(), &newer).expect_err("gone").to_string().contains("missing"));
}

#[test]
fn names_of_files_are_known() {
    assert_eq!(number_of("000000000000000a.data"), Some(10));
    assert_eq!(number_of("000000000000000a.data.new"), Some(10));
    assert_eq!(number_of("a.data"), None);
    assert_eq!(number_of("manifest"), None);
}

/// One series of noise, larger than what is kept whole.
fn write_noise(dir: &Path) -> (FileEntry, Vec<i64>) {
    let mut state = 1u64;
    let values: Vec<i64> = (0..20_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ state >> 31) as i64
        })
        .collect();
    let mut writer = FileWriter::create(&Env::real(), dir, SHARD, 6).expect("created");
    writer.begin_measurement(b"noise", &[(b"i".to_vec(), FieldType::Integer)]);
    writer.begin_series(b"noise");
    let mut column = Column::new(FieldType::Integer);
    values.iter().for_each(|value| column.push_integer(*value));
    let block = Block {
        times: (0..20_000).collect(),
        stamps: Stamps::one(stamp(1)),
        columns: vec![Some(column)],
        repeats: false,
    };
    writer.push(&block).expect("pushed");
    writer.end_series().expect("ended");
    (writer.finish().expect("finished"), values)
}

fn noise(file: &Arc<DataFile>, range: TimeRange, descending: bool) -> Result<Vec<i64>, ReadError> {
    let wanted = Wanted { fields: [Some(0)].into(), range, descending };
    let mut source = FileSource::new(file, 0, 0, &wanted).expect("rows");
    let mut out = Vec::new();
    while let Some(block) = source.next_block()? {
        let Some(model::ColumnData::Integer(values)) = block.columns[0].as_ref().map(Column::data) else {
            panic!("integers")
        };
        out.extend_from_slice(values);
    }
    Ok(out)
}

#[test]
fn large_chunks_are_read_in_parts_and_damage_stays_where_it_is() {
    let dir = TempDir::new().expect("a directory");
    let (entry, values) = write_noise(dir.path());
    let file = open(dir.path(), &entry).expect("opened");
    for (start, end) in [(0, 20_000), (1_000, 1_100), (5_000, 19_000)] {
        let wanted = &values[start as usize..end as usize];
        assert_eq!(noise(&file, range(start, end), false).expect("read"), wanted);
        let mut down = noise(&file, range(start, end), true).expect("read");
        down.reverse();
        assert_eq!(down, wanted);
    }
    let path = file_path(dir.path(), entry.number);
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, &bytes).expect("written");
    let file = open(dir.path(), &entry).expect("opened");
    assert!(matches!(noise(&file, TimeRange::ALL, false), Err(ReadError::Damaged { .. })));
    assert_eq!(noise(&file, range(0, 5_000), false).expect("read"), values[..5_000]);
    assert_eq!(noise(&file, range(15_000, 20_000), true).expect("read").len(), 5_000);
}
