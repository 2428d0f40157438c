//! The store from outside: what is written is read, after flushes, compactions, restarts and crashes.

#[path = "it/crash.rs"]
mod crash;
#[path = "it/digest.rs"]
mod digest;
#[path = "it/model.rs"]
mod model_test;
#[path = "it/oracle.rs"]
mod oracle;
#[path = "it/renumber.rs"]
mod renumber;
#[path = "it/store.rs"]
mod store;
#[path = "it/summary.rs"]
mod summary;
