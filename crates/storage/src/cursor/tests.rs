use super::*;
use model::{FieldValue, Stamp};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Blocks(Vec<Block>);

impl Source for Blocks {
    fn next_block(&mut self) -> Result<Option<Block>, ReadError> {
        Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

/// Rows: time, clock, values of two fields.
type Row = (i64, u64, Option<i64>, Option<i64>);

fn block(rows: &[Row]) -> Block {
    let spans: Vec<(u32, Stamp)> =
        (0u32..).zip(rows).map(|(row, r)| (row, Stamp { clock: r.1, coordinator: 0 })).collect();
    let column = |pick: fn(&Row) -> Option<i64>| {
        let mut column = Column::new(FieldType::Integer);
        for (row, value) in rows.iter().map(pick).enumerate() {
            match value {
                Some(value) => column.push_integer(value),
                None => column.pad_to(row + 1),
            }
        }
        Some(column)
    };
    Block {
        times: rows.iter().map(|row| row.0).collect(),
        stamps: Stamps::from_spans(&spans, rows.len()),
        columns: vec![column(|row| row.2), column(|row| row.3)],
        repeats: rows.windows(2).any(|pair| pair[0].0 == pair[1].0),
    }
}

fn read(sources: &[Vec<Vec<Row>>], descending: bool) -> Vec<(i64, Option<FieldValue>, Option<FieldValue>)> {
    let sources = sources.iter().map(|blocks| {
        let mut blocks: Vec<Block> = blocks.iter().map(|rows| block(rows)).collect();
        if descending {
            blocks.reverse();
            blocks = blocks.into_iter().map(Block::reversed).collect();
        }
        Box::new(Blocks(blocks)) as Box<dyn Source>
    });
    let mut cursor = RowCursor::new(sources.collect(), vec![FieldType::Integer; 2], descending);
    let mut out = Vec::new();
    while let Some(batch) = cursor.next().expect("no disk here") {
        for (row, time) in batch.times.iter().enumerate() {
            out.push((*time, batch.columns[0].get(row), batch.columns[1].get(row)));
        }
    }
    if descending {
        out.reverse();
    }
    out
}

#[track_caller]
fn check(sources: &[Vec<Vec<Row>>]) {
    let mut newest: BTreeMap<i64, [Option<(u64, i64)>; 2]> = BTreeMap::new();
    for row in sources.iter().flatten().flatten() {
        for (field, value) in [row.2, row.3].into_iter().enumerate() {
            let slot = &mut newest.entry(row.0).or_default()[field];
            if let Some(value) = value
                && slot.is_none_or(|(clock, _)| clock <= row.1)
            {
                *slot = Some((row.1, value));
            }
        }
    }
    newest.retain(|_, fields| fields.iter().any(Option::is_some));
    let value = |slot: Option<(u64, i64)>| slot.map(|(_, value)| FieldValue::Integer(value));
    let wanted: Vec<_> = newest.into_iter().map(|(time, fields)| (time, value(fields[0]), value(fields[1]))).collect();
    assert_eq!(read(sources, false), wanted);
    assert_eq!(read(sources, true), wanted);
}

#[test]
fn sources_are_merged_field_by_field() {
    check(&[]);
    check(&[vec![vec![(1, 5, Some(1), None), (2, 5, None, None), (3, 5, None, Some(3))]]]);
    check(&[
        vec![vec![(1, 5, Some(1), None), (3, 5, Some(3), None)], vec![(9, 5, Some(9), Some(9))]],
        vec![vec![(2, 7, Some(20), None), (3, 7, None, Some(30))]],
        vec![vec![(3, 6, Some(31), Some(32)), (3, 6, Some(33), None)], vec![(9, 1, Some(0), Some(0))]],
    ]);
}

#[test]
fn random_sources_agree_with_a_map() {
    let mut state = 42u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..300 {
        let sources: Vec<Vec<Vec<Row>>> = (0..next(4))
            .map(|_| {
                let mut time = 0;
                let blocks = 1 + next(3);
                (0..blocks)
                    .map(|_| {
                        time += 1;
                        let mut clock = 0;
                        let rows = 1 + next(6);
                        (0..rows)
                            .map(|_| {
                                let step = next(3) as i64;
                                clock = if step == 0 { clock + next(3) } else { next(9) };
                                time += step;
                                let mut value = || (next(3) > 0).then(|| next(100) as i64);
                                (time, clock, value(), value())
                            })
                            .collect()
                    })
                    .collect()
            })
            .collect();
        check(&sources);
    }
}

#[test]
fn long_texts_come_in_small_batches() {
    let mut column = Column::new(FieldType::String);
    (0..100).for_each(|_| column.push_string(&vec![b'x'; 1 << 18]));
    let block = Block {
        times: (0..100).collect(),
        stamps: Stamps::one(Stamp::ZERO),
        columns: vec![Some(column)],
        repeats: false,
    };
    let sources = vec![Box::new(Blocks(vec![block])) as Box<dyn Source>];
    let mut cursor = RowCursor::new(sources, vec![FieldType::String], false);
    let mut sizes = Vec::new();
    while let Some(batch) = cursor.next().expect("no disk here") {
        sizes.push(batch.times.len());
    }
    assert_eq!(sizes, [32, 32, 32, 4]);
}

#[test]
fn long_sources_come_in_batches() {
    let rows: Vec<Row> = (0..10_000).map(|time| (time, 1, Some(time), None)).collect();
    let sources = vec![Box::new(Blocks(vec![block(&rows)])) as Box<dyn Source>];
    let mut cursor = RowCursor::new(sources, vec![FieldType::Integer; 2], false);
    let mut sizes = Vec::new();
    while let Some(batch) = cursor.next().expect("no disk here") {
        sizes.push(batch.times.len());
    }
    assert_eq!(sizes, [4096, 4096, 1808], "nothing interrupts them, but they are too long");
}
