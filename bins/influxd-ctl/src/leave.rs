//! Removing the nodes of this host from their cluster: the data node first, as long as its meta node can still be asked.

use clap::Parser;

use crate::document::Status;
use crate::failure::Failure;
use crate::members::or;
use crate::program::{Ctl, Stopped, none_left, read, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Flags {
    #[arg(long = "y")]
    yes: bool,
}

/// What became of one of the nodes of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is not there, belongs to no cluster, or the operator said no.
    Stayed,
    /// It was to be removed and was not.
    Failed,
    Removed,
}

/// `leave [-y]`
pub(crate) async fn run(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Flags>(words)?;
    none_left(&arguments)?;
    let data_address = format!("{}:8088", ctl.surroundings.host);
    let meta_address = format!("{}:8091", ctl.surroundings.host);
    // Without this a wrong flag would look like a missing node.
    ctl.client(&data_address)?;
    ctl.terminal.say(format_args!("Searching for data node on {data_address}..."))?;
    let data = leave_data(ctl, &data_address, flags.yes).await?;
    ctl.terminal.say(format_args!("Searching for meta node on {meta_address}..."))?;
    let meta = leave_meta(ctl, &meta_address, flags.yes).await?;
    ctl.terminal.print(&summary(data, &data_address, meta, &meta_address))?;
    if [data, meta].contains(&Outcome::Failed) { Err(Failure::Told.into()) } else { Ok(()) }
}

async fn leave_data(ctl: &mut Ctl<'_>, address: &str, yes: bool) -> Result<Outcome, Failure> {
    let status = match find(ctl, address, "data").await {
        Ok(Some(status)) => status,
        Ok(None) => {
            ctl.terminal.say("  * No data node found.")?;
            return Ok(Outcome::Stayed);
        }
        Err(failure) => return told(ctl, failure),
    };
    if status.meta_addrs.is_empty() {
        ctl.terminal.say(format_args!("  * Data node at {address} is not part of a cluster"))?;
        return Ok(Outcome::Stayed);
    }
    if !confirmed(ctl, &format!("Remove data node {address} from the cluster [y/N]: "), yes)? {
        return Ok(Outcome::Stayed);
    }
    // The cluster knows the node by the address that it registered, which may have another name of this host.
    let registered = or(&status.tcp_addr, address);
    match remove_data(ctl, &status.meta_addrs, registered).await {
        Ok(()) => {
            ctl.terminal.say(format_args!("Removed {address} from the cluster"))?;
            Ok(Outcome::Removed)
        }
        Err(failure) => told(ctl, failure),
    }
}

/// Asks the first meta node that can be reached.
async fn remove_data(ctl: &Ctl<'_>, meta_addresses: &[String], address: &str) -> Result<(), Failure> {
    let mut last = Failure::local("operation exited with error: no meta node is known");
    for meta_address in meta_addresses {
        match ctl.client(meta_address)?.post_form("/remove-data", &[("addr", address)]).await {
            Ok(_) => return Ok(()),
            Err(error @ api_client::ClientError::Unreachable { .. }) => last = ctl.failure(&error),
            Err(error) => return Err(ctl.failure(&error)),
        }
    }
    Err(last)
}

async fn leave_meta(ctl: &mut Ctl<'_>, address: &str, yes: bool) -> Result<Outcome, Failure> {
    let status = match find(ctl, address, "meta").await {
        Ok(Some(status)) => status,
        Ok(None) => {
            ctl.terminal.say("  * No meta node found.")?;
            return Ok(Outcome::Stayed);
        }
        Err(failure) => return told(ctl, failure),
    };
    if !status.is_member() {
        ctl.terminal.say(format_args!("  * Meta node at {address} is not part of a cluster"))?;
        return Ok(Outcome::Stayed);
    }
    if !confirmed(ctl, &format!("Remove meta node {address} from the cluster [y/N]: "), yes)? {
        return Ok(Outcome::Stayed);
    }
    match ctl.post(&ctl.client(address)?, "/leave", &[]).await {
        Ok(_) => Ok(Outcome::Removed),
        Err(failure) => told(ctl, failure),
    }
}

/// The node of a kind at an address; none when nobody answers, or a node of another kind.
async fn find(ctl: &Ctl<'_>, address: &str, kind: &str) -> Result<Option<Status>, Failure> {
    match ctl.status_of(&ctl.client(address)?, address).await {
        Ok(answer) => Ok(read::<Status>(&answer.body).ok().filter(|status| status.node_type == kind)),
        // Somebody is there and does not want to talk to us.
        Err(error) if error.status().is_some() => Err(ctl.failure(&error)),
        Err(_) => Ok(None),
    }
}

fn confirmed(ctl: &mut Ctl<'_>, question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    match ctl.terminal.confirm(question) {
        Ok(answer) => Ok(answer),
        Err(error) => {
            ctl.terminal.say(format_args!("\n  * Prompt error: {error}"))?;
            Ok(false)
        }
    }
}

/// Says why a node was not removed and goes on with the other.
fn told(ctl: &mut Ctl<'_>, failure: Failure) -> Result<Outcome, Failure> {
    let Failure::Operation { text, .. } = failure else { return Err(failure) };
    let text = match text.strip_prefix("operation") {
        Some(rest) => format!("Operation{rest}"),
        None => text,
    };
    ctl.terminal.say(format_args!("  * {text}"))?;
    Ok(Outcome::Failed)
}

fn summary(data: Outcome, data_address: &str, meta: Outcome, meta_address: &str) -> String {
    let line = |kind: &str, outcome: Outcome, address: &str| match outcome {
        Outcome::Removed => format!("  * Removed {kind} node {address} from cluster\n"),
        Outcome::Stayed | Outcome::Failed => format!("  * No {kind} node removed from cluster\n"),
    };
    if ![data, meta].contains(&Outcome::Removed) {
        return "\nNo nodes removed from cluster.\n".to_owned();
    }
    let (data, meta) = (line("data", data, data_address), line("meta", meta, meta_address));
    format!("\nSuccessfully left cluster\n\n{data}{meta}")
}
