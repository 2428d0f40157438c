//! The data node's cached copy of the metadata.
