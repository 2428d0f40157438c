//! Joining the nodes of this host to a cluster.
//!
//! Only the usual ports of this host are looked at. What was found is added through the meta node that was named; what
//! was not, or was refused, is told with `-v`.

use api_client::AdminClient;
use clap::Parser;

use crate::document::{DataNode, MetaNode, Status};
use crate::failure::{self, Failure};
use crate::members::{add_data_form, numbered, or};
use crate::program::{Ctl, Stopped, at_most, read, read_flags};

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
struct Flags {
    #[arg(long = "p")]
    passive: bool,
    #[arg(long = "v")]
    verbose: bool,
}

/// What became of one of the nodes of this host.
enum Outcome<T> {
    /// Nobody of that kind answers there.
    NotFound,
    /// It is there, and was not added.
    Failed(String),
    Added(T),
}

impl<T> Outcome<T> {
    fn is_added(&self) -> bool {
        matches!(self, Outcome::Added(_))
    }
}

/// `join [-p] [-v] [<http-addr>]`
pub(crate) async fn run(ctl: &mut Ctl<'_>, words: &[String]) -> Result<(), Stopped> {
    let (flags, arguments) = read_flags::<Flags>(words)?;
    at_most(&arguments, 1)?;
    let address = arguments.first().unwrap_or(&ctl.global.bind).clone();
    ctl.terminal.say(format_args!("Joining meta node at {address}"))?;
    let cluster = reach(ctl, &address).await?;
    let meta_address = format!("{}:8091", ctl.surroundings.host);
    let data_address = format!("{}:8088", ctl.surroundings.host);
    ctl.terminal.say(format_args!("Searching for meta node on {meta_address}..."))?;
    let meta_found = find(ctl, &meta_address, "meta").await;
    ctl.terminal.say(format_args!("Searching for data node on {data_address}..."))?;
    let data_found = find(ctl, &data_address, "data").await;
    ctl.terminal.say("")?;
    // The meta node first: a data node has nobody to ask before there is a cluster.
    let meta = match meta_found {
        Outcome::Added(()) => added::<MetaNode>(ctl, &cluster, "/join", &[("addr", &meta_address)]).await,
        Outcome::NotFound => Outcome::NotFound,
        Outcome::Failed(why) => Outcome::Failed(why),
    };
    let data = match data_found {
        Outcome::Added(()) => {
            let form = add_data_form(&data_address, flags.passive);
            added::<DataNode>(ctl, &cluster, "/add-data", &form).await
        }
        Outcome::NotFound => Outcome::NotFound,
        Outcome::Failed(why) => Outcome::Failed(why),
    };
    if flags.verbose {
        ctl.terminal.print(&advice(&META, &meta, &meta_address, &address))?;
        ctl.terminal.print(&advice(&DATA, &data, &data_address, &address))?;
    }
    ctl.terminal.print(&summary(&meta, &data, [&meta_address, &data_address], flags.verbose))?;
    let failed = matches!(meta, Outcome::Failed(_)) || matches!(data, Outcome::Failed(_));
    let any = meta.is_added() || data.is_added();
    if failed || !any { Err(Failure::Told.into()) } else { Ok(()) }
}

/// A client of the meta node that was named.
async fn reach(ctl: &mut Ctl<'_>, address: &str) -> Result<AdminClient, Failure> {
    let client = ctl.client(address)?;
    let status: Status = match client.get("/status").await {
        Ok(answer) => read(&answer.body)?,
        Err(error) if error.status().is_some() => return Err(ctl.failure(&error)),
        Err(error) => {
            let why = failure::text(&error, ctl.global.timeout);
            ctl.terminal.complain(unreachable(address, &why).trim_end_matches('\n'));
            return Err(Failure::Told);
        }
    };
    if status.node_type != "meta" {
        return Err(Failure::local(format!("{address} is not a meta node")));
    }
    Ok(client)
}

fn unreachable(address: &str, why: &str) -> String {
    format!(
        "
Unable to connect to {address}

  {why}

Common problems:

  * {address} must be the HTTP address of a meta node (default port 8091)
  * Verify that a meta node runs on that host and listens on that address
  * Verify that this host can open TCP connections to {address}
"
    )
}

/// Whether a node of a kind answers.
async fn find(ctl: &Ctl<'_>, address: &str, kind: &str) -> Outcome<()> {
    let Ok(client) = ctl.client(address) else { return Outcome::NotFound };
    match ctl.status_of(&client, address).await {
        Ok(answer) => match read::<Status>(&answer.body) {
            Ok(status) if status.node_type == kind => Outcome::Added(()),
            _ => Outcome::NotFound,
        },
        // Somebody is there and does not want to talk to us, which the operator should know.
        Err(error) if error.status().is_some() => Outcome::Failed(failure::text(&error, ctl.global.timeout)),
        Err(_) => Outcome::NotFound,
    }
}

async fn added<T: serde::de::DeserializeOwned + Default>(
    ctl: &Ctl<'_>,
    cluster: &AdminClient,
    path: &str,
    form: &[(&str, &str)],
) -> Outcome<T> {
    match ctl.post(cluster, path, form).await.and_then(|body| read(&body)) {
        Ok(node) => Outcome::Added(node),
        Err(Failure::Operation { text, .. }) => Outcome::Failed(text),
        Err(_) => Outcome::Failed("operation exited with error: unknown".to_owned()),
    }
}

/// The words of one of the two kinds of nodes.
struct Kind {
    name: &'static str,
    command: &'static str,
    argument: &'static str,
    port: u16,
}

const META: Kind = Kind { name: "meta", command: "add-meta", argument: "<metaAddr:port>", port: 8091 };
const DATA: Kind = Kind { name: "data", command: "add-data", argument: "<dataAddr:port>", port: 8088 };

/// Why a node was not added, and what to do.
fn advice<T>(kind: &Kind, outcome: &Outcome<T>, at: &str, cluster: &str) -> String {
    let Kind { name, command, argument, port } = kind;
    let head = match outcome {
        Outcome::Added(_) => return String::new(),
        Outcome::NotFound => format!("No {name} node found on {at}!\n"),
        Outcome::Failed(why) => format!("Failed to add {name} node {at}!\n\n  Reason:\n\n    {why}\n"),
    };
    format!(
        "{head}
  If a {name} node is running on this host,
  you may need to add it manually using the following command:

  influxd-ctl -bind {cluster} {command} {argument}

  Common problems:

    * The {name} node may listen on a port other than the default {port}
    * The {name} node process may not be running

"
    )
}

/// What was added.
fn summary(meta: &Outcome<MetaNode>, data: &Outcome<DataNode>, at: [&str; 2], verbose: bool) -> String {
    let hint = if verbose { "" } else { "  Run with -v to see more information" };
    if !meta.is_added() && !data.is_added() {
        return format!("Failed to join cluster.{hint}\n");
    }
    // The first number goes to the node that begins a cluster.
    let created = match meta {
        Outcome::Added(node) if node.id == 1 => Some(or(&node.addr, at[0])),
        _ => None,
    };
    let verb = if created.is_some() { "created" } else { "joined" };
    let meta_line = match meta {
        Outcome::Added(node) => format!("  * Added {} at {}", numbered("meta node", node.id), or(&node.addr, at[0])),
        _ => format!("  * No meta node added.{hint}"),
    };
    let data_line = match data {
        Outcome::Added(node) => {
            format!("  * Added {} at {}", numbered("data node", node.id), or(&node.tcp_addr, at[1]))
        }
        _ => format!("  * No data node added.{hint}"),
    };
    let next = created.map_or(String::new(), |own| {
        format!(
            "\n  To join additional nodes to this cluster, run the following command:\n\n  influxd-ctl join {own}\n"
        )
    });
    format!("Successfully {verb} cluster\n\n{meta_line}\n{data_line}\n{next}")
}
