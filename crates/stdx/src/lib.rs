//! What we miss in std; nothing about databases.
//!
//! In reading order: `fnv` (the hash that routes series to shards), `varint` (small numbers in few bytes), `bitmap`
//! (one bit a row), `human` (durations and instants as text), `ids` (names that
//! nobody else has), `form` (parameters of URLs and forms), `accept` (what a client wants),
//! `sniff` (heads of requests that tell a length twice).

pub mod accept;
pub mod bitmap;
pub mod fnv;
pub mod form;
pub mod human;
pub mod ids;
pub mod sniff;
pub mod varint;

pub use bitmap::Bitmap;
