//! What the lines of an import file mean. Pure.

/// Reads a file line by line.
#[derive(Debug)]
pub(super) struct Script {
    /// Whether `# DML` was seen.
    has_points: bool,
    db: String,
    rp: String,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Run this.
    Statement(String),
    /// From now on points go here.
    Target {
        db: String,
        rp: String,
    },
    /// The line is a point.
    Point,
}

impl Script {
    /// The beginning of a file; points go to `db` and `rp` until it says otherwise.
    pub(super) fn new(db: &str, rp: &str) -> Script {
        Script { has_points: false, db: db.to_owned(), rp: rp.to_owned() }
    }

    /// Reads the next line.
    pub(super) fn read(&mut self, line: &[u8]) -> Step {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            return Step::Nothing;
        }
        if line.starts_with(b"#") {
            return self.read_comment(&String::from_utf8_lossy(line));
        }
        if self.has_points { Step::Point } else { Step::Statement(String::from_utf8_lossy(line).into_owned()) }
    }

    fn read_comment(&mut self, line: &str) -> Step {
        if !self.has_points {
            self.has_points = line.starts_with("# DML");
            return Step::Nothing;
        }
        let (name, is_db) =
            match (line.strip_prefix("# CONTEXT-DATABASE:"), line.strip_prefix("# CONTEXT-RETENTION-POLICY:")) {
                (Some(name), _) => (name, true),
                (_, Some(name)) => (name, false),
                (None, None) => return Step::Nothing,
            };
        let current = if is_db { &mut self.db } else { &mut self.rp };
        if current == name.trim() {
            return Step::Nothing;
        }
        name.trim().clone_into(current);
        Step::Target { db: self.db.clone(), rp: self.rp.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        let mut script = Script::new("d", "");
        let steps = text.split_inclusive('\n').map(|line| script.read(line.as_bytes()));
        steps.filter(|step| *step != Step::Nothing).collect()
    }

    fn target(db: &str, rp: &str) -> Step {
        Step::Target { db: db.to_owned(), rp: rp.to_owned() }
    }

    #[test]
    fn a_file_has_statements_and_then_points() {
        let text = "# DDL\nCREATE DATABASE a\n\n# comment\nCREATE DATABASE b\r\n# DML\n# CONTEXT-DATABASE: a\n\
                    # CONTEXT-RETENTION-POLICY:r\n\nm v=1\n# comment\n# CONTEXT-DATABASE: a\nm v=2";
        let statement = |text: &str| Step::Statement(text.to_owned());
        let want = [
            statement("CREATE DATABASE a"),
            statement("CREATE DATABASE b"),
            target("a", ""),
            target("a", "r"),
            Step::Point,
            Step::Point,
        ];
        assert_eq!(steps(text), want);
    }

    #[test]
    fn what_stands_before_the_points_sets_no_target() {
        assert_eq!(steps("# CONTEXT-DATABASE: x\n# DML and more\nm v=1"), [Step::Point]);
    }

    #[test]
    fn any_bytes_may_be_a_point() {
        let mut script = Script::new("", "");
        assert_eq!(script.read(b"# DML\n"), Step::Nothing);
        assert_eq!(script.read(b"\xff\xfe v=1\n"), Step::Point);
        assert_eq!(script.read(b" \t\n"), Step::Nothing);
    }
}
