//! Line protocol bytes to points and back.
