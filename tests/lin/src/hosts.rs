//! A cluster of real processes, each on a host of its own: a network namespace with one address on a bridge in one more
//! namespace. Nothing of the machine's own network is touched. Needs root, iproute2 and iptables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use testkit::until;

/// How long anything may take that should be quick.
const SOON: Duration = Duration::from_secs(30);

/// What a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `influxd-meta`.
    Meta,
    /// `influxd` without the meta role.
    Data,
}

/// A namespace and a process in it.
#[derive(Debug)]
pub struct Host {
    /// What it runs.
    pub kind: Kind,
    /// Its address.
    pub ip: String,
    space: String,
    dir: PathBuf,
    bin: PathBuf,
    child: Option<Child>,
}

/// All hosts and the bridge between them.
#[derive(Debug)]
pub struct Network {
    /// Meta nodes, then data nodes.
    pub hosts: Vec<Host>,
    prefix: String,
}

fn sh(words: &[&str]) -> anyhow::Result<String> {
    let done = Command::new(words[0]).args(&words[1..]).output().with_context(|| words.join(" "))?;
    ensure!(done.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Makes the bridge and the namespace of the clients, which `prefix` names.
///
/// # Errors
/// When a tool is missing or says no.
pub fn make_bridge(prefix: &str) -> anyhow::Result<()> {
    let (switch, clients) = (format!("{prefix}-sw"), clients(prefix));
    sh(&["ip", "netns", "add", &switch])?;
    sh(&["ip", "-n", &switch, "link", "add", "br0", "type", "bridge"])?;
    sh(&["ip", "-n", &switch, "link", "set", "br0", "up"])?;
    plug(prefix, &clients, "10.77.0.1", 0)
}

/// The namespace of the clients.
pub fn clients(prefix: &str) -> String {
    format!("{prefix}-cl")
}

/// Removes every namespace of this name.
pub fn remove_all(prefix: &str) {
    let spaces = sh(&["ip", "netns", "list"]).unwrap_or_default();
    for space in spaces.lines().filter_map(|line| line.split(' ').next()) {
        if space.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-')) {
            let _ = sh(&["ip", "netns", "del", space]);
        }
    }
}

fn plug(prefix: &str, space: &str, ip: &str, number: usize) -> anyhow::Result<()> {
    let (switch, port) = (format!("{prefix}-sw"), format!("p{number}"));
    sh(&["ip", "netns", "add", space])?;
    sh(&["ip", "link", "add", &port, "netns", &switch, "type", "veth", "peer", "name", "eth0", "netns", space])?;
    sh(&["ip", "-n", &switch, "link", "set", &port, "master", "br0", "up"])?;
    sh(&["ip", "-n", space, "addr", "add", &format!("{ip}/24"), "dev", "eth0"])?;
    sh(&["ip", "-n", space, "link", "set", "eth0", "up"])?;
    sh(&["ip", "-n", space, "link", "set", "lo", "up"])?;
    Ok(())
}

impl Host {
    fn configure(&self) -> anyhow::Result<()> {
        let (ip, path) = (&self.ip, self.dir.display());
        let text = match self.kind {
            Kind::Meta => format!(
                "hostname = \"{ip}\"\n[meta]\n  dir = \"{path}/meta\"\n  bind-address = \"{ip}:8089\"\n  \
                 http-bind-address = \"{ip}:8091\"\n"
            ),
            Kind::Data => format!(
                "hostname = \"{ip}\"\nbind-address = \"{ip}:8088\"\n[meta]\n  enabled = false\n  dir = \"{path}/meta\"\n\
                 [data]\n  dir = \"{path}/data\"\n[hinted-handoff]\n  dir = \"{path}/hh\"\n[http]\n  bind-address = \
                 \"{ip}:8086\"\n  log-enabled = false\n"
            ),
        };
        fs::create_dir_all(&self.dir)?;
        fs::write(self.dir.join("conf"), text)?;
        Ok(())
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let program = self.bin.join(if self.kind == Kind::Meta { "influxd-meta" } else { "influxd" });
        let log = fs::File::options().create(true).append(true).open(self.dir.join("log"))?;
        let child = Command::new("ip")
            .args(["netns", "exec", &self.space])
            .arg(program)
            .arg("-config")
            .arg(self.dir.join("conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        until("the node tells its status", SOON, || Ok(self.status().ok()))?;
        Ok(())
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<Value> {
        let answer = testkit::http::request("GET", &self.named(), "/status", b"")?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// The address that operators name it by.
    pub fn named(&self) -> String {
        format!("{}:{}", self.ip, if self.kind == Kind::Meta { 8091 } else { 8088 })
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("it runs")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Whether it was killed and not started again.
    pub fn is_down(&self) -> bool {
        self.child.is_none()
    }

    /// Sends a signal by name, and tells whether the process is stopped afterwards.
    ///
    /// # Errors
    /// When it is not running.
    pub fn signal(&self, name: &str) -> anyhow::Result<bool> {
        let id = self.child.as_ref().context("it runs")?.id().to_string();
        sh(&["kill", name, &id])?;
        std::thread::sleep(Duration::from_millis(20));
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        Ok(stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
    }

    /// Drops what comes from another host, and with `both` also what goes there.
    ///
    /// # Errors
    /// Of iptables.
    pub fn cut(&self, other: &str, both: bool) -> anyhow::Result<()> {
        let inside = ["ip", "netns", "exec", self.space.as_str(), "iptables", "-A"];
        sh(&[&inside[..], &["INPUT", "-s", other, "-j", "DROP"]].concat())?;
        if both {
            sh(&[&inside[..], &["OUTPUT", "-d", other, "-j", "DROP"]].concat())?;
        }
        Ok(())
    }

    /// Lets everything through again; how many packets were dropped since it was cut.
    ///
    /// # Errors
    /// Of iptables.
    pub fn heal(&self) -> anyhow::Result<u64> {
        let listed = sh(&["ip", "netns", "exec", &self.space, "iptables", "-nvxL"])?;
        let dropped = listed.lines().filter(|line| line.contains(" DROP "));
        let packets = dropped.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum();
        sh(&["ip", "netns", "exec", &self.space, "iptables", "-F"])?;
        Ok(packets)
    }
}

impl Network {
    /// `metas` meta nodes and `datas` data nodes that form a cluster.
    ///
    /// # Errors
    /// When they do not.
    pub fn form(prefix: &str, dir: &Path, bin: &Path, metas: usize, datas: usize) -> anyhow::Result<Network> {
        let mut network = Network { hosts: Vec::new(), prefix: prefix.to_owned() };
        for number in 1..=metas + datas {
            let kind = if number <= metas { Kind::Meta } else { Kind::Data };
            let (ip, space) = (format!("10.77.0.{}", 10 + number), format!("{prefix}-h{number}"));
            plug(prefix, &space, &ip, number)?;
            let (dir, bin) = (dir.join(format!("host-{number}")), bin.to_owned());
            let host = Host { kind, ip, space, dir, bin, child: None };
            host.configure()?;
            network.hosts.push(host);
        }
        for host in &mut network.hosts {
            host.start()?;
        }
        let first = network.hosts[0].named();
        for host in &network.hosts {
            let path = if host.kind == Kind::Meta { "/join" } else { "/add-data" };
            let (first, form) = (first.clone(), format!("addr={}", host.named()));
            until("the node is added", SOON, || {
                let leader = network.leader().ok().map_or(first.clone(), |index| network.hosts[index].named());
                let answer = testkit::http::post_form(&leader, path, &form)?;
                if answer.status == 200 { Ok(Some(())) } else { bail!("{} {}", answer.status, answer.body) }
            })?;
        }
        Ok(network)
    }

    /// The meta nodes.
    pub fn metas(&self) -> &[Host] {
        let count = self.hosts.iter().filter(|host| host.kind == Kind::Meta).count();
        &self.hosts[..count]
    }

    /// Which host leads, as most of the meta nodes say.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn leader(&self) -> anyhow::Result<usize> {
        let mut votes = vec![0; self.metas().len()];
        for meta in self.metas().iter().filter(|meta| !meta.is_down()) {
            let Ok(status) = meta.status() else { continue };
            let leader = status["leader"].as_str().unwrap_or_default().to_owned();
            let named = self.metas().iter().position(|meta| leader == format!("{}:8089", meta.ip));
            if let Some(index) = named {
                votes[index] += 1;
            }
        }
        let most = votes.iter().position(|count| *count > votes.len() / 2);
        most.context("no leader that most agree on")
    }

    /// Ends all processes and removes the hosts.
    pub fn remove(&mut self) {
        for host in &mut self.hosts {
            let _ = host.kill();
        }
        for host in &self.hosts {
            let _ = sh(&["ip", "netns", "del", &host.space]);
        }
    }

    /// What the namespaces are called.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}
