//! Whether what clients saw of the metadata of a cluster under faults could have happened one operation after the other.
//!
//! In reading order: `history` (what clients did and saw, as a file), `model` (what one key does), `checker` (the search
//! for an order), `hosts` (real processes, each in a network namespace), `nemesis` (what is done to them), `clients`,
//! `run` (all together).

pub mod checker;
pub mod clients;
pub mod history;
pub mod hosts;
pub mod model;
pub mod nemesis;
pub mod run;
