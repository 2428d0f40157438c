//! Looks users and their groups up in an LDAP directory.
//!
//! `config` is what operators upload. `ber` and `message` are the little of the protocol that is needed: bind, search,
//! StartTLS. `filter` turns search filters from text into that form. `connection` speaks to one server, encrypted by
//! `secure`, `lookup` decides in which order what is asked, `members` reads groups ahead of logins, and `service` is what
//! the rest of the server calls.
//!
//! Invariants
//! - What users send goes into filters escaped, so that a name never becomes a part of a filter's structure.
//! - An empty password proves nothing: directories let everybody bind with one.
//! - Passwords are in no text that this crate makes: errors name servers and steps.
//! - Whatever a server sends is bounded, in bytes, entries and time.
//!
//! Not here: who is remembered for how long, and what roles mean. See `login` and `meta`.

mod ber;
mod config;
mod connection;
mod filter;
pub mod fuzzing;
mod lookup;
mod members;
mod message;
mod sample;
mod secure;
mod service;

pub use config::{Config, ConfigError};
pub use members::{GROUPS_MAX, MEMBERS_MAX};
pub use sample::SAMPLE;
pub use service::LdapDirectory;

#[cfg(test)]
mod tests;
