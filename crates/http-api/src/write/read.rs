//! The body of a write, from the socket to a batch.

use hyper::body::{Body, Incoming};
use line_protocol::ParseOutcome;
use model::{Batch, Precision};

use super::DISCARD_BYTES_MAX;
use crate::api::Api;
use crate::config::ADMISSION_TIMEOUT;
use crate::request::body::discard_body;
use crate::request::gunzip::gunzip;
use crate::request::{BodyError, read_body};
use crate::throttle::Reservation;

/// A body up to this size is parsed where it is: that takes less time than handing it to another thread is worth.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// A body as it was sent, and the room it takes.
#[derive(Debug)]
pub(super) struct Lines {
    body: Vec<u8>,
    is_gzip: bool,
    room: Reservation,
}

/// What was in it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) batch: Batch,
    pub(super) outcome: ParseOutcome,
    /// Unpacked.
    pub(super) body_bytes: usize,
    /// To be given back when the points are stored.
    pub(super) room: Reservation,
}

impl Lines {
    /// Reads a body. A client that `asks_first` sends nothing unless it is read.
    pub(super) async fn read(api: &Api, body: Incoming, is_gzip: bool, asks_first: bool) -> Result<Lines, BodyError> {
        let bytes_max = api.config.body_limit();
        let promised = body.size_hint().lower();
        if promised > bytes_max as u64 {
            if !asks_first {
                let patience = ADMISSION_TIMEOUT.min(api.config.progress_timeout);
                discard_body(body, DISCARD_BYTES_MAX, patience).await;
            }
            return Err(BodyError::TooLarge);
        }
        let mut room = api.room.reserve(promised as usize).await.ok_or(BodyError::NoRoom)?;
        let buffer = api.parsers.take_buffer();
        let grow = |bytes| room.grow(bytes);
        let body = read_body(body, bytes_max, api.config.progress_timeout, buffer, grow).await?;
        Ok(Lines { body, is_gzip, room })
    }

    /// Unpacks and parses it.
    pub(super) async fn parse(self, api: &Api, precision: Precision) -> Result<Parsed, BodyError> {
        let now_ns = api.env.now().0;
        let bytes_max = api.config.body_limit();
        let parsers = std::sync::Arc::clone(&api.parsers);
        let is_traced = api.config.write_tracing;
        let is_small = self.body.len() <= INLINE_BYTES_MAX && !self.is_gzip;
        let work = move || -> Result<Parsed, BodyError> {
            let Lines { mut body, is_gzip, mut room } = self;
            if is_gzip {
                let unpacked = gunzip(&body, bytes_max, &mut |bytes| room.grow(bytes))?;
                parsers.put_back_buffer(std::mem::replace(&mut body, unpacked));
            }
            if is_traced {
                tracing::info!(body = %String::from_utf8_lossy(&body), "write body received by handler");
            }
            let mut parser = parsers.take();
            let mut batch = Batch::default();
            let outcome = parser.parse(&body, precision, now_ns, &mut batch);
            parsers.put_back(parser);
            let body_bytes = body.len();
            parsers.put_back_buffer(body);
            Ok(Parsed { batch, outcome, body_bytes, room })
        };
        let _turn = api.parsers.turn().await;
        if is_small { work() } else { api.env.blocking(work).await }
    }
}
