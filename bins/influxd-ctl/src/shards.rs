//! Cutting shard groups and removing copies of shards.

use std::time::Duration;

use clap::Parser;
use stdx::human::print_duration;

use crate::failure::Failure;
use crate::flags::duration;
use crate::members::required;
use crate::program::{Ctl, NoFlags, Stopped, at_most, none_left, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Truncate {
    #[arg(long, default_value = "1m", value_parser = duration)]
    delay: Duration,
}

/// `truncate-shards [-delay 1m0s]`
pub(crate) async fn truncate(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Truncate>(words)?;
    none_left(&arguments)?;
    ctl.post(&ctl.bound()?, "/truncate-shards", &[("delay", &print_duration(flags.delay))]).await?;
    ctl.terminal.say("Truncated shards.")?;
    Ok(())
}

/// `remove-shard <tcp-addr> <shard-id>`
pub(crate) async fn remove(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (NoFlags {}, arguments) = read_flags(words)?;
    let address = required(&arguments, 0, "srcAddr is required")?;
    let shard = required(&arguments, 1, "shardID is required")?;
    at_most(&arguments, 2)?;
    let shard = shard_id(shard)?.to_string();
    ctl.post(&ctl.bound()?, "/remove-shard", &[("src", address), ("shard", &shard)]).await?;
    ctl.terminal.say(format_args!("Removed shard {shard} from {address}"))?;
    Ok(())
}

fn shard_id(text: &str) -> Result<u64, Failure> {
    let id: i64 = text.parse().map_err(|_| Failure::argument(format!("error converting shardID to int: {text}")))?;
    match u64::try_from(id) {
        Ok(id) if id > 0 => Ok(id),
        _ => Err(Failure::argument("shardID must be greater than 0")),
    }
}
