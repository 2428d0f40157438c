//! Answers in the shapes that clients know.

use axum::body::Body;
use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use meta::Data;
use serde_json::{Value, json};
use stdx::ids::time_uuid;

use crate::identity::format_cluster_id;

/// Most bytes of a message that go into the header `X-InfluxDB-Error`.
const ERROR_HEADER_BYTES_MAX: usize = 1_024;

/// An answer in the making.
pub(super) struct Reply(http::Response<Body>);

impl Reply {
    pub(super) fn text(status: StatusCode, text: &str) -> Reply {
        Reply::new(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Done, and nothing to tell.
    pub(super) fn empty() -> Reply {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Reply(response)
    }

    pub(super) fn json(value: &Value) -> Reply {
        Reply::json_bytes(value.to_string().into_bytes())
    }

    pub(super) fn json_with(status: StatusCode, value: &Value) -> Reply {
        Reply::new(status, "application/json", Bytes::from(value.to_string()))
    }

    pub(super) fn json_bytes(json: Vec<u8>) -> Reply {
        Reply::new(StatusCode::OK, "application/json", Bytes::from(json))
    }

    pub(super) fn bytes(bytes: Bytes) -> Reply {
        Reply::new(StatusCode::OK, "application/octet-stream", bytes)
    }

    pub(super) fn error(status: StatusCode, message: &str) -> Reply {
        Reply::error_with(status, message, &json!({ "error": message }))
    }

    /// A body that is longer than it may be.
    pub(super) fn too_large() -> Reply {
        Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
    }

    /// Nobody whom we know. Clients find the reason in the body alone.
    pub(super) fn unauthorized(message: &str) -> Reply {
        let body = Bytes::from(json!({ "error": message }).to_string());
        let reply = Reply::new(StatusCode::UNAUTHORIZED, "application/json", body);
        reply.header("WWW-Authenticate", "Basic realm=\"InfluxDB\"")
    }

    /// This node is no member of a cluster. A joiner reads the second key.
    pub(super) fn unjoined() -> Reply {
        let message = "not part of a cluster";
        Reply::error_with(StatusCode::SERVICE_UNAVAILABLE, message, &json!({ "error": message, "unjoined": true }))
    }

    /// Who asked is no member of this cluster, by this version of its metadata. It stops taking part when it reads this, so
    /// a bare 404, which any server may answer, would not do.
    pub(super) fn not_member(message: &str, data: &Data, group: u64) -> Reply {
        let body = json!({
            "error": message,
            "notMember": true,
            "clusterID": format_cluster_id(data.cluster_id()),
            "index": data.index().0,
            "maxNodeID": data.node_id_max().0,
            "group": format_cluster_id(group),
        });
        Reply::error_with(StatusCode::NOT_FOUND, message, &body)
    }

    fn error_with(status: StatusCode, message: &str, body: &Value) -> Reply {
        let mut cut = message.len().min(ERROR_HEADER_BYTES_MAX);
        while !message.is_char_boundary(cut) {
            cut -= 1;
        }
        let reply = Reply::new(status, "application/json", Bytes::from(body.to_string()));
        reply.header("X-InfluxDB-Error", &message[..cut])
    }

    fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
        let mut response = http::Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Reply(response)
    }

    /// Sets a header, unless the value holds bytes that no header may have.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Reply {
        let name = HeaderName::try_from(name).expect("our own names are well formed");
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    /// Puts the scheme on a redirect.
    pub(super) fn with_scheme(self, scheme: &str) -> Reply {
        let location = self.0.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        match location.filter(|location| location.starts_with("//")).map(|location| format!("{scheme}:{location}")) {
            Some(location) => self.header("location", &location),
            None => self,
        }
    }

    pub(super) fn into_response(self) -> http::Response<Body> {
        self.0
    }
}

/// The same request at another meta node, which is reached as this one was; see [`Reply::with_scheme`].
pub(super) fn redirect(address: &str, uri: &Uri) -> Reply {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Reply::text(StatusCode::TEMPORARY_REDIRECT, "").header("location", &format!("//{address}{path}"))
}

/// The request's own id, or a fresh one.
pub(super) fn request_id(headers: &HeaderMap, env: &Env) -> String {
    let given = ["Request-Id", "X-Request-Id"].into_iter().find_map(|name| headers.get(name)?.to_str().ok());
    given.map_or_else(|| fresh_id(env), str::to_owned)
}

/// A time-based UUID (version 1) with random bits for the host.
fn fresh_id(env: &Env) -> String {
    let random = env.random_u64();
    time_uuid(env.now().0, random >> 48, random).to_string()
}
