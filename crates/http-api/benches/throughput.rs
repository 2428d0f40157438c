//! What answers and requests cost here, with nothing behind the API: `cargo bench -p http-api`.
//!
//! Prints CPU time of the whole process, so that it does not matter what else the machine does; writes include the
//! client, which copies each request into a pipe in memory.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http_api::encode::{Encoder, Format, Mode, TimeFormat};
use http_api::{
    AccessLog, Caller, Config, Health, Pending, QueryRefusal, QueryRequest, QueryService, Server, Services, Statistic,
    StatusService, WriteFailure, WriteRequest, WriteService, config,
};
use model::Timestamp;
use model::result::{Chunk, Rows, Series, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROW_COUNT: usize = 10_000;

fn main() {
    encode("json, 10 floats", Format::Json, TimeFormat::Native, |n| Value::Float(n as f64 / 100.0));
    encode("json, 10 integers", Format::Json, TimeFormat::from_epoch("ns"), |n| Value::Integer(n as i64));
    encode("json, 10 strings", Format::Json, TimeFormat::Native, |n| Value::text(format!("host_{n}")));
    encode("csv, 10 floats", Format::Csv, TimeFormat::Native, |n| Value::Float(n as f64 / 100.0));
    encode("msgpack, 10 floats", Format::MessagePack, TimeFormat::Native, |n| Value::Float(n as f64 / 100.0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(write(1, 20_000));
    runtime.block_on(write(100, 5_000));
    runtime.block_on(write(5_000, 400));
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// CPU time of the process so far.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Encodes a chunk of rows of a time and ten values.
fn encode(name: &str, format: Format, time: TimeFormat, value: impl Fn(usize) -> Value) {
    let mut series = Series::new("cpu", &["time", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let mut cells = Vec::new();
    for row in 0..ROW_COUNT {
        cells.push(Value::time(1_500_000_000_000_000_000 + row as i64 * 10_000_000_000));
        cells.extend((0..10).map(|column| value(row * 7 + column * 13)));
    }
    series.rows = Rows::from_cells(11, cells);
    let chunk = Chunk { series: Some(series), ..Chunk::default() };
    let mut best = Duration::MAX;
    let mut bytes = 0;
    for _ in 0..20 {
        let mut encoder = Encoder::new(format, Mode::Chunked, time);
        let started = cpu_time();
        encoder.push(&chunk);
        best = best.min(cpu_time() - started);
        bytes = encoder.ready();
    }
    let per_value = best.as_nanos() as f64 / (ROW_COUNT * 11) as f64;
    let pace = bytes as f64 / best.as_secs_f64() / 1e6;
    say(&format!("encode {name:<20} {per_value:6.1} ns a value {pace:8.0} MB/s"));
}

/// Sends requests of `row_count` lines over a pipe in memory.
async fn write(row_count: usize, request_count: usize) {
    let nothing = Arc::new(Nothing);
    let services =
        Services { query: nothing.clone(), write: nothing.clone(), status: nothing, auth: None, access_lines: None };
    let server = Server::new(env::Env::real(), config(), services).expect("a good configuration");
    let (mut ours, theirs) = tokio::io::duplex(256 << 10);
    let serving = tokio::spawn(async move { server.serve_stream(theirs, "bench").await });
    let mut body = String::new();
    for row in 0..row_count {
        body.push_str(&format!("cpu,hostname=host_{},region=eu-west-1,rack=7", row % 1_000));
        for field in 0..10 {
            body.push_str(if field == 0 { " " } else { "," });
            body.push_str(&format!("usage_{field}={}i", (row * 7 + field * 13) % 100));
        }
        body.push_str(&format!(" {}\n", 1_500_000_000_000_000_000u64 + row as u64));
    }
    let head = format!("POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let request = [head.as_bytes(), body.as_bytes()].concat();
    let mut answer = [0; 1_024];
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let started = cpu_time();
        for _ in 0..request_count {
            ours.write_all(&request).await.expect("sent");
            let len = ours.read(&mut answer).await.expect("an answer");
            assert!(answer[..len].starts_with(b"HTTP/1.1 204"));
        }
        best = best.min(cpu_time() - started);
    }
    let per_request = best.as_nanos() as f64 / request_count as f64;
    let per_row = per_request / row_count as f64;
    say(&format!("write {row_count:>5} rows a request {:9.1} us a request {per_row:8.0} ns a row", per_request / 1e3));
    drop(ours);
    let _ = serving.await;
}

fn config() -> Config {
    Config {
        version: "1.12.4".to_owned(),
        build: "OSS".to_owned(),
        bind: ":8086".to_owned(),
        headers: Vec::new(),
        body_bytes_max: config::BODY_BYTES_MAX,
        row_count_max: 0,
        connection_count_max: 0,
        write_bytes_in_flight_max: config::WRITE_BYTES_IN_FLIGHT_MAX,
        parser_count_max: 2,
        concurrent_write_max: 0,
        enqueued_write_max: 0,
        enqueued_write_timeout: config::ENQUEUED_WRITE_TIMEOUT,
        header_timeout: config::HEADER_TIMEOUT,
        progress_timeout: config::PROGRESS_TIMEOUT,
        idle_timeout: config::IDLE_TIMEOUT,
        drain_timeout: config::DRAIN_TIMEOUT,
        access_log: AccessLog { enabled: false, suppress_writes: false, statuses: Vec::new() },
        write_tracing: false,
        realm: "InfluxDB".to_owned(),
        ping_auth: false,
        debug_admin: false,
    }
}

/// A database that forgets.
#[derive(Debug)]
struct Nothing;

impl QueryService for Nothing {
    fn query(&self, _: QueryRequest) -> Pending<'_, Result<tokio::sync::mpsc::Receiver<Chunk>, QueryRefusal>> {
        Box::pin(async { Ok(tokio::sync::mpsc::channel(1).1) })
    }
}

impl WriteService for Nothing {
    fn admit<'a>(&'a self, _: &'a Caller, _: &'a str) -> Pending<'a, Result<(), WriteFailure>> {
        Box::pin(async { Ok(()) })
    }

    fn write(&self, _: WriteRequest) -> Pending<'_, Result<(), WriteFailure>> {
        Box::pin(async { Ok(()) })
    }
}

impl StatusService for Nothing {
    fn health(&self) -> Health {
        Health::Pass
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn statistics(&self) -> Vec<Statistic> {
        vec![Statistic { name: "nothing".to_owned(), tags: BTreeMap::new(), values: BTreeMap::new() }]
    }

    fn started(&self) -> Timestamp {
        Timestamp(0)
    }

    fn command_line(&self) -> Vec<String> {
        Vec::new()
    }
}
