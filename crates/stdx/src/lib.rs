//! What we miss in std; nothing about databases.
//!
//! In reading order: `fnv` (the hash that routes series to shards), `varint` (small numbers in few bytes), `bitmap`
//! (one bit a row).

pub mod bitmap;
pub mod fnv;
pub mod varint;

pub use bitmap::Bitmap;
