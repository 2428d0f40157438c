//! One line for each request.

use std::time::Duration;

use http::request::Parts;
use http::{Method, Version};

use crate::config::AccessLog;
use crate::encode::number::push_u64;
use crate::encode::time::push_log_time;
use crate::redact::redact_uri;
use crate::service::AccessLines;

/// What is known of a request when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    started_ns: i64,
    host: String,
    method: Method,
    uri: String,
    version: Version,
    referer: String,
    user_agent: String,
    is_write: bool,
}

/// What is known when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) byte_count: u64,
    pub(crate) duration: Duration,
}

impl Entry {
    /// The entry of a request, or `None` when nothing is logged.
    pub(crate) fn begin(log: &AccessLog, head: &Parts, peer: &str, started_ns: i64) -> Option<Entry> {
        if !log.enabled {
            return None;
        }
        let header = |name: &str| {
            let value = head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
            value.filter(|text| !text.is_empty()).map(|text| text.replace('"', "\\\""))
        };
        let host = match header("x-forwarded-for") {
            Some(forwarded) => format!("{},{peer}", forwarded.replace(' ', "")),
            None => peer.to_owned(),
        };
        Some(Entry {
            started_ns,
            host,
            method: head.method.clone(),
            uri: redact_uri(head.uri.path(), head.uri.query()),
            version: head.version,
            referer: header("referer").unwrap_or_else(|| "-".to_owned()),
            user_agent: header("user-agent").unwrap_or_else(|| "-".to_owned()),
            is_write: matches!(head.uri.path(), "/write" | "/api/v2/write"),
        })
    }

    /// Writes the line, if such requests are logged.
    pub(crate) fn finish(&self, log: &AccessLog, lines: Option<&dyn AccessLines>, request_id: &str, outcome: Outcome) {
        let is_wanted = log.statuses.is_empty() || log.statuses.iter().any(|range| range.contains(&outcome.status));
        let is_quiet = log.suppress_writes && self.is_write && outcome.status < 300;
        if !is_wanted || is_quiet {
            return;
        }
        match lines {
            Some(lines) => lines.line(&self.line(request_id, outcome)),
            None => tracing::info!(target: "httpd", "{}", self.line(request_id, outcome)),
        }
    }

    fn line(&self, request_id: &str, outcome: Outcome) -> String {
        let mut line = format!("{} - - [", self.host).into_bytes();
        push_log_time(&mut line, self.started_ns);
        let version = match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            _ => "HTTP/1.1",
        };
        line.extend(format!("] \"{} {} {version}\" {} ", self.method, self.uri, outcome.status).into_bytes());
        push_u64(&mut line, outcome.byte_count);
        let (referer, user_agent) = (&self.referer, &self.user_agent);
        line.extend(format!(" \"{referer}\" \"{user_agent}\" {request_id} ").into_bytes());
        push_u64(&mut line, u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX));
        String::from_utf8_lossy(&line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use http::Request;

    use super::*;

    const OUTCOME: Outcome = Outcome { status: 200, byte_count: 57, duration: Duration::from_micros(1_234) };

    fn log() -> AccessLog {
        AccessLog { enabled: true, suppress_writes: false, statuses: Vec::new() }
    }

    fn entry(request: http::request::Builder) -> Entry {
        let (head, ()) = request.body(()).expect("a request").into_parts();
        Entry::begin(&log(), &head, "127.0.0.1", 784_111_777_000_000_000).expect("logged")
    }

    #[test]
    fn lines_look_like_those_of_web_servers() {
        let plain = entry(Request::get("/ping"));
        expect![[r#"127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "GET /ping HTTP/1.1" 200 57 "-" "-" id-1 1234"#]]
            .assert_eq(&plain.line("id-1", OUTCOME));
        let rich = entry(
            Request::post("/query?u=me&p=secret&q=show+databases")
                .header("X-Forwarded-For", "10.0.0.1, 10.0.0.2")
                .header("User-Agent", "a \"b\"")
                .header("Referer", "http://x/")
                .version(Version::HTTP_10),
        );
        expect![[r#"10.0.0.1,10.0.0.2,127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "POST /query?u=me&p=[REDACTED]&q=show+databases HTTP/1.0" 200 57 "http://x/" "a \"b\"" id-1 1234"#]]
            .assert_eq(&rich.line("id-1", OUTCOME));
    }

    #[test]
    fn nothing_is_kept_when_nothing_is_logged() {
        let (head, ()) = Request::get("/ping").body(()).expect("a request").into_parts();
        let off = AccessLog { enabled: false, ..log() };
        assert!(Entry::begin(&off, &head, "127.0.0.1", 0).is_none());
    }

    #[test]
    fn filters_choose_by_status_and_kind() {
        let lines = |log: &AccessLog, path: &str, status| {
            let sink = crate::tests::captured_log(|| {
                entry(Request::post(path)).finish(log, None, "id", Outcome { status, ..OUTCOME });
            });
            sink.len()
        };
        assert_eq!(lines(&log(), "/write", 204), 1);
        let quiet = AccessLog { suppress_writes: true, ..log() };
        assert_eq!(lines(&quiet, "/write?db=d", 204), 0);
        assert_eq!(lines(&quiet, "/write?db=d", 400), 1);
        let only_errors = AccessLog { statuses: vec![500..=599], ..log() };
        assert_eq!(lines(&only_errors, "/query", 200), 0);
        assert_eq!(lines(&only_errors, "/query", 503), 1);
    }

    #[derive(Debug, Default)]
    struct Kept(parking_lot::Mutex<Vec<String>>);

    impl AccessLines for Kept {
        fn line(&self, line: &str) {
            self.0.lock().push(line.to_owned());
        }
    }

    #[test]
    fn lines_that_go_elsewhere_are_not_in_the_log() {
        let kept = Kept::default();
        let errors = AccessLog { statuses: vec![500..=599], ..log() };
        let logged = crate::tests::captured_log(|| {
            for status in [200, 503] {
                let outcome = Outcome { status, ..OUTCOME };
                entry(Request::post("/query?p=secret")).finish(&errors, Some(&kept), "id", outcome);
            }
        });
        assert_eq!(logged, Vec::<String>::new());
        let want =
            r#"127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "POST /query?p=[REDACTED] HTTP/1.1" 503 57 "-" "-" id 1234"#;
        assert_eq!(*kept.0.lock(), [want]);
    }
}
