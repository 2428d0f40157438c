//! Flags and sub-commands of `influxd`. Flags may be written with one dash, as scripts of the reference have them.

use clap::{Args, Parser, Subcommand};
use influxd::program::double_dashed;

/// A clustered time series database that speaks InfluxDB 1.x.
///
/// Without a sub-command the server runs. The first node of a cluster is started plainly; the others join it:
///
///     influxd -config /etc/influxdb/influxdb.conf
///     influxd -config /etc/influxdb/influxdb.conf -join node-01:8091,node-02:8091
///
/// Settings come from, in rising order: defaults, the file, the environment (INFLUXDB_<TABLE>_<KEY>), flags.
#[derive(Debug, Parser)]
#[command(name = "influxd", disable_version_flag = true, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server (the default)
    Run(Run),
    /// Print the whole configuration as it would be used
    Config(ConfigCommand),
    /// Print the version
    Version,
}

/// Flags of the server.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Run {
    /// The configuration file; without it INFLUXDB_CONFIG_PATH, then ~/.influxdb/influxdb.conf, then
    /// /etc/influxdb/influxdb.conf. /dev/null means none
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,
    /// Join a cluster: meta HTTP addresses of members, tried in turn until one accepts. Ignored by a node that has
    /// joined already
    #[arg(long, value_name = "HOST:8091,...")]
    pub(crate) join: Option<String>,
    /// The name that other nodes reach this one by, for addresses without a host
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
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

/// Flags of `influxd config`.
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

    fn parse(words: &[&str]) -> Arguments {
        Arguments::try_parse_from(double_dashed(words.iter().map(|word| (*word).to_owned()))).expect("arguments")
    }

    #[test]
    fn one_dash_is_enough() {
        let arguments = parse(&["influxd", "-config", "a.conf", "-join=b:8091,c:8091"]);
        assert_eq!(arguments.run.config.as_deref(), Some("a.conf"));
        assert_eq!(arguments.run.join.as_deref(), Some("b:8091,c:8091"));
    }

    #[test]
    fn sub_commands_have_flags_of_their_own() {
        let arguments = parse(&["influxd", "config", "-config", "a.conf"]);
        assert!(
            matches!(arguments.command, Some(Command::Config(config)) if config.config.as_deref() == Some("a.conf"))
        );
        let arguments = parse(&["influxd", "run", "-pidfile", "p"]);
        assert!(matches!(arguments.command, Some(Command::Run(run)) if run.pidfile.as_deref() == Some("p")));
    }

    #[test]
    fn help_is_whole() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let help = Arguments::try_parse_from(["influxd", "help"]).expect_err("help is no command to run");
        assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
        let text = help.to_string();
        for word in ["run", "config", "version", "--join", "--pidfile"] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }
}
