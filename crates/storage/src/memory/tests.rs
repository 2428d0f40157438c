use super::*;
use crate::cursor::Source;
use crate::file::Wanted;
use model::{Batch, FieldValue, Tags, TimeRange};

fn stamp(clock: u64) -> Stamp {
    Stamp { clock, coordinator: 0 }
}

fn wanted(descending: bool) -> Wanted {
    Wanted { fields: [Some(0)].into(), range: TimeRange::ALL, descending }
}

/// Rows (series, time, value) under one stamp.
fn append(memory: &mut MemoryTable, clock: u64, rows: &[(u32, i64, i64)]) {
    let mut batch = Batch::default();
    for (series, time, value) in rows {
        let tags = Tags::new(vec![(b"s".to_vec(), series.to_string().into_bytes())]);
        batch.push_point(b"m", &tags, *time, &[(b"v", FieldValue::Integer(*value))]);
    }
    let table = &batch.tables[0];
    let series: Vec<u32> = (0..table.series.len() as u32)
        .map(|index| {
            let (_, tags) = model::batch::series_parts(table, index);
            String::from_utf8_lossy(tags.get(b"s")).parse().expect("a number")
        })
        .collect();
    memory.append(0, stamp(clock), table, &series, &[0]);
}

fn times(run: &Run, series: u32) -> Vec<(i64, u64)> {
    run.rows_of(series).map(|row| (run.times()[row], run.stamps().get(row).clock)).collect()
}

#[test]
fn runs_are_sorted_by_series_time_and_stamp() {
    let mut memory = MemoryTable::default();
    append(&mut memory, 9, &[(5, 30, 1), (2, 10, 1), (5, 10, 1)]);
    append(&mut memory, 4, &[(5, 30, 2), (70_000, 1, 2)]);
    let runs = memory.runs();
    assert_eq!(runs[0].len(), 1);
    let run = &runs[0][0];
    assert_eq!(times(run, 2), [(10, 9)]);
    assert_eq!(times(run, 5), [(10, 9), (30, 4), (30, 9)]);
    assert_eq!(times(run, 70_000), [(1, 4)]);
    assert_eq!(times(run, 3), []);
    assert_eq!(run.row_count(), 5);
}

#[test]
fn runs_are_joined_and_earlier_snapshots_stay() {
    let mut memory = MemoryTable::default();
    let mut rows = 0;
    let mut first = None;
    for round in 0..200 {
        append(&mut memory, round, &[(1, round as i64, 0), (2, round as i64, 0), (1, round as i64, 1)]);
        rows += 3;
        let runs = memory.runs();
        assert_eq!(runs[0].iter().map(|run| run.row_count()).sum::<usize>(), rows);
        assert!(runs[0].len() <= 8, "{} runs after {round} rounds", runs[0].len());
        first.get_or_insert(runs);
    }
    assert_eq!(first.expect("a snapshot")[0][0].row_count(), 3);
    assert_eq!(memory.row_count(), 600);
    let runs = memory.take();
    assert_eq!((memory.row_count(), memory.byte_count()), (0, 0));
    // The later row of one request stays behind the earlier one.
    let mut source = RunSource::new(&runs[0][0], 1, &wanted(false)).expect("rows");
    let block = source.next_block().expect("memory").expect("a block");
    let column = block.columns[0].as_ref().expect("values");
    let values: Vec<_> = (0..4).map(|row| column.get(row)).collect();
    let one = |value| Some(FieldValue::Integer(value));
    assert_eq!(values, [one(0), one(1), one(0), one(1)]);
    assert!(block.repeats);
}

#[test]
fn a_full_buffer_becomes_a_run() {
    let mut memory = MemoryTable::default();
    let rows: Vec<(u32, i64, i64)> = (0..30_000).map(|row| (row % 3, i64::from(row), 0)).collect();
    for clock in 0..3 {
        append(&mut memory, clock, &rows);
    }
    assert_eq!(memory.tables[0].runs.len(), 1);
    assert!(memory.byte_count() > 90_000 * 20);
}

#[test]
fn long_blocks_end_between_instants() {
    let mut memory = MemoryTable::default();
    let rows: Vec<(u32, i64, i64)> = (0..20_000).map(|row| (0, i64::from(row) / 3 * 3, 0)).collect();
    append(&mut memory, 1, &rows);
    let runs = memory.runs();
    for descending in [false, true] {
        let mut source = RunSource::new(&runs[0][0], 0, &wanted(descending)).expect("rows");
        let (mut count, mut last) = (0, None);
        while let Some(block) = source.next_block().expect("memory") {
            assert_ne!(block.times.first(), last.as_ref());
            last = block.times.last().copied();
            count += block.times.len();
        }
        assert_eq!(count, 20_000);
    }
}

#[test]
fn runs_that_were_taken_come_back_first() {
    let mut memory = MemoryTable::default();
    append(&mut memory, 1, &[(1, 1, 0)]);
    let taken = memory.take();
    append(&mut memory, 2, &[(1, 2, 0)]);
    memory.restore(&taken);
    assert_eq!(memory.row_count(), 2);
    let runs = memory.runs();
    assert_eq!(runs[0].iter().flat_map(|run| run.times()).copied().collect::<Vec<_>>(), [1, 2]);
}
