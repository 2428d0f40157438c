//! Files, environment and flags to plain `Config` structs.
//!
//! `keys` lists every key of every generation of the file, with its type and default: the one table from which files
//! are checked, environment names are made, samples are printed and values are looked up. `file` reads TOML into
//! [`Settings`], `env_vars` puts the environment over them, `data_node` and `meta_node` turn
//! them into the structs of `influxd` and `influxd-meta`; `check`, `cluster_auth` and `tls` are what both
//! look at.
//!
//! This crate reads no files and no environment itself: the programs hand both in.

mod check;
pub mod cluster_auth;
pub mod data_node;
mod decode;
pub mod env_vars;
pub mod file;
pub mod fuzzing;
pub mod keys;
pub mod meta_node;
pub mod print;
pub mod sample;
pub mod text;
pub mod tls;

pub use check::InvalidConfig;
pub use cluster_auth::ClusterAuthConfig;
pub use data_node::{DataNodeConfig, Mode};
pub use file::{ConfigError, Settings, Warning};
pub use keys::Program;
pub use meta_node::MetaNodeConfig;
pub use tls::{CallTls, PortTls, TlsConfig};
