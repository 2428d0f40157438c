//! The simulated world.

mod disk;
mod net;
mod same_view;
