//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use crate::filter::{compile, filled};
use crate::members::folded;
use crate::{Config, message};

/// Reads bytes as an answer of a server, as a filter, as a name in a filter, as a name in the directory and as a
/// configuration.
///
/// # Panics
/// When a name changes the structure of a filter, or has spellings that are not known as those of one, which is a bug.
pub fn fuzz_ldap(bytes: &[u8]) {
    let _ = message::read(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = compile(text);
    let _ = Config::parse(text);
    assert_eq!(folded(&format!(" {text}")), folded(text), "a space more");
    let simple = compile(&filled("(&(uid=%s)(a=b))", text)).expect("a name fits into a filter");
    assert!(simple.ends_with(&[0xa3, 6, 4, 1, b'a', 4, 1, b'b']), "what follows the name is still there");
}
