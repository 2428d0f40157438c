//! The metadata in the shapes that programs of the reference read and write: the document behind `GET /?index=`, the
//! commands of `POST /execute` and their answer. All three are protobuf (version 2); the numbers are part of what was
//! published with InfluxDB 1.x.
//!
//! Our own nodes speak `codec`, which holds more: incarnations, labels, slots.

mod commands;
mod document;

pub use commands::{NotACommand, decode_command, encode_response};
pub use document::encode_document;
