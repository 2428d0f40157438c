//! Rows of many series to one sequence, by time and then by series.
//!
//! Each series is a stream of pieces in order, and the stream whose head comes first gives the next row. First is decided
//! which rows follow each other, as runs of rows of one piece; then each column is gathered run by run.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use model::{Column, ColumnData, FieldType, StringColumn};
use plan::Direction;
use stdx::Bitmap;

use super::output::{Block, InputColumn};
use super::{ColumnType, PIECE_ROWS_MAX};
use crate::error::ExecError;
use crate::state::{Cells, SeriesRows};

/// The rows of a group that were not taken yet.
pub(super) struct Merge {
    streams: Vec<Stream>,
    /// The time of the head of each stream (turned round if rows descend), and its number.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
    types: Vec<ColumnType>,
    direction: Direction,
}

struct Stream {
    /// Not empty, and no piece is until all its rows were taken.
    pieces: Vec<Piece>,
    piece: usize,
    row: usize,
}

struct Piece {
    rows: SeriesRows,
    /// The tags among the columns as text, by column.
    texts: Vec<Option<Arc<str>>>,
}

/// Consecutive rows of a piece.
struct Run {
    stream: usize,
    piece: usize,
    rows: Range<usize>,
}

impl Merge {
    /// Merges `rows`, whose columns must have the `types`. `as_given`: they are one stream as they are.
    pub(super) fn new(
        mut rows: Vec<SeriesRows>,
        types: Vec<ColumnType>,
        direction: Direction,
        as_given: bool,
    ) -> Result<Merge, ExecError> {
        rows.retain(|piece| !piece.times.is_empty());
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
        let streams = streams(with_texts(rows), direction, as_given);
        let mut merge = Merge { streams, heads: BinaryHeap::new(), types, direction };
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
        let runs = self.next_runs();
        if runs.is_empty() {
            return None;
        }
        let inputs = (0..self.types.len()).map(|column| self.gather(column, &runs)).collect();
        let mut times = Vec::with_capacity(runs.iter().map(|run| run.rows.len()).sum());
        runs.iter().for_each(|run| times.extend_from_slice(&self.rows(run).times[run.rows.clone()]));
        for run in runs {
            // The rows of the block are elsewhere now.
            let stream = &mut self.streams[run.stream];
            if run.piece < stream.piece {
                stream.pieces[run.piece] = Piece::default();
            }
        }
        Some(Block { times, inputs })
    }

    /// Which rows come next.
    fn next_runs(&mut self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut left = PIECE_ROWS_MAX;
        let alone = self.streams.len() == 1;
        while left > 0 {
            let Some(Reverse((_, index))) = self.heads.peek().map(|head| Reverse(head.0)) else { break };
            let stream = &mut self.streams[index];
            let (piece, start) = (stream.piece, stream.row);
            let count = if alone { left.min(stream.pieces[piece].rows.times.len() - start) } else { 1 };
            left -= count;
            match runs.last_mut() {
                Some(run) if run.stream == index && run.piece == piece => run.rows.end += count,
                _ => runs.push(Run { stream: index, piece, rows: start..start + count }),
            }
            let next = stream.advance(count);
            match next {
                None => {
                    self.heads.pop();
                }
                Some(time) => {
                    let order = self.order(time);
                    if let Some(mut head) = self.heads.peek_mut() {
                        head.0.0 = order;
                    }
                }
            }
        }
        runs
    }

    fn rows(&self, run: &Run) -> &SeriesRows {
        &self.streams[run.stream].pieces[run.piece].rows
    }

    /// One column of the rows of `runs`.
    fn gather(&self, column: usize, runs: &[Run]) -> InputColumn {
        let ColumnType::Field(field_type) = self.types[column] else {
            let text = |run: &Run| self.streams[run.stream].pieces[run.piece].texts[column].clone();
            return InputColumn::Tags(
                runs.iter().flat_map(|run| std::iter::repeat_n(text(run), run.rows.len())).collect(),
            );
        };
        let field = |run: &Run| match &self.rows(run).columns[column] {
            Cells::Field(field) => field,
            Cells::Tag(_) => unreachable!("the types of all pieces were checked"),
        };
        macro_rules! values {
            ($variant:ident) => {{
                let mut gathered = Vec::with_capacity(PIECE_ROWS_MAX);
                for run in runs {
                    let ColumnData::$variant(values) = field(run).data() else { unreachable!("types were checked") };
                    // Series at the same times give one row each in turn.
                    match run.rows.len() {
                        1 => gathered.push(values[run.rows.start]),
                        _ => gathered.extend_from_slice(&values[run.rows.clone()]),
                    }
                }
                ColumnData::$variant(gathered)
            }};
        }
        let data = match field_type {
            FieldType::Float => values!(Float),
            FieldType::Integer => values!(Integer),
            FieldType::Unsigned => values!(Unsigned),
            FieldType::Boolean => values!(Boolean),
            FieldType::String => {
                let mut gathered = StringColumn::default();
                for run in runs {
                    let ColumnData::String(values) = field(run).data() else { unreachable!("types were checked") };
                    run.rows.clone().for_each(|row| gathered.push(values.get(row)));
                }
                ColumnData::String(gathered)
            }
        };
        let has_gaps = runs.iter().any(|run| field(run).validity().is_some());
        let validity = has_gaps.then(|| {
            let mut bits = Bitmap::new();
            for run in runs {
                let from = field(run);
                run.rows.clone().for_each(|row| bits.push(from.is_valid(row)));
            }
            bits
        });
        InputColumn::Column(Column::from_parts(data, validity).expect("a bit for each row"))
    }
}

impl Default for Piece {
    fn default() -> Piece {
        let rows = SeriesRows { key: Arc::default(), times: Vec::new(), columns: Vec::new() };
        Piece { rows, texts: Vec::new() }
    }
}

impl Stream {
    fn time(&self) -> i64 {
        self.pieces[self.piece].rows.times[self.row]
    }

    /// Passes over rows, all of the piece at the head. The time of the next one, or `None` after the last.
    fn advance(&mut self, count: usize) -> Option<i64> {
        self.row += count;
        if self.row == self.pieces[self.piece].rows.times.len() {
            (self.piece, self.row) = (self.piece + 1, 0);
            self.pieces.get(self.piece)?;
        }
        Some(self.time())
    }
}

/// Pieces by series, those of a series by time.
fn streams(pieces: Vec<Piece>, direction: Direction, as_given: bool) -> Vec<Stream> {
    if as_given || pieces.is_empty() {
        return if pieces.is_empty() { Vec::new() } else { vec![Stream { pieces, piece: 0, row: 0 }] };
    }
    let mut by_key: BTreeMap<Arc<[u8]>, Vec<Piece>> = BTreeMap::new();
    for piece in pieces {
        by_key.entry(Arc::clone(&piece.rows.key)).or_default().push(piece);
    }
    let stream = |mut pieces: Vec<Piece>| {
        let first = |piece: &Piece| piece.rows.times[0];
        pieces.sort_by_key(|piece| if direction == Direction::Descending { !first(piece) } else { first(piece) });
        Stream { pieces, piece: 0, row: 0 }
    };
    by_key.into_values().map(stream).collect()
}

/// Makes the text of each distinct tag once.
fn with_texts(rows: Vec<SeriesRows>) -> Vec<Piece> {
    let mut known: BTreeMap<Arc<[u8]>, Arc<str>> = BTreeMap::new();
    let mut text = |cells: &Cells| match cells {
        Cells::Tag(Some(value)) => {
            let made = known.entry(Arc::clone(value)).or_insert_with(|| String::from_utf8_lossy(value).into());
            Some(Arc::clone(made))
        }
        _ => None,
    };
    rows.into_iter().map(|rows| Piece { texts: rows.columns.iter().map(&mut text).collect(), rows }).collect()
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
