//! A database of canned answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use model::Timestamp;
use model::result::{Chunk, Message, Series, Value};
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::{Notify, Semaphore};

use crate::service::*;

/// Everything behind the API. The database `d` exists.
#[derive(Debug, Default)]
pub(crate) struct Fakes {
    /// What was written, as text.
    pub(crate) written: Mutex<Vec<String>>,
    /// What the next write answers.
    pub(crate) failure: Mutex<Option<WriteFailure>>,
    /// When set, writes wait for a permit.
    pub(crate) gate: Mutex<Option<Arc<Semaphore>>>,
    /// Writes that have begun.
    pub(crate) writes_begun: AtomicUsize,
    /// The last query as it arrived.
    pub(crate) asked: Mutex<Option<QueryRequest>>,
    /// Told when a query is cancelled because nobody listens any more.
    pub(crate) cancelled: Arc<Notify>,
    pub(crate) sick: AtomicBool,
    /// Whether callers are asked who they are.
    pub(crate) guarded: AtomicBool,
    /// Whether there is no administrator yet.
    pub(crate) new: AtomicBool,
}

impl Fakes {
    pub(crate) fn services(this: &Arc<Fakes>) -> Services {
        let auth = this.guarded.load(Ordering::Relaxed).then(|| Arc::clone(this) as Arc<dyn AuthService>);
        Services { query: this.clone(), write: this.clone(), status: this.clone(), auth, access_lines: None }
    }
}

impl StatusService for Fakes {
    fn health(&self) -> Health {
        if self.sick.load(Ordering::Relaxed) { Health::Fail("no meta leader".to_owned()) } else { Health::Pass }
    }

    fn metrics(&self) -> String {
        "# TYPE up gauge\nup 1\n".to_owned()
    }

    fn statistics(&self) -> Vec<Statistic> {
        vec![Statistic {
            name: "write".to_owned(),
            tags: BTreeMap::new(),
            values: BTreeMap::from([("req".to_owned(), 5)]),
        }]
    }

    fn started(&self) -> Timestamp {
        Timestamp(0)
    }

    fn command_line(&self) -> Vec<String> {
        vec!["influxd".to_owned(), "-config".to_owned(), "a&b".to_owned()]
    }
}

impl WriteService for Fakes {
    fn admit<'a>(&'a self, caller: &'a Caller, db: &'a str) -> Pending<'a, Result<(), WriteFailure>> {
        Box::pin(async move {
            match (db, caller) {
                ("d", Caller::Anyone) => Ok(()),
                ("d", Caller::User(name)) if name == "admin" => Ok(()),
                ("d", caller) => Err(WriteFailure::Forbidden(format!("{caller:?} may not write"))),
                _ => Err(WriteFailure::DatabaseNotFound(db.to_owned())),
            }
        })
    }

    fn write(&self, request: WriteRequest) -> Pending<'_, Result<(), WriteFailure>> {
        self.writes_begun.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let gate = self.gate.lock().clone();
            if let Some(gate) = gate {
                gate.acquire().await.expect("open").forget();
            }
            if let Some(failure) = self.failure.lock().take() {
                return Err(failure);
            }
            assert_eq!(request.batch.validate(), Ok(()));
            let WriteRequest { db, rp, consistency, batch, .. } = request;
            let mut line = format!("{db} {} {consistency:?}", rp.unwrap_or_default());
            for table in &batch.tables {
                for row in 0..table.row_count() {
                    let key = String::from_utf8_lossy(table.series.get(table.row_series[row])).into_owned();
                    line.push_str(&format!(" {key}@{}", table.row_times[row]));
                }
            }
            self.written.lock().push(line);
            Ok(())
        })
    }
}

/// The users are `admin` and `u`, with their names as passwords and tokens.
impl AuthService for Fakes {
    fn authenticate(
        &self,
        credentials: Option<Credentials>,
        source: Option<std::net::IpAddr>,
    ) -> Pending<'_, Result<Caller, AuthFailure>> {
        assert!(source.is_some(), "tests come from an address");
        Box::pin(async move {
            if self.new.load(Ordering::Relaxed) {
                return Ok(Caller::Nobody);
            }
            match credentials {
                None => Err(AuthFailure::NoCredentials),
                Some(Credentials::Token(token)) if token == "admin" => Ok(Caller::User(token)),
                Some(Credentials::Token(_)) => Err(AuthFailure::Refused("signature is invalid".to_owned())),
                Some(Credentials::Password { user, .. }) if user.is_empty() => Err(AuthFailure::NoUsername),
                Some(Credentials::Password { user, .. }) if user == "crowd" => Err(AuthFailure::Busy),
                Some(Credentials::Password { user, .. }) if user == "flood" => Err(AuthFailure::TooMany),
                Some(Credentials::Password { user, password }) if user == password => Ok(Caller::User(user)),
                Some(Credentials::Password { .. }) => Err(AuthFailure::Refused("authorization failed".to_owned())),
            }
        })
    }

    fn is_admin(&self, caller: &Caller) -> bool {
        *caller == Caller::User("admin".to_owned())
    }
}

impl QueryService for Fakes {
    fn query(&self, request: QueryRequest) -> Pending<'_, Result<Receiver<Chunk>, QueryRefusal>> {
        if request.text.contains("forbidden") || request.caller == Caller::Nobody {
            return Box::pin(async { Err(QueryRefusal::Forbidden("error authorizing query: no".to_owned())) });
        }
        if request.text.contains("unknown") {
            return Box::pin(async { Err(QueryRefusal::Unknown("error authorizing query: later".to_owned())) });
        }
        let receiver = self.begin(request);
        Box::pin(async { Ok(receiver) })
    }
}

impl Fakes {
    fn begin(&self, request: QueryRequest) -> Receiver<Chunk> {
        let (sender, receiver) = channel(2);
        *self.asked.lock() = Some(request.clone());
        let cancelled = self.cancelled.clone();
        tokio::spawn(async move {
            let texts: Vec<&str> = request.text.split(';').map(str::trim).filter(|text| !text.is_empty()).collect();
            let mut failed = false;
            for (id, text) in texts.iter().enumerate() {
                let chunks = if failed { vec![Chunk::failed(id, "not executed")] } else { answer(id, text, &request) };
                failed |= chunks.iter().any(|chunk| chunk.error.is_some());
                for chunk in chunks {
                    if sender.send(chunk).await.is_err() {
                        return cancelled.notify_one();
                    }
                }
                if text.contains("from hang") {
                    sender.closed().await;
                    return cancelled.notify_one();
                }
                if text.contains("from die") {
                    return;
                }
            }
        });
        receiver
    }
}

/// What a statement answers.
fn answer(id: usize, text: &str, request: &QueryRequest) -> Vec<Chunk> {
    let rows = |name: &str, host: &str, times: std::ops::Range<i64>| {
        let mut series = Series::new(name, &["time", "v"]);
        if !host.is_empty() {
            series.tags = vec![("host".to_owned(), host.to_owned())];
        }
        for time in times {
            series.rows.push([Value::time(time * 1_000_000_000), Value::Float(time as f64 + 0.5)]);
        }
        series
    };
    let piece = |series, series_continues, statement_continues| Chunk {
        statement_id: id,
        series: Some(series),
        series_continues,
        statement_continues,
        ..Chunk::default()
    };
    match text.to_ascii_lowercase().as_str() {
        "show databases" => {
            let mut series = Series::new("databases", &["name"]);
            series.rows.push([Value::text("d")]);
            Chunk::all(id, vec![series])
        }
        "create database d" if request.read_only => {
            let text =
                "deprecated use of 'CREATE DATABASE d' in a read only context, please use a POST request instead";
            vec![Chunk { messages: vec![Message { level: "warning", text: text.to_owned() }], ..Chunk::empty(id) }]
        }
        text if text.contains("from m") => vec![
            piece(rows("m", "a", 0..2), true, true),
            piece(rows("m", "a", 2..3), false, true),
            piece(rows("m", "b<c>", 3..4), false, false),
        ],
        text if text.contains("from big") => {
            (0..100).map(|at| piece(rows("big", "", at * 1_000..(at + 1) * 1_000), at < 99, at < 99)).collect()
        }
        text if text.contains("from fail") => vec![Chunk::failed(id, "timeout <now>")],
        text if text.contains("from die") => vec![piece(rows("die", "", 0..1), true, true)],
        text if text.contains("from hang") => vec![piece(rows("hang", "", 0..1), false, true)],
        text if text.contains("from panic") => panic!("the query service has a bug"),
        _ => vec![Chunk::empty(id)],
    }
}

/// Until `condition` holds; time does not pass meanwhile.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition never held");
}

/// Longer than any test should take.
pub(crate) const AGES: Duration = Duration::from_secs(3_600);
