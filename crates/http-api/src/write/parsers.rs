//! Parsers and buffers that are used again: a parser is fast because it has seen the series before.

use line_protocol::Parser;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Buffers larger than this are not kept.
const BUFFER_BYTES_KEPT_MAX: usize = 4 << 20;

/// Most buffers that are kept for the next requests.
const BUFFERS_KEPT_MAX: usize = 16;

/// A pool.
#[derive(Debug)]
pub(crate) struct Parsers {
    seed: u64,
    count_max: usize,
    turns: Semaphore,
    /// Guards the list alone; nothing is taken while holding it. The last one put back is the first one taken, so that
    /// few are warm.
    idle: Mutex<Vec<Parser>>,
    /// Guards the list alone.
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Parsers {
    /// At most `count_max` parsers, at least one.
    pub(crate) fn new(count_max: usize, seed: u64) -> Parsers {
        let count_max = count_max.clamp(1, 1_024);
        Parsers {
            seed,
            count_max,
            turns: Semaphore::new(count_max),
            idle: Mutex::new(Vec::new()),
            buffers: Mutex::new(Vec::new()),
        }
    }

    /// Waits until a parser may be used. The permit is kept while it is.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("the semaphore is never closed")
    }

    /// A parser; to be put back by whoever is done with it, unless it panicked.
    pub(crate) fn take(&self) -> Parser {
        self.idle.lock().pop().unwrap_or_else(|| Parser::new(self.seed))
    }

    pub(crate) fn put_back(&self, parser: Parser) {
        // There may be one more than turns: the turn of a request ends when its client leaves, its parsing goes on.
        let mut idle = self.idle.lock();
        if idle.len() < self.count_max {
            idle.push(parser);
        }
    }

    /// An empty buffer.
    pub(crate) fn take_buffer(&self) -> Vec<u8> {
        self.buffers.lock().pop().unwrap_or_default()
    }

    pub(crate) fn put_back_buffer(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() > BUFFER_BYTES_KEPT_MAX {
            return;
        }
        let mut buffers = self.buffers.lock();
        if buffers.len() < BUFFERS_KEPT_MAX {
            buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn parsers_are_counted() {
        let parsers = Parsers::new(1, 7);
        let turn = parsers.turn().await;
        assert!(parsers.turn().now_or_never().is_none());
        let parser = parsers.take();
        parsers.put_back(parser);
        drop(turn);
        assert!(parsers.turn().now_or_never().is_some());
        parsers.put_back(Parser::new(7));
        assert_eq!(parsers.idle.lock().len(), 1);
    }

    #[test]
    fn huge_buffers_are_let_go() {
        let parsers = Parsers::new(1, 7);
        parsers.put_back_buffer(Vec::with_capacity(BUFFER_BYTES_KEPT_MAX + 1));
        assert_eq!(parsers.take_buffer().capacity(), 0);
        for _ in 0..2 * BUFFERS_KEPT_MAX {
            parsers.put_back_buffer(Vec::with_capacity(10));
        }
        assert_eq!(parsers.buffers.lock().len(), BUFFERS_KEPT_MAX);
    }
}
