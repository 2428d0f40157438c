//! JSON Web Tokens with HMAC.
//!
//! A token names a user and ends at a second. Tokens between nodes name the empty user. Signed are those with SHA-512;
//! accepted are SHA-256 and SHA-384 as well, which other tools sign with. The library computes and compares signatures; header
//! and claims are read here, because the library looks at the clock and passes over names that stand twice.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::Value;

/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// Hashes that are accepted. Others, asymmetric ones and none at all are not: who knows a public key must not be able to
/// sign with it.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// What a token says that proved to be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who asks; empty for a node.
    pub username: String,
    /// The second since the Unix epoch at which the token ends.
    pub expires_unix_seconds: u64,
}

/// Why a token is not good. The texts go to clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// This side has no secret: an operator must set one before tokens can be used.
    #[error("bearer auth disabled")]
    NoSecret,

    /// It is longer than [`TOKEN_BYTES_MAX`].
    #[error("token is too long")]
    TooLong,

    /// It is no token: not three parts in base64 of JSON objects, or a name stands in one of them twice.
    #[error("token is malformed")]
    Malformed,

    /// It is signed in a way that is not accepted, or demands something that we do not know.
    #[error("signing method is not accepted")]
    Method,

    /// It was signed with another secret, or changed afterwards.
    #[error("signature is invalid")]
    Signature,

    /// `username` is missing or no text.
    #[error("username in token must be a string")]
    Username,

    /// A time is no number of seconds, or the token has no end.
    #[error("{0} in token must be a number of seconds")]
    Time(&'static str),

    /// Its end has come: the client makes a new one.
    #[error("token is expired")]
    Expired,

    /// It begins later.
    #[error("token is not valid yet")]
    NotYet,
}

/// A token for `username`, good before `expires_unix_seconds`.
pub fn sign(username: &str, secret: &str, expires_unix_seconds: u64) -> String {
    let claims = serde_json::json!({ "username": username, "exp": expires_unix_seconds });
    encode_hs512(&claims, secret)
}

/// Whom `token` says to come from, whoever made it: for the words of a refusal, and for nothing else.
pub fn claimed_username(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1).filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
    match Object::decode(claims).ok()?.0.get("username")? {
        Value::String(name) => Some(name.clone()),
        _ => None,
    }
}

pub(crate) fn encode_hs512(claims: &Value, secret: &str) -> String {
    encode(Algorithm::HS512, claims, secret)
}

fn encode(algorithm: Algorithm, claims: &impl Serialize, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("HMAC takes any key and the claims are JSON")
}

/// A token with these claims, whatever they are, and a good signature.
pub(crate) fn around(claims: &[u8], secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS512"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS512).expect("HMAC takes any key");
    format!("{message}.{signature}")
}

/// What `token` says, if `secret` signed it and it has not ended.
///
/// # Errors
/// When it is not good; see [`TokenError`].
pub fn verify(token: &str, secret: &str, now_unix_seconds: u64) -> Result<Claims, TokenError> {
    verify_all(token, secret, now_unix_seconds).map(|(claims, _)| claims)
}

/// As [`verify`], with everything that the token says.
pub(crate) fn verify_all(
    token: &str,
    secret: &str,
    now_unix_seconds: u64,
) -> Result<(Claims, BTreeMap<String, Value>), TokenError> {
    if secret.is_empty() {
        return Err(TokenError::NoSecret);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
    let algorithm = read_header(&Object::decode(header)?.0)?;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let is_ours = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm);
    if !is_ours.map_err(|_| TokenError::Malformed)? {
        return Err(TokenError::Signature);
    }
    let all = Object::decode(claims)?.0;
    Ok((read_claims(&all, now_unix_seconds)?, all))
}

/// How the token is signed. Keys that a header may bring along are not looked at.
fn read_header(header: &BTreeMap<String, Value>) -> Result<Algorithm, TokenError> {
    // What `crit` names must be understood, and we understand nothing.
    if header.contains_key("crit") {
        return Err(TokenError::Method);
    }
    let name = header.get("alg").and_then(Value::as_str).ok_or(TokenError::Method)?;
    let algorithm: Algorithm = name.parse().map_err(|_| TokenError::Method)?;
    if ALGORITHMS.contains(&algorithm) { Ok(algorithm) } else { Err(TokenError::Method) }
}

fn read_claims(claims: &BTreeMap<String, Value>, now: u64) -> Result<Claims, TokenError> {
    let Some(Value::String(username)) = claims.get("username") else {
        return Err(TokenError::Username);
    };
    let expires = claims.get("exp").and_then(seconds).ok_or(TokenError::Time("exp"))?;
    if now >= expires {
        return Err(TokenError::Expired);
    }
    if let Some(begin) = claims.get("nbf") {
        let begin = seconds(begin).ok_or(TokenError::Time("nbf"))?;
        if now < begin {
            return Err(TokenError::NotYet);
        }
    }
    Ok(Claims { username: username.clone(), expires_unix_seconds: expires })
}

/// A number of seconds, which some tools write with a point. Fractions are cut, so that a token rather ends early.
fn seconds(value: &Value) -> Option<u64> {
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    let number = value.as_f64().filter(|number| (0.0..9.0e15).contains(number))?;
    Some(number as u64)
}

/// A JSON object. Two values under one name are an error: who checks one and who uses the other may not be the same.
#[derive(Debug)]
struct Object(BTreeMap<String, Value>);

impl Object {
    /// Reads a part of a token.
    fn decode(part: &str) -> Result<Object, TokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
        serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut values = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if values.insert(name, value).is_some() {
                        return Err(de::Error::custom("a name stands twice"));
                    }
                }
                Ok(Object(values))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

#[cfg(test)]
mod tests;
