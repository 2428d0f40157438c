//! From a request to its handler, and what all answers have in common.

use futures_util::FutureExt;
use http::header::{DATE, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use hyper::body::Incoming;

use crate::api::Api;
use crate::encode::time::push_http_date;
use crate::respond::{self, Answer};
use crate::service::Caller;
use crate::{auth, debug, query, status, write};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest `Origin` that is repeated.
const ORIGIN_BYTES_MAX: usize = 1_024;

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Query,
    Write,
    Ping,
    Status,
    Health,
    Metrics,
    V2Write,
    V2Query,
    V2Delete,
    V2Buckets,
    V2Bucket,
    /// Labels, members or owners of a bucket; which.
    V2BucketPart(&'static str),
    PromWrite,
    PromRead,
    DebugVars,
    DebugRequests,
}

impl Route {
    /// The route of a path, and the methods that it takes.
    fn find(path: &str) -> Option<(Route, &'static str)> {
        Some(match path {
            "/query" => (Route::Query, "OPTIONS, GET, POST"),
            "/write" => (Route::Write, "OPTIONS, POST"),
            "/ping" => (Route::Ping, "GET, HEAD"),
            "/status" => (Route::Status, "GET, HEAD"),
            "/health" => (Route::Health, "OPTIONS, GET"),
            "/metrics" => (Route::Metrics, "GET"),
            "/api/v2/write" => (Route::V2Write, "OPTIONS, POST"),
            "/api/v2/query" => (Route::V2Query, "OPTIONS, POST"),
            "/api/v2/delete" => (Route::V2Delete, "POST"),
            "/api/v2/buckets" => (Route::V2Buckets, "GET, POST"),
            "/api/v1/prom/write" => (Route::PromWrite, "POST"),
            "/api/v1/prom/read" => (Route::PromRead, "POST"),
            // These two are not asked for their method.
            "/debug/vars" => (Route::DebugVars, ANY_METHOD),
            "/debug/requests" => (Route::DebugRequests, ANY_METHOD),
            _ => return Route::find_bucket(path.strip_prefix("/api/v2/buckets/")?),
        })
    }

    /// The route below `/api/v2/buckets/`.
    fn find_bucket(rest: &str) -> Option<(Route, &'static str)> {
        let mut segments = rest.split('/');
        let id = segments.next().filter(|id| !id.is_empty());
        let part = segments.next();
        let one_more = segments.next();
        Some(match (id, part, one_more, segments.next()) {
            (Some(_), None, None, None) => (Route::V2Bucket, "GET, PATCH, DELETE"),
            (Some(_), Some("labels"), _, None) => (Route::V2BucketPart("labels"), "GET, POST, DELETE"),
            (Some(_), Some("members"), _, None) => (Route::V2BucketPart("members"), "GET, POST, DELETE"),
            (Some(_), Some("owners"), _, None) => (Route::V2BucketPart("owners"), "GET, POST, DELETE"),
            _ => return None,
        })
    }
}

/// What a route asks of those who call it, where callers are asked who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Nothing, unless the configuration says so: balancers look whether the node is there.
    Liveness,
    /// A user. What they may do, and who makes the first, is decided statement by statement or by database.
    Decided,
    /// Any user.
    User,
    /// Any user, or an administrator if the configuration says so.
    Debug,
}

impl Route {
    /// The one table of endpoints: a route that does not stand here does not compile.
    fn access(self) -> Access {
        match self {
            Route::Query | Route::Write | Route::V2Write => Access::Decided,
            Route::Ping | Route::Status | Route::Health => Access::Liveness,
            Route::Metrics
            | Route::V2Query
            | Route::V2Delete
            | Route::V2Buckets
            | Route::V2Bucket
            | Route::V2BucketPart(_)
            | Route::PromWrite
            | Route::PromRead => Access::User,
            Route::DebugVars | Route::DebugRequests => Access::Debug,
        }
    }
}

/// Stands for a list of methods where none is refused.
const ANY_METHOD: &str = "*";

fn takes(allowed: &str, method: &Method) -> bool {
    allowed == ANY_METHOD || allowed.split(", ").any(|known| known == method.as_str())
}

/// Answers one request.
pub(crate) async fn answer(api: &Api, head: Parts, body: Incoming) -> Answer {
    let routed = Route::find(head.uri.path());
    let mut answer = match routed {
        _ if head.version == Version::HTTP_11 && !head.headers.contains_key(HOST) => {
            respond::closing(respond::plain(StatusCode::BAD_REQUEST, "400 Bad Request: missing required Host header"))
        }
        None => respond::not_found(),
        Some((_, allowed)) if !takes(allowed, &head.method) => respond::method_not_allowed(allowed),
        Some((route, _)) => {
            let common = common_headers(api, route, &head.headers);
            let mut answer = handled(api, route, head, body).await;
            answer.headers_mut().extend(common);
            answer
        }
    };
    let headers = answer.headers_mut();
    headers.insert("x-influxdb-build", api.build.clone());
    headers.insert("x-influxdb-version", api.version.clone());
    let mut date = Vec::with_capacity(32);
    push_http_date(&mut date, api.env.now().0);
    headers.insert(DATE, HeaderValue::from_bytes(&date).expect("a date is ASCII"));
    answer
}

/// What the handler answers; a panic in it concerns this request alone.
async fn handled(api: &Api, route: Route, head: Parts, body: Incoming) -> Answer {
    // A handler shares nothing with others but counters, pools and services, which are whole at every await.
    match std::panic::AssertUnwindSafe(dispatch(api, route, head, body)).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => {
            api.stats.recovered_panics.increment();
            tracing::error!(route = ?route, "request panicked");
            respond::closing(respond::json_error(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"))
        }
    }
}

/// Who calls, if they may call this route at all; else the answer that refuses them.
async fn admit(api: &Api, route: Route, head: &Parts) -> Result<Caller, Box<Answer>> {
    let Some(service) = &api.services.auth else { return Ok(Caller::Anyone) };
    let access = route.access();
    if access == Access::Liveness && !api.config.ping_auth {
        return Ok(Caller::Nobody);
    }
    let caller = auth::authenticate(api, &**service, head).await?;
    let refusal = match (access, &caller) {
        (Access::Decided, _) => return Ok(caller),
        (_, Caller::Nobody) => "create admin user first or disable authentication",
        (Access::Debug, _) if api.config.debug_admin && !service.is_admin(&caller) => "admin privilege required",
        _ => return Ok(caller),
    };
    Err(Box::new(respond::json_error(StatusCode::FORBIDDEN, refusal)))
}

async fn dispatch(api: &Api, route: Route, head: Parts, body: Incoming) -> Answer {
    if head.method == Method::OPTIONS {
        let mut answer = respond::no_content();
        *answer.status_mut() = StatusCode::OK;
        answer.headers_mut().remove(http::header::CONTENT_TYPE);
        return answer;
    }
    let caller = match admit(api, route, &head).await {
        Ok(caller) => caller,
        Err(refusal) => return write::refuse_unread(api, &head, body, *refusal).await,
    };
    match route {
        Route::Query => query::handle(api, head, body, caller).await,
        Route::Write => write::handle(api, head, body, write::Dialect::V1, caller).await,
        Route::V2Write => write::handle(api, head, body, write::Dialect::V2, caller).await,
        Route::Ping => status::ping(api, &head),
        Route::Status => status::status(api, &head),
        Route::Health => status::health(api),
        Route::Metrics => status::metrics(api),
        Route::V2Query => {
            api.stats.flux_query_requests.increment();
            let text =
                "Flux query service disabled. Verify flux-enabled=true in the [http] section of the InfluxDB config.";
            respond::json_error(StatusCode::FORBIDDEN, text)
        }
        Route::V2Delete => respond::not_implemented("delete"),
        Route::V2Buckets | Route::V2Bucket => respond::not_implemented("the buckets API"),
        Route::V2BucketPart(part) => {
            respond::json_error(StatusCode::METHOD_NOT_ALLOWED, &format!("bucket {part} not supported in this version"))
        }
        Route::PromWrite => {
            api.stats.prom_write_requests.increment();
            respond::not_implemented("Prometheus remote write")
        }
        Route::PromRead => {
            api.stats.prom_read_requests.increment();
            respond::not_implemented("Prometheus remote read")
        }
        Route::DebugVars => debug::vars(api).await,
        Route::DebugRequests => respond::not_implemented("counting requests by client"),
    }
}

/// Headers of every answer of a known path: the operator's own, the request's name, and leave for other origins.
fn common_headers(api: &Api, route: Route, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if matches!(route, Route::DebugVars | Route::DebugRequests) {
        return headers;
    }
    headers.extend(api.headers.clone());
    let id = api.ids.id_of(request);
    headers.insert(REQUEST_ID, id.clone());
    headers.insert(X_REQUEST_ID, id);
    let origin = request.get(ORIGIN).filter(|origin| {
        origin.len() <= ORIGIN_BYTES_MAX && origin.as_bytes().iter().all(u8::is_ascii_graphic) && !origin.is_empty()
    });
    if let Some(origin) = origin {
        headers.insert("access-control-allow-origin", origin.clone());
        for (name, value) in CORS {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    headers
}

const CORS: [(&str, &str); 3] = [
    ("access-control-allow-methods", "DELETE, GET, OPTIONS, POST, PUT, PATCH"),
    (
        "access-control-allow-headers",
        "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, User-Agent, X-CSRF-Token, X-HTTP-Method-Override",
    ),
    ("access-control-expose-headers", "Date, X-InfluxDB-Version, X-InfluxDB-Build"),
];

/// The name of the request that an answer carries, for the log.
pub(crate) fn request_id_of(answer: &Answer) -> String {
    answer.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Option<Route> {
        Route::find(path).map(|(route, _)| route)
    }

    #[test]
    fn paths_are_known_exactly() {
        assert_eq!(route("/query"), Some(Route::Query));
        for unknown in
            ["", "/", "/query/", "//query", "/Query", "/debug/pprof/", "/api/v2/buckets/", "/api/v2/buckets//labels"]
        {
            assert_eq!(route(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn buckets_have_parts() {
        assert_eq!(route("/api/v2/buckets"), Some(Route::V2Buckets));
        assert_eq!(route("/api/v2/buckets/db%2Frp"), Some(Route::V2Bucket));
        assert_eq!(route("/api/v2/buckets/x/labels"), Some(Route::V2BucketPart("labels")));
        assert_eq!(route("/api/v2/buckets/x/members/y"), Some(Route::V2BucketPart("members")));
        assert_eq!(route("/api/v2/buckets/x/owners/y/z"), None);
        assert_eq!(route("/api/v2/buckets/x/other"), None);
    }

    #[test]
    fn methods_are_matched_by_their_whole_name() {
        assert!(takes("OPTIONS, POST", &Method::POST));
        assert!(!takes("OPTIONS, POST", &Method::GET));
        assert!(!takes("OPTIONS, POST", &Method::from_bytes(b"POS").expect("a method")));
        assert!(takes(ANY_METHOD, &Method::PUT));
    }
}
