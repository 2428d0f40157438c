//! `[meta] cluster-tracing`: a line in the log for each request to the admin API, under the names that the reference has,
//! with passwords, hashes and configurations of directories taken out.

use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use env::Env;
use http::header::{HeaderMap, REFERER, USER_AGENT};
use serde_json::Value;
use stdx::human::print_duration;

use super::auth;

/// What takes the place of a secret.
const REDACTED: &str = "[REDACTED]";
/// Keys of forms, queries and documents whose values are secrets, or have some in them.
const SECRETS: [&str; 7] = ["p", "password", "hash", "secret", "config", "bind-password", "token"];
/// Most of a body that is logged, in bytes.
const COMMAND_BYTES_MAX: usize = 2_048;

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Trace {
    method: String,
    uri: String,
    protocol: String,
    username: String,
    referrer: String,
    user_agent: String,
    began: Duration,
    /// The body, once it was read.
    command: OnceLock<String>,
}

impl Trace {
    pub(super) fn begin(env: &Env, request: &Request) -> Trace {
        let header = |name| value(request.headers(), name);
        let uri = match request.uri().query() {
            Some(query) => format!("{}?{}", request.uri().path(), pairs(query)),
            None => request.uri().path().to_owned(),
        };
        Trace {
            method: request.method().to_string(),
            uri,
            protocol: format!("{:?}", request.version()),
            username: auth::claimed_name(request.uri(), request.headers()),
            referrer: header(REFERER),
            user_agent: header(USER_AGENT),
            began: env.monotonic(),
            command: OnceLock::new(),
        }
    }

    /// What was posted to `path`.
    pub(super) fn tell(&self, path: &str, body: &[u8]) {
        // Told once: a request has one body.
        let _ = self.command.set(command(path, body));
    }

    /// One line, now that there is an answer.
    pub(super) fn log(self, env: &Env, answer: &http::Response<Body>) {
        let took = env.monotonic().saturating_sub(self.began);
        tracing::info!(
            target: "meta-http",
            host = "",
            "user-id" = "",
            username = self.username,
            method = self.method,
            uri = self.uri,
            protocol = self.protocol,
            command = self.command.into_inner().unwrap_or_default(),
            status = answer.status().as_u16(),
            size = answer.body().size_hint().exact().unwrap_or(0),
            referrer = self.referrer,
            "user-agent" = self.user_agent,
            "request-id" = value(answer.headers(), "Request-Id"),
            "execution-time" = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            "execution-time-readable" = print_duration(took),
            "weblog"
        );
    }
}

fn value(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// A body as it may be logged.
fn command(path: &str, body: &[u8]) -> String {
    let text = match path {
        // A hash may be in it, and it is no text.
        "/execute" => format!("{} bytes", body.len()),
        "/ldap/v1/config" => REDACTED.to_owned(),
        _ if body.trim_ascii_start().starts_with(b"{") => match serde_json::from_slice::<Value>(body) {
            Ok(mut document) => {
                redact(&mut document);
                document.to_string()
            }
            Err(_) => REDACTED.to_owned(),
        },
        _ => pairs(&String::from_utf8_lossy(body)),
    };
    let cut = text.floor_char_boundary(COMMAND_BYTES_MAX);
    format!("{{'{}': ''}}", &text[..cut])
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| {
            if SECRETS.contains(&name.to_ascii_lowercase().as_str()) {
                *member = Value::from(REDACTED);
            } else {
                redact(member);
            }
        }),
        Value::Array(list) => list.iter_mut().for_each(redact),
        _ => {}
    }
}

/// A form or a query as it was sent, but for secrets. What is no pair is none of ours, and may be one.
fn pairs(text: &str) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if name.contains('%') || SECRETS.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}={REDACTED}")
        }
        Some(_) => pair.to_owned(),
        None if pair.is_empty() => String::new(),
        None => REDACTED.to_owned(),
    };
    text.split('&').map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_logged_without_their_secrets() {
        for (path, body, want) in [
            ("/join", "addr=a%3A8091", "{'addr=a%3A8091': ''}"),
            ("/leave", "", "{'': ''}"),
            (
                "/user",
                r#"{"action":"create","user":{"name":"u","password":"planted","hash":"planted"}}"#,
                r#"{'{"action":"create","user":{"hash":"[REDACTED]","name":"u","password":"[REDACTED]"}}': ''}"#,
            ),
            ("/user", r#"{"user":"planted"#, "{'[REDACTED]': ''}"),
            ("/ldap/v1/config", "bind-password = 'planted'", "{'[REDACTED]': ''}"),
            (
                "/ldap/v1/verify",
                r#"{"user":"u","Password":"planted","config":"planted"}"#,
                r#"{'{"Password":"[REDACTED]","config":"[REDACTED]","user":"u"}': ''}"#,
            ),
            (
                "/join",
                "addr=a&password=planted&p=planted&%70=planted&planted",
                "{'addr=a&password=[REDACTED]&p=[REDACTED]&%70=[REDACTED]&[REDACTED]': ''}",
            ),
            ("/execute", "planted", "{'7 bytes': ''}"),
            ("/join", "planted", "{'[REDACTED]': ''}"),
        ] {
            assert_eq!(command(path, body.as_bytes()), want);
        }
        let long = command("/join", format!("addr={}", "\u{e4}".repeat(9_000)).as_bytes());
        assert!(long.len() < COMMAND_BYTES_MAX + 20, "{}", long.len());
        assert_eq!(pairs("u=ann&p=planted&index=7"), "u=ann&p=[REDACTED]&index=7");
    }
}
