//! Columns of values to compact bytes and back.
//!
//! In reading order: `batch` (the record form of a whole request, for logs and replicas), then the page form, made for
//! files that are read often: `block` (one column of a page: which rows have a value, and the values), which rests on
//! `integer` (also times), `float` and `string`, and all of those on `bitpack`.
//!
//! Not here: checksums and framing. Whoever stores or sends the bytes has both, and binds them to their place.

pub mod batch;
mod bitpack;
pub mod block;
pub mod float;
pub mod fuzzing;
pub mod integer;
pub mod string;
