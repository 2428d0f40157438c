//! Decides which node does what for a write, a query or a statement.
