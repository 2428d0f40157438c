//! Fine-grained authorization: restrictions that hide series from users, and grants that lift them again.
//!
//! A rule names a database, perhaps a measurement, perhaps tags; each by a whole name or by its beginning. A series may be
//! read or written by somebody when no restriction matches it, or when a grant does that was given to them or to a role of
//! theirs. [`RuleSet`] is what holds for one user in one database, as a decision without any state.
//!
//! Not here: who is exempt (administrators), and whether a user may read or write the database at all; see `rights` and
//! `cluster::access`.

use std::sync::Arc;

use model::{Pattern, TagFilter, TagTest, Tags};

/// A name, or how it begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Matcher {
    /// This name.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

impl Matcher {
    /// Whether `name` is meant.
    pub fn accepts(&self, name: &[u8]) -> bool {
        match self {
            Matcher::Exact(wanted) => wanted.as_bytes() == name,
            Matcher::Prefix(wanted) => name.starts_with(wanted.as_bytes()),
        }
    }

    /// What is looked for.
    pub fn text(&self) -> &str {
        match self {
            Matcher::Exact(text) | Matcher::Prefix(text) => text,
        }
    }

    /// The test of a tag's value, or its opposite. The text is never empty, so a series without the tag does not match.
    fn test(&self, wanted: bool) -> TagTest {
        match (self, wanted) {
            (Matcher::Exact(text), true) => TagTest::Equal(text.clone().into_bytes()),
            (Matcher::Exact(text), false) => TagTest::NotEqual(text.clone().into_bytes()),
            (Matcher::Prefix(text), true) => TagTest::Match(begins_with(text)),
            (Matcher::Prefix(text), false) => TagTest::NotMatch(begins_with(text)),
        }
    }
}

fn begins_with(text: &str) -> Pattern {
    let mut pattern = String::from("\\A");
    for char in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(char) {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    Pattern::compile(&pattern).expect("escaped characters, few enough")
}

/// A tag that a series must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagRule {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Matcher,
}

/// Which series a restriction or a grant is about, and what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The databases.
    pub database: Matcher,
    /// The measurements; `None` for all.
    pub measurement: Option<Matcher>,
    /// Tags that a series has all of; it may have more.
    pub tags: Vec<TagRule>,
    /// About reading.
    pub read: bool,
    /// About writing.
    pub write: bool,
}

impl Rule {
    /// Whether the rule is about a measurement at all.
    fn is_about(&self, measurement: &[u8]) -> bool {
        self.measurement.as_ref().is_none_or(|name| name.accepts(measurement))
    }

    fn accepts(&self, measurement: &[u8], tags: &Tags) -> bool {
        self.is_about(measurement) && self.tags.iter().all(|tag| tag.value.accepts(tags.get(tag.key.as_bytes())))
    }

    /// The series of a measurement that match the tags, or all others.
    fn filter(&self, wanted: bool) -> TagFilter {
        let test = |tag: &TagRule| TagFilter::Test { key: tag.key.clone().into_bytes(), test: tag.value.test(wanted) };
        let tests: Vec<_> = self.tags.iter().map(test).collect();
        match (tests.is_empty(), wanted) {
            (true, true) => TagFilter::All,
            (true, false) => TagFilter::None,
            (false, true) => TagFilter::And(tests),
            (false, false) => TagFilter::Or(tests),
        }
    }
}

/// A rule that hides series from everybody but administrators.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restriction {
    /// Never used again, for grants neither.
    pub id: u64,
    /// What is hidden.
    pub rule: Rule,
}

/// A rule that lifts restrictions for some.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccessGrant {
    /// Never used again, for restrictions neither.
    pub id: u64,
    /// What is shown.
    pub rule: Rule,
    /// To whom.
    pub users: Vec<String>,
    /// To whoever has one of these roles.
    pub roles: Vec<String>,
}

/// What somebody does with series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Queries.
    Read,
    /// Writes.
    Write,
}

/// The rules that hold for one user in one database, for reading or for writing.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    restrictions: Vec<Arc<Restriction>>,
    grants: Vec<Arc<AccessGrant>>,
}

impl RuleSet {
    /// Picks the rules about `access` to the database; grants are those of this user and these roles.
    pub fn pick<'a>(
        restrictions: impl IntoIterator<Item = &'a Arc<Restriction>>,
        grants: impl IntoIterator<Item = &'a Arc<AccessGrant>>,
        (user, roles): (&str, &[String]),
        database: &str,
        access: Access,
    ) -> RuleSet {
        let wanted = |rule: &Rule| {
            let about = match access {
                Access::Read => rule.read,
                Access::Write => rule.write,
            };
            about && rule.database.accepts(database.as_bytes())
        };
        let restrictions: Vec<_> = restrictions.into_iter().filter(|found| wanted(&found.rule)).cloned().collect();
        if restrictions.is_empty() {
            return RuleSet::default();
        }
        let given = |grant: &AccessGrant| {
            grant.users.iter().any(|name| name == user) || grant.roles.iter().any(|role| roles.contains(role))
        };
        let grants = grants.into_iter().filter(|grant| wanted(&grant.rule) && given(grant)).cloned().collect();
        RuleSet { restrictions, grants }
    }

    /// Whether nothing is hidden.
    pub fn is_open(&self) -> bool {
        self.restrictions.is_empty()
    }

    /// Whether a series may be read or written.
    pub fn allows(&self, measurement: &[u8], tags: &Tags) -> bool {
        !self.restrictions.iter().any(|found| found.rule.accepts(measurement, tags))
            || self.grants.iter().any(|grant| grant.rule.accepts(measurement, tags))
    }

    /// The series of a measurement that may be read or written, as a question to shards. The same as
    /// [`RuleSet::allows`] of each.
    pub fn filter(&self, measurement: &[u8]) -> TagFilter {
        let about = |rule: &Rule| rule.is_about(measurement);
        let hidden = self.restrictions.iter().filter(|found| about(&found.rule));
        let hidden: Vec<_> = hidden.map(|found| found.rule.filter(false)).collect();
        if hidden.is_empty() {
            return TagFilter::All;
        }
        let shown = self.grants.iter().filter(|grant| about(&grant.rule)).map(|grant| grant.rule.filter(true));
        TagFilter::Or(std::iter::once(TagFilter::And(hidden)).chain(shown).collect())
    }
}

#[cfg(test)]
mod tests;
