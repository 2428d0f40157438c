//! Files of requests and answers.
//!
//! Lines with `>` are a request: its first line, headers, an empty line, a body. Lines with `<` are the answer: the
//! status, headers but those that every answer has, an empty line, the body. `UPDATE_EXPECT=1` writes the answers anew.

use std::sync::Arc;

use expect_test::expect_file;

use super::*;

/// Headers that are checked in one test and left out here.
const COMMON: [&str; 6] =
    ["X-Influxdb-Build", "X-Influxdb-Version", "Request-Id", "X-Request-Id", "Date", "Connection"];

async fn check(text: &str, file: expect_test::ExpectFile) {
    let (server, fakes) = server();
    let mut rendered = String::new();
    let mut pending: Vec<&str> = Vec::new();
    let answers =
        |request: Vec<&str>| answered(Arc::clone(&server), request.iter().map(|line| (*line).to_owned()).collect());
    for line in text.lines().filter(|line| !line.starts_with('<')).chain([""]) {
        match line.strip_prefix('>') {
            Some(part) => pending.push(part.strip_prefix(' ').unwrap_or(part)),
            None if !pending.is_empty() => {
                rendered.push_str(&answers(std::mem::take(&mut pending)).await);
                for written in fakes.written.lock().drain(..) {
                    rendered.push_str(&format!("< ! stored {written}\n"));
                }
            }
            None => {}
        }
        rendered.push_str(line);
        rendered.push('\n');
    }
    file.assert_eq(rendered.trim_end_matches('\n'));
}

/// One request as lines, its answer as lines.
async fn answered(server: Arc<Server>, lines: Vec<String>) -> String {
    let split = lines.iter().position(String::is_empty).unwrap_or(lines.len());
    let body = lines.get(split + 1..).unwrap_or_default().join("\n");
    let headers: Vec<(&str, &str)> = lines[1..split].iter().filter_map(|line| line.split_once(": ")).collect();
    let response = ask(&server, &lines[0], &headers, body.as_bytes()).await;
    let mut head = response.head.lines();
    let mut out = format!("< {}\n", head.next().expect("a status line").trim_start_matches("HTTP/1.1 "));
    for line in head.filter(|line| !COMMON.contains(&line.split(':').next().unwrap_or_default())) {
        out.push_str(&format!("< {line}\n"));
    }
    if !response.body.is_empty() {
        out.push_str("<\n");
        let shown = match String::from_utf8(response.body) {
            Ok(text) => text,
            Err(error) => format!("{}\n", error.as_bytes().escape_ascii()),
        };
        for line in shown.lines() {
            out.push_str(&format!("< {line}\n"));
        }
        if !shown.ends_with('\n') {
            out.push_str("< (no newline)\n");
        }
    }
    out
}

macro_rules! case {
    ($name:ident) => {
        #[tokio::test]
        async fn $name() {
            let text = include_str!(concat!("../../tests/cases/", stringify!($name), ".txt"));
            check(text, expect_file![concat!("../../tests/cases/", stringify!($name), ".txt")]).await;
        }
    };
}

case!(write);
case!(query);
case!(formats);
case!(other);

#[tokio::test]
async fn every_byte_of_an_answer() {
    let (server, _) = server_with(|config| config.headers.push(("X-Own".to_owned(), "yes".to_owned())));
    let headers = [("X-Request-Id", "id-1"), ("Origin", "http://a.b")];
    let answer = exchange(&server, &request("GET /query?q=show+databases", &headers, b"")).await;
    let text = String::from_utf8(answer).expect("text");
    let date = text.lines().find(|line| line.starts_with("Date: ")).expect("a date").to_owned();
    assert_eq!(date.len(), "Date: Sun, 06 Nov 1994 08:49:37 GMT".len());
    expect_test::expect![[r#"
        HTTP/1.1 200 OK
        Content-Type: application/json
        X-Own: yes
        Request-Id: id-1
        X-Request-Id: id-1
        Access-Control-Allow-Origin: http://a.b
        Access-Control-Allow-Methods: DELETE, GET, OPTIONS, POST, PUT, PATCH
        Access-Control-Allow-Headers: Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, User-Agent, X-CSRF-Token, X-HTTP-Method-Override
        Access-Control-Expose-Headers: Date, X-InfluxDB-Version, X-InfluxDB-Build
        X-Influxdb-Build: OSS
        X-Influxdb-Version: 1.12.4
        Date: (now)
        Connection: close
        Content-Length: 101

        {"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["d"]]}]}]}
    "#]]
    .assert_eq(&text.replace(&date, "Date: (now)").replace("\r\n", "\n"));
}
