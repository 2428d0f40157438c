//! Users in an LDAP directory: how it is asked, and whether that works.

use std::path::Path;

use clap::Parser;
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::program::{Ctl, Stopped, none_left, read, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Flags {
    #[arg(long, default_value = "")]
    ldap_config: String,
}

/// What `get-config` is told.
#[derive(Debug, Default, Deserialize)]
struct Shown {
    #[serde(default)]
    toml: String,
}

/// `ldap sample-config|get-config|set-config|verify|purge-cache|warm-cache`
pub(crate) async fn run(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Flags>(words)?;
    let (verb, rest) = arguments.split_first().ok_or_else(|| Failure::argument("a sub-command is required"))?;
    if verb != "verify" && !flags.ldap_config.is_empty() {
        return Err(Failure::argument("-ldap-config is for verify").into());
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
        ("warm-cache", _) => {
            return Err(Failure::local(
                "warm-cache is not available in this release: users are asked for as they log in",
            )
            .into());
        }
        (other, _) => return Err(Failure::argument(format!("unknown command {other:?}")).into()),
    }
    Ok(())
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
