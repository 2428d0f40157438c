//! Good tokens, and the tricks.

use serde_json::json;

use super::*;

const SECRET: &str = "a secret of the operators";
const NOW: u64 = 1_700_000_000;

fn check(token: &str) -> Result<Claims, TokenError> {
    verify(token, SECRET, NOW)
}

fn with(algorithm: Algorithm, claims: Value) -> Result<Claims, TokenError> {
    check(&encode(algorithm, &claims, SECRET))
}

fn claims(text: Value) -> Result<Claims, TokenError> {
    with(Algorithm::HS512, text)
}

/// A token whose header and claims are texts as they stand, with a good signature of HS512.
fn signed_raw(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS512).expect("signed");
    format!("{message}.{signature}")
}

const HEADER: &str = r#"{"typ":"JWT","alg":"HS512"}"#;
const CLAIMS: &str = r#"{"username":"u","exp":1700000060}"#;

#[test]
fn signed_tokens_are_good_until_they_end() {
    let token = sign("admin", SECRET, NOW + 60);
    let want = Claims { username: "admin".to_owned(), expires_unix_seconds: NOW + 60 };
    assert_eq!(check(&token), Ok(want.clone()));
    assert_eq!(verify(&token, SECRET, NOW + 59), Ok(want));
    assert_eq!(verify(&token, SECRET, NOW + 60), Err(TokenError::Expired));
    assert_eq!(verify(&token, SECRET, u64::MAX), Err(TokenError::Expired));
    assert_eq!(check(&sign("", SECRET, NOW + 60)).map(|claims| claims.username), Ok(String::new()));
}

#[test]
fn tokens_are_what_other_tools_read() {
    let token = sign("u", SECRET, 1_700_000_060);
    let parts: Vec<Vec<u8>> =
        token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64 without padding")).collect();
    assert_eq!(parts.len(), 3);
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
    assert_eq!(json(&parts[0]), json!({"typ": "JWT", "alg": "HS512"}));
    assert_eq!(json(&parts[1]), json!({"username": "u", "exp": 1_700_000_060}));
    assert_eq!(parts[2].len(), 64);
}

/// Of RFC 7515, appendix A.1: a token of HS256 that another implementation signed, with a secret that is no text. Our
/// secrets are texts, so that what is checked here is that it is refused for its signature and nothing before.
#[test]
fn foreign_tokens_are_read_up_to_their_signature() {
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                 cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(check(token), Err(TokenError::Signature));
}

/// Signed with `openssl dgst -sha256 -hmac "a secret of the operators"`.
#[test]
fn a_token_of_openssl_is_good() {
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3MDAwMDAwNjAsInVzZXJuYW1lIjoidSJ9._H6tcpKcboTbbHuhaKLIHtqwPmTYgWatsso8jGg2qJ8";
    assert_eq!(check(token).map(|claims| claims.username), Ok("u".to_owned()));
}

#[test]
fn shorter_hashes_are_accepted() {
    for algorithm in ALGORITHMS {
        assert_eq!(
            with(algorithm, json!({"username": "u", "exp": NOW + 1})).map(|claims| claims.username),
            Ok("u".into())
        );
    }
}

#[test]
fn another_secret_is_refused() {
    let token = sign("admin", SECRET, NOW + 60);
    assert_eq!(verify(&token, "another secret", NOW), Err(TokenError::Signature));
    assert_eq!(verify(&token, &SECRET.to_uppercase(), NOW), Err(TokenError::Signature));
}

#[test]
fn without_a_secret_nothing_is_good() {
    assert_eq!(verify(&sign("admin", SECRET, NOW + 60), "", NOW), Err(TokenError::NoSecret));
    assert_eq!(verify(&sign("admin", "", NOW + 60), "", NOW), Err(TokenError::NoSecret));
    assert_eq!(check(&sign("admin", "", NOW + 60)), Err(TokenError::Signature));
}

#[test]
fn every_changed_byte_is_noticed() {
    let token = sign("admin", SECRET, NOW + 60);
    for index in 0..token.len() {
        for replacement in [b'A', b'z', b'.', b'=', b'-'] {
            let mut changed = token.clone().into_bytes();
            if changed[index] == replacement {
                continue;
            }
            changed[index] = replacement;
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(check(&changed).is_err(), "byte {index}: {changed}");
        }
        assert!(check(&token[..index]).is_err(), "cut at {index}");
    }
    assert!(check(&format!("{token}A")).is_err() && check(&format!("{token}=")).is_err());
}

#[test]
fn tokens_without_a_signature_are_refused() {
    let claims = URL_SAFE_NO_PAD.encode(CLAIMS);
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{name}"}}"#));
        assert_eq!(check(&format!("{header}.{claims}.")), Err(TokenError::Method), "{name}");
        assert_eq!(check(&signed_raw(&format!(r#"{{"alg":"{name}"}}"#), CLAIMS)), Err(TokenError::Method), "{name}");
    }
    let header = URL_SAFE_NO_PAD.encode(HEADER);
    assert_eq!(check(&format!("{header}.{claims}.")), Err(TokenError::Signature));
    assert_eq!(check(&format!("{header}.{claims}")), Err(TokenError::Malformed));
}

#[test]
fn methods_with_public_keys_are_refused() {
    let known = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "PS384", "PS512", "EdDSA"];
    for name in known.into_iter().chain(["HS1", "hs512", "HS512 "]) {
        let token = signed_raw(&format!(r#"{{"alg":"{name}"}}"#), CLAIMS);
        assert_eq!(check(&token), Err(TokenError::Method), "{name}");
    }
}

#[test]
fn the_header_is_read_strictly() {
    assert!(check(&signed_raw(HEADER, CLAIMS)).is_ok());
    assert!(check(&signed_raw(r#"{"alg":"HS512"}"#, CLAIMS)).is_ok());
    let twice = signed_raw(r#"{"alg":"none","alg":"HS512"}"#, CLAIMS);
    assert_eq!(check(&twice), Err(TokenError::Malformed));
    assert_eq!(check(&signed_raw(r#"{"alg":"HS512","crit":["exp"]}"#, CLAIMS)), Err(TokenError::Method));
    assert_eq!(check(&signed_raw("[]", CLAIMS)), Err(TokenError::Malformed));
    assert_eq!(check(&signed_raw("{", CLAIMS)), Err(TokenError::Malformed));
    assert_eq!(check(&signed_raw(r#"{"typ":"JWT"}"#, CLAIMS)), Err(TokenError::Method));
}

/// A key that the token brings along is not the one it is checked with.
#[test]
fn a_key_in_the_header_is_not_used() {
    let header = r#"{"alg":"HS512","jwk":{"kty":"oct","k":"QUFB"}}"#;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(CLAIMS));
    let key = EncodingKey::from_secret(b"AAA");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS512).expect("signed");
    assert_eq!(check(&format!("{message}.{signature}")), Err(TokenError::Signature));
}

#[test]
fn a_token_needs_an_end() {
    let exp = Err(TokenError::Time("exp"));
    assert_eq!(claims(json!({"username": "u"})), exp);
    for odd in
        [json!("1800000000"), json!(null), json!(true), json!([1_800_000_000]), json!({}), json!(-1), json!(1e300)]
    {
        assert_eq!(claims(json!({"username": "u", "exp": odd})), exp, "{odd}");
    }
    let end = |value: Value| claims(json!({"username": "u", "exp": value})).map(|claims| claims.expires_unix_seconds);
    assert_eq!(end(json!(1_700_000_060.9)), Ok(1_700_000_060));
    assert_eq!(end(json!(1.7000001e9)), Ok(1_700_000_100));
    assert_eq!(end(json!(NOW as f64 + 0.9)), Err(TokenError::Expired));
    assert_eq!(end(json!(0)), Err(TokenError::Expired));
    assert_eq!(end(json!(u64::MAX)), Ok(u64::MAX));
}

#[test]
fn a_token_may_begin_later() {
    let at = |begin: Value| claims(json!({"username": "u", "exp": NOW + 60, "nbf": begin})).map(|_| ());
    assert_eq!(at(json!(NOW)), Ok(()));
    assert_eq!(at(json!(NOW + 1)), Err(TokenError::NotYet));
    assert_eq!(at(json!("soon")), Err(TokenError::Time("nbf")));
}

#[test]
fn the_user_is_a_text() {
    assert_eq!(claims(json!({"exp": NOW + 60})), Err(TokenError::Username));
    for odd in [json!(1), json!(null), json!(["admin"]), json!({"name": "admin"}), json!(true)] {
        assert_eq!(claims(json!({"username": odd, "exp": NOW + 60})), Err(TokenError::Username));
    }
}

#[test]
fn claims_stand_once() {
    for twice in [
        r#"{"username":"u","username":"admin","exp":1700000060}"#,
        r#"{"username":"u","exp":1,"exp":1700000060}"#,
        r#"{"username":"u","exp":1700000060,"x":1,"x":2}"#,
        r#"{"username":"u","exp":1700000060,"user\u006eame":"admin"}"#,
    ] {
        assert_eq!(check(&signed_raw(HEADER, twice)), Err(TokenError::Malformed), "{twice}");
    }
    assert!(check(&signed_raw(HEADER, r#"{"username":"u","exp":1700000060,"aud":"x","iss":1,"x":{}}"#)).is_ok());
}

#[test]
fn claims_are_an_object() {
    for odd in ["", "null", "[]", "1", "\"u\"", "{", "{}x", "{\"username\":\"\u{0}\",\"exp\":1700000060}"] {
        assert_eq!(check(&signed_raw(HEADER, odd)), Err(TokenError::Malformed), "{odd}");
    }
}

#[test]
fn long_tokens_are_not_looked_at() {
    let token = |len: usize| sign(&"u".repeat(len), SECRET, NOW + 60);
    assert!(check(&token(5_000)).is_ok());
    let long = token(7_000);
    assert!(long.len() > TOKEN_BYTES_MAX);
    assert_eq!(check(&long), Err(TokenError::TooLong));
    let mut depths = "[".repeat(4_000);
    depths.push_str(&"]".repeat(100));
    assert!(check(&signed_raw(HEADER, &depths)).is_err());
}

#[test]
fn what_is_no_token_is_malformed() {
    for odd in ["", ".", "..", "...", "a.b.c", "a.b.c.d", "Bearer x", "\u{e9}.\u{e9}.\u{e9}"] {
        assert_eq!(check(odd), Err(TokenError::Malformed), "{odd}");
    }
}
