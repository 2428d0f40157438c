//! A connection to one server: one request at a time, each with an end in time.

use std::time::Duration;

use env::Env;
use tls::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::ber::{SEQUENCE, Whole, whole};
use crate::config::{Security, Server};
use crate::message::{self, Answer, Entry, SIZE_LIMIT, SUCCESS, Search};
use crate::secure::encrypted;

/// Bytes of one answer, unless more is asked for.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bytes of all entries of one search.
const SEARCH_BYTES_MAX: usize = 16 << 20;
/// Entries of one search.
pub(crate) const ENTRIES_MAX: u32 = 1_000;
/// Time for one request and its answer, and for connecting.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that cannot be asked; the text is for operators and has no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// A connection.
pub(crate) struct Connection {
    stream: Stream,
    /// What was read and belongs to later answers.
    buffer: Vec<u8>,
    last_id: u32,
    answer_bytes_max: usize,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
}

impl Connection {
    /// Connects, encrypted as the configuration says.
    pub(crate) async fn open(env: &Env, server: &Server) -> Result<Connection, Unreachable> {
        let address = server.address();
        let opened = timeout(STEP_TIMEOUT, Connection::open_at(env, server, &address)).await;
        let failed = |why: String| Unreachable(format!("{address}: {why}"));
        opened.map_err(|_| failed("no connection in time".to_owned()))?.map_err(|error| failed(error.0))
    }

    async fn open_at(env: &Env, server: &Server, address: &str) -> Result<Connection, Unreachable> {
        let told = |error: std::io::Error| Unreachable(error.to_string());
        let answer_bytes_max = ANSWER_BYTES_MAX;
        let over = |stream: Stream| Connection { stream, buffer: Vec::new(), last_id: 0, answer_bytes_max };
        let mut plain = env.connect(address).await.map_err(told)?;
        match server.security {
            Security::None => Ok(over(plain.into())),
            Security::Ldaps | Security::LdapsInsecure => Ok(over(encrypted(env, server, plain).await?)),
            Security::StartTls | Security::StartTlsInsecure => {
                plain.write_all(&message::start_tls(1)).await.map_err(told)?;
                // What follows in plain text would not be from the server for sure.
                let mut buffer = Vec::new();
                let answer = read_element(&mut plain, &mut buffer, answer_bytes_max).await?;
                if answer != (1, Answer::Done(SUCCESS)) || !buffer.is_empty() {
                    return Err(Unreachable("the server refuses StartTLS".to_owned()));
                }
                Ok(Connection { last_id: 1, ..over(encrypted(env, server, plain).await?) })
            }
        }
    }

    /// Says who asks; answers the result code.
    pub(crate) async fn bind(&mut self, dn: &str, password: &str) -> Result<u32, Unreachable> {
        let id = self.next_id();
        self.send(message::bind(id, dn, password)).await?;
        match self.answer(id).await? {
            Answer::Done(code) => Ok(code),
            _ => Err(Unreachable("an answer to something else".to_owned())),
        }
    }

    /// Takes answers of so many bytes from now on.
    pub(crate) fn take_answers(&mut self, bytes_max: usize) {
        self.answer_bytes_max = bytes_max;
    }

    /// Finds entries. `Err` in the result is the code of a search that failed.
    pub(crate) async fn search(&mut self, search: &Search<'_>) -> Result<Result<Found, u32>, Unreachable> {
        let id = self.next_id();
        self.send(message::search(id, search)).await?;
        let (mut found, mut bytes) = (Found::default(), 0_usize);
        loop {
            match self.answer(id).await? {
                Answer::Entry(_) if found.entries.len() >= ENTRIES_MAX as usize => {
                    return Err(Unreachable("more entries than were asked for".to_owned()));
                }
                Answer::Entry(entry) => {
                    bytes += entry.bytes();
                    if bytes > SEARCH_BYTES_MAX {
                        return Err(Unreachable("an answer that is too long".to_owned()));
                    }
                    found.entries.push(entry);
                }
                Answer::Reference => {}
                // A search that is cut where it was asked to be, or where the server has a limit.
                Answer::Done(code @ (SUCCESS | SIZE_LIMIT)) => {
                    found.is_cut = code == SIZE_LIMIT;
                    return Ok(Ok(found));
                }
                Answer::Done(code) => return Ok(Err(code)),
            }
        }
    }

    /// Says that this is all. Whether it is heard does not matter.
    pub(crate) async fn close(mut self) {
        let id = self.next_id();
        let _ = timeout(STEP_TIMEOUT, self.stream.write_all(&message::unbind(id))).await;
    }

    fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    async fn send(&mut self, request: Vec<u8>) -> Result<(), Unreachable> {
        match timeout(STEP_TIMEOUT, self.stream.write_all(&request)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Unreachable(error.to_string())),
            Err(_) => Err(Unreachable("no answer in time".to_owned())),
        }
    }

    async fn answer(&mut self, wanted: u32) -> Result<Answer, Unreachable> {
        let reading = read_element(&mut self.stream, &mut self.buffer, self.answer_bytes_max);
        let read = timeout(STEP_TIMEOUT, reading).await;
        let (id, answer) = read.map_err(|_| Unreachable("no answer in time".to_owned()))??;
        // Number 0 is what a server says by itself, which is that it closes.
        if id == wanted { Ok(answer) } else { Err(Unreachable("the server ends the connection".to_owned())) }
    }
}

/// Reads one answer of at most `bytes_max`; `buffer` keeps what came behind it.
async fn read_element(
    stream: &mut (impl AsyncReadExt + Unpin),
    buffer: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(u32, Answer), Unreachable> {
    let wrong = |text: &str| Unreachable(text.to_owned());
    loop {
        if buffer.first().is_some_and(|tag| *tag != SEQUENCE) {
            return Err(wrong("an answer that is none of LDAP"));
        }
        match whole(buffer) {
            Whole::Bytes(length) if length > bytes_max => return Err(wrong("an answer that is too long")),
            Whole::Bytes(length) if length <= buffer.len() => {
                let rest = buffer.split_off(length);
                let element = std::mem::replace(buffer, rest);
                return message::read(&element).ok_or_else(|| wrong("an answer that is none of LDAP"));
            }
            Whole::Never => return Err(wrong("an answer that is none of LDAP")),
            Whole::Bytes(_) | Whole::Unknown => {}
        }
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(0) => return Err(wrong("the server closed the connection")),
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
            Err(error) => return Err(Unreachable(error.to_string())),
        }
    }
}
