//! `/write` and `/api/v2/write`: points in line protocol.

mod parsers;
mod read;

use std::sync::Arc;

use http::StatusCode;
use http::header::{CONTENT_ENCODING, EXPECT};
use http::request::Parts;
use hyper::body::Incoming;
use model::{ConsistencyLevel, Precision};

use crate::accept::Wanted;
use crate::api::Api;
use crate::request::body::discard_body;
use crate::request::{BodyError, Fields};
use crate::respond::{self, Answer};
use crate::service::{Caller, WriteFailure, WriteRequest};
use crate::throttle::Turn;
pub(crate) use parsers::Parsers;
use read::Lines;

/// Which of the two endpoints was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `db`, `rp`, `precision`, `consistency`.
    V1,
    /// `bucket`, `precision`; other names for the precisions.
    V2,
}

/// Where points go.
#[derive(Debug)]
struct Target {
    db: String,
    rp: Option<String>,
    consistency: ConsistencyLevel,
    caller: Caller,
}

/// `/write` or `/api/v2/write`.
pub(crate) async fn handle(api: &Api, head: Parts, body: Incoming, dialect: Dialect, caller: Caller) -> Answer {
    let stats = &api.stats;
    stats.write_requests.increment();
    stats.writes_active.increment();
    let _active = Active(&stats.writes_active);
    let turn = match api.turns.wait().await {
        Ok(turn) => turn,
        Err(throttled) => {
            stats.writes_refused.increment();
            tracing::warn!(reason = %throttled, "write refused");
            let answer = respond::plain(StatusCode::SERVICE_UNAVAILABLE, &throttled.to_string());
            return refuse_unread(api, &head, body, respond::retry_after(answer, 1)).await;
        }
    };
    let fields = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
    let wanted = Wanted::of(&head.headers, fields.is_true("pretty"));
    let target = match target(api, caller, &fields, wanted, dialect).await {
        Ok(target) => target,
        Err(refusal) => return refuse_unread(api, &head, body, *refusal).await,
    };
    let is_gzip =
        head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let asks_first = head.headers.contains_key(EXPECT);
    let lines = match Lines::read(api, body, is_gzip, asks_first).await {
        Ok(lines) => lines,
        Err(error) => return refuse_read(api, wanted, error),
    };
    let word = fields.get("precision");
    let Some(precision) = precision(word, dialect) else {
        let known = if dialect == Dialect::V1 { "n, u, ms, s, m or h" } else { "ns, us, ms or s" };
        let text = format!("invalid precision {word:?} (use {known})");
        return respond::error(wanted, StatusCode::BAD_REQUEST, &text);
    };
    store(api, wanted, target, lines, precision, turn).await
}

/// Counts a request while it is under way.
struct Active<'a>(&'a crate::stats::Counter);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

/// Checks everything that can be checked before the body is read, in the order that clients know.
async fn target(
    api: &Api,
    caller: Caller,
    fields: &Fields,
    wanted: Wanted,
    dialect: Dialect,
) -> Result<Target, Box<Answer>> {
    let refuse = |status, text: &str| Box::new(respond::error(wanted, status, text));
    let (db, rp) = match dialect {
        Dialect::V1 => (fields.get("db"), fields.get("rp")),
        Dialect::V2 => split_bucket(fields.get("bucket")).map_err(|text| refuse(StatusCode::NOT_FOUND, &text))?,
    };
    if db.is_empty() {
        return Err(refuse(StatusCode::BAD_REQUEST, "database is required"));
    }
    api.services.write.admit(&caller, db).await.map_err(|failure| Box::new(refuse_write(api, wanted, &failure)))?;
    let Some(consistency) = ConsistencyLevel::parse(fields.get("consistency")) else {
        return Err(refuse(StatusCode::BAD_REQUEST, "invalid consistency level"));
    };
    let rp = (!rp.is_empty()).then(|| rp.to_owned());
    Ok(Target { db: db.to_owned(), rp, consistency, caller })
}

/// `db/rp` or `db`, as a database and a retention policy.
fn split_bucket(bucket: &str) -> Result<(&str, &str), String> {
    match bucket.split_once('/') {
        Some(("", _)) => Err(format!("bucket name {bucket:?} is in db/rp form but has an empty database")),
        Some((db, rp)) => Ok((db, rp)),
        None if bucket.is_empty() => {
            Err(format!("bucket name {bucket:?} is missing a slash; not in \"database/retention-policy\" format"))
        }
        None => Ok((bucket, "")),
    }
}

fn precision(word: &str, dialect: Dialect) -> Option<Precision> {
    match (dialect, word) {
        (Dialect::V1, word) => Precision::parse(word),
        (Dialect::V2, "us") => Some(Precision::Microsecond),
        (Dialect::V2, "" | "ns" | "ms" | "s") => Precision::parse(word),
        (Dialect::V2, _) => None,
    }
}

/// Parses and stores, and puts together what went wrong in both.
async fn store(api: &Api, wanted: Wanted, target: Target, lines: Lines, precision: Precision, turn: Turn) -> Answer {
    let stats = &api.stats;
    let db = target.db.clone();
    let parsed = match lines.parse(api, precision).await {
        Ok(parsed) => parsed,
        Err(error) => return refuse_read(api, wanted, error),
    };
    stats.write_bytes.add(parsed.body_bytes);
    stats.points_dropped.add(parsed.outcome.dropped_count);
    let (points, values) = (parsed.batch.row_count(), parsed.batch.value_count());
    let stored = if points == 0 {
        Ok(())
    } else {
        let Target { db, rp, consistency, caller } = target;
        let request = WriteRequest { db, rp, consistency, batch: parsed.batch, caller };
        let service = Arc::clone(&api.services.write);
        let room = parsed.room;
        // A task of its own: what was begun on some owners is finished on all, also when the client leaves.
        let writing = api.env.spawn(async move {
            let stored = service.write(request).await;
            drop((turn, room));
            stored
        });
        match writing.await {
            Some(stored) => stored,
            // Goes on here, where it is counted and answered.
            None => panic!("the write service panicked"),
        }
    };
    match &stored {
        Ok(()) => {
            stats.points_ok.add(points);
            stats.values_ok.add(values);
        }
        Err(WriteFailure::Partial { dropped, .. }) => {
            stats.points_ok.add(points.saturating_sub(*dropped));
            stats.points_dropped.add(*dropped);
        }
        Err(_) => stats.points_failed.add(points),
    }
    match summary(stored, &parsed.outcome, points) {
        Ok(()) => respond::no_content(),
        Err(failure) => {
            if let WriteFailure::Failed(text) = &failure {
                tracing::error!(db, error = text, "write failed");
            }
            refuse_write(api, wanted, &failure)
        }
    }
}

/// The answer to points that were not stored.
fn refuse_write(api: &Api, wanted: Wanted, failure: &WriteFailure) -> Answer {
    let refuse = |status| respond::error(wanted, status, &failure.to_string());
    match failure {
        WriteFailure::Partial { .. } | WriteFailure::Invalid(_) => refuse(StatusCode::BAD_REQUEST),
        WriteFailure::Forbidden(_) => refuse(StatusCode::FORBIDDEN),
        WriteFailure::DatabaseNotFound(_) => refuse(StatusCode::NOT_FOUND),
        WriteFailure::Failed(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR),
        WriteFailure::Busy { retry_after, .. } => {
            api.stats.writes_refused.increment();
            respond::retry_after(refuse(StatusCode::SERVICE_UNAVAILABLE), retry_after.as_secs())
        }
    }
}

/// One answer for what the parser and the store had to say. The store's reasons come before those of the parser, of
/// which points that no store takes come before lines that cannot be read; numbers of dropped points add up.
fn summary(
    stored: Result<(), WriteFailure>,
    outcome: &line_protocol::ParseOutcome,
    points: usize,
) -> Result<(), WriteFailure> {
    match stored {
        Err(WriteFailure::Partial { reason, dropped }) => {
            Err(WriteFailure::Partial { reason, dropped: dropped + outcome.dropped_count })
        }
        Err(failure) => Err(failure),
        Ok(()) => match &outcome.dropped_reason {
            Some(reason) => Err(WriteFailure::Partial { reason: reason.to_string(), dropped: outcome.dropped_count }),
            None if outcome.errors.is_empty() => Ok(()),
            None if points == 0 => Err(WriteFailure::Invalid(outcome.errors.to_string())),
            None => Err(WriteFailure::Partial { reason: outcome.errors.to_string(), dropped: 0 }),
        },
    }
}

/// The answer to a body that could not be read.
fn refuse_read(api: &Api, wanted: Wanted, error: BodyError) -> Answer {
    let text = error.to_string();
    match error {
        BodyError::TooLarge => respond::closing(respond::error(wanted, StatusCode::PAYLOAD_TOO_LARGE, &text)),
        BodyError::Stalled => respond::closing(respond::error(wanted, StatusCode::REQUEST_TIMEOUT, &text)),
        BodyError::Broken | BodyError::Empty | BodyError::NotGzip => {
            respond::error(wanted, StatusCode::BAD_REQUEST, &text)
        }
        BodyError::NoRoom => {
            api.stats.writes_refused.increment();
            respond::retry_after(respond::error(wanted, StatusCode::SERVICE_UNAVAILABLE, &text), 1)
        }
    }
}

/// Most bytes of an unread body that are taken in so that the client gets to see why they were not wanted.
const DISCARD_BYTES_MAX: usize = 32 << 20;

/// Answers a request whose body was not looked at.
pub(crate) async fn refuse_unread(api: &Api, head: &Parts, body: Incoming, answer: Answer) -> Answer {
    // A client that asks first sends nothing once it is refused.
    if !head.headers.contains_key(EXPECT) {
        discard_body(body, DISCARD_BYTES_MAX, crate::config::ADMISSION_TIMEOUT.min(api.config.progress_timeout)).await;
    }
    answer
}

#[cfg(test)]
mod tests {
    use line_protocol::Parser;
    use model::Batch;

    use super::*;

    fn outcome(body: &str) -> (line_protocol::ParseOutcome, usize) {
        let mut batch = Batch::default();
        let outcome = Parser::new(1).parse(body.as_bytes(), Precision::Nanosecond, 0, &mut batch);
        (outcome, batch.row_count())
    }

    fn told(stored: Result<(), WriteFailure>, body: &str) -> String {
        let (outcome, points) = outcome(body);
        summary(stored, &outcome, points).map_or_else(|failure| failure.to_string(), |()| "stored".to_owned())
    }

    #[test]
    fn reasons_of_parser_and_store_become_one() {
        let conflict = || Err(WriteFailure::Partial { reason: "conflict".to_owned(), dropped: 2 });
        assert_eq!(told(Ok(()), "m v=1"), "stored");
        assert_eq!(
            told(Ok(()), "bad\nm,"),
            "unable to parse 'bad': missing fields\nunable to parse 'm,': missing tag key"
        );
        assert_eq!(told(Ok(()), "bad\nm v=1"), "partial write: unable to parse 'bad': missing fields dropped=0");
        assert_eq!(told(conflict(), "bad\nm v=1"), "partial write: conflict dropped=2");
        let time = "partial write: invalid tag key: input tag \"time\" on measurement \"m\" is invalid dropped=1";
        assert_eq!(told(Ok(()), "bad\nm,time=x v=1\nm v=1"), time);
        assert_eq!(told(conflict(), "m,time=x v=1\nm v=1"), "partial write: conflict dropped=3");
        assert_eq!(told(Err(WriteFailure::Failed("timeout".to_owned())), "bad\nm v=1"), "timeout");
    }

    #[test]
    fn buckets_are_databases() {
        assert_eq!(split_bucket("d/r"), Ok(("d", "r")));
        assert_eq!(split_bucket("d"), Ok(("d", "")));
        assert_eq!(split_bucket("d/"), Ok(("d", "")));
        assert_eq!(split_bucket("/r"), Err("bucket name \"/r\" is in db/rp form but has an empty database".to_owned()));
        assert_eq!(
            split_bucket(""),
            Err("bucket name \"\" is missing a slash; not in \"database/retention-policy\" format".to_owned())
        );
    }

    #[test]
    fn the_endpoints_know_other_precisions() {
        assert_eq!(precision("us", Dialect::V2), Some(Precision::Microsecond));
        assert_eq!(precision("us", Dialect::V1), None);
        assert_eq!(precision("h", Dialect::V1), Some(Precision::Hour));
        assert_eq!(precision("h", Dialect::V2), None);
        assert_eq!(
            (precision("", Dialect::V1), precision("", Dialect::V2)),
            (Some(Precision::Nanosecond), Some(Precision::Nanosecond))
        );
    }
}
