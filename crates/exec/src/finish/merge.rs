//! Rows of many series to one sequence, by time and then by series.
//!
//! Each series is a stream of pieces in order. The stream whose head is first gives rows until another stream's head comes
//! before its own. A single stream is cut, not copied row by row.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use model::{Column, FieldType};
use plan::Direction;

use super::output::{Block, InputColumn};
use super::{ColumnType, PIECE_ROWS_MAX};
use crate::columns;
use crate::error::ExecError;
use crate::state::{Cells, SeriesRows};

/// The rows of a group that were not taken yet.
pub(super) struct Merge {
    streams: Vec<Stream>,
    /// The time of the head of each stream (negated if rows descend), and its number.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
    types: Vec<ColumnType>,
    direction: Direction,
    /// Tags as text, made once for each distinct one.
    texts: BTreeMap<Arc<[u8]>, Arc<str>>,
}

struct Stream {
    /// Not empty, and no piece is.
    pieces: Vec<SeriesRows>,
    piece: usize,
    row: usize,
}

impl Merge {
    /// Merges `rows`, whose columns must have the `types`. `as_given`: they are one stream as they are.
    pub(super) fn new(
        rows: Vec<SeriesRows>,
        types: Vec<ColumnType>,
        direction: Direction,
        as_given: bool,
    ) -> Result<Merge, ExecError> {
        for piece in &rows {
            let fits = |pair: (&Cells, &ColumnType)| match pair {
                (Cells::Field(column), ColumnType::Field(field_type)) => column.field_type() == *field_type,
                (Cells::Tag(_), ColumnType::Tag) => true,
                _ => false,
            };
            if piece.columns.len() != types.len() || !piece.columns.iter().zip(&types).all(fits) {
                return Err(ExecError::Mismatch("rows with other columns"));
            }
        }
        let mut streams = streams(rows, direction, as_given);
        streams.retain(|stream| !stream.pieces.is_empty());
        let mut merge = Merge { streams, heads: BinaryHeap::new(), types, direction, texts: BTreeMap::new() };
        for index in 0..merge.streams.len() {
            merge.heads.push(Reverse((merge.order(merge.streams[index].time()), index)));
        }
        Ok(merge)
    }

    /// Ascends in the order of the rows.
    fn order(&self, time: i64) -> i64 {
        if self.direction == Direction::Descending { !time } else { time }
    }

    /// The next rows, at most [`PIECE_ROWS_MAX`].
    pub(super) fn next_block(&mut self) -> Option<Block> {
        if let [only] = self.streams.as_slice() {
            return (only.piece < only.pieces.len()).then(|| self.cut_block());
        }
        let mut times = Vec::new();
        let mut inputs: Vec<InputColumn> = self.types.iter().map(|kind| empty_input(*kind)).collect();
        while times.len() < PIECE_ROWS_MAX {
            let Some(Reverse((_, index))) = self.heads.pop() else { break };
            let next = self.heads.peek().map(|head| head.0);
            loop {
                let stream = &self.streams[index];
                let piece = &stream.pieces[stream.piece];
                times.push(piece.times[stream.row]);
                for (input, cells) in inputs.iter_mut().zip(&piece.columns) {
                    push(input, cells, stream.row, &mut self.texts);
                }
                let Some(time) = self.streams[index].advance() else { break };
                let head = (self.order(time), index);
                if next.is_some_and(|next| next < head) || times.len() == PIECE_ROWS_MAX {
                    self.heads.push(Reverse(head));
                    break;
                }
            }
        }
        (!times.is_empty()).then_some(Block { times, inputs })
    }

    /// The next rows of the only stream.
    fn cut_block(&mut self) -> Block {
        let stream = &mut self.streams[0];
        let piece = &stream.pieces[stream.piece];
        let end = piece.times.len().min(stream.row + PIECE_ROWS_MAX);
        let range = stream.row..end;
        let texts = &mut self.texts;
        let cut = |cells: &Cells| match cells {
            Cells::Field(column) => InputColumn::Column(columns::slice(column, range.clone())),
            Cells::Tag(value) => InputColumn::Tags(vec![text(value, texts); range.len()]),
        };
        let block =
            Block { times: piece.times[range.clone()].to_vec(), inputs: piece.columns.iter().map(cut).collect() };
        stream.row = end;
        if end == piece.times.len() {
            // The rows are elsewhere now.
            stream.pieces[stream.piece] = SeriesRows { key: Arc::default(), times: Vec::new(), columns: Vec::new() };
            (stream.piece, stream.row) = (stream.piece + 1, 0);
        }
        block
    }
}

impl Stream {
    fn time(&self) -> i64 {
        self.pieces[self.piece].times[self.row]
    }

    /// Passes over the head. The time of the next one, or `None` after the last.
    fn advance(&mut self) -> Option<i64> {
        self.row += 1;
        if self.row == self.pieces[self.piece].times.len() {
            (self.piece, self.row) = (self.piece + 1, 0);
            self.pieces.get(self.piece)?;
        }
        Some(self.time())
    }
}

/// Pieces by series, those of a series by time.
fn streams(mut rows: Vec<SeriesRows>, direction: Direction, as_given: bool) -> Vec<Stream> {
    rows.retain(|piece| !piece.times.is_empty());
    if as_given {
        return vec![Stream { pieces: rows, piece: 0, row: 0 }];
    }
    let mut by_key: BTreeMap<Arc<[u8]>, Vec<SeriesRows>> = BTreeMap::new();
    for piece in rows {
        by_key.entry(Arc::clone(&piece.key)).or_default().push(piece);
    }
    let stream = |mut pieces: Vec<SeriesRows>| {
        pieces.sort_by_key(|piece| if direction == Direction::Descending { !piece.times[0] } else { piece.times[0] });
        Stream { pieces, piece: 0, row: 0 }
    };
    by_key.into_values().map(stream).collect()
}

fn empty_input(kind: ColumnType) -> InputColumn {
    match kind {
        ColumnType::Field(field_type) => InputColumn::Column(Column::new(field_type)),
        ColumnType::Tag => InputColumn::Tags(Vec::new()),
    }
}

fn push(input: &mut InputColumn, cells: &Cells, row: usize, texts: &mut BTreeMap<Arc<[u8]>, Arc<str>>) {
    match (input, cells) {
        (InputColumn::Column(column), Cells::Field(from)) => column.push_from(from, row),
        (InputColumn::Tags(values), Cells::Tag(value)) => values.push(text(value, texts)),
        _ => unreachable!("the types of all pieces were checked"),
    }
}

fn text(value: &Arc<[u8]>, texts: &mut BTreeMap<Arc<[u8]>, Arc<str>>) -> Option<Arc<str>> {
    if value.is_empty() {
        return None;
    }
    if let Some(known) = texts.get(value) {
        return Some(Arc::clone(known));
    }
    let made: Arc<str> = String::from_utf8_lossy(value).into();
    texts.insert(Arc::clone(value), Arc::clone(&made));
    Some(made)
}

/// The points of one call merged by time, the values as one column of `field_type`. `as_given`: in the order of `rows`.
pub(super) fn merge_points(
    rows: Vec<SeriesRows>,
    field_type: FieldType,
    direction: Direction,
    as_given: bool,
) -> Result<(Vec<i64>, Column), ExecError> {
    let values = |mut piece: SeriesRows| {
        piece.columns.truncate(1);
        piece
    };
    // Shards send ascending points.
    let rows = rows.into_iter().map(values).collect();
    let mut merge = Merge::new(rows, vec![ColumnType::Field(field_type)], Direction::Ascending, as_given)?;
    let (mut times, mut column) = (Vec::new(), Column::new(field_type));
    while let Some(block) = merge.next_block() {
        let Some(InputColumn::Column(values)) = block.inputs.into_iter().next() else { break };
        let valid = (0..values.len()).filter(|index| values.is_valid(*index));
        for index in valid {
            times.push(block.times[index]);
            column.push_from(&values, index);
        }
    }
    if direction == Direction::Descending && !as_given {
        turn_round(&mut times, &mut column);
    }
    Ok((times, column))
}

/// Times descend, but the points of one time keep their order, which is that of the series.
fn turn_round(times: &mut [i64], column: &mut Column) {
    let mut turned = Column::new(column.field_type());
    let mut end = times.len();
    while end > 0 {
        let start = times.partition_point(|time| *time < times[end - 1]).min(end - 1);
        (start..end).for_each(|index| turned.push_from(column, index));
        end = start;
    }
    times.reverse();
    *column = turned;
}
