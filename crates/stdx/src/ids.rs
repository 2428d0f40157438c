//! Names that nobody else has.

use uuid::{Builder, Uuid};

/// From 1582-10-15 to 1970-01-01 in steps of 100 ns.
const GREGORIAN_OFFSET: u64 = 0x01b2_1dd2_1381_4000;

/// A UUID of version 1: of an instant (nanoseconds since 1970), a number for those that are made in the same 100 ns (14
/// bits count), and a random number in place of a network address (48 bits count).
pub fn time_uuid(now_ns: i64, sequence: u64, random: u64) -> Uuid {
    let ticks = (now_ns.max(0) as u64 / 100).wrapping_add(GREGORIAN_OFFSET);
    let [_, _, mut node @ ..] = random.to_be_bytes();
    // The multicast bit says that this is no hardware address.
    node[0] |= 1;
    Builder::from_gregorian_timestamp(ticks, sequence as u16 & 0x3fff, &node).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_where_the_format_has_them() {
        let id = time_uuid(1_434_055_562_000_000_000, 0x1234, 0x0206_0708_090a_0b0c);
        // That instant is 0x1e5107adf1de100 steps of 100 ns after 1582-10-15.
        assert_eq!(id.to_string(), "df1de100-107a-11e5-9234-0708090a0b0c");
    }

    #[test]
    fn another_sequence_is_another_id() {
        assert_ne!(time_uuid(5, 1, 7), time_uuid(5, 2, 7));
    }
}
