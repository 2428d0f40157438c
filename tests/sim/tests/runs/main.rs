//! A few seeds of both simulations as part of every test run; many more by hand (docs/testing.md).

mod churn;
mod seeds;

use std::process::Command;

/// One of the two programs.
struct Program(&'static str);

impl Program {
    /// Runs seeds, each in a process of its own; whether all passed, and what was printed.
    fn run(&self, seeds: &str, plant: &str) -> (bool, String) {
        let output = Command::new(self.0)
            .args(["--seeds", seeds, "--jobs", "2", "--plant", plant])
            .output()
            .expect("the simulation runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs seeds twice, which has to print the same traces.
    fn repeats(&self, seeds: &str) {
        // Seeds run side by side, and either may end first.
        let lines = || {
            let (_, text) = self.run(seeds, "none");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (first, second) = (lines(), lines());
        assert!(first.iter().any(|line| line.contains("trace")), "{first:?}");
        assert_eq!(first, second);
    }
}
