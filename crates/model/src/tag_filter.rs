//! Which series a question is about, by their tags.

use crate::pattern::Pattern;
use crate::series_key::Tags;

/// A test of one tag. A series without the tag is tested as if its value were empty.
#[derive(Clone, Debug, PartialEq)]
pub enum TagTest {
    /// The value is this.
    Equal(Vec<u8>),
    /// The value is not this.
    NotEqual(Vec<u8>),
    /// The pattern is found in the value.
    Match(Pattern),
    /// The pattern is not found in the value.
    NotMatch(Pattern),
}

impl TagTest {
    /// Whether `value` passes.
    pub fn accepts(&self, value: &[u8]) -> bool {
        match self {
            TagTest::Equal(wanted) => value == wanted,
            TagTest::NotEqual(unwanted) => value != unwanted,
            TagTest::Match(pattern) => pattern.is_match(value),
            TagTest::NotMatch(pattern) => !pattern.is_match(value),
        }
    }
}

/// A condition over the tags of a series.
#[derive(Clone, Debug)]
pub enum TagFilter {
    /// Every series.
    All,
    /// No series.
    None,
    /// One tag passes a test.
    Test {
        /// The tag key, raw.
        key: Vec<u8>,
        /// What its value must pass.
        test: TagTest,
    },
    /// All of them hold.
    And(Vec<TagFilter>),
    /// One of them holds.
    Or(Vec<TagFilter>),
}

impl TagFilter {
    /// Whether a series with these tags is meant.
    pub fn accepts(&self, tags: &Tags) -> bool {
        match self {
            TagFilter::All => true,
            TagFilter::None => false,
            TagFilter::Test { key, test } => test.accepts(tags.get(key)),
            TagFilter::And(all) => all.iter().all(|filter| filter.accepts(tags)),
            TagFilter::Or(any) => any.iter().any(|filter| filter.accepts(tags)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tag_is_an_empty_one() {
        let tags = Tags::new(vec![(b"host".to_vec(), b"web-01".to_vec())]);
        let test = |key: &str, test| TagFilter::Test { key: key.as_bytes().to_vec(), test };
        assert!(test("host", TagTest::Equal(b"web-01".to_vec())).accepts(&tags));
        assert!(test("rack", TagTest::Equal(b"".to_vec())).accepts(&tags));
        assert!(test("rack", TagTest::NotEqual(b"a".to_vec())).accepts(&tags));
        let digits = Pattern::compile("[0-9]$").expect("a pattern");
        assert!(test("host", TagTest::Match(digits.clone())).accepts(&tags));
        assert!(!test("rack", TagTest::Match(digits.clone())).accepts(&tags));
        assert!(TagFilter::And(vec![TagFilter::All, test("rack", TagTest::NotMatch(digits))]).accepts(&tags));
        assert!(!TagFilter::Or(vec![TagFilter::None]).accepts(&tags));
    }
}
