//! Transformations against plain computations.
