//! Chunks to bytes to send.
//!
//! A pump takes chunks as they come, encodes and compresses them, and hands out pieces. In chunked mode what is there
//! is handed out as soon as no further chunk is waiting; otherwise in pieces of [`PIECE_BYTES`], so that a short answer
//! is one piece. Whoever reads slowly holds the pump back, and the pump the query.
//!
//! An answer that ends early, because the query died, says so.

use bytes::Bytes;
use env::Env;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::result::Chunk;
use std::io::Write;
use tokio::sync::mpsc::Receiver;

use crate::encode::{Encoder, Format, Mode, RowLimit, Slices, TimeFormat, Verdict};

/// About how many bytes are sent at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A chunk with more cells than this is encoded off the async threads: it takes longer than half a millisecond.
const INLINE_CELL_COUNT_MAX: usize = 8_192;

/// Little work for most of the gain.
const GZIP_LEVEL: u32 = 3;

/// What the client wants to see of the chunks.
#[derive(Debug)]
pub(super) struct PumpConfig {
    pub(super) format: Format,
    pub(super) mode: Mode,
    pub(super) time: TimeFormat,
    pub(super) gzip: bool,
    /// Rows of a document in chunked mode.
    pub(super) chunk_row_count: usize,
    /// Most rows in one document; 0 means any number.
    pub(super) row_count_max: usize,
    /// How many statements the answer must have.
    pub(super) statement_count: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pump {
    env: Env,
    /// `None` once all chunks are in.
    receiver: Option<Receiver<Chunk>>,
    /// `None` only while another thread works with it.
    work: Option<Work>,
}

impl Pump {
    pub(super) fn new(env: Env, receiver: Receiver<Chunk>, config: &PumpConfig) -> Pump {
        Pump { env, receiver: Some(receiver), work: Some(Work::new(config)) }
    }

    /// Whether [`Pump::next`] has nothing more to give.
    pub(super) fn has_ended(&self) -> bool {
        self.receiver.is_none() && self.work.as_ref().is_none_or(|work| work.out.is_empty())
    }

    /// The next bytes to send, `None` at the end. Not to be called again when it was dropped half way.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let work = self.work.as_mut()?;
            let Some(receiver) = &mut self.receiver else { return work.take() };
            if work.out.len() >= PIECE_BYTES {
                return work.take();
            }
            let waiting = receiver.try_recv().ok();
            if waiting.is_none() && work.flush_if_chunked() {
                return work.take();
            }
            let chunk = match waiting {
                Some(chunk) => Some(chunk),
                None => receiver.recv().await,
            };
            if self.feed(chunk).await == Verdict::Last {
                self.receiver = None;
            }
        }
    }

    /// Takes a chunk in; `None` is the end of all.
    async fn feed(&mut self, chunk: Option<Chunk>) -> Verdict {
        let mut work = self.work.take().expect("it is put back below, and the pump ends when that does not happen");
        let cell_count = chunk.as_ref().and_then(|chunk| chunk.series.as_ref());
        let cell_count = cell_count.map_or(0, |series| series.rows.len() * series.rows.width());
        let (work, verdict) = if cell_count <= INLINE_CELL_COUNT_MAX {
            let verdict = work.feed(chunk);
            (work, verdict)
        } else {
            let feed = move || {
                let verdict = work.feed(chunk);
                (work, verdict)
            };
            self.env.blocking(feed).await
        };
        self.work = Some(work);
        verdict
    }
}

/// What turns chunks into bytes, without waiting for anything.
#[derive(Debug)]
struct Work {
    mode: Mode,
    slices: Option<Slices>,
    limit: RowLimit,
    encoder: Encoder,
    gzip: Option<GzEncoder<Vec<u8>>>,
    progress: Progress,
    /// Bytes that may be sent.
    out: Vec<u8>,
}

/// How far the answer is.
#[derive(Debug)]
struct Progress {
    statement_count: usize,
    /// The first statement that is not complete.
    next_id: usize,
}

impl Work {
    fn new(config: &PumpConfig) -> Work {
        let gzip = config.gzip.then(|| GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL)));
        let row_count_max = if config.mode == Mode::Whole { config.row_count_max } else { 0 };
        Work {
            mode: config.mode,
            slices: (config.mode == Mode::Chunked).then(|| Slices::new(config.chunk_row_count)),
            limit: RowLimit::new(row_count_max),
            encoder: Encoder::new(config.format, config.mode, config.time),
            gzip,
            progress: Progress { statement_count: config.statement_count, next_id: 0 },
            out: Vec::new(),
        }
    }

    /// Takes a chunk in; `None` is the end of all.
    fn feed(&mut self, chunk: Option<Chunk>) -> Verdict {
        let verdict = match chunk {
            Some(mut chunk) => {
                self.progress.note(&chunk);
                let verdict = self.limit.apply(&mut chunk);
                self.encode(chunk);
                verdict
            }
            None => {
                for answer in self.progress.missing() {
                    self.encode(answer);
                }
                Verdict::Last
            }
        };
        if verdict == Verdict::Last {
            self.finish();
        } else if self.encoder.ready() >= PIECE_BYTES {
            self.drain();
        }
        verdict
    }

    fn encode(&mut self, chunk: Chunk) {
        let Some(slices) = &mut self.slices else { return self.encoder.push(&chunk) };
        slices.push(chunk);
        while let Some(slice) = slices.pop() {
            self.encoder.push(&slice);
        }
    }

    fn finish(&mut self) {
        if let Some(slices) = &mut self.slices {
            slices.finish();
            while let Some(slice) = slices.pop() {
                self.encoder.push(&slice);
            }
        }
        self.encoder.finish();
        self.drain();
        if let Some(gzip) = self.gzip.take() {
            self.out.extend(gzip.finish().expect("memory takes all bytes"));
        }
    }

    /// Moves what is encoded on.
    fn drain(&mut self) {
        let bytes = self.encoder.take();
        match &mut self.gzip {
            None if self.out.is_empty() => self.out = bytes,
            None => self.out.extend(bytes),
            Some(gzip) => {
                gzip.write_all(&bytes).expect("memory takes all bytes");
                self.out.append(gzip.get_mut());
            }
        }
    }

    /// In chunked mode, makes everything that is encoded ready to be sent. Whether there is something.
    fn flush_if_chunked(&mut self) -> bool {
        if self.mode != Mode::Chunked {
            return false;
        }
        if self.encoder.ready() > 0 {
            self.drain();
            if let Some(gzip) = &mut self.gzip {
                gzip.flush().expect("memory takes all bytes");
                self.out.append(gzip.get_mut());
            }
        }
        !self.out.is_empty()
    }

    fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| Bytes::from(std::mem::take(&mut self.out)))
    }
}

impl Progress {
    fn note(&mut self, chunk: &Chunk) {
        self.next_id = if chunk.statement_continues { chunk.statement_id } else { chunk.statement_id + 1 };
    }

    /// What to tell the client when no more chunks come although some should: the statement that ran was aborted, those
    /// behind it did not run.
    fn missing(&self) -> impl Iterator<Item = Chunk> + use<> {
        let aborted = self.next_id;
        (aborted..self.statement_count).map(move |id| match id == aborted {
            true => Chunk::failed(id, "query aborted"),
            false => Chunk::failed(id, "not executed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;
    use futures_util::FutureExt;
    use model::result::Value;
    use tokio::sync::mpsc;

    use super::*;
    use crate::encode::tests::{piece, series};

    fn config(mode: Mode) -> PumpConfig {
        PumpConfig {
            format: Format::Json,
            mode,
            time: TimeFormat::from_epoch("ns"),
            gzip: false,
            chunk_row_count: 2,
            row_count_max: 0,
            statement_count: 1,
        }
    }

    fn rows(times: std::ops::Range<i64>, series_continues: bool, statement_continues: bool) -> Chunk {
        let rows: Vec<(i64, Value)> = times.map(|time| (time, Value::Integer(time))).collect();
        piece(0, series("m", None, &rows), series_continues, statement_continues)
    }

    async fn pumped(config: &PumpConfig, chunks: Vec<Chunk>) -> Vec<Bytes> {
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            sender.send(chunk).await.expect("room");
        }
        drop(sender);
        let mut pump = Pump::new(Env::real(), receiver, config);
        let mut pieces = Vec::new();
        while let Some(piece) = pump.next().await {
            pieces.push(piece);
        }
        assert!(pump.has_ended());
        pieces
    }

    fn text(pieces: &[Bytes]) -> String {
        String::from_utf8(pieces.concat()).expect("text")
    }

    #[tokio::test]
    async fn a_short_answer_is_one_piece() {
        let pieces = pumped(&config(Mode::Whole), vec![rows(0..2, true, true), rows(2..3, false, false)]).await;
        assert_eq!(pieces.len(), 1);
        let want = r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","v"],"values":[[0,0],[1,1],[2,2]]}]}]}"#;
        assert_eq!(text(&pieces).trim_end(), want);
    }

    #[tokio::test]
    async fn a_long_answer_passes_in_pieces() {
        let chunks: Vec<Chunk> = (0..40).map(|at| rows(at * 1_000..(at + 1) * 1_000, at < 39, at < 39)).collect();
        let pieces = pumped(&config(Mode::Whole), chunks).await;
        assert!(pieces.len() > 3);
        assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE_BYTES));
        let answer = text(&pieces);
        assert!(answer.ends_with("[39999,39999]]}]}]}\n"));
        assert_eq!(answer.matches("\"name\"").count(), 1);
    }

    #[tokio::test]
    async fn large_chunks_are_encoded_elsewhere() {
        let pieces = pumped(&config(Mode::Whole), vec![rows(0..20_000, false, false)]).await;
        assert!(text(&pieces).ends_with("[19999,19999]]}]}]}\n"));
    }

    #[tokio::test]
    async fn documents_have_the_size_that_was_asked_for() {
        let pieces = pumped(&config(Mode::Chunked), vec![rows(0..3, true, true), rows(3..5, false, false)]).await;
        let answer = text(&pieces);
        let sizes: Vec<usize> = answer.lines().map(|line| line.matches("],[").count() + 1).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(answer.matches("\"partial\":true").count(), 4);
    }

    #[tokio::test]
    async fn a_document_is_sent_while_the_query_still_thinks() {
        for gzip in [false, true] {
            let (sender, receiver) = mpsc::channel(4);
            let mut pump = Pump::new(Env::real(), receiver, &PumpConfig { gzip, ..config(Mode::Chunked) });
            assert!(pump.next().now_or_never().is_none());
            sender.send(rows(0..2, true, true)).await.expect("room");
            let first = pump.next().await.expect("a document");
            let mut text = String::new();
            if gzip {
                // All of the document is there although the stream has no end yet.
                let mut bytes = [0; 200];
                let len = MultiGzDecoder::new(&first[..]).read(&mut bytes).expect("bytes");
                text.push_str(std::str::from_utf8(&bytes[..len]).expect("text"));
            } else {
                text.push_str(std::str::from_utf8(&first).expect("text"));
            }
            assert!(text.ends_with("\n"), "{text}");
            assert!(!pump.has_ended());
        }
    }

    #[tokio::test]
    async fn compressed_answers_come_back() {
        for mode in [Mode::Whole, Mode::Chunked] {
            let chunks = vec![rows(0..9_000, true, true), rows(9_000..9_001, false, false)];
            let plain = text(&pumped(&config(mode), chunks.clone()).await);
            let packed = pumped(&PumpConfig { gzip: true, ..config(mode) }, chunks).await.concat();
            assert!(packed.len() < plain.len() / 2);
            let mut unpacked = String::new();
            MultiGzDecoder::new(&packed[..]).read_to_string(&mut unpacked).expect("gzip");
            assert!(unpacked == plain);
        }
    }

    #[tokio::test]
    async fn an_answer_that_ends_early_says_so() {
        let config = PumpConfig { statement_count: 3, ..config(Mode::Whole) };
        let died_in_statement = pumped(&config, vec![rows(0..1, true, true)]).await;
        let rest = r#"{"statement_id":2,"error":"not executed"}]}"#;
        let want =
            r#"{"results":[{"statement_id":0,"error":"query aborted"},{"statement_id":1,"error":"not executed"},"#;
        assert_eq!(text(&died_in_statement).trim_end(), format!("{want}{rest}"));
        let died_between = pumped(&config, vec![Chunk::empty(0)]).await;
        let want = r#"{"results":[{"statement_id":0},{"statement_id":1,"error":"query aborted"},"#;
        assert_eq!(text(&died_between).trim_end(), format!("{want}{rest}"));
        let chunked = PumpConfig { mode: Mode::Chunked, statement_count: 1, ..config };
        let answer = text(&pumped(&chunked, vec![rows(0..1, true, true)]).await);
        assert!(answer.ends_with("{\"results\":[{\"statement_id\":0,\"error\":\"query aborted\"}]}\n"), "{answer}");
    }

    #[tokio::test]
    async fn the_row_limit_ends_whole_answers_only() {
        let chunks = || vec![rows(0..2, true, true), rows(2..4, false, false), Chunk::empty(1)];
        let whole = PumpConfig { row_count_max: 3, statement_count: 2, ..config(Mode::Whole) };
        let want = r#"{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","v"],"values":[[0,0],[1,1],[2,2]],"partial":true}]}]}"#;
        assert_eq!(text(&pumped(&whole, chunks()).await).trim_end(), want);
        let chunked = PumpConfig { mode: Mode::Chunked, ..whole };
        assert!(text(&pumped(&chunked, chunks()).await).contains("[3,3]"));
    }
}
