//! Bodies, read within a limit of bytes and a limit of patience.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::timeout;

/// Why a body could not be read or unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// More bytes than allowed: 413.
    #[error("Request Entity Too Large")]
    TooLarge,
    /// The client stopped sending: 408, and the connection is closed.
    #[error("no progress while reading the request body")]
    Stalled,
    /// The connection broke or the body is badly framed: 400.
    #[error("unexpected EOF")]
    Broken,
    /// An empty body that is said to be compressed: 400.
    #[error("EOF")]
    Empty,
    /// Not gzip, or damaged: 400.
    #[error("gzip: invalid header")]
    NotGzip,
    /// No memory left for the body: 503.
    #[error("too many bytes of requests in flight")]
    NoRoom,
}

/// Reads a whole body, at most `bytes_max` of it. `grow` is asked for each piece before it is kept.
pub(crate) async fn read_body<B>(
    mut body: B,
    bytes_max: usize,
    progress_timeout: Duration,
    mut buffer: Vec<u8>,
    mut grow: impl FnMut(usize) -> bool,
) -> Result<Vec<u8>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    buffer.clear();
    let promised = body.size_hint();
    if promised.lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge);
    }
    if let Some(exact) = promised.exact() {
        // Never more than was promised and allowed, and only when there is room.
        let exact = usize::try_from(exact).map_err(|_| BodyError::TooLarge)?;
        buffer.reserve_exact(exact.min(1 << 20));
    }
    loop {
        let frame = match timeout(progress_timeout, body.frame()).await {
            Err(_) => return Err(BodyError::Stalled),
            Ok(None) => return Ok(buffer),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > bytes_max - buffer.len() {
            return Err(BodyError::TooLarge);
        }
        if !grow(data.len()) {
            return Err(BodyError::NoRoom);
        }
        buffer.extend_from_slice(&data);
    }
}

/// Takes what is left of a body and forgets it, so that a client that is still sending gets to read the answer. Gives
/// up after `bytes_max` or `patience`.
pub(crate) async fn discard_body<B>(mut body: B, bytes_max: usize, patience: Duration)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = bytes_max;
    let drain = async {
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len);
            if len > left {
                return;
            }
            left -= len;
        }
    };
    // When patience ends the connection is closed, which is all that can be done.
    let _ = timeout(patience, drain).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pieces(pieces: &[&'static str]) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + use<> {
        let frames: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        StreamBody::new(stream::iter(frames))
    }

    async fn read(list: &[&'static str], bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        read_body(pieces(list), bytes_max, PATIENCE, Vec::new(), |_| true).await
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        assert_eq!(read(&["ab", "", "cd"], 4).await, Ok(b"abcd".to_vec()));
        assert_eq!(read(&["ab", "cde"], 4).await, Err(BodyError::TooLarge));
        assert_eq!(read(&[], 0).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_promise_beyond_the_limit_is_refused_at_once() {
        let body = http_body_util::Full::new(Bytes::from_static(b"abcde"));
        assert_eq!(read_body(body, 4, PATIENCE, Vec::new(), |_| true).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn each_piece_needs_room() {
        let mut room = 3;
        let grow = |len: usize| {
            let fits = len <= room;
            room -= len.min(room);
            fits
        };
        assert_eq!(read_body(pieces(&["ab", "cd"]), 100, PATIENCE, Vec::new(), grow).await, Err(BodyError::NoRoom));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let started = tokio::time::Instant::now();
        assert_eq!(read_body(silent, 10, PATIENCE, Vec::new(), |_| true).await, Err(BodyError::Stalled));
        assert_eq!(started.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_discarded_within_limits() {
        discard_body(pieces(&["abc", "def"]), 100, PATIENCE).await;
        discard_body(pieces(&["abc", "def"]), 4, PATIENCE).await;
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let started = tokio::time::Instant::now();
        discard_body(silent, 100, PATIENCE).await;
        assert_eq!(started.elapsed(), PATIENCE);
    }
}
