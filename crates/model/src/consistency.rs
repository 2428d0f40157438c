//! How many owners must have a write before it is acknowledged.

/// The level that a write asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConsistencyLevel {
    /// One owner, or the coordinator's hint log.
    Any,
    /// One owner.
    #[default]
    One,
    /// More than half of the owners.
    Quorum,
    /// Every owner.
    All,
}

impl ConsistencyLevel {
    /// The level that a request parameter names, in any case; `None` for any other word. The empty word is the default.
    pub fn parse(word: &str) -> Option<ConsistencyLevel> {
        Some(match word.to_ascii_lowercase().as_str() {
            "" | "one" => ConsistencyLevel::One,
            "any" => ConsistencyLevel::Any,
            "quorum" => ConsistencyLevel::Quorum,
            "all" => ConsistencyLevel::All,
            _ => return None,
        })
    }

    /// How many of `owner_count` owners must have the write durably.
    pub fn required(self, owner_count: usize) -> usize {
        match self {
            ConsistencyLevel::Any | ConsistencyLevel::One => 1,
            ConsistencyLevel::Quorum => owner_count / 2 + 1,
            ConsistencyLevel::All => owner_count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_is_more_than_half() {
        let required: Vec<usize> = (1..=5).map(|owners| ConsistencyLevel::Quorum.required(owners)).collect();
        assert_eq!(required, [1, 2, 2, 3, 3]);
    }

    #[test]
    fn words_are_known_in_any_case() {
        assert_eq!(ConsistencyLevel::parse("QUORUM"), Some(ConsistencyLevel::Quorum));
        assert_eq!(ConsistencyLevel::parse("most"), None);
    }
}
