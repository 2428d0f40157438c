//! The messages between nodes.
//!
//! They are described in `proto/peer.proto` and compiled as this crate is built. Nodes of neighbouring releases talk to
//! each other: fields are only ever added, numbers never used again, and a receiver keeps working when one is absent.
//! Converting to and from the nouns of `model` happens here (`convert`), so that the types of one side never travel
//! into the other.

pub mod convert;
pub mod fuzzing;

/// Version 1 of the messages.
#[allow(missing_debug_implementations, unreachable_pub, clippy::all, reason = "generated code")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/mainstem.peer.v1.rs"));
}

/// Largest message that a node sends or takes, bytes. Larger answers are streamed in pieces.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Bytes of one piece of a streamed answer.
pub const PIECE_BYTES: usize = 256 << 10;
