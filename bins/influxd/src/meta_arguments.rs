//! Flags and sub-commands of `influxd-meta`. Flags may be written with one dash, as scripts of the reference have them.

use clap::{Args, Parser, Subcommand};
use influxd::program::double_dashed;

/// A meta node of a Mainstem cluster: it keeps the cluster's metadata, no points.
///
/// Without a sub-command the node runs, and waits until it is added to a cluster. The first one is added on its own host:
///
///     influxd-meta -config /etc/influxdb/influxdb-meta.conf
///     influxd-ctl add-meta meta-01:8091
///
/// Settings come from, in rising order: defaults, the file, the environment (INFLUXDB_<TABLE>_<KEY>), flags.
#[derive(Debug, Parser)]
#[command(name = "influxd-meta", disable_version_flag = true, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node (the default)
    Run(Run),
    /// Print the whole configuration as it would be used
    Config(ConfigCommand),
    /// Print the version
    Version,
}

/// Flags of the node.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Run {
    /// The configuration file; without it INFLUXDB_META_CONFIG_PATH, then ~/.influxdb/influxdb-meta.conf, then
    /// /etc/influxdb/influxdb-meta.conf. /dev/null means none
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,
    /// The name that other nodes reach this one by, for addresses without a host
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Form a cluster of one meta node and one data node
    #[arg(long)]
    pub(crate) single_server: bool,
    /// Write the process id to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) pidfile: Option<String>,
    /// Accepted for old scripts; does nothing
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) cpuprofile: Option<String>,
    /// Accepted for old scripts; does nothing
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) memprofile: Option<String>,
}

/// Flags of `influxd-meta config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    /// Merge with this file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,
}

/// Reads the arguments of the process; prints help or a mistake and ends it where that is asked for.
pub(crate) fn read() -> Arguments {
    Arguments::parse_from(double_dashed(std::env::args()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_line_is_understood() {
        let words = ["influxd-meta", "-config", "/etc/influxdb/influxdb-meta.conf", "-single-server"];
        let arguments = Arguments::try_parse_from(double_dashed(words.map(str::to_owned).into_iter())).expect("flags");
        assert_eq!(arguments.run.config.as_deref(), Some("/etc/influxdb/influxdb-meta.conf"));
        assert!(arguments.run.single_server && arguments.command.is_none());
    }

    #[test]
    fn help_is_whole() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let help = Arguments::try_parse_from(["influxd-meta", "help"]).expect_err("help is no command to run");
        let text = help.to_string();
        for word in
            ["run", "config", "version", "--single-server", "--hostname", "--pidfile", "INFLUXDB_META_CONFIG_PATH"]
        {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }
}
