//! A process without a free descriptor, and how it gets more. One test, for the limit is the whole process's.

use std::fs::File;

use env::Env;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn random_numbers_need_no_descriptor_and_there_are_as_many_as_the_system_gives() {
    let env = Env::real();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: limit.maximum }).expect("a lower limit");
    let held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(held.len() <= 64 && File::open("/dev/null").is_err());
    let mut bytes = [0; 64];
    env.random_fill(&mut bytes);
    assert_ne!(bytes, [0; 64]);
    assert_ne!(env.random_u64(), env.random_u64());

    let (before, after) = env.raise_descriptors().expect("up to the hard limit");
    assert_eq!((before, after), (64, limit.maximum.unwrap_or(u64::MAX)));
    assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    assert!(File::open("/dev/null").is_ok());
}
