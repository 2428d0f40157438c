//! Who is let in where, and what the others are told.

use std::sync::atomic::Ordering;

use super::*;

/// A server that asks who calls.
fn guarded(change: impl FnOnce(&mut Config)) -> (Arc<Server>, Arc<Fakes>) {
    let mut config = config();
    change(&mut config);
    let fakes = Arc::new(Fakes::default());
    fakes.guarded.store(true, Ordering::Relaxed);
    let server = Server::new(Env::real(), config, Fakes::services(&fakes)).expect("a good configuration");
    (Arc::new(server), fakes)
}

/// Every path that is routed, a request that it takes, and the status for a user who may do everything.
const ROUTES: [(&str, u16); 20] = [
    ("GET /query?q=show+databases", 200),
    ("POST /query?q=show+databases", 200),
    ("POST /write?db=d", 204),
    ("GET /ping", 204),
    ("HEAD /ping", 204),
    ("GET /status", 204),
    ("GET /health", 200),
    ("GET /metrics", 200),
    ("POST /api/v2/write?bucket=d/x", 204),
    ("POST /api/v2/query", 403),
    ("POST /api/v2/delete", 501),
    ("GET /api/v2/buckets", 501),
    ("GET /api/v2/buckets/x", 501),
    ("GET /api/v2/buckets/x/labels", 405),
    ("GET /api/v2/buckets/x/members", 405),
    ("GET /api/v2/buckets/x/owners", 405),
    ("POST /api/v1/prom/write?db=d", 501),
    ("POST /api/v1/prom/read?db=d", 501),
    ("GET /debug/vars", 200),
    ("GET /debug/requests", 501),
];

const BODY: &[u8] = b"m v=1 1";

/// `admin:admin` and `u:u`.
const ADMIN: (&str, &str) = ("Authorization", "Token admin:admin");
const USER: (&str, &str) = ("Authorization", "Token u:u");

async fn status(server: &Arc<Server>, line: &str, header: Option<(&str, &str)>) -> u16 {
    let headers: Vec<_> = header.into_iter().collect();
    let body = if line.starts_with("POST /write") || line.contains("v2/write") { BODY } else { b"" };
    ask(server, line, &headers, body).await.status
}

#[tokio::test]
async fn every_route_asks_who_calls() {
    let (server, _) = guarded(|_| {});
    let (closed, _) = guarded(|config| {
        config.ping_auth = true;
        config.debug_admin = true;
    });
    for (line, allowed) in ROUTES {
        let alive = ["/ping", "/status", "/health"].iter().any(|path| line.contains(path));
        let bad = Some(("Authorization", "Token admin:wrong"));
        let refused = if alive { allowed } else { 401 };
        assert_eq!(status(&server, line, None).await, refused, "{line} without credentials");
        assert_eq!(status(&server, line, bad).await, refused, "{line} with a wrong password");
        assert_eq!(status(&server, line, Some(ADMIN)).await, allowed, "{line} as administrator");
        assert_eq!(status(&closed, line, None).await, 401, "{line} without credentials, closed");
        assert_eq!(status(&closed, line, bad).await, 401, "{line} with a wrong password, closed");
        assert_eq!(status(&closed, line, Some(ADMIN)).await, allowed, "{line} as administrator, closed");
        let writes = line.contains("/write?") && !line.contains("prom");
        assert_eq!(status(&server, line, Some(USER)).await, if writes { 403 } else { allowed }, "{line} as user");
        let debug = line.contains("/debug");
        let want = if writes || debug { 403 } else { allowed };
        assert_eq!(status(&closed, line, Some(USER)).await, want, "{line} as user, closed");
        // Browsers ask for leave without credentials.
        let options = format!("OPTIONS {}", line.split_once(' ').expect("a path").1);
        assert!([200, 405].contains(&status(&closed, &options, None).await) || debug, "{options}");
    }
}

#[tokio::test]
async fn before_the_first_administrator_nothing_is_open_but_statements() {
    let (server, fakes) = guarded(|config| config.ping_auth = true);
    fakes.new.store(true, Ordering::Relaxed);
    for (line, _) in ROUTES {
        for header in [None, Some(ADMIN)] {
            assert_eq!(status(&server, line, header).await, 403, "{line}");
        }
    }
    assert!(fakes.written.lock().is_empty());
}

#[tokio::test]
async fn who_is_not_known_is_challenged_in_the_format_that_they_read() {
    let (server, fakes) = guarded(|config| config.realm = "Ours".to_owned());
    let answer = ask(&server, "GET /query?q=show+databases", &[], b"").await;
    assert_eq!(answer.text(), "{\"error\":\"unable to parse authentication credentials\"}\n");
    assert_eq!(answer.header("Www-Authenticate"), Some("Basic realm=\"Ours\""));
    assert_eq!(answer.header("X-Influxdb-Error"), None);
    for (line, header, want) in [
        ("GET /query?u=u&p=x&q=x", ADMIN, "authorization failed"),
        ("GET /query?q=x", ("Authorization", "Basic OnB3"), "username required"),
        ("GET /query?q=x", ("Authorization", "Bearer x"), "signature is invalid"),
        ("POST /write", ("Authorization", "Bearer x"), "signature is invalid"),
    ] {
        let answer = ask(&server, line, &[header], b"").await;
        assert_eq!((answer.status, answer.text()), (401, format!("{{\"error\":\"{want}\"}}\n")), "{line}");
    }
    let csv = ask(&server, "GET /query?q=x", &[("Accept", "text/csv")], b"").await;
    assert_eq!(csv.text(), "error\nunable to parse authentication credentials\n");
    let busy = ask(&server, "GET /query?q=x", &[("Authorization", "Token crowd:x")], b"").await;
    assert_eq!((busy.status, busy.header("Retry-After")), (503, Some("1")));
    let flood = ask(&server, "GET /query?q=x", &[("Authorization", "Token flood:x")], b"").await;
    assert_eq!((flood.status, flood.header("Retry-After")), (429, Some("10")));
    assert_eq!(server.stats().values().iter().find(|(name, _)| *name == "authFail"), Some(&("authFail", 7)));
    assert!(fakes.asked.lock().is_none());
}

#[tokio::test]
async fn statements_that_are_refused_are_not_begun() {
    let (server, fakes) = guarded(|_| {});
    for (text, status) in [("forbidden", 403), ("unknown", 503)] {
        let answer = ask(&server, &format!("GET /query?q=select+v+from+{text}"), &[ADMIN], b"").await;
        assert_eq!(answer.status, status);
        assert!(answer.header("X-Influxdb-Error").is_some_and(|text| text.starts_with("error authorizing query: ")));
        assert!(fakes.asked.lock().is_none());
    }
    let token = ("Authorization", "Bearer admin");
    assert_eq!(status(&server, "GET /query?q=select+v+from+m", Some(token)).await, 200);
    let asked = fakes.asked.lock().take().expect("a query");
    assert_eq!(asked.caller, crate::Caller::User("admin".to_owned()));
}
