//! Requests to one server.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use env::Env;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tls::{ClientSettings, Dialer};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::address::Address;
use crate::connection;
use crate::document::Document;
use crate::encode::push_pair;
use crate::error::ClientError;

/// Longest document of an answer; a server sends far shorter ones unless it is asked for enormous chunks.
const DOCUMENT_BYTES_MAX: usize = 1 << 30;

/// Longest answer that is no document: an error, the version.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a client is told.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The server.
    pub address: Address,
    /// Whom to believe, where the server has TLS.
    pub tls: ClientSettings,
    /// Who asks.
    pub credentials: Option<Credentials>,
    /// What the client calls itself.
    pub user_agent: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may think before it answers; `None` for ever, which suits queries.
    pub answer_timeout: Option<Duration>,
}

/// A user and a password, sent in every request.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What a server says about itself. Empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ping {
    /// Its version.
    pub version: String,
    /// Its edition.
    pub build: String,
}

/// Statements to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The statements.
    pub text: String,
    /// The database of statements that name none.
    pub db: String,
    /// The retention policy of sources that name none.
    pub rp: String,
    /// Unit of times; texts when empty.
    pub epoch: String,
    /// Whether the answer comes in many documents.
    pub chunked: bool,
    /// Rows of a document; 0 leaves it to the server.
    pub chunk_size: usize,
    /// Ask only this data node; 0 for all.
    pub node_id: u64,
}

/// Points to store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// The database.
    pub db: String,
    /// The retention policy; empty for the default one.
    pub rp: String,
    /// Unit of times; nanoseconds when empty.
    pub precision: String,
    /// How many owners must have the points; empty leaves it to the server.
    pub consistency: String,
}

/// Speaks to one server. Requests that overlap get connections of their own.
#[derive(Debug)]
pub struct Client {
    dialer: Dialer,
    config: ClientConfig,
    /// The connection of the last request. Guards nothing else, and is not held while a request is under way.
    idle: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// [`ClientError::Tls`] when a file for TLS cannot be used.
    pub fn new(env: Env, config: ClientConfig) -> Result<Client, ClientError> {
        let dialer = connection::dialer(&env, &config.address, &config.tls)?;
        Ok(Client { dialer, config, idle: Mutex::default() })
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.config.address
    }

    #[cfg(test)]
    pub(crate) fn config_for_tests(&self) -> ClientConfig {
        self.config.clone()
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// When it is not, or does not answer as such a server does.
    pub async fn ping(&self) -> Result<Ping, ClientError> {
        let response = self.send(Method::GET, "/ping", "", None, Bytes::new()).await?;
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let ping = Ping { version: header("x-influxdb-version"), build: header("x-influxdb-build") };
        accepted(response).await?;
        Ok(ping)
    }

    /// Runs statements.
    ///
    /// # Errors
    /// When the request fails as a whole. Errors of statements are in the documents.
    pub async fn query(&self, query: &Query) -> Result<Answer, ClientError> {
        let mut form = String::new();
        push_pair(&mut form, "q", &query.text);
        let pairs = [("db", &query.db), ("rp", &query.rp), ("epoch", &query.epoch)];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            push_pair(&mut form, name, value);
        }
        if query.chunked {
            push_pair(&mut form, "chunked", "true");
            if query.chunk_size > 0 {
                push_pair(&mut form, "chunk_size", &query.chunk_size.to_string());
            }
        }
        if query.node_id > 0 {
            push_pair(&mut form, "node_id", &query.node_id.to_string());
        }
        let form_type = Some("application/x-www-form-urlencoded");
        let response = self.send(Method::POST, "/query", "", form_type, Bytes::from(form)).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        Ok(Answer { body: response.into_body(), buffer: BytesMut::new(), ended: false })
    }

    /// Stores points, in line protocol.
    ///
    /// # Errors
    /// When they were not all stored.
    pub async fn write(&self, write: &Write, lines: Bytes) -> Result<(), ClientError> {
        let mut params = String::new();
        push_pair(&mut params, "db", &write.db);
        let pairs = [("rp", &write.rp), ("precision", &write.precision), ("consistency", &write.consistency)];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            push_pair(&mut params, name, value);
        }
        accepted(self.send(Method::POST, "/write", &params, None, lines).await?).await
    }

    /// Sends a request, on the open connection if it still is, and reads the head of the answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        params: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let sending = self.send_unbounded(method, path, params, content_type, body);
        match self.config.answer_timeout {
            None => sending.await,
            Some(limit) => timeout(limit, sending).await.unwrap_or(Err(ClientError::TimedOut)),
        }
    }

    async fn send_unbounded(
        &self,
        method: Method,
        path: &str,
        params: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = self.request(method, path, params, content_type, body)?;
        let open = self.idle.lock().await.take();
        if let Some(mut sender) = open.filter(SendRequest::is_ready) {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    *self.idle.lock().await = Some(sender);
                    return Ok(response);
                }
                // The server closed the connection before it took the request: it may be sent again.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut sender = connection::open(&self.dialer, &self.config.address, self.config.connect_timeout).await?;
        let response = sender.send_request(request).await?;
        *self.idle.lock().await = Some(sender);
        Ok(response)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        params: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let bad = |_| ClientError::BadAnswer("a header cannot be sent".to_owned());
        let address = &self.config.address;
        let separator = if params.is_empty() { "" } else { "?" };
        let mut builder = Request::builder()
            .method(method)
            .uri(format!("{}{path}{separator}{params}", address.path_prefix))
            .header(HOST, address.authority())
            .header(USER_AGENT, &self.config.user_agent);
        if let Some(content_type) = content_type {
            builder = builder.header(CONTENT_TYPE, content_type);
        }
        if let Some(credentials) = &self.config.credentials {
            builder = builder.header(AUTHORIZATION, connection::basic(credentials));
        }
        builder.body(Full::new(body)).map_err(bad)
    }
}

/// Nothing, when the server took the request.
async fn accepted(response: Response<Incoming>) -> Result<(), ClientError> {
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    // Read to its end, so that the connection can be used again.
    read_text(response.into_body()).await?;
    Ok(())
}

/// Why the server did not.
async fn refusal(response: Response<Incoming>) -> ClientError {
    let status = response.status().as_u16();
    let body = match read_text(response.into_body()).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    connection::refusal(status, body)
}

async fn read_text(body: Incoming) -> Result<String, ClientError> {
    let bytes = connection::read_body(body, TEXT_BYTES_MAX).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The documents of an answer as they arrive. Dropping it before the end cancels the query.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    /// Bytes after the last document.
    buffer: BytesMut,
    ended: bool,
}

impl Answer {
    /// The next document, `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks or something else than a document comes.
    pub async fn next(&mut self) -> Result<Option<Document>, ClientError> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let line = self.buffer.split_to(searched + end + 1);
                searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return read_document(&line).map(Some);
            }
            searched = self.buffer.len();
            if self.ended {
                let line = std::mem::take(&mut self.buffer);
                return if line.is_empty() { Ok(None) } else { read_document(&line).map(Some) };
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(frame) => {
                    let Ok(data) = frame?.into_data() else { continue };
                    if self.buffer.len() + data.len() > DOCUMENT_BYTES_MAX {
                        return Err(ClientError::BadAnswer("a document is too long".to_owned()));
                    }
                    self.buffer.extend_from_slice(&data);
                }
            }
        }
    }
}

fn read_document(line: &[u8]) -> Result<Document, ClientError> {
    Document::parse(&String::from_utf8_lossy(line)).map_err(ClientError::BadAnswer)
}
