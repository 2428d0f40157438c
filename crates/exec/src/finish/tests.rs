//! Whole queries over rows in memory.
