//! Who may ask on 8091, where `[meta] auth-enabled` says that it matters, and for what.
//!
//! Nodes show a token of no user that the secret of the cluster signs; they are trusted with everything. Users show a
//! token that the other secret signs, or their password. What an endpoint asks of users stands in one table, [`demand`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credentials::{TokenError, token};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Uri};
use login::{Identity, LoginError};
use meta::{Data, Permission, Permissions, Rights, Who};
use stdx::form::Fields;

use super::Admin;

/// What an endpoint asks of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Nothing, not even who it is.
    Open,
    /// To be one.
    AnyUser,
    /// One of these permissions for the cluster. The first in order of the list is the one that is told.
    OneOf(&'static [Permission]),
}

/// The table of endpoints. What stands here without being served is here for when it is.
fn demand(method: &str, path: &str) -> Demand {
    use Permission::{AddRemoveNode, CopyShard, CreateUserAndRole, ManageShard, Monitor, Rebalance};
    match (method, path) {
        ("GET", "/ping") => Demand::Open,
        ("GET", "/status" | "/peers" | "/show-cluster" | "/authorized") => Demand::AnyUser,
        ("GET", "/show-shards" | "/copy-shard-status") => Demand::OneOf(&[ManageShard, Rebalance, CopyShard]),
        (
            _,
            "/join" | "/bring" | "/leave" | "/remove" | "/enter" | "/announce" | "/add-data" | "/remove-data"
            | "/update-data" | "/node-labels" | "/lease",
        ) => Demand::OneOf(&[AddRemoveNode]),
        (_, "/copy-shard" | "/kill-copy-shard") => Demand::OneOf(&[CopyShard, ManageShard]),
        (_, "/remove-shard" | "/truncate-shards") => Demand::OneOf(&[ManageShard, Rebalance]),
        (_, "/repair" | "/cancel-repair") => Demand::OneOf(&[ManageShard]),
        // These show or change who may do what: whoever may ask for them may have everything.
        (_, "/" | "/user" | "/role" | "/ldap/v1/config" | "/execute" | "/restore-meta") => {
            Demand::OneOf(&[CreateUserAndRole])
        }
        (_, path) if path.starts_with("/influxdb/v2/acl/") || path.starts_with("/ldap/") => {
            Demand::OneOf(&[CreateUserAndRole])
        }
        (_, path) if path.starts_with("/debug/") => Demand::OneOf(&[Monitor]),
        // Where there is nothing, users are told so; whatever is posted somewhere else changes something.
        ("GET", _) => Demand::AnyUser,
        _ => Demand::OneOf(&[CreateUserAndRole]),
    }
}

/// Why somebody is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody whom we know.
    #[error("{0}")]
    Unknown(String),
    /// Somebody who may not.
    #[error("user {user} lacks permission {permission}")]
    Lacks {
        /// Who.
        user: String,
        /// What would have been enough.
        permission: Permission,
    },
    /// There is nobody yet who could prove anything, but for nodes.
    #[error("must create admin user first")]
    NoAdmin,
    /// Too many proved nothing that came from there.
    #[error("{0}")]
    TooMany(String),
    /// Whether it is somebody cannot be told now.
    #[error("{0}")]
    Later(String),
}

impl From<LoginError> for Refusal {
    fn from(error: LoginError) -> Refusal {
        match error {
            LoginError::Wrong => Refusal::Unknown(error.to_string()),
            LoginError::TooMany => Refusal::TooMany(error.to_string()),
            LoginError::Busy | LoginError::NoDirectory => Refusal::Later(error.to_string()),
        }
    }
}

/// Who asks.
enum Visitor {
    /// A node of the cluster.
    Node,
    /// A user, and what they may do.
    User(Rights),
}

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
    pub(super) async fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let demand = demand(parts.method.as_str(), parts.uri.path());
        if !self.config.auth_enabled || demand == Demand::Open {
            return Ok(());
        }
        let rights = match self.visitor(parts).await? {
            Visitor::Node => return Ok(()),
            Visitor::User(rights) => rights,
        };
        match demand {
            Demand::OneOf(list) if !rights.has("", Permissions::of(list)) => {
                Err(Refusal::Lacks { user: rights.name, permission: list[0] })
            }
            _ => Ok(()),
        }
    }

    async fn visitor(&self, parts: &Parts) -> Result<Visitor, Refusal> {
        let data = self.node.data();
        let shown = shown(&parts.uri, &parts.headers);
        if matches!(shown, Some(Shown::User(..))) && self.is_without_admin(&data) {
            return Err(Refusal::NoAdmin);
        }
        match shown {
            None => Err(Refusal::Unknown("unable to parse authentication credentials".to_owned())),
            Some(Shown::User(name, _)) if name.is_empty() => Err(Refusal::Unknown("username required".to_owned())),
            Some(Shown::User(name, password)) => {
                // The address is not known here: the limit of logins at a time holds.
                let identity = self.logins.identify(&data, &name, &password, None).await?;
                rights(&data, &identity).map(Visitor::User).ok_or_else(|| LoginError::Wrong.into())
            }
            Some(Shown::Token(bearer)) => self.check_token(&bearer).await,
        }
    }

    /// Whether no user can be somebody yet. A directory has administrators of its own.
    fn is_without_admin(&self, data: &Data) -> bool {
        !data.users().iter().any(|user| user.admin) && data.directory().is_none()
    }

    async fn check_token(&self, bearer: &str) -> Result<Visitor, Refusal> {
        let auth = &self.node.config().auth;
        let as_node = auth.check_bearer(bearer);
        let why = match as_node {
            Ok(()) => return Ok(Visitor::Node),
            Err(why) => why,
        };
        let data = self.node.data();
        let names_user = token::claimed_username(bearer).is_some_and(|name| !name.is_empty());
        if names_user && self.is_without_admin(&data) {
            return Err(Refusal::NoAdmin);
        }
        if self.config.shared_secret.is_empty() {
            return Err(Refusal::Unknown(if names_user { TokenError::NoSecret.to_string() } else { why }));
        }
        let now = u64::try_from(self.node.0.env.now().0 / 1_000_000_000).unwrap_or(0);
        let claims = token::verify(bearer, self.config.shared_secret.as_str(), now);
        let claims = claims.map_err(|error| Refusal::Unknown(error.to_string()))?;
        if claims.username.is_empty() {
            // Of a node, and not signed with the secret of nodes.
            return Err(Refusal::Unknown("signature is invalid".to_owned()));
        }
        let rights = match self.logins.find(&data, &claims.username).await {
            Ok(identity) => rights(&data, &identity),
            Err(LoginError::Wrong) => None,
            Err(error) => return Err(error.into()),
        };
        rights.map(Visitor::User).ok_or_else(|| Refusal::Unknown("user not found".to_owned()))
    }
}

fn rights(data: &Data, identity: &Identity) -> Option<Rights> {
    data.rights(match identity {
        Identity::User(user) => Who::User(&user.name),
        Identity::Directory(known) => Who::Directory { name: &known.name, admin: known.admin, roles: &known.roles },
    })
}

/// Whom a request says to come from, whether that is so or not; empty for nobody, and for a node.
pub(super) fn claimed_name(uri: &Uri, headers: &HeaderMap) -> String {
    match shown(uri, headers) {
        Some(Shown::User(name, _)) => name,
        Some(Shown::Token(bearer)) => token::claimed_username(&bearer).unwrap_or_default(),
        None => String::new(),
    }
}

/// The first that is there of: `u` and `p` in the URL, `Bearer`, `Token user:password`, `Basic`.
fn shown(uri: &Uri, headers: &HeaderMap) -> Option<Shown> {
    let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes());
    if !fields.get("u").is_empty() || !fields.get("p").is_empty() {
        return Some(Shown::User(fields.get("u").to_owned(), fields.get("p").to_owned()));
    }
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
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

    #[test]
    fn what_an_endpoint_asks_of_users() {
        use Permission::{AddRemoveNode, CopyShard, CreateUserAndRole, ManageShard, Monitor};
        let first = |line: &str| {
            let (method, path) = line.split_once(' ').expect("method and path");
            match demand(method, path) {
                Demand::Open => "open".to_owned(),
                Demand::AnyUser => "user".to_owned(),
                Demand::OneOf(list) => list[0].to_string(),
            }
        };
        assert_eq!(first("GET /ping"), "open");
        assert_ne!(first("POST /ping"), "open");
        for path in ["/status", "/peers", "/show-cluster", "/authorized", "/what"] {
            assert_eq!(first(&format!("GET {path}")), "user", "{path}");
        }
        let members = "join leave remove enter announce add-data remove-data update-data node-labels";
        let rights = "user role execute restore-meta ldap/v1/config influxdb/v2/acl/restrictions what";
        for (paths, want) in [
            (members, AddRemoveNode),
            (rights, CreateUserAndRole),
            ("copy-shard kill-copy-shard", CopyShard),
            ("remove-shard truncate-shards repair cancel-repair", ManageShard),
            ("debug/pprof", Monitor),
        ] {
            for path in paths.split_whitespace() {
                assert_eq!(first(&format!("POST /{path}")), want.to_string(), "{path}");
            }
        }
        for (path, want) in [
            ("", CreateUserAndRole),
            ("user", CreateUserAndRole),
            ("role", CreateUserAndRole),
            ("ldap/v1/config", CreateUserAndRole),
            ("influxdb/v2/acl/grants", CreateUserAndRole),
            ("lease", AddRemoveNode),
            ("show-shards", ManageShard),
            ("debug/pprof", Monitor),
        ] {
            assert_eq!(first(&format!("GET /{path}")), want.to_string(), "{path}");
        }
        assert_eq!(first("DELETE /influxdb/v2/acl/grants/1"), "CreateUserAndRole");
    }

    fn of(uri: &str, authorization: &str) -> Option<Shown> {
        let request = http::Request::get(uri).header(AUTHORIZATION, authorization).body(()).expect("a request");
        shown(request.uri(), request.headers())
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
