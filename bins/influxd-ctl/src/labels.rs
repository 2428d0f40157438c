//! Labels of nodes. Nothing is printed when they were changed.

use std::collections::BTreeMap;

use clap::Parser;
use serde_json::json;

use crate::failure::Failure;
use crate::program::{Ctl, Stopped, none_left, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Flags {
    #[arg(long)]
    nodeid: Option<u64>,
    #[arg(long, default_value = "")]
    labels: String,
}

/// `node-labels set|delete -nodeid <id> -labels <json>`
pub(crate) async fn run(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Flags>(words)?;
    let (verb, rest) = arguments.split_first().ok_or_else(|| Failure::argument("set or delete is required"))?;
    if !matches!(verb.as_str(), "set" | "delete") {
        return Err(Failure::argument(format!("unknown command {verb:?}")).into());
    }
    none_left(rest)?;
    let node = flags.nodeid.filter(|id| *id > 0).ok_or_else(|| Failure::argument("-nodeid is required"))?;
    if flags.labels.is_empty() {
        return Err(Failure::argument("-labels is required").into());
    }
    let document = match verb.as_str() {
        "set" => json!({ "nodeID": node, "set": to_set(&flags.labels)?, "delete": [] }),
        _ => json!({ "nodeID": node, "set": {}, "delete": to_delete(&flags.labels)? }),
    };
    let client = ctl.bound()?;
    client.post_json("/node-labels", document.to_string()).await.map_err(|error| ctl.failure(&error))?;
    Ok(())
}

fn to_set(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    serde_json::from_str(text).map_err(|error| invalid("an object of texts, like {\"az\":\"us-west\"}", &error))
}

fn to_delete(text: &str) -> Result<Vec<String>, Failure> {
    serde_json::from_str(text).map_err(|error| invalid("a list of keys, like [\"az\"]", &error))
}

fn invalid(want: &str, error: &serde_json::Error) -> Failure {
    Failure::argument(format!("invalid -labels: it must be {want}: {error}"))
}
