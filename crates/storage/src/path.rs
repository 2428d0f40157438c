//! Names to file names. Whatever a database is called, its directory is one plain path component.

use stdx::fnv::fnv1a64;

/// Longest file name that is made; file systems end at 255.
const COMPONENT_BYTES_MAX: usize = 200;

/// Encodes `name` so that it can never be a path: letters, digits, `_` and `-` stay, all other bytes become `%XX`, and
/// no name at all becomes `%`. Long names are cut and get a hash; the manifest of a shard has the name itself.
pub(crate) fn component(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if out.is_empty() {
        out.push('%');
    }
    if out.len() > COMPONENT_BYTES_MAX {
        out.truncate(COMPONENT_BYTES_MAX - 17);
        out.push_str(&format!("~{:016x}", fnv1a64(name.as_bytes())));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_plain_components() {
        assert_eq!(component("telegraf"), "telegraf");
        assert_eq!(component("../etc"), "%2E%2E%2Fetc");
        assert_eq!(component("."), "%2E");
        assert_eq!(component(""), "%");
        assert_eq!(component("a%2Fb"), "a%252Fb");
        assert_eq!(component("ä\0"), "%C3%A4%00");
    }

    #[test]
    fn long_names_stay_distinct_and_short() {
        let (a, b) = (component(&"x".repeat(400)), component(&"x".repeat(401)));
        assert!(a.len() <= COMPONENT_BYTES_MAX && b.len() <= COMPONENT_BYTES_MAX);
        assert_ne!(a, b);
    }
}
