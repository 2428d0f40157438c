//! `/query`: statements in, a document or a stream of documents out.

mod form;
mod pump;

use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use hyper::body::Incoming;
use influxql::{Params, Statement, parse_query};
use model::NodeId;
use tokio::sync::mpsc;

use crate::accept::{Wanted, takes_gzip};
use crate::api::Api;
use crate::encode::{Mode, TimeFormat};
use crate::request::Fields;
use crate::respond::{self, Answer, Payload};
use crate::service::{Caller, QueryRefusal, QueryRequest};
use pump::{Pump, PumpConfig};

/// Rows of a document where the client names no number, and of a piece where it wants one document.
const CHUNK_ROW_COUNT: usize = 10_000;

/// Most rows of a document, whatever the client names; a larger document only takes longer to arrive.
const CHUNK_ROW_COUNT_MAX: usize = 1_000_000;

/// A query longer than this is parsed off the async threads.
const INLINE_TEXT_BYTES_MAX: usize = 16 << 10;

/// What the parameters ask for.
#[derive(Debug)]
struct Question {
    text: String,
    params: String,
    db: String,
    rp: String,
    mode: Mode,
    chunk_row_count: usize,
    time: TimeFormat,
    in_background: bool,
    node_id: Option<NodeId>,
}

/// `/query`.
pub(crate) async fn handle(api: &Api, head: Parts, body: Incoming, caller: Caller) -> Answer {
    api.stats.query_requests.increment();
    let url = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
    let wanted = Wanted::of(&head.headers, url.is_true("pretty"));
    let fields = match form::read(api, &head, body, url).await {
        Ok(fields) => fields,
        Err(error) => return form::refuse(wanted, error),
    };
    let question = match Question::read(&fields) {
        Ok(question) => question,
        Err(text) => return respond::error(wanted, StatusCode::BAD_REQUEST, &text),
    };
    let statements = match parse(api, &question).await {
        Ok(statements) => statements,
        Err(text) => return respond::error(wanted, StatusCode::BAD_REQUEST, &text),
    };
    let read_only = head.method == Method::GET;
    run(api, question, statements, Asked { wanted, gzip: takes_gzip(&head.headers), read_only, caller }).await
}

/// How a question was asked.
#[derive(Debug)]
struct Asked {
    wanted: Wanted,
    gzip: bool,
    read_only: bool,
    caller: Caller,
}

impl Question {
    fn read(fields: &Fields) -> Result<Question, String> {
        // A file named `q` is only looked at where the field is missing.
        let text =
            [fields.get("q").trim(), fields.get(form::QUERY_FILE).trim()].into_iter().find(|text| !text.is_empty());
        let Some(text) = text else { return Err("missing required parameter \"q\"".to_owned()) };
        let chunked = fields.is_true("chunked");
        let chunk_size = fields.get("chunk_size").parse::<i64>().ok().and_then(|size| usize::try_from(size).ok());
        let chunk_size = chunk_size.filter(|size| *size > 0).unwrap_or(CHUNK_ROW_COUNT);
        Ok(Question {
            text: text.to_owned(),
            params: fields.get("params").to_owned(),
            db: fields.get("db").to_owned(),
            rp: fields.get("rp").to_owned(),
            mode: if chunked { Mode::Chunked } else { Mode::Whole },
            chunk_row_count: if chunked { chunk_size.min(CHUNK_ROW_COUNT_MAX) } else { CHUNK_ROW_COUNT },
            time: time_format(fields)?,
            in_background: fields.is_true("async"),
            node_id: fields.get("node_id").parse().ok().filter(|id| *id > 0).map(NodeId),
        })
    }
}

fn time_format(fields: &Fields) -> Result<TimeFormat, String> {
    let epoch = TimeFormat::from_epoch(fields.get("epoch").trim());
    match (fields.get("time_format"), epoch) {
        ("", epoch) => Ok(epoch),
        ("epoch", TimeFormat::Native) => Ok(TimeFormat::from_epoch("ns")),
        ("epoch", epoch) => Ok(epoch),
        ("rfc3339", _) => Ok(TimeFormat::Rfc3339),
        _ => Err("Time format must be one of the following: rfc3339,epoch".to_owned()),
    }
}

async fn parse(api: &Api, question: &Question) -> Result<Vec<Statement>, String> {
    let (text, params) = (question.text.clone(), question.params.clone());
    let parse = move || {
        let params =
            if params.is_empty() { Params::new() } else { Params::from_json(&params).map_err(|e| e.to_string())? };
        parse_query(&text, &params).map_err(|error| format!("error parsing query: {error}"))
    };
    if question.text.len() + question.params.len() <= INLINE_TEXT_BYTES_MAX {
        parse()
    } else {
        api.env.blocking(parse).await
    }
}

async fn run(api: &Api, question: Question, statements: Vec<Statement>, asked: Asked) -> Answer {
    let statement_count = statements.len();
    let receiver = if statements.is_empty() {
        // Nothing but semicolons and comments: nobody needs to be asked.
        mpsc::channel(1).1
    } else {
        let request = QueryRequest {
            statements,
            text: question.text,
            db: question.db,
            rp: question.rp,
            read_only: asked.read_only,
            row_count_wanted: question.chunk_row_count,
            node_id: question.node_id,
            caller: asked.caller,
        };
        match api.services.query.query(request).await {
            Ok(receiver) => receiver,
            Err(refusal) => return refuse(asked.wanted, &refusal),
        }
    };
    if question.in_background {
        run_in_background(api, receiver);
        return respond::no_content();
    }
    let config = PumpConfig {
        format: asked.wanted.format,
        mode: question.mode,
        time: question.time,
        gzip: asked.gzip,
        chunk_row_count: question.chunk_row_count,
        row_count_max: api.config.row_count_max,
        statement_count,
    };
    let mut pump = Pump::new(api.env.clone(), receiver, &config);
    let first = pump.next().await.unwrap_or_default();
    let payload = if pump.has_ended() { Payload::Full(first) } else { stream(api, pump, first) };
    let mut answer = respond::full(StatusCode::OK, asked.wanted.content_type, bytes::Bytes::new());
    *answer.body_mut() = payload;
    if asked.gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn refuse(wanted: Wanted, refusal: &QueryRefusal) -> Answer {
    let text = refusal.to_string();
    match refusal {
        QueryRefusal::Forbidden(_) => respond::error(wanted, StatusCode::FORBIDDEN, &text),
        QueryRefusal::Unknown(_) => {
            respond::retry_after(respond::error(wanted, StatusCode::SERVICE_UNAVAILABLE, &text), 1)
        }
    }
}

/// Sends what the pump gives, in a task of its own, as fast as the client takes it.
fn stream(api: &Api, mut pump: Pump, first: bytes::Bytes) -> Payload {
    let (sender, receiver) = mpsc::channel(1);
    api.env.spawn(async move {
        let mut next = Some(first);
        while let Some(bytes) = next {
            // When the client has gone the pump is dropped, and the query with it.
            if sender.send(bytes).await.is_err() {
                return;
            }
            next = tokio::select! {
                // A client that goes away while the query thinks must not leave it thinking. The pump loses nothing
                // that anybody would still want.
                () = sender.closed() => return,
                next = pump.next() => next,
            };
        }
    });
    Payload::Stream(receiver)
}

/// Runs statements whose answers nobody reads. Errors are logged.
fn run_in_background(api: &Api, mut receiver: mpsc::Receiver<model::result::Chunk>) {
    api.env.spawn(async move {
        while let Some(chunk) = receiver.recv().await {
            if let Some(error) = chunk.error.filter(|error| error != "not executed") {
                tracing::warn!(statement_id = chunk.statement_id, error, "async query failed");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use model::Precision;

    use super::*;

    fn question(query: &str) -> Result<Question, String> {
        Question::read(&Fields::parse(query.as_bytes()))
    }

    #[test]
    fn chunk_sizes_have_a_default_and_a_ceiling() {
        let size = |query: &str| question(query).map(|question| question.chunk_row_count);
        assert_eq!(size("q=x&chunked=true&chunk_size=7"), Ok(7));
        assert_eq!(size("q=x&chunk_size=7"), Ok(CHUNK_ROW_COUNT));
        for bad in ["0", "-1", "x", ""] {
            assert_eq!(size(&format!("q=x&chunked=true&chunk_size={bad}")), Ok(CHUNK_ROW_COUNT));
        }
        assert_eq!(size("q=x&chunked=true&chunk_size=9223372036854775807"), Ok(CHUNK_ROW_COUNT_MAX));
    }

    #[test]
    fn times_follow_epoch_and_time_format() {
        let time = |query: &str| question(&format!("q=x&{query}")).map(|question| question.time);
        assert_eq!(time(""), Ok(TimeFormat::Native));
        assert_eq!(time("epoch=+s"), Ok(TimeFormat::Epoch(Precision::Second)));
        assert_eq!(time("time_format=epoch"), Ok(TimeFormat::Epoch(Precision::Nanosecond)));
        assert_eq!(time("time_format=epoch&epoch=h"), Ok(TimeFormat::Epoch(Precision::Hour)));
        assert_eq!(time("time_format=rfc3339&epoch=h"), Ok(TimeFormat::Rfc3339));
        assert_eq!(time("time_format=x"), Err("Time format must be one of the following: rfc3339,epoch".to_owned()));
    }

    #[test]
    fn a_query_is_required() {
        assert_eq!(question("db=d").map(|_| ()), Err("missing required parameter \"q\"".to_owned()));
        assert_eq!(question("q=+%0a").map(|_| ()), Err("missing required parameter \"q\"".to_owned()));
    }

    #[test]
    fn nodes_are_named_by_number() {
        assert_eq!(question("q=x&node_id=3").expect("fine").node_id, Some(NodeId(3)));
        assert_eq!(question("q=x&node_id=0").expect("fine").node_id, None);
        assert_eq!(question("q=x&node_id=x").expect("fine").node_id, None);
    }
}
