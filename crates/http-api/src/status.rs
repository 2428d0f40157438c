//! `/ping`, `/status`, `/health`, `/metrics`: whether the server is there and how it is.

use http::StatusCode;
use http::request::Parts;

use crate::api::Api;
use crate::encode::push_json_string;
use crate::request::Fields;
use crate::respond::{self, Answer};
use crate::service::Health;

/// `/ping`: an empty answer, or the version for those who ask for more.
pub(crate) fn ping(api: &Api, head: &Parts) -> Answer {
    api.stats.ping_requests.increment();
    let fields = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
    if matches!(fields.get("verbose"), "" | "0" | "false") {
        return respond::no_content();
    }
    let mut body = b"{\"version\":".to_vec();
    push_json_string(&mut body, &api.config.version);
    body.push(b'}');
    respond::full(StatusCode::OK, "application/json", body)
}

/// `/status`: an old name of `/ping`.
pub(crate) fn status(api: &Api, head: &Parts) -> Answer {
    api.stats.status_requests.increment();
    tracing::debug!(path = head.uri.path(), "deprecated path, use /ping");
    respond::no_content()
}

/// `/health`: whether the node serves, for balancers.
pub(crate) fn health(api: &Api) -> Answer {
    let (status, word, message) = match api.services.status.health() {
        Health::Pass => (StatusCode::OK, "pass", "ready for queries and writes".to_owned()),
        Health::Fail(why) => (StatusCode::SERVICE_UNAVAILABLE, "fail", why),
    };
    let mut body = b"{\"checks\":[],\"message\":".to_vec();
    push_json_string(&mut body, &message);
    body.extend_from_slice(b",\"name\":\"influxdb\",\"status\":");
    push_json_string(&mut body, word);
    body.extend_from_slice(b",\"version\":");
    push_json_string(&mut body, &api.config.version);
    body.push(b'}');
    respond::full(status, "application/json; charset=utf-8", body)
}

/// `/metrics`: everything that is counted, as Prometheus text.
pub(crate) fn metrics(api: &Api) -> Answer {
    respond::full(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", api.services.status.metrics())
}
