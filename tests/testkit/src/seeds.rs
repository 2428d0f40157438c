//! The seeds of the fuzzer in `fuzz/corpus`, and a short run over them that needs no fuzzer.
//!
//! A test names its target, what real encoders make for it, and the function that the fuzzer calls. The function gets
//! every seed, then seeds that were cut short or had bits flipped, then noise. It is always the same noise, so a test that
//! fails once fails again.

use std::fs;
use std::path::PathBuf;

/// Damaged inputs for a function that takes microseconds.
pub const MANY: usize = 500;
/// Damaged inputs for one that takes a millisecond.
pub const FEW: usize = 60;

const NOISE_BYTES_MAX: u64 = 96;

/// Runs `check` over the seeds of `target`, over about `count` damaged ones, and over half as much noise.
///
/// With `UPDATE_EXPECT=1` in the environment the seeds in `made` are written to `fuzz/corpus/<target>` first. Others that
/// are there stay: bytes of older releases are good seeds.
///
/// # Panics
/// As `check` does, after printing the input; and when a seed in `made` is not in the repository.
pub fn try_all(target: &str, count: usize, made: &[(&str, Vec<u8>)], check: impl Fn(&[u8])) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus")).join(target);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(&folder).expect("a folder for the seeds");
        for (name, bytes) in made {
            fs::write(folder.join(name), bytes).expect("a seed is written");
        }
    }
    for (name, _) in made {
        assert!(folder.join(name).exists(), "{target}: no seed {name}; UPDATE_EXPECT=1 writes it");
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the seeds are in the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    let mut dice = Dice(stretch(target.as_bytes()));
    let each = (count / paths.len().max(1)).max(1);
    for path in &paths {
        let seed = fs::read(path).expect("a readable seed");
        run(&check, &seed);
        for _ in 0..each {
            run(&check, &damaged(&seed, &mut dice));
        }
    }
    for _ in 0..count / 2 {
        let length = dice.below(NOISE_BYTES_MAX);
        // Small numbers are lengths and kinds, and get further than others.
        let noise: Vec<u8> = (0..length).map(|_| (dice.next() as u8) >> (4 * dice.below(2))).collect();
        run(&check, &noise);
    }
}

/// A seed without its end, with a few bits flipped, with a byte changed, or with a piece of it twice.
fn damaged(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len() as u64;
    match dice.below(4) {
        0 => bytes.truncate(dice.below(length) as usize),
        1 => (0..=dice.below(3)).for_each(|_| bytes[dice.below(length) as usize] ^= 1 << dice.below(8)),
        2 => bytes[dice.below(length) as usize] = dice.next() as u8,
        _ => {
            let (start, end) = (dice.below(length) as usize, dice.below(length) as usize);
            let piece = bytes[start.min(end)..start.max(end)].to_vec();
            bytes.splice(start..start, piece);
        }
    }
    bytes
}

fn run(check: &impl Fn(&[u8]), input: &[u8]) {
    let _shown = Shown(input);
    check(input);
}

/// Prints the input when the check panics over it.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    #[expect(clippy::print_stderr, reason = "a test says which input it failed over")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input of {} bytes: \"{}\"", self.0.len(), self.0.escape_ascii());
        }
    }
}

/// Repeatable random numbers: splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A number made of some bytes: FNV-1a.
fn stretch(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
