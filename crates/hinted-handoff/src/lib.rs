//! Keeps writes a peer could not take until it can.
