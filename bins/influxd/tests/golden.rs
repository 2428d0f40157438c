//! The golden cases of `tests/compat/cases`: requests and their exact answers, as the reference server gives them.
//!
//! Every file runs on one node and on three, with memory tables that stay and with such that are flushed all the time.
//! When a run is over the nodes are killed and started, and the questions that no later change affects are asked again,
//! of other nodes than before. The format of the files is described beside them, in `README.md`.
//!
//! Addresses are 127.30.<test>.<node>.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use testkit::{Cluster, Node, until};

/// Keys of `[data]` that have memory tables written to files as soon as somebody looks at them.
const FLUSH: &str = "cache-snapshot-memory-size = 1024\ncache-snapshot-write-cold-duration = \"500ms\"";
/// Stands for an answer of three nodes that is not always the same.
const ANY: &str = "< (any)";
/// Differences that are printed before the rest is only counted.
const DIFFERENCES_SHOWN_MAX: usize = 40;
/// How long the copies of the metadata may take to follow a change.
const FOLLOW_MAX: Duration = Duration::from_secs(20);
/// A request that was not answered by then never will be.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// One request and its answer.
#[derive(Debug)]
struct Step {
    line: usize,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether it may change what later questions see.
    modifies: bool,
    /// The lines of the answer.
    answer: Vec<String>,
    /// The same of three nodes, when it is another there.
    answer_of_three: Vec<String>,
}

/// One file.
#[derive(Debug)]
struct Case {
    name: String,
    /// Whether its answers depend on everything that a server holds.
    own_server: bool,
    steps: Vec<Step>,
}

fn cases() -> anyhow::Result<Vec<Case>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat/cases");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    paths.sort();
    let files = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.map(|path| read(path).with_context(|| path.display().to_string())).collect()
}

fn read(path: &Path) -> anyhow::Result<Case> {
    let text = fs::read_to_string(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let Some(request) = line.strip_prefix("> ") else {
            ensure!(line.is_empty() || line.starts_with('#'), "line {}: neither request nor comment", number + 1);
            continue;
        };
        let (mut headers, mut body, mut answer, mut answer_of_three) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with(['>', '<', '3'])) {
            if let Some(header) = line.strip_prefix(">: ") {
                let (name, value) = header.split_once(": ").context("a header has a name")?;
                headers.push((name.to_owned(), value.to_owned()));
            } else if let Some(part) = line.strip_prefix('>') {
                body.push(part.strip_prefix(' ').unwrap_or(part));
            } else if let Some(part) = line.strip_prefix('3') {
                answer_of_three.push(part.to_owned());
            } else {
                answer.push(line.to_owned());
            }
        }
        ensure!(!answer.is_empty(), "line {}: a request without an answer", number + 1);
        let (method, target) = target_of(request).with_context(|| format!("line {}", number + 1))?;
        let modifies = changes_something(&method, &target);
        let body = body_of(&body)?;
        steps.push(Step { line: number + 1, method, target, headers, body, modifies, answer, answer_of_three });
    }
    Ok(Case { name, own_server: text.starts_with("# own server"), steps })
}

/// Method and target of a request: `write db=x`, `query db=x q=SELECT ...`, or `GET /path`.
fn target_of(request: &str) -> anyhow::Result<(String, String)> {
    let (word, mut rest) = request.split_once(' ').unwrap_or((request, ""));
    if rest.starts_with('/') {
        return Ok((word.to_owned(), rest.to_owned()));
    }
    ensure!(word == "query" || word == "write", "unknown request {word}");
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (pair, after) =
            if rest.starts_with("q=") { (rest, "") } else { rest.split_once(' ').unwrap_or((rest, "")) };
        let (name, value) = pair.split_once('=').context("a parameter has a value")?;
        pairs.push(format!("{name}={}", testkit::http::encode(value)));
        rest = after;
    }
    Ok(("POST".to_owned(), format!("/{word}?{}", pairs.join("&"))))
}

fn changes_something(method: &str, target: &str) -> bool {
    let asks = target.starts_with("/query") || method != "POST";
    let changing = ["CREATE", "ALTER", "DROP", "DELETE", "INTO", "GRANT", "REVOKE", "SET", "KILL"];
    let words = target.split(|char: char| !char.is_ascii_alphabetic());
    !asks || words.clone().any(|word| changing.contains(&word))
}

/// The lines of a body. `*100 line` stands for a hundred lines; see [`counted`].
fn body_of(lines: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    for line in lines {
        match line.strip_prefix('*').and_then(|rest| rest.split_once(' ')) {
            Some((count, line)) => {
                for n in 0..count.parse().context("a number of lines")? {
                    all.push(counted(line, n)?);
                }
            }
            None => all.push((*line).to_owned()),
        }
    }
    Ok(all.join("\n").replace("<CR>", "\r").replace("<TAB>", "\t").replace("<NUL>", "\0").into_bytes())
}

/// The line with `{n}` replaced by the number, and `{n*3%7}` by what is calculated from it, left to right.
fn counted(line: &str, n: i64) -> anyhow::Result<String> {
    let mut parts = line.split("{n");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sum, after) = part.split_once('}').context("a closing brace")?;
        let mut value = n;
        let mut rest = sum;
        while let Some(sign) = rest.chars().next() {
            let end = rest[1..].find(|char: char| !char.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
            let number: i64 = rest[1..end].parse()?;
            value = match sign {
                '*' => value * number,
                '%' => value % number,
                '+' => value + number,
                '-' => value - number,
                '/' => value / number,
                other => bail!("unknown sign {other}"),
            };
            rest = &rest[end..];
        }
        out.push_str(&value.to_string());
        out.push_str(after);
    }
    Ok(out)
}

/// Sends a request; the answer as lines. Of the headers those that `wanted` names.
fn ask(address: &str, step: &Step, target: &str) -> anyhow::Result<Vec<String>> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let mut head = format!("{} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n", step.method);
    step.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    if !step.headers.iter().any(|(name, _)| name == "Content-Length") {
        head.push_str(&format!("Content-Length: {}\r\n", step.body.len()));
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(&step.body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).context("read the answer")?;
    let split = raw.windows(4).position(|four| four == b"\r\n\r\n").context("an answer has a head")?;
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let header = |name: &str| {
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let chunked = header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let body = if chunked { joined(&raw[split + 4..])? } else { raw[split + 4..].to_vec() };
    let mut lines = vec![format!("< {}", head.split(' ').nth(1).unwrap_or("nothing"))];
    for wanted in step.answer.iter().filter_map(|line| line.strip_prefix("<: ")) {
        let name = wanted.split(':').next().unwrap_or_default();
        lines.push(format!("<: {name}: {}", header(name).unwrap_or("(none)")));
    }
    lines.extend(shown(&body));
    Ok(lines)
}

fn joined(mut raw: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = raw.windows(2).position(|two| two == b"\r\n").context("a chunk has a size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..line])?, 16)?;
        let chunk = raw.get(line + 2..line + 2 + size).context("a chunk is whole")?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(chunk);
        raw = raw.get(line + 4 + size..).context("a chunk has an end")?;
    }
}

/// A body as lines of an answer; bytes that are no text are escaped.
fn shown(body: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.chars().all(|char| char >= ' ' || char == '\n'));
    let Some(text) = text else { return vec![format!("< (bytes) {}", body.escape_ascii())] };
    let lines = text.lines().map(|line| if line.is_empty() { "<".to_owned() } else { format!("< {line}") });
    let end = (!text.is_empty() && !text.ends_with('\n')).then(|| "< (no newline)".to_owned());
    lines.chain(end).collect()
}

/// Lines of an answer without the breaks that keep them short in the file.
fn unbroken(lines: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        match (line.strip_prefix("<+ "), out.last_mut()) {
            (Some(more), Some(last)) => last.push_str(more),
            _ => out.push(line.clone()),
        }
    }
    out
}

/// Nodes, what was asked of them and what they answered.
struct Run<'a> {
    cluster: &'a Cluster,
    /// Moves the node that is asked first.
    turn: usize,
    differences: Vec<String>,
    asked: usize,
}

impl<'a> Run<'a> {
    fn new(cluster: &'a Cluster, turn: usize) -> Run<'a> {
        Run { cluster, turn, differences: Vec::new(), asked: 0 }
    }
}

impl Run<'_> {
    fn ask(&mut self, case: &Case, step: &Step, when: &str) {
        let nodes = &self.cluster.nodes;
        let node = &nodes[self.turn % nodes.len()];
        self.turn += 1;
        self.asked += 1;
        let mut target = step.target.clone();
        if nodes.len() > 1 && target.starts_with("/write?") && !target.contains("consistency=") {
            // The next question goes to another node.
            target.push_str("&consistency=all");
        }
        let other = nodes.len() > 1 && !step.answer_of_three.is_empty();
        let any = other && step.answer_of_three == [ANY];
        let want = unbroken(if other { &step.answer_of_three } else { &step.answer });
        let got = ask(&node.at(8086), step, &target).unwrap_or_else(|error| vec![format!("no answer: {error:#}")]);
        if step.modifies && target.starts_with("/query") && nodes.len() > 1 {
            settle(nodes);
        }
        if got != want && !any {
            let body = |lines: &[String]| lines.join("\n    ");
            self.differences.push(format!(
                "{}.txt:{} {when} through {}\n  want\n    {}\n  got\n    {}",
                case.name,
                step.line,
                node.host,
                body(&want),
                body(&got)
            ));
        }
    }

    /// All steps of some files, in order.
    fn all(&mut self, cases: &[&Case]) {
        for case in cases {
            case.steps.iter().for_each(|step| self.ask(case, step, "at first"));
        }
    }

    /// The questions of each file that stand behind its last change.
    fn again(&mut self, cases: &[&Case], when: &str) {
        for case in cases {
            let last = case.steps.iter().rposition(|step| step.modifies).map_or(0, |at| at + 1);
            case.steps[last..].iter().for_each(|step| self.ask(case, step, when));
        }
    }

    fn check(&self) {
        if self.differences.is_empty() {
            return;
        }
        let shown: Vec<&str> = self.differences.iter().take(DIFFERENCES_SHOWN_MAX).map(String::as_str).collect();
        let mut files: BTreeMap<&str, usize> = BTreeMap::new();
        for difference in &self.differences {
            *files.entry(difference.split('.').next().unwrap_or_default()).or_default() += 1;
        }
        panic!("{}\n{} of {} answers differ: {files:?}", shown.join("\n"), self.differences.len(), self.asked);
    }
}

/// Waits until all nodes list the same. The one that carried out a change knows it at once, the others moments later.
fn settle(nodes: &[Node]) {
    let listed = |node: &Node| -> anyhow::Result<Vec<Value>> {
        let databases = node.rows("", "SHOW DATABASES")?;
        let names = databases.iter().filter_map(|row| row[0].as_str());
        let policies = names.map(|name| node.query("", &format!("SHOW RETENTION POLICIES ON \"{name}\"")));
        let rest = node.query("", "SHOW SHARD GROUPS; SHOW USERS; SHOW CONTINUOUS QUERIES; SHOW SUBSCRIPTIONS");
        policies.chain([rest]).collect()
    };
    until("all nodes list the same", FOLLOW_MAX, || {
        let first = listed(&nodes[0])?;
        for node in &nodes[1..] {
            if listed(node)? != first {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .expect("copies of the metadata follow");
}

/// Runs all files on a cluster of its own: those that share one, then each that wants one for itself.
fn run(test: u8, node_count: u8, data_keys: &str) {
    let cases = cases().expect("cases");
    let shared: Vec<&Case> = cases.iter().filter(|case| !case.own_server).collect();
    let own = cases.iter().filter(|case| case.own_server).map(|case| vec![case]);
    for (index, group) in [shared].into_iter().chain(own).enumerate() {
        let dir = tempfile::tempdir().expect("a folder");
        let octet = test * 50 + u8::try_from(index).expect("few groups");
        let hosts: Vec<String> = (1..=node_count).map(|node| format!("127.30.{octet}.{node}")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let influxd = Path::new(env!("CARGO_BIN_EXE_influxd"));
        let mut cluster = Cluster::new(influxd, &dir.path().join("nodes"), &hosts).expect("addresses of our own");
        for node in &cluster.nodes {
            add_data_keys(node.dir(), data_keys).expect("a configuration");
        }
        cluster.form().expect("a cluster");
        let mut run = Run::new(&cluster, 0);
        run.all(&group);
        // What has a server of its own may have dropped everything.
        if !data_keys.is_empty() && !group[0].own_server {
            flushed(&cluster).unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.nodes[0].log_tail(20)));
            run.again(&group, "from files");
        }
        run.check();
        reopen(&mut cluster).unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.nodes[0].log_tail(20)));
        let mut run = Run::new(&cluster, 1);
        run.again(&group, "after a kill");
        run.check();
    }
}

fn add_data_keys(dir: &Path, keys: &str) -> anyhow::Result<()> {
    let file = dir.join("influxdb.conf");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains("[data]\n"), "there is a table of the key");
    Ok(fs::write(&file, text.replace("[data]\n", &format!("[data]\n{keys}\n")))?)
}

/// Waits until every node has files with points.
fn flushed(cluster: &Cluster) -> anyhow::Result<()> {
    for node in &cluster.nodes {
        until("points are in files", FOLLOW_MAX, || Ok(has_data_file(&node.dir().join("data"))?.then_some(())))?;
    }
    Ok(())
}

fn has_data_file(folder: &Path) -> anyhow::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "data") || (path.is_dir() && has_data_file(&path)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Kills all nodes at once, starts them, and waits until each of them has everything it may answer from.
fn reopen(cluster: &mut Cluster) -> anyhow::Result<()> {
    let count = cluster.nodes.len();
    (0..count).try_for_each(|index| cluster.kill(index))?;
    (0..count).try_for_each(|index| cluster.spawn(index, &[]))?;
    for node in &cluster.nodes {
        until("the node answers", testkit::cluster::START_MAX, || Ok(node.answers().then_some(())))?;
        until("the node knows the others", testkit::cluster::START_MAX, || {
            Ok(node.query("", "SHOW SERVERS").is_ok().then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn one_node_answers_as_recorded() {
    run(0, 1, "");
}

#[test]
fn one_node_that_flushes_answers_as_recorded() {
    run(1, 1, FLUSH);
}

#[test]
fn three_nodes_answer_as_recorded() {
    run(2, 3, "");
}

#[test]
fn three_nodes_that_flush_answer_as_recorded() {
    run(3, 3, FLUSH);
}

#[test]
fn lines_are_counted_out() {
    assert_eq!(counted("m v={n},w={n*3%7} {n+1}", 5).expect("a line"), "m v=5,w=1 6");
    assert_eq!(body_of(&["*2 a {n}", "b<CR>"]).expect("a body"), b"a 0\na 1\nb\r");
    assert!(counted("{n?3}", 1).is_err() && counted("{n", 1).is_err());
}

#[test]
fn bodies_are_shown_as_lines() {
    assert_eq!(shown(b"a\n\nb"), ["< a", "<", "< b", "< (no newline)"]);
    assert_eq!(shown(b"\x01\n"), ["< (bytes) \\x01\\n"]);
    assert_eq!(unbroken(&["< a".to_owned(), "<+ b".to_owned(), "< c".to_owned()]), ["< ab", "< c"]);
}
