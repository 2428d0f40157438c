//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use crate::{batch, block};

/// Reads `data` as the record of a batch. What decodes keeps its promises, is encoded, and comes back the same.
///
/// # Panics
/// When a promise of `batch` is broken.
pub fn fuzz_batch(data: &[u8]) {
    let Ok(decoded) = batch::decode(data) else { return };
    assert_eq!(decoded.validate(), Ok(()), "decoded batches keep their promises");
    let mut again = Vec::new();
    batch::encode(&decoded, &mut again).expect("decoding has the limits of encoding");
    let back = batch::decode(&again).expect("what was encoded decodes");
    let mut third = Vec::new();
    batch::encode(&back, &mut third).expect("the same batch is not larger");
    assert_eq!(again, third, "a batch has one record");
}

/// Reads `data` as two bytes that tell the number of rows, and a block of a page. What decodes comes back the same.
///
/// # Panics
/// When a promise of `block` is broken.
pub fn fuzz_block(data: &[u8]) {
    let Some((count, bytes)) = data.split_first_chunk::<2>() else { return };
    let row_count = usize::from(u16::from_le_bytes(*count));
    let Ok(column) = block::decode(bytes, row_count) else { return };
    assert_eq!(column.len(), row_count, "as many rows as asked for");
    let mut again = Vec::new();
    block::encode(&column, &mut again);
    let back = block::decode(&again, row_count).expect("what was encoded decodes");
    let mut third = Vec::new();
    block::encode(&back, &mut third);
    assert_eq!(again, third, "a column has one block");
}

#[cfg(test)]
mod tests {
    use model::{Batch, Column, ColumnData, FieldType, FieldValue, Tags};
    use testkit::seeds;

    use super::*;

    fn batches() -> Vec<(&'static str, Vec<u8>)> {
        let record = |batch: &Batch| {
            let mut out = Vec::new();
            batch::encode(batch, &mut out).expect("a small batch");
            out
        };
        let mut mixed = Batch::default();
        let mut floats = Batch::default();
        let mut texts = Batch::default();
        for row in 0..40i64 {
            let tags = Tags::new(vec![(b"host".to_vec(), format!("web-{}", row % 4).into_bytes())]);
            let time = 1_700_000_000_000_000_000 + row / 4 * 10_000_000_000;
            let mut fields: Vec<(&[u8], FieldValue)> = vec![
                (b"count", FieldValue::Integer(row * row - 7)),
                (b"total", FieldValue::Unsigned(u64::MAX - row as u64)),
                (b"up", FieldValue::Boolean(row % 3 != 0)),
            ];
            if row % 5 != 0 {
                fields.push((b"idle", FieldValue::Float(90.5 + row as f64 / 4.0)));
            }
            mixed.push_point(b"cpu", &tags, time, &fields);
            floats.push_point(b"f", &tags, time, &[(b"v", FieldValue::Float(1.0 / (row + 3) as f64))]);
            floats.push_point(b"c", &tags, time, &[(b"v", FieldValue::Float(0.5))]);
            let text = format!("a text that is said again and again {}", row % 3).into_bytes();
            texts.push_point(b"log", &tags, time, &[(b"line", FieldValue::String(text))]);
        }
        let empty = Batch::default();
        vec![
            ("empty", record(&empty)),
            ("floats", record(&floats)),
            ("mixed", record(&mixed)),
            ("texts", record(&texts)),
        ]
    }

    /// Columns of all types, with and without gaps, with values for each way of packing them.
    fn blocks() -> Vec<(&'static str, Vec<u8>)> {
        let whole = |data: ColumnData| Column::from_parts(data, None).expect("no gaps");
        let mut sparse = Column::new(FieldType::Float);
        for row in 0..300 {
            if row % 7 == 0 {
                sparse.push_from(&whole(ColumnData::Float(vec![f64::from(row) / 8.0])), 0);
            }
            sparse.pad_to(row as usize + 1);
        }
        let mut strings = Column::new(FieldType::String);
        (0..200).for_each(|row| strings.push_string(format!("state {}", row % 5).as_bytes()));
        let mut plain = Column::new(FieldType::String);
        (0..20).for_each(|row| plain.push_string(format!("{row}").as_bytes()));
        let columns = [
            ("booleans", whole(ColumnData::Boolean((0..100).map(|row| row % 3 == 0).collect()))),
            ("constant", whole(ColumnData::Integer(vec![42; 1_000]))),
            ("decimals", whole(ColumnData::Float((0..300).map(|row| f64::from(row % 17) / 100.0).collect()))),
            ("doubles", whole(ColumnData::Float((1..100).map(|row| 1.0 / f64::from(row)).collect()))),
            (
                "patches",
                whole(ColumnData::Integer(
                    (0..1_100).map(|row| if row % 99 == 0 { 1 << 40 } else { row % 13 }).collect(),
                )),
            ),
            ("plain", plain),
            ("runs", whole(ColumnData::Integer((0..600).map(|row| row / 50).collect()))),
            ("slopes", whole(ColumnData::Integer((0..600).map(|row| row * row * 1_000).collect()))),
            ("sparse", sparse),
            ("strings", strings),
            ("unsigned", whole(ColumnData::Unsigned((0..70).map(|row| u64::MAX - row * 3).collect()))),
        ];
        let block = |column: &Column| {
            let mut out = (column.len() as u16).to_le_bytes().to_vec();
            block::encode(column, &mut out);
            out
        };
        columns.iter().map(|(name, column)| (*name, block(column))).collect()
    }

    #[test]
    fn records_keep_the_promises() {
        seeds::try_all("batch_record", seeds::MANY, &batches(), fuzz_batch);
    }

    #[test]
    fn blocks_keep_the_promises() {
        seeds::try_all("block", seeds::MANY, &blocks(), fuzz_block);
    }
}
