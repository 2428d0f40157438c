//! The decision, by examples and against generated rules.

use super::*;

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags::new(pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
}

fn rule(measurement: Option<Matcher>, tags: &[(&str, Matcher)]) -> Rule {
    let tags = tags.iter().map(|(key, value)| TagRule { key: (*key).to_owned(), value: value.clone() });
    Rule { database: Matcher::Exact("d".to_owned()), measurement, tags: tags.collect(), read: true, write: false }
}

fn exact(text: &str) -> Matcher {
    Matcher::Exact(text.to_owned())
}

fn prefix(text: &str) -> Matcher {
    Matcher::Prefix(text.to_owned())
}

fn restriction(rule: Rule) -> Arc<Restriction> {
    Arc::new(Restriction { id: 1, rule })
}

fn grant(rule: Rule, user: &str, role: &str) -> Arc<AccessGrant> {
    Arc::new(AccessGrant { id: 2, rule, users: vec![user.to_owned()], roles: vec![role.to_owned()] })
}

fn pick(restrictions: &[Arc<Restriction>], grants: &[Arc<AccessGrant>], user: &str, role: &str) -> RuleSet {
    RuleSet::pick(restrictions, grants, (user, &[role.to_owned()]), "d", Access::Read)
}

#[test]
fn restrictions_hide_and_grants_show_again() {
    let restrictions = [restriction(rule(Some(exact("cpu")), &[("host", prefix("web"))]))];
    let grants = [grant(rule(Some(exact("cpu")), &[("host", exact("web1"))]), "ann", "ops")];
    let nobody = pick(&restrictions, &grants, "bob", "");
    assert!(!nobody.allows(b"cpu", &tags(&[("host", "web1"), ("rack", "a")])), "more tags do not matter");
    assert!(!nobody.allows(b"cpu", &tags(&[("host", "web")])));
    assert!(nobody.allows(b"cpu", &tags(&[("host", "db1")])));
    assert!(nobody.allows(b"cpu", &tags(&[])), "without the tag");
    assert!(nobody.allows(b"mem", &tags(&[("host", "web1")])), "another measurement");
    for granted in [pick(&restrictions, &grants, "ann", ""), pick(&restrictions, &grants, "bob", "ops")] {
        assert!(granted.allows(b"cpu", &tags(&[("host", "web1")])));
        assert!(!granted.allows(b"cpu", &tags(&[("host", "web2")])));
    }
}

#[test]
fn rules_are_about_databases_and_about_reading_or_writing() {
    let all = [restriction(rule(None, &[]))];
    let at = |database, access| RuleSet::pick(&all, &[], ("ann", &[]), database, access);
    assert!(!at("d", Access::Read).allows(b"cpu", &tags(&[])));
    assert!(at("d", Access::Write).is_open());
    assert!(at("dd", Access::Read).is_open());
    let mut wide = rule(None, &[]);
    wide.database = prefix("d");
    wide.write = true;
    let all = [restriction(wide)];
    assert!(!RuleSet::pick(&all, &[], ("ann", &[]), "dd", Access::Write).is_open());
}

#[test]
fn beginnings_are_taken_as_they_are_written() {
    for text in ["a.b", "(", "\\", "a\nb", "^$", "[x]", "-", "ä", "a b", "/"] {
        let set = pick(&[restriction(rule(None, &[("k", prefix(text))]))], &[], "", "");
        for (value, hidden) in [(text.to_owned(), true), (format!("{text}x"), true), (format!("x{text}"), false)] {
            let series = tags(&[("k", &value)]);
            assert_eq!(set.allows(b"m", &series), !hidden, "{text:?} {value:?}");
            assert_eq!(set.filter(b"m").accepts(&series), !hidden, "{text:?} {value:?}");
        }
    }
}

/// A filter is the same decision, whatever the rules and series are; and the decision is that of the definition.
#[test]
fn filters_decide_as_the_definition_does() {
    let mut random = Random(0x0f6a);
    let words = ["", "a", "ab", "abc", "b"];
    for _ in 0..2_000 {
        let matcher = |random: &mut Random| {
            let word = words[1 + random.below(4)];
            if random.below(2) == 0 { exact(word) } else { prefix(word) }
        };
        let any = |random: &mut Random| {
            let measurement = (random.below(2) == 0).then(|| matcher(random));
            let list: Vec<_> = (0..random.below(3)).map(|_| (["k", "l"][random.below(2)], matcher(random))).collect();
            rule(measurement, &list)
        };
        let restrictions: Vec<_> = (0..random.below(4)).map(|_| restriction(any(&mut random))).collect();
        let grants: Vec<_> = (0..random.below(3))
            .map(|_| grant(any(&mut random), ["ann", "bob"][random.below(2)], ["ops", "dev"][random.below(2)]))
            .collect();
        let set = pick(&restrictions, &grants, "ann", "ops");
        for measurement in &words[1..] {
            let filter = set.filter(measurement.as_bytes());
            for (k, l) in words.iter().flat_map(|k| words.iter().map(move |l| (*k, *l))) {
                let pairs: Vec<_> = [("k", k), ("l", l)].into_iter().filter(|(_, value)| !value.is_empty()).collect();
                let matches = |rule: &Rule| {
                    let meets = |matcher: &Matcher, value: &str| match matcher {
                        Matcher::Exact(text) => text == value,
                        Matcher::Prefix(text) => value.starts_with(text.as_str()),
                    };
                    let has =
                        |tag: &TagRule| pairs.iter().any(|(key, value)| *key == tag.key && meets(&tag.value, value));
                    rule.measurement.as_ref().is_none_or(|name| meets(name, measurement)) && rule.tags.iter().all(has)
                };
                let granted = |grant: &&Arc<AccessGrant>| grant.users == ["ann"] || grant.roles == ["ops"];
                let want = !restrictions.iter().any(|found| matches(&found.rule))
                    || grants.iter().filter(granted).any(|grant| matches(&grant.rule));
                let series = tags(&pairs);
                assert_eq!(set.allows(measurement.as_bytes(), &series), want, "{set:?} {measurement} {pairs:?}");
                assert_eq!(filter.accepts(&series), want, "{set:?} {measurement} {pairs:?}");
            }
        }
    }
}
