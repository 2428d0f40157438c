//! What must hold for any bytes. The fuzzer calls this, and so does a test over its seeds.

use crate::points_writer::{decode_hint, encode_hint};

/// Reads `data` as a hint: a stamp and the record of a batch. What is read comes back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_hint(data: &[u8]) {
    let Some((stamp, record)) = decode_hint(data) else { return };
    assert_eq!(encode_hint(stamp, record), data);
    if let Ok(batch) = block_codec::batch::decode(record) {
        assert_eq!(batch.validate(), Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use model::{Batch, FieldValue, Stamp, Tags};
    use testkit::seeds;

    use super::*;

    #[test]
    fn seeds_keep_the_promises() {
        let mut batch = Batch::default();
        let tags = Tags::new(vec![(b"host".to_vec(), b"web-01".to_vec())]);
        batch.push_point(b"cpu", &tags, 1_700_000_000_000_000_000, &[(b"idle", FieldValue::Float(90.5))]);
        let mut record = Vec::new();
        block_codec::batch::encode(&batch, &mut record).expect("a small batch");
        let made = [("hint", encode_hint(Stamp { clock: 1 << 60, coordinator: 3 }, &record))];
        seeds::try_all("hint", seeds::MANY, &made, fuzz_hint);
    }
}
