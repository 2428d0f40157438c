//! Showing members and shards.

use clap::Parser;
use jiff::Timestamp;

use crate::document::{Cluster, Shard, Status};
use crate::print;
use crate::print::shards::View;
use crate::program::{Ctl, Stopped, none_left, read, read_flags};

/// Beside the lists, on standard error: programs read those.
const OPEN_PORTS: &str = "warning: the ports between the nodes are open to everyone who reaches them; set the same \
                          [meta] internal-shared-secret on meta nodes and meta-internal-shared-secret on data nodes";

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Members {
    #[arg(long = "v")]
    verbose: bool,
    #[arg(long)]
    json: bool,
}

/// `show [-v] [-json]`
pub(crate) async fn members(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Members>(words)?;
    none_left(&arguments)?;
    let client = ctl.bound()?;
    let body = ctl.get(&client, "/show-cluster").await?;
    let cluster: Cluster = read(&body)?;
    if flags.json {
        // As it came, with keys that this program does not know.
        ctl.terminal.say(String::from_utf8_lossy(body.trim_ascii()))?;
        return Ok(());
    }
    if cluster.open_ports {
        ctl.terminal.complain(OPEN_PORTS);
    }
    let text = if flags.verbose {
        let status: Status = read(&ctl.get(&client, "/status").await?)?;
        print::cluster::long(&cluster, &status)
    } else {
        print::cluster::short(&cluster)
    };
    ctl.terminal.print(&text)?;
    Ok(())
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Shards {
    #[arg(long = "v")]
    verbose: bool,
    #[arg(long = "m")]
    missing: bool,
    #[arg(long = "e")]
    expired: bool,
    #[arg(long = "legacy-owners")]
    legacy_owners: bool,
}

/// `show-shards [-v] [-m] [-e]`
pub(crate) async fn shards(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Shards>(words)?;
    none_left(&arguments)?;
    // What lies on disks only the owners know, and only a verbose answer has asked them.
    let path = match (flags.missing, flags.verbose) {
        (true, _) => "/show-shards?verbose=true&missing=true",
        (false, true) => "/show-shards?verbose=true",
        (false, false) => "/show-shards",
    };
    let shards: Vec<Shard> = read(&ctl.get(&ctl.bound()?, path).await?)?;
    let view = View {
        verbose: flags.verbose,
        missing: flags.missing,
        expired: flags.expired,
        legacy_owners: flags.legacy_owners,
    };
    let now = Timestamp::from_nanosecond(i128::from(ctl.surroundings.env.now().0)).unwrap_or_default();
    ctl.terminal.print(&print::shards::list(&shards, view, now))?;
    Ok(())
}
