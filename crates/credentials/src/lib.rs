//! Passwords and signed tokens that prove who asks.
//!
//! A token is a JSON Web Token, signed with HMAC and a secret that both sides have. [`token::sign`] makes one for the admin
//! API, [`token::verify`] reads one; `peer` has those of calls between nodes. The time is an argument. [`password`] hashes
//! passwords and verifies them; the salt is an argument.
//!
//! Invariants
//! - Nothing of a token is believed before its signature is checked, but for the name of the hash.
//! - Without a secret no token is good, not even one that was signed with the empty secret.
//!
//! Not here: what a user may do.

pub mod fuzzing;
pub mod password;
pub mod peer;
pub mod secret;
pub mod token;

pub use password::{PasswordError, Scheme, SchemeError};
pub use peer::PeerClaims;
pub use secret::Secret;
pub use token::{Claims, TokenError, sign, verify};
