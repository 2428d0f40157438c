//! HTTP client for our own APIs.
//!
//! A [`Client`] speaks HTTP/1 to one server over `env`, keeps one connection open between requests, and makes a new one
//! when the old one was closed. Answers of queries arrive document by document, see [`Answer`].
//!
//! An [`AdminClient`] speaks to the admin API of meta nodes, one connection an operation, and follows them to the leader.
//!
//! Not here yet: unix sockets, and the proxies that the environment names; each is refused with a clear error.

mod address;
mod admin;
mod client;
mod connection;
mod document;
mod encode;
mod error;

pub use address::Address;
pub use admin::{AdminAnswer, AdminClient, AdminConfig, Authorization};
pub use client::{Answer, Client, ClientConfig, Credentials, Ping, Query, Write};
pub use document::{Cell, Document, Message, QueryResult, Series};
pub use error::ClientError;

#[cfg(test)]
mod tests;
