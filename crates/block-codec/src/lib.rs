//! Columns of values to compact, checksummed bytes and back.

pub mod batch;
