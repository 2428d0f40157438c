//! Tokens for other programs.

use std::time::Duration;

use api_client::Authorization;
use clap::Parser;

use crate::failure::Failure;
use crate::flags::positive_duration;
use crate::program::{Ctl, Stopped, none_left, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Flags {
    #[arg(long, default_value = "1m", value_parser = positive_duration)]
    exp: Duration,
}

/// `token [-exp 1m0s]`
pub(crate) fn run(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Flags>(words)?;
    none_left(&arguments)?;
    let Authorization::Bearer { username, secret } = ctl.authorization() else {
        return Err(Failure::Operation {
            text: "tokens can only be created when using bearer authentication".to_owned(),
            hint: "Give -auth-type jwt -user <name> -secret <secret> in front of the command.",
        }
        .into());
    };
    // A token has whole seconds; it is rather good for a moment longer than not at all.
    let seconds = flags.exp.as_secs() + u64::from(flags.exp.subsec_nanos() > 0);
    let token = credentials::sign(username, secret, ctl.now_unix_seconds() + seconds);
    ctl.terminal.say(token)?;
    Ok(())
}
