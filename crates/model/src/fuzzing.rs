//! What must hold for any bytes. The fuzzer calls this, and so does a test over its seeds.

use crate::series_key::{SeriesKey, Tags, split_key, split_measurement};

/// Takes `data` apart as if it were a series key; then makes a key of the pieces between its zero bytes, which has to come
/// apart into them.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_series_key(data: &[u8]) {
    let (measurement, _) = split_key(data);
    assert_eq!(split_measurement(data).0, measurement);

    let mut pieces = data.split(|byte| *byte == 0).map(without_last_backslashes);
    let measurement = pieces.next().unwrap_or_default();
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
        pairs.push((name, value));
    }
    pairs.sort();
    pairs.dedup_by(|later, earlier| later.0 == earlier.0);
    let tags = Tags::new(pairs);
    let key = SeriesKey::new(&measurement, &tags);
    assert_eq!(split_key(key.as_bytes()), (measurement, tags), "a key comes apart into what it was made of");
}

/// A backslash at the end would escape what follows it; nobody makes keys of such names.
fn without_last_backslashes(piece: &[u8]) -> Vec<u8> {
    let end = piece.iter().rposition(|byte| *byte != b'\\').map_or(0, |last| last + 1);
    piece[..end].to_vec()
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;

    #[test]
    fn seeds_keep_the_promises() {
        let made = [
            ("escapes", b"a\\,b\\ c,d\\=e=f\\ g,h=i\\\\j".to_vec()),
            ("pieces", b"m, x\0host\0web-01\0zone=\0eu,\\ 1".to_vec()),
            ("plain", b"cpu,host=web-01,zone=eu-1".to_vec()),
        ];
        seeds::try_all("series_key", seeds::MANY, &made, fuzz_series_key);
    }
}
