//! The admin API of meta nodes on 8091, and the status that data nodes tell on 8088.
//!
//! One request is one operation: it is sent to the node that was named, follows that node to the leader, and ends in time.
//! Method, body and credentials go along to the leader, because a change is refused by everybody else.
//!
//! Not here: what the requests mean and how their answers look; see the program `influxd-ctl`.

use std::time::Duration;

use bytes::Bytes;
use env::Env;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use tls::ClientSettings;
use tokio::time::timeout;

use crate::address::Address;
use crate::client::Credentials;
use crate::connection;
use crate::encode::push_pair;
use crate::error::ClientError;

/// How often one operation is sent on to another node.
const REDIRECTS_MAX: usize = 5;

/// Longest answer: the shards of a large cluster with all their owners.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What tools of the operator call themselves.
const AGENT: &str = "InfluxDB Cluster Client";

/// How long a token is good. It is made anew for each request; this is for clocks that differ.
const TOKEN_SECONDS: u64 = 300;

/// The port of the admin API.
const PORT: u16 = 8091;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// How a client proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Not at all.
    None,
    /// With a password.
    Basic(Credentials),
    /// With a token that the client signs.
    Bearer {
        /// Who asks.
        username: String,
        /// What tokens are signed with; the server has the same.
        secret: String,
    },
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Authorization::None => f.write_str("None"),
            Authorization::Basic(credentials) => f.debug_tuple("Basic").field(credentials).finish(),
            Authorization::Bearer { username, .. } => {
                f.debug_struct("Bearer").field("username", username).finish_non_exhaustive()
            }
        }
    }
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Who asks.
    pub authorization: Authorization,
    /// Whom to believe, where a node has TLS.
    pub tls: ClientSettings,
    /// How long an operation may take from its begin to its end, redirects included.
    pub timeout: Duration,
}

/// An answer that is a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAnswer {
    /// The HTTP status, 200 to 299.
    pub status: u16,
    /// Empty where the status says everything.
    pub body: Bytes,
}

/// Speaks to the admin API of one node. Each request has a connection of its own: between the questions of an operator
/// lies more time than a server keeps one.
#[derive(Debug)]
pub struct AdminClient {
    env: Env,
    address: Address,
    config: AdminConfig,
}

/// One request, as every node on its way gets it.
struct Operation {
    method: Method,
    content: Option<(&'static str, Bytes)>,
}

impl AdminClient {
    /// A client of the node at `host:port`; 8091 where there is no port.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the text is no address.
    pub fn new(env: Env, address: &str, config: AdminConfig) -> Result<AdminClient, ClientError> {
        let address = Address::parse(address, Some(PORT))?;
        Ok(AdminClient { env, address, config })
    }

    /// Asks for a document. `path` begins with a slash and may have parameters.
    ///
    /// # Errors
    /// When there is no answer in time, or another than a success.
    pub async fn get(&self, path: &str) -> Result<AdminAnswer, ClientError> {
        self.run(path, &Operation { method: Method::GET, content: None }).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// As [`AdminClient::get`]. Without an answer the change may have been made.
    pub async fn post_form(&self, path: &str, pairs: &[(&str, &str)]) -> Result<AdminAnswer, ClientError> {
        let mut form = String::new();
        for (name, value) in pairs {
            push_pair(&mut form, name, value);
        }
        self.run(path, &Operation { method: Method::POST, content: Some((FORM, Bytes::from(form))) }).await
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// As [`AdminClient::get`]. Without an answer the change may have been made.
    pub async fn post_json(&self, path: &str, document: String) -> Result<AdminAnswer, ClientError> {
        self.run(path, &Operation { method: Method::POST, content: Some((JSON, Bytes::from(document))) }).await
    }

    /// Sends a text.
    ///
    /// # Errors
    /// As [`AdminClient::get`]. Without an answer the change may have been made.
    pub async fn post_text(&self, path: &str, text: String) -> Result<AdminAnswer, ClientError> {
        self.run(path, &Operation { method: Method::POST, content: Some((TEXT, Bytes::from(text))) }).await
    }

    async fn run(&self, path: &str, operation: &Operation) -> Result<AdminAnswer, ClientError> {
        let following = self.follow(path, operation);
        timeout(self.config.timeout, following).await.unwrap_or(Err(ClientError::TimedOut))
    }

    async fn follow(&self, path: &str, operation: &Operation) -> Result<AdminAnswer, ClientError> {
        let (mut address, mut path) = (self.address.clone(), format!("{}{path}", self.address.path_prefix));
        for _ in 0..=REDIRECTS_MAX {
            match self.ask(&address, &path, operation).await? {
                Reply::Done(answer) => return Ok(answer),
                Reply::Elsewhere(location) => (address, path) = locate(&address, &location)?,
            }
        }
        Err(ClientError::BadAnswer(format!("redirected more than {REDIRECTS_MAX} times, last to {address}{path}")))
    }

    async fn ask(&self, address: &Address, path: &str, operation: &Operation) -> Result<Reply, ClientError> {
        let request = self.request(address, path, operation)?;
        let dialer = connection::dialer(&self.env, address, &self.config.tls)?;
        let mut sender = connection::open(&dialer, address, self.config.timeout).await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        if matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.ok_or_else(|| ClientError::BadAnswer("redirected to nowhere".to_owned()))?;
            return Ok(Reply::Elsewhere(location.to_owned()));
        }
        let body = connection::read_body(response.into_body(), ANSWER_BYTES_MAX).await?;
        if !status.is_success() {
            return Err(connection::refusal(status.as_u16(), String::from_utf8_lossy(&body).into_owned()));
        }
        Ok(Reply::Done(AdminAnswer { status: status.as_u16(), body: Bytes::from(body) }))
    }

    fn request(
        &self,
        address: &Address,
        path: &str,
        operation: &Operation,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut builder = Request::builder()
            .method(operation.method.clone())
            .uri(path)
            .header(HOST, address.authority())
            .header(USER_AGENT, AGENT);
        if let Some(authorization) = self.authorization() {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let mut body = Bytes::new();
        if let Some((content_type, content)) = &operation.content {
            builder = builder.header(CONTENT_TYPE, *content_type);
            body = content.clone();
        }
        let bad = |_| ClientError::BadAnswer(format!("{path:?} cannot be asked for"));
        builder.body(Full::new(body)).map_err(bad)
    }

    fn authorization(&self) -> Option<HeaderValue> {
        match &self.config.authorization {
            Authorization::None => None,
            Authorization::Basic(credentials) => Some(connection::basic(credentials)),
            Authorization::Bearer { username, secret } => {
                let now = u64::try_from(self.env.now().0 / 1_000_000_000).unwrap_or(0);
                let token = credentials::sign(username, secret, now + TOKEN_SECONDS);
                Some(connection::sensitive(&format!("Bearer {token}")))
            }
        }
    }
}

/// What a node did with a request.
enum Reply {
    Done(AdminAnswer),
    Elsewhere(String),
}

/// Where a redirect leads: another node and a path, or another path of the same node.
fn locate(from: &Address, location: &str) -> Result<(Address, String), ClientError> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Ok((from.clone(), location.to_owned()));
    }
    let bad = || ClientError::BadAnswer(format!("redirected to {location:?}, which is no address"));
    let begin = location.find("://").ok_or_else(bad)? + 3;
    let end = location[begin..].find(['/', '?']).map_or(location.len(), |index| begin + index);
    let address = Address::parse(&location[..end], Some(PORT)).map_err(|_| bad())?;
    if from.tls && !address.tls {
        return Err(ClientError::Downgraded(address.to_string()));
    }
    let path = &location[end..];
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((address, format!("{slash}{path}")))
}

#[cfg(test)]
mod tests;
