//! TLS for every port and every call: which certificate, which suites, whom to trust, and all of it anew.
//!
//! `policy` is what `[tls]` says: versions and suites. `files` reads certificates, keys and authorities, and refuses keys
//! that others can read. A [`Listener`] answers with a certificate, or in plain text where none is configured; a
//! [`Dialer`] connects with TLS or without. Both read their files again when told to: connections that are open stay as
//! they are, new ones use what was read last, and files that cannot be used change nothing. `expiry` reads from a
//! certificate until when it is good, `verify` is for those who ask not to check.
//!
//! Invariants
//! - TLS 1.2 at least. A port with TLS answers nothing in plain text but the sentence that it speaks TLS.
//! - Nobody falls back to plain text, neither who listens nor who connects.
//! - Simulated, there is no TLS.

mod client;
mod der;
mod expiry;
mod files;
mod paced;
mod policy;
mod server;
mod stream;
mod verify;

pub use client::{ClientSettings, Dialer};
pub use expiry::Expiry;
pub use files::{Authorities, CertificateFiles, NamedBy, TlsError};
pub use policy::{Policy, PolicyError};
pub use server::{Accepted, Acceptor, Listener, ServerSettings, Stats};
pub use stream::Stream;

/// Whether this is the build with the FIPS module.
pub const IS_FIPS: bool = cfg!(feature = "fips");

#[cfg(test)]
mod tests;
