//! Tokens of calls between nodes: short-lived, for one receiver.

use serde_json::{Value, json};

use crate::token::{self, TokenError};

/// What a node says of itself and of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerClaims {
    /// Its cluster; 0 while it is in none.
    pub cluster: u64,
    /// Its number; 0 while it has none.
    pub sender: u64,
    /// `host:port` that it calls. A token that was overheard is of no use elsewhere.
    pub receiver: String,
}

/// A token for one receiver, good before `expires_unix_seconds`.
pub fn sign(claims: &PeerClaims, secret: &str, expires_unix_seconds: u64) -> String {
    // Numbers of 64 bits do not survive JSON everywhere.
    let claims = json!({
        "username": "",
        "exp": expires_unix_seconds,
        "cluster": format!("{:016x}", claims.cluster),
        "from": claims.sender,
        "to": claims.receiver,
    });
    token::encode_hs512(&claims, secret)
}

/// What `token` says, if `secret` signed it as one of a node and it has not ended.
///
/// # Errors
/// When it is not good; one of a user, or one that names no receiver, is malformed.
pub fn verify(token: &str, secret: &str, now_unix_seconds: u64) -> Result<PeerClaims, TokenError> {
    let (claims, rest) = token::verify_all(token, secret, now_unix_seconds)?;
    let text = |name: &str| rest.get(name).and_then(Value::as_str);
    let cluster = text("cluster").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let sender = rest.get("from").and_then(Value::as_u64);
    match (cluster, sender, text("to")) {
        (Some(cluster), Some(sender), Some(receiver)) if claims.username.is_empty() => {
            Ok(PeerClaims { cluster, sender, receiver: receiver.to_owned() })
        }
        _ => Err(TokenError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of the nodes of a test";

    #[test]
    fn tokens_of_nodes_come_back_and_others_do_not_pass() {
        let claims = PeerClaims { cluster: u64::MAX, sender: 7, receiver: "b:8088".to_owned() };
        let token = sign(&claims, SECRET, 100);
        assert_eq!(verify(&token, SECRET, 99), Ok(claims));
        assert_eq!(verify(&token, SECRET, 100), Err(TokenError::Expired));
        assert_eq!(verify(&token, "another secret", 99), Err(TokenError::Signature));
        assert_eq!(verify(&token, "", 99), Err(TokenError::NoSecret));
        // What the admin API takes of nodes and users is no pass for calls between nodes.
        for username in ["", "root"] {
            assert_eq!(verify(&token::sign(username, SECRET, 100), SECRET, 99), Err(TokenError::Malformed));
        }
    }
}
