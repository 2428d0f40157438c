//! The command line. Flags are those of programs written in Go: one dash or two, the value behind `=` or in the next
//! word, everything after the first word that is no flag is an argument.

use clap::Parser;
use clap::error::ErrorKind;

/// Flags that take no value, or one behind `=`.
const SWITCHES: [&str; 8] = ["version", "ssl", "unsafeSsl", "pretty", "import", "compressed", "h", "help"];

/// Flags that take a value.
const VALUES: [&str; 15] = [
    "host",
    "port",
    "path-prefix",
    "socket",
    "database",
    "username",
    "password",
    "execute",
    "type",
    "format",
    "precision",
    "consistency",
    "pps",
    "path",
    "node",
];

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "influx", disable_help_flag = true, disable_version_flag = true, args_override_self = true)]
pub(crate) struct Flags {
    #[arg(long, num_args = 1, default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) version: bool,
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    #[arg(long, default_value_t = 8086)]
    pub(crate) port: u16,
    #[arg(long = "path-prefix", default_value = "")]
    pub(crate) path_prefix: String,
    #[arg(long, default_value = "")]
    pub(crate) socket: String,
    #[arg(long, default_value = "")]
    pub(crate) database: String,
    #[arg(long)]
    pub(crate) username: Option<String>,
    #[arg(long)]
    pub(crate) password: Option<String>,
    #[arg(long, num_args = 1, default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) ssl: bool,
    #[arg(long = "unsafeSsl", num_args = 1, default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) unsafe_ssl: bool,
    #[arg(long, default_value = "")]
    pub(crate) execute: String,
    #[arg(long = "type", default_value = "influxql")]
    pub(crate) language: String,
    #[arg(long, default_value = "column")]
    pub(crate) format: String,
    #[arg(long, default_value = "ns")]
    pub(crate) precision: String,
    #[arg(long, default_value = "all")]
    pub(crate) consistency: String,
    #[arg(long, num_args = 1, default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) pretty: bool,
    #[arg(long, num_args = 1, default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) import: bool,
    #[arg(long, default_value = "")]
    pub(crate) path: String,
    #[arg(long, num_args = 1, default_value = "false", action = clap::ArgAction::Set)]
    pub(crate) compressed: bool,
    #[arg(long, default_value_t = 0)]
    pub(crate) pps: u64,
    #[arg(long, default_value_t = 0)]
    pub(crate) node: u64,
}

/// Why the program ends before it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The usage was asked for: print it, exit 0.
    Help,
    /// The flags are wrong: print why and the usage, exit 2.
    Wrong(String),
    /// There are words that are no flags: print them and the usage, exit 1.
    Unknown(String),
}

/// How the program is called.
pub(crate) const USAGE: &str = "\
Usage of influx:
  -version
       Print the version and exit.
  -host 'host name'
       Host to connect to. (default localhost)
  -port 'port #'
       Port to connect to. (default 8086)
  -path-prefix 'path'
       Path in front of all paths, for servers behind a proxy.
  -socket 'path'
       Unix domain socket to connect to.
  -database 'database name'
       Database to use.
  -username 'username'
       Who connects; INFLUX_USERNAME is used where this is missing.
  -password 'password'
       Password; an empty one is prompted for. INFLUX_PASSWORD is used where this is missing.
  -ssl
       Connect with https.
  -unsafeSsl
       Connect with https without checking the certificate.
  -execute 'command'
       Run a command and exit.
  -type 'influxql|flux'
       Language of queries. (default influxql)
  -format 'json|csv|column'
       How answers are shown. (default column)
  -precision 'rfc3339|h|m|s|ms|u|ns'
       How times are shown, and the unit of times that are written. (default ns)
  -consistency 'any|one|quorum|all'
       How many owners must have what is written. (default all)
  -pretty
       Indent json.
  -import
       Import a file in the format of an export.
  -path 'path'
       The file to import; - is standard input.
  -compressed
       The file to import is compressed with gzip.
  -pps 'number'
       Points to import per second; 0 is as many as possible. (default 0)
  -node 'number'
       Ask only this data node. (default 0)

Examples:

    # Ask the database \"metrics\" and print indented json:
    $ influx -database 'metrics' -execute 'select * from cpu' -format 'json' -pretty

    # Work with a database of another host:
    $ influx -host 'db1' -port '8086' -database 'metrics'
";

impl Flags {
    /// Reads the words after the program's name.
    pub(crate) fn read(words: impl IntoIterator<Item = String>) -> Result<Flags, Stop> {
        let rewritten = rewrite(words)?;
        Flags::try_parse_from(std::iter::once("influx".to_owned()).chain(rewritten)).map_err(|error| {
            let wrong = |name: &str| {
                error.get(clap::error::ContextKind::InvalidArg).map_or(name.to_owned(), ToString::to_string)
            };
            let flag = wrong("flag").split_whitespace().next().unwrap_or_default().trim_start_matches('-').to_owned();
            let value = error.get(clap::error::ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
            match error.kind() {
                ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
                    Stop::Wrong(format!("invalid value {value:?} for flag -{flag}: parse error"))
                }
                _ => Stop::Wrong(error.to_string()),
            }
        })
    }
}

/// The words with two dashes before each flag and its value behind `=`.
fn rewrite(words: impl IntoIterator<Item = String>) -> Result<Vec<String>, Stop> {
    let mut words = words.into_iter();
    let mut rewritten = Vec::new();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|name| !name.is_empty());
        let Some(name) = name else {
            let rest: Vec<String> = std::iter::once(word).chain(words).filter(|word| word != "--").collect();
            return if rest.is_empty() { Ok(rewritten) } else { Err(Stop::Unknown(rest.join(" "))) };
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        if name == "h" || name == "help" {
            return Err(Stop::Help);
        }
        let value = if SWITCHES.contains(&name) {
            value.unwrap_or_else(|| "true".to_owned())
        } else if VALUES.contains(&name) {
            match value.or_else(|| words.next()) {
                Some(value) => value,
                None => return Err(Stop::Wrong(format!("flag needs an argument: -{name}"))),
            }
        } else {
            return Err(Stop::Wrong(format!("flag provided but not defined: -{name}")));
        };
        rewritten.push(format!("--{name}={value}"));
    }
    Ok(rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Flags, Stop> {
        Flags::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn nothing_given_is_the_usual() {
        let flags = read("").expect("fine");
        assert_eq!((flags.host.as_str(), flags.port, flags.format.as_str()), ("localhost", 8086, "column"));
        assert_eq!((flags.precision.as_str(), flags.consistency.as_str()), ("ns", "all"));
        assert!(!flags.version && !flags.import && flags.password.is_none());
    }

    #[test]
    fn one_dash_or_two_and_a_value_in_either_place() {
        let flags = read("-host a --port=9 -pretty -database=d=e --execute -x").expect("fine");
        assert_eq!((flags.host.as_str(), flags.port, flags.pretty), ("a", 9, true));
        assert_eq!((flags.database.as_str(), flags.execute.as_str()), ("d=e", "-x"));
        assert!(!read("-pretty=false").expect("fine").pretty);
        assert_eq!(read("-host a -host b").expect("fine").host, "b");
        assert_eq!(read("-pps 5 -node 3").map(|flags| (flags.pps, flags.node)), Ok((5, 3)));
    }

    #[test]
    fn an_empty_password_is_not_none() {
        let flags = Flags::read(["-password", ""].map(str::to_owned)).expect("fine");
        assert_eq!(flags.password.as_deref(), Some(""));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |line: &str| read(line).expect_err("wrong");
        assert_eq!(wrong("-foo"), Stop::Wrong("flag provided but not defined: -foo".to_owned()));
        assert_eq!(wrong("-foo=1"), Stop::Wrong("flag provided but not defined: -foo".to_owned()));
        assert_eq!(wrong("-host"), Stop::Wrong("flag needs an argument: -host".to_owned()));
        assert_eq!(wrong("-port x"), Stop::Wrong("invalid value \"x\" for flag -port: parse error".to_owned()));
        assert_eq!(wrong("-port 99999"), Stop::Wrong("invalid value \"99999\" for flag -port: parse error".to_owned()));
        assert_eq!(wrong("-pretty=x"), Stop::Wrong("invalid value \"x\" for flag -pretty: parse error".to_owned()));
        assert_eq!(wrong("-pretty foo -host x"), Stop::Unknown("foo -host x".to_owned()));
        assert_eq!((wrong("-h"), wrong("--help")), (Stop::Help, Stop::Help));
    }

    #[test]
    fn the_usage_names_every_flag() {
        for name in SWITCHES.iter().chain(&VALUES).filter(|name| !matches!(**name, "h" | "help")) {
            assert!(USAGE.contains(&format!("\n  -{name}")), "{name}");
        }
    }
}
