//! A server for tests: it answers by what a request contains, and keeps what it hears.

use api_client::Address;
use env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// What is looked for in a request (its first line and body), the status, and the body of the answer. The first that
/// fits counts; nothing is 204.
pub(crate) type Answers = &'static [(&'static str, u16, &'static str)];

/// Starts a server; each request arrives at the receiver as its first line and body.
pub(crate) async fn server(answers: Answers) -> (Address, mpsc::UnboundedReceiver<String>) {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0").await.expect("a port");
    let address = Address::parse(&listener.local_addr().expect("an address").to_string(), None).expect("an address");
    let (heard, hear) = mpsc::unbounded_channel();
    let spawner = env.clone();
    env.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heard = heard.clone();
            spawner.spawn(async move {
                while let Some(request) = read_request(&mut stream).await {
                    let answer = answers.iter().find(|(needle, ..)| request.contains(needle));
                    let (_, status, body) = answer.copied().unwrap_or(("", 204, ""));
                    let _ = heard.send(request);
                    let length =
                        if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                    let head = format!("HTTP/1.1 {status} X\r\nX-Influxdb-Version: 1.12.4\r\n{length}\r\n");
                    if stream.write_all((head + body).as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, hear)
}

async fn read_request(stream: &mut env::Stream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head is text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    stream.read_exact(&mut body).await.ok()?;
    let first = head.lines().next().expect("a line");
    Some(format!("{first} {}", String::from_utf8_lossy(&body)))
}

/// All requests that were heard so far.
pub(crate) fn heard(receiver: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}
