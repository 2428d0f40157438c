//! A whole cluster in one process, driven by a seed.
//!
//! Three nodes run their real code in one thread, on virtual time, a simulated network and disks that forget what was
//! not synced. A seed decides what clients write and what breaks (`plan`); `hosts` is where nodes run, `workload` what
//! clients do, `nemesis` the faults, `check` what must be true in the end, `run` the order of all that. `lying_fs` is a
//! bug to be found; `churn` simulates meta nodes alone, while members come and go; `unrandom` keeps the operating system's
//! randomness out.
//!
//! One run per process; the programs run many side by side by starting themselves (`many`).

pub mod check;
pub mod churn;
pub mod dice;
pub mod hosts;
pub mod http;
pub mod lying_fs;
pub mod many;
pub mod nemesis;
pub mod plan;
pub mod run;
pub mod unrandom;
pub mod workload;
