//! The program against servers that answer what they are told and keep what they hear. Hosts are addresses of the
//! loopback network, so that `join` and `leave` find the ports that they look for; each test has hosts of its own.

mod join;
mod ldap;
mod leave;
mod members;
mod program;
mod shards;
mod show;

use std::collections::BTreeMap;
use std::io::Cursor;

use env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::program::{Surroundings, run};
use crate::terminal::Terminal;

/// What tokens of these tests are signed with.
pub(crate) const SECRET: &str = "shared secret";

/// A server, and all requests that it got.
pub(crate) struct Fake(mpsc::UnboundedReceiver<String>);

impl Fake {
    /// Listens at `host:port`. `answers` are a method and a path, and a status and a body; several for one path are given
    /// in turn, the last for ever. `307` has a location for a body, `silence` never answers. All else is 404.
    pub(crate) async fn start(address: &str, answers: &[(&str, &str)]) -> Fake {
        let listener = Env::real().listen(address).await.expect("the address is free");
        let mut script: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (request, answer) in answers {
            script.entry((*request).to_owned()).or_default().insert(0, (*answer).to_owned());
        }
        let (heard, hear) = mpsc::unbounded_channel();
        Env::real().spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some((request, path)) = read_request(&mut stream).await else { continue };
                let _ = heard.send(request);
                let answers = script.entry(path).or_insert_with(|| vec!["404 404 page not found".to_owned()]);
                let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
                let answer = answer.expect("there is always one");
                if answer == "silence" {
                    silent.push(stream);
                    continue;
                }
                let (status, body) = answer.split_once(' ').unwrap_or((&answer, ""));
                let text = match status {
                    "307" => format!("HTTP/1.1 307 X\r\nLocation: {body}\r\nContent-Length: 0\r\n\r\n"),
                    "204" => "HTTP/1.1 204 X\r\n\r\n".to_owned(),
                    _ => format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
                };
                // A client that has gone has what it wanted.
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        Fake(hear)
    }

    /// Method, path, body and who asked, a line a request.
    pub(crate) fn heard(&mut self) -> String {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|request| request + "\n").collect()
    }
}

/// A request as a line, and its method and path alone.
async fn read_request(stream: &mut env::Stream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if head == [0x16] {
            // Somebody speaks TLS.
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok()?;
            let _ = stream.read_to_end(&mut head).await;
            return None;
        }
    }
    let head = String::from_utf8(head).expect("a head is text");
    let headers: BTreeMap<String, &str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let words: Vec<&str> = head.split_whitespace().take(2).collect();
    let path = words.join(" ");
    let mut request = path.clone();
    if let Some(kind) = headers.get("content-type").filter(|_| length > 0) {
        let kind = if *kind == "application/x-www-form-urlencoded" { "form" } else { kind };
        request.push_str(&format!(" {kind}: {}", String::from_utf8_lossy(&body)));
    }
    if let Some(who) = headers.get("authorization") {
        request.push_str(&format!(" [{}]", shown(who)));
    }
    let agent = headers.get("user-agent").copied().unwrap_or_default();
    if agent != "InfluxDB Cluster Client" {
        request.push_str(&format!(" from {agent:?}"));
    }
    Some((request, path))
}

/// Tokens are checked and told by their user: their text depends on the time.
fn shown(authorization: &str) -> String {
    let Some(token) = authorization.strip_prefix("Bearer ") else { return authorization.to_owned() };
    let now = now_unix_seconds();
    match credentials::verify(token, SECRET, now) {
        Ok(claims) => {
            format!("Bearer of {:?} for {} s", claims.username, (claims.expires_unix_seconds - now).div_ceil(10) * 10)
        }
        Err(error) => error.to_string(),
    }
}

pub(crate) fn now_unix_seconds() -> u64 {
    u64::try_from(Env::real().now().0 / 1_000_000_000).expect("after 1970")
}

/// What the program said and how it ended.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
}

/// Runs the program on `host`, whose operator types `input`.
pub(crate) async fn ctl_on(host: &str, input: &str, words: &[&str]) -> Said {
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), Cursor::new(input.to_owned()));
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let terminal = Terminal::new(&mut out, &mut err, &mut input, false);
    let surroundings = Surroundings { env: Env::real(), host: host.to_owned() };
    let code = run(&words, surroundings, terminal).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    Said { out: text(out), err: text(err), code }
}

/// Runs the words of a line. Everything that was said, with `! ` before lines of standard error, and the exit code if it
/// is not 0.
pub(crate) async fn ctl(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    ctl_on("nowhere.invalid", "", &words).await.story()
}

impl Said {
    pub(crate) fn story(&self) -> String {
        let mut story = self.out.clone();
        if !story.is_empty() && !story.ends_with('\n') {
            story.push('\n');
        }
        for line in self.err.lines() {
            story.push_str(format!("! {line}").trim_end());
            story.push('\n');
        }
        if self.code != 0 {
            story.push_str(&format!("exit {}\n", self.code));
        }
        story
    }
}
