//! Syntax tree and schema to a checked plan, cut in two.
