//! What must hold for any bytes. The fuzzer calls this, and so does a test over its seeds.

use crate::{peer, token};

const SECRET: &str = "a secret that everybody knows who reads this";
const NOW: u64 = 1_700_000_000;

/// Reads `data` as a token, as one of a node, and as the claims of a token whose signature is right. One that is good has
/// not ended, and names of a node come back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for token in [text.clone().into_owned(), token::around(data, SECRET)] {
        if let Ok(claims) = token::verify(&token, SECRET, NOW) {
            assert!(claims.expires_unix_seconds > NOW, "it has ended");
        }
        assert!(token::verify(&token, "another secret", NOW).is_err(), "signed by somebody else");
        assert!(token::verify(&token, "", NOW).is_err(), "without a secret");
        if let Ok(claims) = peer::verify(&token, SECRET, NOW) {
            let again = peer::sign(&claims, SECRET, NOW + 1);
            assert_eq!(peer::verify(&again, SECRET, NOW), Ok(claims));
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;
    use crate::PeerClaims;

    #[test]
    fn seeds_keep_the_promises() {
        let claims = PeerClaims { cluster: 7, sender: 3, receiver: "node-01:8088".to_owned() };
        let made = [
            ("user", token::sign("admin", SECRET, NOW + 60).into_bytes()),
            ("node", peer::sign(&claims, SECRET, NOW + 60).into_bytes()),
            ("claims", br#"{"username":"u","exp":1700000060,"nbf":1.5}"#.to_vec()),
            (
                "claims_of_a_node",
                br#"{"cluster":"0000000000000007","exp":1700000060,"from":3,"to":"b:1","username":""}"#.to_vec(),
            ),
        ];
        seeds::try_all("token", seeds::MANY, &made, fuzz_token);
    }
}
