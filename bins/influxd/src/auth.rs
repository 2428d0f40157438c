//! Who sends requests to the client API: passwords and tokens against this node's copy of the metadata.

use std::net::IpAddr;
use std::sync::Arc;

use cluster::Asker;
use credentials::Secret;
use credentials::{TokenError, token};
use env::Env;
use http_api::{AuthFailure, AuthService, Caller, Credentials, Pending};
use login::{Directory, Identity, Known, LoginError, Logins};
use meta_client::MetaClient;

/// Looks users up in the metadata.
#[derive(Debug)]
pub struct Users {
    /// Tells the time.
    pub env: Env,
    /// Where users are.
    pub meta: Arc<MetaClient>,
    /// Checks their passwords.
    pub logins: Arc<Logins>,
    /// What tokens of users are signed with.
    pub secret: Secret,
}

impl AuthService for Users {
    fn authenticate(
        &self,
        credentials: Option<Credentials>,
        source: Option<IpAddr>,
    ) -> Pending<'_, Result<Caller, AuthFailure>> {
        Box::pin(async move {
            let data = self.meta.data();
            if !self.logins.uses_directory(&data) && !data.users().iter().any(|user| user.admin) {
                return Ok(Caller::Nobody);
            }
            match credentials {
                None => Err(AuthFailure::NoCredentials),
                Some(Credentials::Password { user, .. }) if user.is_empty() => Err(AuthFailure::NoUsername),
                Some(Credentials::Password { user, password }) => {
                    let known = self.logins.identify(&data, &user, &password, source).await;
                    known.map(caller).map_err(|error| failure(error, "authorization failed"))
                }
                Some(Credentials::Token(token)) => {
                    let name = self.username(&token).map_err(AuthFailure::Refused)?;
                    let known = self.logins.find(&data, &name).await;
                    known.map(caller).map_err(|error| failure(error, "user not found"))
                }
            }
        })
    }

    fn is_admin(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Anyone => true,
            Caller::Nobody => false,
            Caller::User(name) => self.meta.data().user(name).is_some_and(|user| user.admin),
            Caller::Directory { admin, .. } => *admin,
        }
    }
}

impl Users {
    /// The name in a token, or what the client is told.
    fn username(&self, token: &str) -> Result<String, String> {
        let now = u64::try_from(self.env.now().0 / 1_000_000_000).unwrap_or(0);
        let claims = token::verify(token, self.secret.as_str(), now).map_err(|error| refusal(&error, token))?;
        match claims.username.is_empty() {
            true => Err("token must contain a username".to_owned()),
            false => Ok(claims.username),
        }
    }
}

fn caller(identity: Identity) -> Caller {
    match identity {
        Identity::User(user) => Caller::User(user.name.clone()),
        Identity::Directory(Known { name, admin, roles }) => Caller::Directory { name, admin, roles },
    }
}

fn failure(error: LoginError, wrong: &str) -> AuthFailure {
    match error {
        LoginError::Wrong => AuthFailure::Refused(wrong.to_owned()),
        LoginError::Busy => AuthFailure::Busy,
        LoginError::TooMany => AuthFailure::TooMany,
        LoginError::NoDirectory => AuthFailure::NoDirectory,
    }
}

/// Asks directories of users, if this program was built so.
pub(crate) fn directory(env: &Env) -> Option<Arc<dyn Directory>> {
    #[cfg(feature = "ldap")]
    return Some(Arc::new(ldap::LdapDirectory::new(env.clone())));
    #[cfg(not(feature = "ldap"))]
    {
        let _ = env;
        None
    }
}

/// What clients of InfluxDB know of a token that is not good.
fn refusal(error: &TokenError, token: &str) -> String {
    let known = match error {
        TokenError::NoSecret | TokenError::Signature | TokenError::Username => return error.to_string(),
        TokenError::Malformed if token.split('.').count() != 3 => "token contains an invalid number of segments",
        TokenError::Malformed | TokenError::TooLong | TokenError::Time("nbf") => "invalid token",
        TokenError::Method => "unexpected signing method",
        TokenError::Time(_) => "token expiration required",
        TokenError::Expired => "Token is expired",
        TokenError::NotYet => "Token is not valid yet",
    };
    known.to_owned()
}

/// A caller as statements know them.
pub(crate) fn asker(caller: Caller) -> Asker {
    match caller {
        Caller::Anyone => Asker::Anyone,
        Caller::Nobody => Asker::Nobody,
        Caller::User(name) => Asker::User(name),
        Caller::Directory { name, admin, roles } => Asker::Directory { name, admin, roles },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_are_not_good_are_told_in_known_words() {
        let secret = "a secret of some length";
        let good = token::sign("u", secret, 100);
        let told = |token: &str, secret: &str, now| match token::verify(token, secret, now) {
            Ok(claims) => format!("user {}", claims.username),
            Err(error) => refusal(&error, token),
        };
        assert_eq!(told(&good, secret, 99), "user u");
        assert_eq!(told(&good, secret, 100), "Token is expired");
        assert_eq!(told(&good, "", 99), "bearer auth disabled");
        assert_eq!(told(&good, "another", 99), "signature is invalid");
        assert_eq!(told("x", secret, 99), "token contains an invalid number of segments");
        assert_eq!(told("x.y", secret, 99), "token contains an invalid number of segments");
        assert_eq!(told("a.b.c", secret, 99), "invalid token");
        assert_eq!(told("eyJhbGciOiJub25lIn0.e30.", secret, 99), "unexpected signing method");
        assert_eq!(refusal(&TokenError::Time("exp"), ""), "token expiration required");
    }
}
