//! The simulated world, driven by one seed.
