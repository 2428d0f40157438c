//! Files, and variables over them, that somebody got wrong: what they are told, word for word.
//!
//! `cases/bad_files.txt` has the cases: a line `=== name: program`, the file, lines `$ NAME=value` for variables and
//! `$ -flag value` for flags, `---`, and what is said. In a case marked `raw`, `\xNN` stands for a byte. `UPDATE_EXPECT=1`
//! writes what is said today.

use std::collections::BTreeMap;

use config::{DataNodeConfig, MetaNodeConfig, Program, Settings, Warning};
use expect_test::expect_file;

/// So many mistakes are worth a case, at least.
const CASES_MIN: usize = 150;

/// One mistake.
struct Case<'a> {
    head: &'a str,
    file: String,
    given: String,
    variables: BTreeMap<&'a str, &'a str>,
    flags: BTreeMap<&'a str, &'a str>,
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Case<'a> {
        let (head, rest) = text.split_once('\n').expect("a case has a head");
        let given = rest.split_once("---\n").expect("a case has an answer").0;
        let (mut file, mut variables, mut flags) = (String::new(), BTreeMap::new(), BTreeMap::new());
        for line in given.split_inclusive('\n') {
            let Some(outside) = line.strip_prefix("$ ") else {
                file.push_str(line);
                continue;
            };
            let outside = outside.trim_end_matches('\n');
            match outside.strip_prefix('-') {
                Some(flag) => flags.extend([flag.split_once(' ').expect("a flag has a value")]),
                None => variables.extend([outside.split_once('=').expect("a variable has a value")]),
            }
        }
        Case { head, file, given: given.to_owned(), variables, flags }
    }

    fn program(&self) -> Program {
        match self.head.contains(": influxd-meta") {
            true => Program::InfluxdMeta,
            false => Program::Influxd,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        if !self.head.ends_with(" raw") {
            return self.file.clone().into_bytes();
        }
        let file = self.file.trim_end_matches('\n');
        let mut parts = file.split("\\x");
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let (digits, rest) = part.split_at(2);
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            bytes.extend(rest.as_bytes());
        }
        bytes
    }

    /// What the program says, a line for each warning and the error. What it takes can be printed and read again.
    fn said(&self) -> Vec<String> {
        let (mut settings, warnings) = match Settings::read_bytes(self.program(), "x.conf", &self.bytes()) {
            Ok(read) => read,
            Err(error) => return vec![format!("error: {error}")],
        };
        let mut said: Vec<String> = warnings.iter().map(told).collect();
        let lookup = |name: &str| self.variables.get(name).map(|value| (*value).to_owned());
        if let Err(error) = config::env_vars::apply(&mut settings, &lookup) {
            said.push(format!("error: {error}"));
            return said;
        }
        said.extend(settings.without_effect().iter().map(told));
        let flag = |name: &str| self.flags.get(name).copied();
        let made = match self.program() {
            Program::Influxd => DataNodeConfig::new(&settings, flag("join"), flag("hostname")).err(),
            Program::InfluxdMeta => MetaNodeConfig::new(&settings, flag("hostname")).err(),
        };
        said.extend(made.map(|error| format!("error: {error}")));
        let printed = config::print::print(&settings);
        let (again, _) = Settings::read(self.program(), "printed", &printed).expect("what is printed can be read");
        assert_eq!(config::print::print(&again), printed, "{}", self.head);
        said
    }

    /// Whether a line names where the mistake is: a line of the file, a variable or a flag.
    fn is_placed(&self, line: &str) -> bool {
        let in_file = line.split("x.conf:").nth(1).and_then(|rest| rest.split(':').next());
        let outside = self.variables.keys().chain(self.flags.keys()).any(|name| line.contains(name));
        in_file.is_some_and(|number| number.parse::<usize>().is_ok()) || outside
    }
}

fn told(warning: &Warning) -> String {
    format!("warning: {}", warning.0)
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/bad_files.txt"));
    let text = text.expect("the cases are there");
    let mut answered = String::new();
    let mut names = BTreeMap::new();
    for case in text.split("=== ").skip(1).map(Case::parse) {
        let said = case.said();
        assert!(!said.is_empty(), "{}: nothing is said", case.head);
        for line in &said {
            assert!(case.is_placed(line), "{}: where is it? {line}", case.head);
            assert!(!line.contains("planted"), "{}: a secret is repeated: {line}", case.head);
            assert!(line.chars().count() < 500, "{}: too long: {line}", case.head);
        }
        *names.entry(case.head.to_owned()).or_insert(0) += 1;
        answered.push_str(&format!("=== {}\n{}---\n{}\n\n", case.head, case.given, said.join("\n")));
    }
    assert!(names.values().all(|count| *count == 1), "a name stands twice: {names:?}");
    assert!(names.len() >= CASES_MIN, "{} cases", names.len());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/bad_files.txt");
    expect_file![path].assert_eq(&format!("{}\n", answered.trim_end()));
}
