//! The command line. Flags are those of programs written in Go: one dash or two, the value behind `=` or in the next
//! word. Those before the command are for all commands, those behind it are its own and may stand among its arguments.

use std::time::Duration;

use clap::{Command, Parser};

/// Flags of all commands.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
pub(crate) struct Global {
    // What is empty is told by the file of `-config`, and has its usual value from `Global::settle` on.
    #[arg(long = "auth-type", default_value = "")]
    pub(crate) auth_type: String,
    #[arg(long, default_value = "")]
    pub(crate) bind: String,
    #[arg(long = "bind-tls")]
    pub(crate) bind_tls: bool,
    #[arg(long, default_value = "")]
    pub(crate) config: String,
    // These three are ours.
    #[arg(long = "ca", default_value = "")]
    pub(crate) ca: String,
    #[arg(long = "cert", default_value = "")]
    pub(crate) cert: String,
    #[arg(long = "key", default_value = "")]
    pub(crate) key: String,
    #[arg(long = "k")]
    pub(crate) k: bool,
    #[arg(long, default_value = "")]
    pub(crate) pwd: String,
    #[arg(long, default_value = "")]
    pub(crate) secret: String,
    #[arg(long, default_value = "10s", value_parser = positive_duration)]
    pub(crate) timeout: Duration,
    #[arg(long, default_value = "")]
    pub(crate) user: String,
}

/// Why the words are not what a command needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The usage was asked for.
    Help,
    /// A flag is unknown or its value is wrong.
    Wrong(String),
}

/// Where flags may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the first word that is none.
    Leading,
    /// Anywhere before a lone `--`.
    Anywhere,
}

/// A duration, in the units of configuration files.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    stdx::human::parse_duration(text)
}

/// A duration that is not zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err("must be greater than 0".to_owned()) } else { Ok(duration) }
}

/// Parts flags from the other words, which are returned as they stand.
pub(crate) fn read<F: Parser>(words: &[String], place: Place) -> Result<(F, Vec<String>), Stop> {
    let command = F::command();
    let (mut flags, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        match name {
            Some("") if word == "--" => {
                rest.extend(words.by_ref().cloned());
            }
            None | Some("") => {
                rest.push(word.clone());
                if place == Place::Leading {
                    rest.extend(words.by_ref().cloned());
                }
            }
            Some(name) => flags.extend(read_flag(&command, name, &mut words)?),
        }
    }
    let flags = F::try_parse_from(flags).map_err(|error| Stop::Wrong(wrong_value(&error)))?;
    Ok((flags, rest))
}

/// A flag as clap wants it: two dashes, the value behind `=`; a switch that is off is left out.
fn read_flag<'a>(
    command: &Command,
    text: &str,
    words: &mut impl Iterator<Item = &'a String>,
) -> Result<Option<String>, Stop> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let Some(known) = command.get_arguments().find(|known| known.get_long() == Some(name)) else {
        let help = matches!(name, "h" | "help");
        return Err(if help { Stop::Help } else { Stop::Wrong(format!("flag provided but not defined: -{name}")) });
    };
    if known.get_action().takes_values() {
        let value = value.or_else(|| words.next().map(String::as_str));
        let value = value.ok_or_else(|| Stop::Wrong(format!("flag needs an argument: -{name}")))?;
        return Ok(Some(format!("--{name}={value}")));
    }
    match value {
        None | Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(Some(format!("--{name}"))),
        Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(None),
        Some(value) => Err(Stop::Wrong(format!("invalid boolean value {value:?} for -{name}: parse error"))),
    }
}

fn wrong_value(error: &clap::Error) -> String {
    use clap::error::ContextKind;
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let flag = context(ContextKind::InvalidArg);
    let flag = flag.split_whitespace().next().unwrap_or_default().trim_start_matches('-');
    let why = std::error::Error::source(error).map_or("parse error".to_owned(), ToString::to_string);
    format!("invalid value {:?} for flag -{flag}: {why}", context(ContextKind::InvalidValue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn global(line: &str) -> Result<(Global, Vec<String>), Stop> {
        read(&words(line), Place::Leading)
    }

    #[derive(Debug, Parser)]
    #[command(no_binary_name = true, disable_help_flag = true, args_override_self = true)]
    struct Own {
        #[arg(long)]
        force: bool,
        #[arg(long = "tcpAddr", default_value = "")]
        tcp_addr: String,
    }

    #[test]
    fn nothing_given_is_the_usual() {
        let (global, rest) = global("show").expect("fine");
        assert_eq!((global.auth_type.as_str(), global.bind.as_str(), global.config.as_str()), ("", "", ""));
        assert_eq!(global.timeout, Duration::from_secs(10));
        assert!(!global.bind_tls && global.user.is_empty() && global.pwd.is_empty() && global.secret.is_empty());
        assert_eq!(rest, ["show"]);
    }

    #[test]
    fn one_dash_or_two_and_a_value_in_either_place() {
        let line = "-bind a:1 --auth-type=JWT -user u -secret -s -pwd p=q -k -bind-tls=false --timeout 1m30s -config f add-data -p x";
        let (global, rest) = global(line).expect("fine");
        assert_eq!((global.bind.as_str(), global.auth_type.as_str(), global.user.as_str()), ("a:1", "JWT", "u"));
        assert_eq!((global.secret.as_str(), global.pwd.as_str()), ("-s", "p=q"));
        assert_eq!(global.timeout, Duration::from_secs(90));
        assert!(!global.bind_tls && global.config == "f");
        assert_eq!(rest, ["add-data", "-p", "x"]);
    }

    #[test]
    fn flags_of_commands_stand_anywhere() {
        let own = |line: &str| {
            let (own, rest) = read::<Own>(&words(line), Place::Anywhere).expect("fine");
            (own.force, own.tcp_addr, rest.join(" "))
        };
        assert_eq!(own("-force -tcpAddr a b"), (true, "a".to_owned(), "b".to_owned()));
        assert_eq!(own("b --tcpAddr=a -force=1"), (true, "a".to_owned(), "b".to_owned()));
        assert_eq!(own("b - -- -force"), (false, String::new(), "b - -force".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |line: &str| match global(line) {
            Err(Stop::Wrong(why)) => why,
            _ => panic!("{line} is fine"),
        };
        assert_eq!(wrong("-foo=1 show"), "flag provided but not defined: -foo");
        assert_eq!(wrong("-bind"), "flag needs an argument: -bind");
        assert_eq!(wrong("-bind-tls=x"), "invalid boolean value \"x\" for -bind-tls: parse error");
        assert_eq!(wrong("-timeout 5"), "invalid value \"5\" for flag -timeout: time: missing unit in duration \"5\"");
        assert_eq!(wrong("-timeout 0s"), "invalid value \"0s\" for flag -timeout: must be greater than 0");
        assert!(matches!(global("-h"), Err(Stop::Help)) && matches!(global("--help show"), Err(Stop::Help)));
    }
}
