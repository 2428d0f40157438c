//! Tag conditions to sets of series.

use model::{TagFilter, TagTest};
use roaring::RoaringBitmap;

use super::Measurement;

impl Measurement {
    /// The series that a condition means.
    ///
    /// Cost: one look-up for each equality; each pattern is tried once on every distinct value of its tag.
    pub(crate) fn matching(&self, filter: &TagFilter) -> RoaringBitmap {
        match filter {
            TagFilter::All => self.series.clone(),
            TagFilter::None => RoaringBitmap::new(),
            TagFilter::Test { key, test } => self.passing(key, test),
            TagFilter::And(all) => {
                let mut result = self.series.clone();
                for filter in all {
                    if result.is_empty() {
                        break;
                    }
                    result &= self.matching(filter);
                }
                result
            }
            TagFilter::Or(any) => {
                let mut result = RoaringBitmap::new();
                for filter in any {
                    result |= self.matching(filter);
                }
                result
            }
        }
    }

    fn passing(&self, key: &[u8], test: &TagTest) -> RoaringBitmap {
        let values = self.postings.get(key);
        let with = |value: &[u8]| values.and_then(|values| values.get(value));
        match test {
            TagTest::Equal(wanted) if wanted.is_empty() => self.lacking(key),
            TagTest::Equal(wanted) => with(wanted).cloned().unwrap_or_default(),
            TagTest::NotEqual(unwanted) if unwanted.is_empty() => &self.series - self.lacking(key),
            TagTest::NotEqual(unwanted) => match with(unwanted) {
                Some(postings) => &self.series - postings,
                None => self.series.clone(),
            },
            TagTest::Match(_) | TagTest::NotMatch(_) => {
                let mut result = if test.accepts(b"") { self.lacking(key) } else { RoaringBitmap::new() };
                for (value, postings) in values.into_iter().flatten() {
                    if test.accepts(value) {
                        result |= postings;
                    }
                }
                result
            }
        }
    }

    /// The series without tag `key`.
    fn lacking(&self, key: &[u8]) -> RoaringBitmap {
        let mut result = self.series.clone();
        for postings in self.postings.get(key).into_iter().flat_map(|values| values.values()) {
            result -= postings;
        }
        result
    }
}
