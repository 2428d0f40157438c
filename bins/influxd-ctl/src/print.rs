//! Documents to text. Everything here is a function of its arguments.

pub(crate) mod cluster;
pub(crate) mod shards;
mod table;
pub(crate) mod warming;

use table::table;

/// What stands below a title.
const LINE: &str = "==========";
