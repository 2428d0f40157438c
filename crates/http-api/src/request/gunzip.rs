//! Compressed bodies, unpacked within a limit.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

use super::BodyError;

/// How many bytes are unpacked before room is asked for again.
const STEP_BYTES: usize = 64 << 10;

/// Keeps what is unpacked, up to a limit.
struct Bounded<'a> {
    out: Vec<u8>,
    bytes_max: usize,
    grow: &'a mut dyn FnMut(usize) -> bool,
    refusal: Option<BodyError>,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.refusal = if bytes.len() > self.bytes_max - self.out.len() {
            Some(BodyError::TooLarge)
        } else if !(self.grow)(bytes.len()) {
            Some(BodyError::NoRoom)
        } else {
            self.out.extend_from_slice(bytes);
            return Ok(bytes.len());
        };
        Err(io::ErrorKind::FileTooLarge.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Unpacks `packed`, at most `bytes_max` bytes of it. `grow` is asked for each piece before it is kept.
///
/// Several gzip streams one after the other count as one, as the format says.
pub(crate) fn gunzip(
    packed: &[u8],
    bytes_max: usize,
    grow: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, BodyError> {
    if packed.is_empty() {
        return Err(BodyError::Empty);
    }
    let mut decoder = MultiGzDecoder::new(Bounded { out: Vec::new(), bytes_max, grow, refusal: None });
    let unpacked = packed.chunks(STEP_BYTES).try_for_each(|piece| decoder.write_all(piece));
    let finished = unpacked.and_then(|()| decoder.try_finish());
    if let Some(refusal) = decoder.get_ref().refusal {
        // The decoder would write again when dropped; it then gets the same answer.
        return Err(refusal);
    }
    match finished {
        Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().out)),
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero) => {
            Err(BodyError::Broken)
        }
        Err(_) => Err(BodyError::NotGzip),
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn unpack(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        gunzip(packed, bytes_max, &mut |_| true)
    }

    #[test]
    fn bodies_come_back() {
        let text = b"cpu v=1 1\n".repeat(50_000);
        assert_eq!(unpack(&gzip(&text), text.len()), Ok(text.clone()));
        assert_eq!(unpack(&gzip(b""), 0), Ok(Vec::new()));
        let two = [gzip(b"a"), gzip(b"b")].concat();
        assert_eq!(unpack(&two, 10), Ok(b"ab".to_vec()));
    }

    #[test]
    fn the_limit_holds_for_what_is_unpacked() {
        let bomb = gzip(&vec![b' '; 8 << 20]);
        assert!(bomb.len() < 20_000);
        let mut most = 0;
        let got = gunzip(&bomb, 1 << 20, &mut |len| {
            most += len;
            true
        });
        assert_eq!(got, Err(BodyError::TooLarge));
        assert!(most <= 1 << 20);
    }

    #[test]
    fn bombs_in_many_streams_do_not_pass_either() {
        let bomb = gzip(&vec![b' '; 256 << 10]).repeat(20);
        assert_eq!(unpack(&bomb, 4 << 20), Err(BodyError::TooLarge));
    }

    #[test]
    fn unpacking_needs_room() {
        assert_eq!(gunzip(&gzip(b"abc"), 100, &mut |_| false), Err(BodyError::NoRoom));
    }

    #[test]
    fn damage_is_told_from_a_missing_end() {
        let packed = gzip(&b"cpu v=1 1\n".repeat(1_000));
        assert_eq!(unpack(b"", 10), Err(BodyError::Empty));
        assert_eq!(unpack(b"not gzip at all, for sure", 10), Err(BodyError::NotGzip));
        assert_eq!(unpack(&packed[..packed.len() - 10], 1 << 20), Err(BodyError::Broken));
        assert_eq!(unpack(&packed[..5], 1 << 20), Err(BodyError::Broken));
        let mut wrong = packed.clone();
        *wrong.last_mut().expect("bytes") ^= 1;
        assert_eq!(unpack(&wrong, 1 << 20), Err(BodyError::NotGzip));
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_panics() {
        let packed = gzip(&b"cpu,host=a v=1 1\n".repeat(20));
        for at in 0..packed.len() {
            let _ = unpack(&packed[..at], 1 << 20);
            let mut wrong = packed.clone();
            wrong[at] ^= 0x10;
            let _ = unpack(&wrong, 1 << 20);
        }
    }
}
