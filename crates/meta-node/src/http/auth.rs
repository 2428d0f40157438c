//! Who may ask on 8091, where `[meta] auth-enabled` says that it matters.
//!
//! Nodes show a token of no user that the secret of the cluster signs; they are trusted with everything. Users show a
//! token that the other secret signs, or their password; they must be administrators.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credentials::token;
use http::header::AUTHORIZATION;
use http::request::Parts;
use stdx::form::Fields;

use super::Admin;

/// The only path that anybody may ask for.
const OPEN: &str = "/ping";

/// What a request shows.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
enum Shown {
    Token(String),
    /// A user with a password.
    User(String, String),
}

impl Admin {
    /// Whether who asks may.
    ///
    /// # Errors
    /// Why not, in the words that clients are told.
    pub(super) async fn check(&self, parts: &Parts) -> Result<(), String> {
        if !self.config.auth_enabled || parts.uri.path() == OPEN {
            return Ok(());
        }
        match shown(parts) {
            None => Err("unable to parse authentication credentials".to_owned()),
            Some(Shown::User(name, _)) if name.is_empty() => Err("username required".to_owned()),
            Some(Shown::User(name, password)) => {
                let data = self.node.data();
                let user = self.logins.check(&data, &name, &password).await.map_err(|error| error.to_string())?;
                if user.admin { Ok(()) } else { Err("authorization failed".to_owned()) }
            }
            Some(Shown::Token(bearer)) => self.check_token(&bearer),
        }
    }

    fn check_token(&self, bearer: &str) -> Result<(), String> {
        let auth = &self.node.config().auth;
        let as_node = auth.check_bearer(bearer);
        if as_node.is_ok() || self.config.shared_secret.is_empty() {
            return as_node;
        }
        let now = u64::try_from(self.node.0.env.now().0 / 1_000_000_000).unwrap_or(0);
        let claims =
            token::verify(bearer, self.config.shared_secret.as_str(), now).map_err(|error| error.to_string())?;
        if claims.username.is_empty() {
            // Of a node, and not signed with the secret of nodes.
            return Err("signature is invalid".to_owned());
        }
        let data = self.node.data();
        let user = data.user(&claims.username).ok_or_else(|| "user not found".to_owned())?;
        if user.admin { Ok(()) } else { Err("authorization failed".to_owned()) }
    }
}

/// The first that is there of: `u` and `p` in the URL, `Bearer`, `Token user:password`, `Basic`.
fn shown(parts: &Parts) -> Option<Shown> {
    let fields = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
    if !fields.get("u").is_empty() || !fields.get("p").is_empty() {
        return Some(Shown::User(fields.get("u").to_owned(), fields.get("p").to_owned()));
    }
    let text = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let user = |pair: &str| {
        let (name, password) = pair.split_once(':')?;
        Some(Shown::User(name.to_owned(), password.to_owned()))
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(Shown::Token(rest.trim().to_owned())),
        "token" => user(rest),
        "basic" => user(&String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, authorization: &str) -> Option<Shown> {
        let request = http::Request::get(uri).header(AUTHORIZATION, authorization).body(()).expect("a request");
        shown(&request.into_parts().0)
    }

    #[test]
    fn credentials_come_in_four_forms() {
        let user = |name: &str| Some(Shown::User(name.to_owned(), "b".to_owned()));
        assert_eq!(of("/x?u=a&p=b", "Bearer t"), user("a"), "the URL counts first");
        assert_eq!(of("/x", "bearer t"), Some(Shown::Token("t".to_owned())));
        assert_eq!(of("/x", "Token a:b"), user("a"));
        assert_eq!(of("/x", "Basic YTpi"), user("a"));
        assert_eq!(of("/x?p=b", "Basic YTpi"), user(""), "a password without a name");
        for none in ["Digest x", "Bearer", "Basic %%%", "Token a", ""] {
            assert_eq!(of("/x", none), None, "{none}");
        }
    }
}
