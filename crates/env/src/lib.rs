//! The only door to clock, disk, network, randomness and tasks.
