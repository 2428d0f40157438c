//! Between messages and the nouns of `model`.

use crate::v1;

impl v1::Fault {
    /// A fault of a kind.
    pub fn new(kind: v1::fault::Kind, text: impl Into<String>) -> v1::Fault {
        v1::Fault { kind: kind as i32, text: text.into() }
    }
}
