//! The same "random" bytes for every process.
//!
//! The standard library seeds its hash maps from the operating system, and tokio the order in which it wakes the
//! watchers of one value from those seeds, so that two runs of one seed would differ. This takes the operating
//! system's place: the linker prefers a function of the program to the C library's of the same name.

use core::ffi::{c_uint, c_void};

/// What every byte is.
const BYTE: u8 = 7;

/// Fills the buffer with [`BYTE`], in place of `getrandom(2)`. Nodes draw their own numbers through `env`, not here.
///
/// # Safety
/// As for `getrandom(2)`: `buffer` is valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, _flags: c_uint) -> isize {
    // SAFETY: the caller promises that these bytes can be written, and every value is a valid byte.
    unsafe { buffer.write_bytes(BYTE, length) };
    length.cast_signed()
}
