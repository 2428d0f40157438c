//! Users in an LDAP directory: how it is asked, and whether that works.

use std::path::Path;

use clap::Parser;
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::print;
use crate::program::{Ctl, Stopped, none_left, read, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Flags {
    #[arg(long, default_value = "")]
    ldap_config: String,
    #[arg(long)]
    status: bool,
    #[arg(long)]
    cancel: bool,
}

/// What `get-config` is told.
#[derive(Debug, Default, Deserialize)]
struct Shown {
    #[serde(default)]
    toml: String,
}

/// What `warm-cache` is told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Warming {
    pub(crate) nodes: Vec<WarmNode>,
}

/// How a data node stands with reading groups ahead.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct WarmNode {
    pub(crate) id: u64,
    pub(crate) tcp_addr: String,
    pub(crate) state: String,
    pub(crate) groups: u64,
    pub(crate) groups_read: u64,
    pub(crate) members: u64,
    pub(crate) message: String,
}

/// `ldap sample-config|get-config|set-config|verify|purge-cache|warm-cache`
pub(crate) async fn run(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Flags>(words)?;
    let (verb, rest) = arguments.split_first().ok_or_else(|| Failure::argument("a sub-command is required"))?;
    if verb != "verify" && !flags.ldap_config.is_empty() {
        return Err(Failure::argument("-ldap-config is for verify").into());
    }
    if verb != "warm-cache" && (flags.status || flags.cancel) {
        return Err(Failure::argument("-status and -cancel are for warm-cache").into());
    }
    match (verb.as_str(), rest) {
        ("sample-config", rest) => {
            none_left(rest)?;
            ctl.terminal.print(::ldap::SAMPLE)?;
        }
        ("get-config", rest) => {
            none_left(rest)?;
            let client = ctl.bound()?;
            let shown: Shown = read(&ctl.get(&client, "/ldap/v1/config").await?)?;
            match shown.toml.as_str() {
                "" => ctl.terminal.say("no LDAP configuration is set")?,
                toml => ctl.terminal.print(toml)?,
            }
        }
        ("set-config", [file]) => {
            let (config, client) = (text(ctl, file)?, ctl.bound()?);
            client.post_text("/ldap/v1/config", config).await.map_err(|error| ctl.failure(&error))?;
        }
        ("set-config", _) => return Err(Failure::argument("one file is required, or - for standard input").into()),
        ("verify", [user, password]) => {
            let config = match flags.ldap_config.as_str() {
                "" => None,
                file => Some(text(ctl, file)?),
            };
            let client = ctl.bound()?;
            let asked = json!({ "user": user, "password": password, "config": config });
            let answer = client.post_json("/ldap/v1/verify", asked.to_string()).await;
            let answer = answer.map_err(|error| ctl.failure(&error))?;
            let told = String::from_utf8_lossy(&answer.body);
            ctl.terminal.print(&told)?;
            if !told.ends_with("\nlet in\n") {
                return Err(Failure::Told.into());
            }
        }
        ("verify", _) => return Err(Failure::argument("a user and a password are required").into()),
        ("purge-cache", rest) => {
            none_left(rest)?;
            let client = ctl.bound()?;
            client.post_text("/ldap/v1/purge-cache", String::new()).await.map_err(|error| ctl.failure(&error))?;
        }
        ("warm-cache", rest) => {
            none_left(rest)?;
            warm_cache(ctl, &flags).await?;
        }
        (other, _) => return Err(Failure::argument(format!("unknown command {other:?}")).into()),
    }
    Ok(())
}

/// Tells the data nodes to read groups ahead or to end that, unless their state is all that is asked for; shows how they
/// stand with it.
async fn warm_cache(ctl: &mut Ctl<'_>, flags: &Flags) -> Result<(), Stopped> {
    const PATH: &str = "/ldap/v1/warm-cache";
    let client = ctl.bound()?;
    let body = match (flags.status, flags.cancel) {
        (true, true) => return Err(Failure::argument("-status and -cancel do not go together").into()),
        (true, false) => ctl.get(&client, PATH).await?,
        (false, cancel) => {
            let form: &[(&str, &str)] = if cancel { &[("cancel", "true")] } else { &[] };
            client.post_form(PATH, form).await.map_err(|error| ctl.failure(&error))?.body.to_vec()
        }
    };
    let warming: Warming = read(&body)?;
    ctl.terminal.print(&print::warming::list(&warming))?;
    let not_done = warming.nodes.iter().any(|node| matches!(node.state.as_str(), "failed" | "unknown"));
    if not_done && !flags.status { Err(Failure::Told.into()) } else { Ok(()) }
}

/// The text of a file, or of standard input.
fn text(ctl: &mut Ctl<'_>, file: &str) -> Result<String, Failure> {
    if file == "-" {
        return Ok(ctl.terminal.read_all()?);
    }
    let bytes = ctl.surroundings.env.fs().read(Path::new(file));
    let bytes = bytes.map_err(|error| Failure::local(format!("{file}: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Failure::local(format!("{file}: not a text")))
}
