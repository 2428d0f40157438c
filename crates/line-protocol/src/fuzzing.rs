//! What must hold for any bytes. The fuzzer calls this, and so does a property test.

use model::{Batch, Precision};

use crate::{Parser, write};

/// Reads `data` with a fresh parser, again with one that has seen it, and reads what it writes: all must agree.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_parse(data: &[u8]) {
    let mut parser = Parser::new(1);
    let mut first = Batch::default();
    let outcome = parser.parse(data, Precision::Nanosecond, 1_000, &mut first);
    assert_eq!(first.validate(), Ok(()));
    assert_eq!(outcome.dropped_count > 0, outcome.dropped_reason.is_some());

    let mut second = Batch::default();
    let again = parser.parse(data, Precision::Nanosecond, 1_000, &mut second);
    assert_eq!(outcome, again, "what a parser remembers changes no outcome");
    let (mut text, mut text_again) = (Vec::new(), Vec::new());
    write::batch(&first, &mut text);
    write::batch(&second, &mut text_again);
    assert!(text == text_again, "what a parser remembers changes no value");

    let mut back = Batch::default();
    let clean = parser.parse(&text, Precision::Nanosecond, 0, &mut back);
    assert!(clean.errors.is_empty() && clean.dropped_count == 0, "what was written can be read: {clean:?}");
    let mut text_back = Vec::new();
    write::batch(&back, &mut text_back);
    assert!(text == text_back, "what was read is what was written");
}
