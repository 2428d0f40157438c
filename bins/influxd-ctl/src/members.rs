//! Adding, removing and updating nodes.

use std::time::Duration;

use clap::Parser;

use crate::document::{DataNode, MetaNode, Status};
use crate::failure::Failure;
use crate::program::{Ctl, NoFlags, Stopped, at_most, read, read_flags};

/// How long a node that leaves may take to be back.
const LEAVE_DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LEAVE_PAUSE: Duration = Duration::from_millis(100);

/// `add-meta <http-addr>`
pub(crate) async fn add_meta(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (NoFlags {}, arguments) = read_flags(words)?;
    let address = required(&arguments, 0, "httpAddr value is empty")?;
    at_most(&arguments, 1)?;
    let body = ctl.post(&ctl.bound()?, "/join", &[("addr", address)]).await?;
    let node: MetaNode = read(&body)?;
    ctl.terminal.say(format_args!("Added {} at {}", numbered("meta node", node.id), or(&node.addr, address)))?;
    Ok(())
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct AddData {
    /// Shards are not placed on the node.
    #[arg(long = "p")]
    passive: bool,
}

/// `add-data [-p] <tcp-addr>`
pub(crate) async fn add_data(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<AddData>(words)?;
    let address = required(&arguments, 0, "tcpAddr value is empty")?;
    at_most(&arguments, 1)?;
    let body = ctl.post(&ctl.bound()?, "/add-data", &add_data_form(address, flags.passive)).await?;
    let node: DataNode = read(&body)?;
    ctl.terminal.say(format_args!("Added {} at {}", numbered("data node", node.id), or(&node.tcp_addr, address)))?;
    Ok(())
}

/// What `/add-data` is sent.
pub(crate) fn add_data_form(address: &str, passive: bool) -> Vec<(&'static str, &str)> {
    let mut form = vec![("addr", address)];
    if passive {
        form.push(("passive", "true"));
    }
    form
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct RemoveMeta {
    #[arg(long)]
    force: bool,
    #[arg(long = "tcpAddr", default_value = "")]
    tcp_addr: String,
    #[arg(long = "y")]
    yes: bool,
}

/// `remove-meta [-force -tcpAddr <raft-addr>] [-y] <http-addr>`
///
/// A node that runs is told to leave, so that it forgets the cluster as well. One that does not is removed by the others,
/// with force.
pub(crate) async fn remove_meta(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<RemoveMeta>(words)?;
    let address = required(&arguments, 0, "addr is required")?;
    at_most(&arguments, 1)?;
    if flags.force && flags.tcp_addr.is_empty() {
        return Err(Failure::argument("-tcpAddr is required with -force").into());
    }
    let target = ctl.client(address)?;
    let before = match flags.force {
        true => Status::default(),
        false => member(ctl, address).await?,
    };
    let verb = if flags.force { "Force remove" } else { "Remove" };
    if !flags.yes && !ctl.terminal.confirm(&format!("{verb} {address} from the cluster [y/N]: "))? {
        return Ok(());
    }
    if flags.force {
        let form = [("httpAddr", address), ("force", "true"), ("tcpAddr", flags.tcp_addr.as_str())];
        ctl.post(&ctl.bound()?, "/remove", &form).await?;
    } else {
        ctl.post(&target, "/leave", &[]).await?;
        // One that holds points goes on as a data node.
        if !before.holds_data {
            comes_back(ctl, address, &before).await?;
        }
    }
    ctl.terminal.say(format_args!("Removed meta node at {address}"))?;
    Ok(())
}

/// Waits until a node that leaves, and closes its ports for a moment, is back as one that can be added, for as long as that
/// may take: a program that ends instead has left all the same.
async fn comes_back(ctl: &Ctl<'_>, address: &str, before: &Status) -> Result<(), Failure> {
    let target = ctl.client(address)?;
    let back = async {
        loop {
            let answer = target.get("/status").await.ok();
            let status = answer.and_then(|answer| read::<Status>(&answer.body).ok());
            // One of another program does not tell who it is.
            let is_new = |status: &Status| before.incarnation.is_empty() || status.incarnation != before.incarnation;
            if status.is_some_and(|status| !status.is_member() && is_new(&status)) {
                return;
            }
            tokio::time::sleep(LEAVE_PAUSE).await;
        }
    };
    let _ = tokio::time::timeout(LEAVE_DEADLINE, back).await;
    Ok(())
}

/// What a member says of itself.
async fn member(ctl: &Ctl<'_>, address: &str) -> Result<Status, Failure> {
    let status = ctl.client(address)?.get("/status").await.map_err(|error| match ctl.failure(&error) {
        Failure::Operation { text, .. } if error.status().is_none() => Failure::Operation {
            text,
            hint: "If the node is gone for good, remove it with -force -tcpAddr <raft-addr>.",
        },
        failure => failure,
    })?;
    let status: Status = read(&status.body)?;
    let refused = |why: &str| Failure::local(format!("operation exited with error: {address} is not {why}"));
    if status.node_type != "meta" {
        return Err(refused("a meta node"));
    }
    if !status.is_member() {
        return Err(refused("part of a cluster"));
    }
    Ok(status)
}

impl Status {
    /// Whether a meta node belongs to a cluster.
    pub(crate) fn is_member(&self) -> bool {
        !self.leader.is_empty() || !self.peers.is_empty()
    }
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct RemoveData {
    #[arg(long)]
    force: bool,
}

/// `remove-data [-force] <tcp-addr>`
pub(crate) async fn remove_data(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<RemoveData>(words)?;
    let address = required(&arguments, 0, "addr value is empty")?;
    at_most(&arguments, 1)?;
    let mut form = vec![("addr", address)];
    if flags.force {
        form.push(("force", "true"));
    }
    ctl.post(&ctl.bound()?, "/remove-data", &form).await?;
    ctl.terminal.say(format_args!("Removed data node at {address}"))?;
    Ok(())
}

/// `update-data <old-tcp-addr> <new-tcp-addr>`
///
/// Both may be the same: a node whose disk was replaced takes up the number that it had.
pub(crate) async fn update_data(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (NoFlags {}, arguments) = read_flags(words)?;
    let old = required(&arguments, 0, "old-addr value is empty")?;
    let new = required(&arguments, 1, "new-addr value is empty")?;
    at_most(&arguments, 2)?;
    let body = ctl.post(&ctl.bound()?, "/update-data", &[("oldAddr", old), ("newAddr", new)]).await?;
    let node: DataNode = read(&body)?;
    ctl.terminal.say(format_args!("Updated {} to {}", numbered("data node", node.id), or(&node.tcp_addr, new)))?;
    Ok(())
}

/// An argument that must be there and not be empty.
pub(crate) fn required<'a>(arguments: &'a [String], index: usize, missing: &str) -> Result<&'a str, Failure> {
    let argument = arguments.get(index).filter(|argument| !argument.is_empty());
    argument.map(String::as_str).ok_or_else(|| Failure::argument(missing))
}

/// What the server calls a node, or else what the operator called it.
pub(crate) fn or<'a>(told: &'a str, asked: &'a str) -> &'a str {
    if told.is_empty() { asked } else { told }
}

/// A node with its number, if the server told it.
pub(crate) fn numbered(kind: &str, id: u64) -> String {
    if id == 0 { kind.to_owned() } else { format!("{kind} {id}") }
}
