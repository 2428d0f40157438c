//! The project's own commands: `cargo xtask <command>`.
//!
//! `ci` is what is run before a change lands; its test part is exactly `test`. Nothing here writes to the tree but `fix`.

mod bench;
mod ci;
mod demo;
mod package;
mod process;
mod shape;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

    cargo xtask demo [--once]     three nodes on this machine with real telemetry; stays up until Ctrl-C
    cargo xtask test [--hosts]    all tests; with --hosts those that need root and network namespaces
    cargo xtask bench [--quick]   ingest and queries beside the reference server, into docs/benchmarks.md
    cargo xtask package [--test]  deb and rpm packages; --profile, --bin, --out, --revision, --sign-key, --fips (see
                                  packaging/README.md); with --test installs them in roots of their own, as root
    cargo xtask ci                what must pass before a change lands
    cargo xtask fix               formats the code and applies what clippy can mend
    cargo xtask layers            checks that no crate depends on one above it, and that pure crates are pure
    cargo xtask tidy              checks what people forget
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["demo"] => demo::run(false),
        ["demo", "--once"] => demo::run(true),
        ["test"] => ci::test(false),
        ["test", "--hosts"] => ci::test(true),
        ["bench"] => bench::run(false),
        ["bench", "--quick"] => bench::run(true),
        ["package", options @ ..] => package::command(options),
        ["ci"] => ci::run_steps(),
        ["fix"] => ci::fix(),
        ["layers"] => shape::check(),
        ["tidy"] => tidy::check(),
        [] | ["help" | "-h" | "--help"] => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        other => {
            complain(&format!("unknown command {:?}\n\n{HELP}", other.join(" ")));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    // A closed pipe ends the program at its next write anyway.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

fn complain(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}
