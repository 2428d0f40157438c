//! Who sent a request. The one place where credentials are read.
//!
//! The first of these counts, and no other: the parameters `u` and `p` of the URL when neither is empty, then the header
//! `Authorization` with `Bearer`, `Token` or `Basic`. What they prove is for the [`AuthService`] to say.
//!
//! Not here: what a caller may do. The router asks it by route, statements and writes by their services.
//!
//! [`AuthService`]: crate::service::AuthService

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use crate::accept::Wanted;
use crate::api::Api;
use crate::request::Fields;
use crate::respond::{self, Answer};
use crate::service::{AuthFailure, AuthService, Caller, Credentials};

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source(pub(crate) Option<IpAddr>);

/// Tells who sent a request, or the answer that refuses it.
pub(crate) async fn authenticate(api: &Api, service: &dyn AuthService, head: &Parts) -> Result<Caller, Box<Answer>> {
    let fields = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
    let source = head.extensions.get::<Source>().and_then(|source| source.0);
    let failure = match service.authenticate(credentials(head, &fields), source).await {
        Ok(caller) => return Ok(caller),
        Err(failure) => failure,
    };
    let (wanted, text) = (Wanted::of(&head.headers, fields.is_true("pretty")), failure.to_string());
    Err(Box::new(match failure {
        AuthFailure::Busy | AuthFailure::NoDirectory => {
            respond::retry_after(respond::error(wanted, StatusCode::SERVICE_UNAVAILABLE, &text), 1)
        }
        AuthFailure::TooMany => {
            api.stats.auth_fail.increment();
            respond::retry_after(respond::error(wanted, StatusCode::TOO_MANY_REQUESTS, &text), 10)
        }
        AuthFailure::NoCredentials | AuthFailure::NoUsername | AuthFailure::Refused(_) => {
            api.stats.auth_fail.increment();
            let mut answer = respond::error(wanted, StatusCode::UNAUTHORIZED, &text);
            answer.headers_mut().insert(WWW_AUTHENTICATE, api.challenge.clone());
            answer
        }
    }))
}

/// What a client without credentials is asked for.
pub(crate) fn challenge(realm: &str) -> Option<HeaderValue> {
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_str(&format!("Basic realm=\"{quoted}\"")).ok()
}

/// The credentials of a request.
fn credentials(head: &Parts, fields: &Fields) -> Option<Credentials> {
    let (user, password) = (fields.get("u"), fields.get("p"));
    if !user.is_empty() && !password.is_empty() {
        return Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() });
    }
    let (scheme, rest) = head.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if rest.is_empty() {
        return None;
    }
    let pair = match scheme {
        "Bearer" => return Some(Credentials::Token(rest.to_owned())),
        "Token" => rest.to_owned(),
        scheme if scheme.eq_ignore_ascii_case("basic") => String::from_utf8(STANDARD.decode(rest).ok()?).ok()?,
        _ => return None,
    };
    let (user, password) = pair.split_once(':')?;
    Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(uri: &str, authorization: &str) -> String {
        let mut request = Request::get(uri);
        if !authorization.is_empty() {
            request = request.header(AUTHORIZATION, authorization);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let fields = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
        match credentials(&head, &fields) {
            Some(Credentials::Password { user, password }) => format!("{user} {password}"),
            Some(Credentials::Token(token)) => format!("token {token}"),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn the_first_credentials_count() {
        let basic = "Basic YWRtaW46cHc=";
        for (uri, authorization, want) in [
            ("/query?u=a&p=b", "", "a b"),
            ("/query?u=a&p=b", basic, "a b"),
            ("/query?u=a", basic, "admin pw"),
            ("/query?u=a&p=", basic, "admin pw"),
            ("/query?u=&p=b", basic, "admin pw"),
            ("/query?u=a&p=", "", "none"),
            ("/query", "basic YWRtaW46cHc=", "admin pw"),
            ("/query", "Basic YWRtaW46", "admin "),
            ("/query", "Basic OnB3", " pw"),
            ("/query", "Basic YWRtaW4=", "none"),
            ("/query", "Basic !!!", "none"),
            ("/query", "Basic /w==", "none"),
            ("/query", "Basic", "none"),
            ("/query", "Token a:b:c", "a b:c"),
            ("/query", "Token a", "none"),
            ("/query", "token a:b", "none"),
            ("/query", "Bearer x.y.z", "token x.y.z"),
            ("/query", "bearer x.y.z", "none"),
            ("/query", "Bearer ", "none"),
            ("/query", "Digest x", "none"),
            ("/query", "", "none"),
        ] {
            assert_eq!(read(uri, authorization), want, "{uri} {authorization}");
        }
    }

    #[test]
    fn a_realm_may_have_quotes() {
        assert_eq!(challenge("In\"flux\\").expect("text"), "Basic realm=\"In\\\"flux\\\\\"");
        assert_eq!(challenge("a\nb"), None);
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let all = [
            Credentials::Password { user: "u".to_owned(), password: "s3cret".to_owned() },
            Credentials::Token("s3cret".to_owned()),
        ];
        assert!(!format!("{all:?}").contains("s3cret"));
    }
}
