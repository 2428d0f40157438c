//! Text to tree. (Being written: only the limits are here.)

/// Most levels of an expression tree.
pub const EXPR_HEIGHT_MAX: usize = 500;
