//! How the program and its commands are called.

/// `influxd-ctl help`.
pub(crate) const PROGRAM: &str = "\
Usage: influxd-ctl [options] <command> [options] [<args>]

Available commands are:
   add-data            Add a data node
   add-meta            Add a meta node
   backup              Back up a cluster (not available in this release)
   copy-shard          Copy a shard between data nodes (not available in this release)
   copy-shard-status   Show the copies under way (not available in this release)
   entropy             Show and repair differences between copies (not available in this release: repair needs no command)
   help                Show this text
   join                Join the nodes of this host to a cluster
   kill-copy-shard     Stop a copy under way (not available in this release)
   ldap                Look users up in an LDAP directory
   leave               Remove the nodes of this host from their cluster
   node-labels         Set or delete labels of a node
   remove-data         Remove a data node
   remove-meta         Remove a meta node
   remove-shard        Remove a shard from a data node
   restore             Restore a backup (not available in this release)
   show                Show the members of the cluster
   show-shards         Show the shards of the cluster
   token               Make a token for other programs
   truncate-shards     End the shard groups that are written to, and begin new ones
   update-data         Give a data node another address

Options:
  -auth-type none|basic|jwt
       How to prove who asks. (default none)
  -bind host:port
       The HTTP address of a meta node; any of the cluster will do. (default localhost:8091)
  -bind-tls
       Use TLS.
  -ca file
       Certificates of those whom to believe, in PEM; those of the system otherwise.
  -cert file
       A certificate to show, for nodes that ask for one.
  -config file
       The file of a meta node, which says where it listens, whether with TLS, and the secret, where no flag does.
  -k
       Do not check the certificates of nodes.
  -key file
       The key of -cert; in the same file otherwise.
  -pwd password
       The password, with -auth-type basic.
  -secret secret
       The shared secret of the meta nodes, with -auth-type jwt.
  -timeout duration
       How long an operation may take. (default 10s)
  -user name
       The user, with -auth-type basic and jwt.

'influxd-ctl <command> -h' tells more about a command.
";

/// Commands that exist and that this release does not have.
const LATER: [&str; 6] = ["copy-shard", "copy-shard-status", "kill-copy-shard", "entropy", "backup", "restore"];

pub(crate) fn is_later(command: &str) -> bool {
    LATER.contains(&command)
}

/// How a command is called; none for what is no command.
pub(crate) fn of(command: &str) -> Option<&'static str> {
    Some(match command {
        "add-meta" => ADD_META,
        "add-data" => ADD_DATA,
        "remove-meta" => REMOVE_META,
        "remove-data" => REMOVE_DATA,
        "update-data" => UPDATE_DATA,
        "join" => JOIN,
        "leave" => LEAVE,
        "show" => SHOW,
        "show-shards" => SHOW_SHARDS,
        "truncate-shards" => TRUNCATE_SHARDS,
        "remove-shard" => REMOVE_SHARD,
        "node-labels" => NODE_LABELS,
        "token" => TOKEN,
        "ldap" => LDAP,
        later if is_later(later) => "",
        _ => return None,
    })
}

const ADD_META: &str = "\
Usage: influxd-ctl [options] add-meta <http-addr>

Adds the meta node at this HTTP address, like meta1:8091, to the cluster. The first one may add itself, which begins a
cluster. A node that is a member already is told again.
";

const ADD_DATA: &str = "\
Usage: influxd-ctl [options] add-data [-p] <tcp-addr>

Adds the data node at this TCP address, like data1:8088, to the cluster. A node that is a member already is told again.

Options:
  -p   Passive: the node takes writes and queries and never owns shards.
";

const REMOVE_META: &str = "\
Usage: influxd-ctl [options] remove-meta [-y] <http-addr>
       influxd-ctl [options] remove-meta -force -tcpAddr <raft-addr> [-y] <http-addr>

Removes the meta node at this HTTP address from its cluster. A node that runs no more is removed with -force.

Options:
  -force
       The node runs no more and never will.
  -tcpAddr raft-addr
       With -force: the Raft address of the node, as 'influxd-ctl show -v' tells it.
  -y   Do not ask.
";

const REMOVE_DATA: &str = "\
Usage: influxd-ctl [options] remove-data [-force] <tcp-addr>

Removes the data node at this TCP address from the cluster, with the data on its disk. Its shards get no new owners.

Options:
  -force
       The node runs no more and never will.
";

const UPDATE_DATA: &str = "\
Usage: influxd-ctl [options] update-data <old-tcp-addr> <new-tcp-addr>

Gives the number and the shards of a data node to the node at the new TCP address, which belongs to no cluster. The
addresses may be the same, for a node that lost its disk.
";

const JOIN: &str = "\
Usage: influxd-ctl [options] join [-p] [-v] [<http-addr>]

Joins the meta node and the data node of this host, on ports 8091 and 8088, to the cluster of the meta node at this HTTP
address. Without an address the one of -bind is meant; naming the meta node of this host begins a cluster.

Options:
  -p   Passive: the data node takes writes and queries and never owns shards.
  -v   Tell why a node was not joined.
";

const LEAVE: &str = "\
Usage: influxd-ctl [options] leave [-y]

Removes the data node and the meta node of this host, on ports 8088 and 8091, from their cluster, with the data on their
disks.

Options:
  -y   Do not ask.
";

const SHOW: &str = "\
Usage: influxd-ctl [options] show [-v] [-json]

Shows the members of the cluster.

Options:
  -json
       As the server tells it, in JSON.
  -v   All addresses, labels, and the state of Raft.
";

const SHOW_SHARDS: &str = "\
Usage: influxd-ctl [options] show-shards [-v] [-m] [-e]

Shows the shards of the cluster and who owns them. An end with a star is where the shard group was truncated.

Options:
  -e   Expired shards too.
  -m   Only shards that the metadata have and a disk lacks, or a disk has and the metadata lack.
  -v   State, time of the last change and size of each copy.
";

const TRUNCATE_SHARDS: &str = "\
Usage: influxd-ctl [options] truncate-shards [-delay <duration>]

Ends the shard groups that are written to, so that new ones are placed on all data nodes.

Options:
  -delay duration
       How long from now they end; all nodes must have heard of it by then. (default 1m0s)
";

const REMOVE_SHARD: &str = "\
Usage: influxd-ctl [options] remove-shard <tcp-addr> <shard-id>

Removes the copy of a shard from the data node at this TCP address, which then does not own it any more.
";

const NODE_LABELS: &str = "\
Usage: influxd-ctl [options] node-labels set -nodeid <id> -labels '{\"<key>\":\"<value>\"}'
       influxd-ctl [options] node-labels delete -nodeid <id> -labels '[\"<key>\"]'

Sets or deletes labels of a node; others stay as they are.

Options:
  -labels json
       An object of labels to set, or a list of keys to delete.
  -nodeid id
       The number of the node, as 'influxd-ctl show -v' tells it.
";

const TOKEN: &str = "\
Usage: influxd-ctl -auth-type jwt -user <name> -secret <secret> token [-exp <duration>]

Prints a token that proves to be this user, for other programs.

Options:
  -exp duration
       How long the token is good. (default 1m0s)
";

const LDAP: &str = "\
Usage: influxd-ctl [options] ldap sample-config
       influxd-ctl [options] ldap get-config
       influxd-ctl [options] ldap set-config <file>
       influxd-ctl [options] ldap verify [-ldap-config file] <user> <password>
       influxd-ctl [options] ldap purge-cache
       influxd-ctl [options] ldap warm-cache [-status | -cancel]

Has users looked up in an LDAP directory. The meta nodes must allow it, with ldap-allowed in their [meta] section.

   sample-config   Print a configuration to begin with
   get-config      Print what is set, with its password masked
   set-config      Set the configuration in a file, or from standard input when the file is -
   verify          Look a user up and tell what happens, step by step
   purge-cache     Have all nodes forget what they remember of users and their groups
   warm-cache      Have all data nodes read the members of groups ahead of logins, which goes on behind this command

Options:
  -cancel
       With warm-cache: end it; nothing of it is used.
  -ldap-config file
       With verify: the configuration to use in place of what is set; - is standard input.
  -status
       With warm-cache: only show how each data node stands with it. The state is idle, running, warm, expired, cancelled,
       failed or unknown.
";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::flags::Global;

    #[test]
    fn the_help_names_every_command_and_flag() {
        let (commands, _) = PROGRAM.split_once("Options:").expect("both parts");
        let listed: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("   ")).collect();
        let listed: Vec<&str> = listed.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(listed.is_sorted(), "{listed:?}");
        for command in listed.iter().filter(|command| **command != "help") {
            let usage = of(command).expect("a command that is listed has a usage");
            assert!(is_later(command) || usage.contains(&format!(" {command}")), "{command}: {usage}");
            let line = commands
                .lines()
                .find(|line| line.trim_start().starts_with(&format!("{command} ")))
                .expect("it is listed");
            assert_eq!(is_later(command), line.contains("(not available in this release"), "{line}");
        }
        assert!(LATER.iter().all(|command| listed.contains(command)));
        for flag in Global::command().get_arguments().filter_map(|flag| flag.get_long()) {
            assert!(PROGRAM.contains(&format!("\n  -{flag}")), "{flag}");
        }
    }
}
