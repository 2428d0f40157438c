//! InfluxQL text to a syntax tree and back.

pub mod ast;
pub mod parse;
