//! From the words of the command line to a command, and from its failure to an exit code.

use std::io;
use std::path::PathBuf;

use api_client::{AdminAnswer, AdminClient, AdminConfig, Authorization, ClientError, Credentials};
use clap::Parser;
use env::Env;
use serde::de::DeserializeOwned;
use tls::{Authorities, CertificateFiles, ClientSettings, NamedBy};

use crate::failure::Failure;
use crate::flags::{self, Global, Place, Stop};
use crate::terminal::Terminal;
use crate::{join, labels, ldap, leave, members, shards, show, token, usage};

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;

/// What the program finds where it runs.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) env: Env,
    /// The name of this host, under which `join` and `leave` look for its nodes.
    pub(crate) host: String,
}

/// What commands work with.
pub(crate) struct Ctl<'a> {
    pub(crate) surroundings: Surroundings,
    pub(crate) global: Global,
    pub(crate) terminal: Terminal<'a>,
    authorization: Authorization,
}

/// Runs the command that `words` name, which are those behind the program's name, and returns the exit code.
pub(crate) async fn run(words: &[String], surroundings: Surroundings, mut terminal: Terminal<'_>) -> u8 {
    let (global, rest) = match flags::read::<Global>(words, Place::Leading) {
        Ok(read) => read,
        Err(Stop::Help) => return help(&mut terminal),
        Err(Stop::Wrong(why)) => {
            terminal.complain(format_args!("{why}\n\n{}", usage::PROGRAM.trim_end()));
            return FAILURE;
        }
    };
    let Some((command, arguments)) = rest.split_first().filter(|(command, _)| *command != "help") else {
        return help(&mut terminal);
    };
    let Some(usage) = usage::of(command) else {
        terminal.complain(format_args!("unknown command {command:?}\nRun 'influxd-ctl help' for usage"));
        return FAILURE;
    };
    let mut ctl = Ctl { authorization: Authorization::None, surroundings, global, terminal };
    match ctl.run(command, arguments).await {
        Ok(()) => SUCCESS,
        Err(Stopped::Help) => {
            ctl.terminal.complain(usage.trim_end());
            SUCCESS
        }
        Err(Stopped::Failed(failure)) => {
            explain(&mut ctl.terminal, command, usage, failure);
            FAILURE
        }
    }
}

fn help(terminal: &mut Terminal<'_>) -> u8 {
    match terminal.print(usage::PROGRAM) {
        Ok(()) => SUCCESS,
        // Nobody to tell.
        Err(_) => FAILURE,
    }
}

fn explain(terminal: &mut Terminal<'_>, command: &str, usage: &str, failure: Failure) {
    match failure {
        Failure::Argument(text) => {
            terminal.complain(format_args!("{command}: {text}\nRun 'influxd-ctl {command} -h' for usage"));
        }
        Failure::Flag(text) => terminal.complain(format_args!("{command}: {text}\n\n{}", usage.trim_end())),
        Failure::Operation { text, hint: "" } => terminal.complain(format_args!("{command}: {text}")),
        Failure::Operation { text, hint } => terminal.complain(format_args!("{command}: {text}\n{hint}")),
        Failure::Told => {}
        // Whoever read the output has gone.
        Failure::Terminal(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Failure::Terminal(error) => terminal.complain(format_args!("{command}: {error}")),
    }
}

/// Why a command ended early.
pub(crate) enum Stopped {
    /// Its usage was asked for.
    Help,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(failure: E) -> Stopped {
        Stopped::Failed(failure.into())
    }
}

impl From<Stop> for Stopped {
    fn from(stop: Stop) -> Stopped {
        match stop {
            Stop::Help => Stopped::Help,
            Stop::Wrong(why) => Stopped::Failed(Failure::Flag(why)),
        }
    }
}

impl Ctl<'_> {
    async fn run(&mut self, command: &str, arguments: &[String]) -> Result<(), Stopped> {
        if usage::is_later(command) {
            return Err(Failure::local("not available in this release").into());
        }
        self.global.settle(&self.surroundings.env)?;
        self.authorization = authorization(&self.global)?;
        match command {
            "add-meta" => members::add_meta(self, arguments).await,
            "add-data" => members::add_data(self, arguments).await,
            "remove-meta" => members::remove_meta(self, arguments).await,
            "remove-data" => members::remove_data(self, arguments).await,
            "update-data" => members::update_data(self, arguments).await,
            "join" => join::run(self, arguments).await,
            "leave" => leave::run(self, arguments).await,
            "show" => show::members(self, arguments).await,
            "show-shards" => show::shards(self, arguments).await,
            "truncate-shards" => shards::truncate(self, arguments).await,
            "remove-shard" => shards::remove(self, arguments).await,
            "node-labels" => labels::run(self, arguments).await,
            "token" => token::run(self, arguments),
            "ldap" => ldap::run(self, arguments).await,
            _ => unreachable!("{command} has a usage and nothing that runs it"),
        }
    }

    /// Who asks.
    pub(crate) fn authorization(&self) -> &Authorization {
        &self.authorization
    }

    /// A client of the meta node that `-bind` names.
    pub(crate) fn bound(&self) -> Result<AdminClient, Failure> {
        self.client(&self.global.bind)
    }

    /// A client of the node at `address`.
    pub(crate) fn client(&self, address: &str) -> Result<AdminClient, Failure> {
        let address = match self.global.bind_tls && !address.contains("://") {
            true => format!("https://{address}"),
            false => address.to_owned(),
        };
        self.client_as(&address, self.authorization.clone()).map_err(|error| self.failure(&error))
    }

    fn client_as(&self, address: &str, authorization: Authorization) -> Result<AdminClient, ClientError> {
        let config = AdminConfig { authorization, tls: client_settings(&self.global), timeout: self.global.timeout };
        AdminClient::new(self.surroundings.env.clone(), address, config)
    }

    /// The status of a node of this host. The port of a data node need not have TLS where that of the meta node has it:
    /// then it is asked in plain text, which shows nobody's credentials and changes nothing.
    pub(crate) async fn status_of(&self, client: &AdminClient, address: &str) -> Result<AdminAnswer, ClientError> {
        match client.get("/status").await {
            Err(ClientError::Unreachable { source, .. })
                if source.kind() == io::ErrorKind::InvalidData && self.global.bind_tls =>
            {
                self.client_as(address, Authorization::None)?.get("/status").await
            }
            answer => answer,
        }
    }

    /// Sends a form to `client`.
    pub(crate) async fn post(
        &self,
        client: &AdminClient,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Vec<u8>, Failure> {
        let answer = client.post_form(path, pairs).await.map_err(|error| self.failure(&error))?;
        Ok(answer.body.to_vec())
    }

    /// Asks `client` for a document.
    pub(crate) async fn get(&self, client: &AdminClient, path: &str) -> Result<Vec<u8>, Failure> {
        let answer = client.get(path).await.map_err(|error| self.failure(&error))?;
        Ok(answer.body.to_vec())
    }

    pub(crate) fn failure(&self, error: &ClientError) -> Failure {
        Failure::of(error, self.global.timeout)
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn now_unix_seconds(&self) -> u64 {
        u64::try_from(self.surroundings.env.now().0 / 1_000_000_000).unwrap_or(0)
    }
}

/// Reads a document. Nothing at all and `null` are an empty one.
pub(crate) fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Failure> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let document: Option<T> = serde_json::from_slice(body)
        .map_err(|error| Failure::local(format!("operation exited with error: unexpected answer: {error}")))?;
    Ok(document.unwrap_or_default())
}

/// Flags and arguments of a command.
pub(crate) fn read_flags<F: Parser>(words: &[String]) -> Result<(F, Vec<String>), Stop> {
    flags::read(words, Place::Anywhere)
}

/// A command without flags.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct NoFlags {}

/// Fails when there are more than `count` arguments.
pub(crate) fn at_most(arguments: &[String], count: usize) -> Result<(), Failure> {
    match arguments.get(count) {
        Some(extra) => Err(Failure::argument(format!("unknown argument: {extra}"))),
        None => Ok(()),
    }
}

/// Fails when there are arguments, for commands that take none.
pub(crate) fn none_left(arguments: &[String]) -> Result<(), Failure> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(Failure::argument(format!("unexpected extra arguments: [{}]", arguments.join(" "))))
}

/// Whom to believe, and what to show those who ask for a certificate.
fn client_settings(global: &Global) -> ClientSettings {
    let named = |path: &String| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
    ClientSettings {
        insecure: global.k,
        authorities: named(&global.ca).map(|path| Authorities { place: "-ca".to_owned(), path }),
        certificate: named(&global.cert).map(|certificate| CertificateFiles {
            named_by: NamedBy::Flags,
            certificate,
            private_key: named(&global.key),
            any_mode: false,
        }),
    }
}

fn authorization(global: &Global) -> Result<Authorization, Failure> {
    match global.auth_type.to_ascii_lowercase().as_str() {
        "none" => Ok(Authorization::None),
        "basic" => {
            Ok(Authorization::Basic(Credentials { username: global.user.clone(), password: global.pwd.clone() }))
        }
        "jwt" if global.secret.is_empty() => Err(Failure::Operation {
            text: "-secret is required with -auth-type jwt".to_owned(),
            hint: "It is the shared-secret of the [meta] section of the meta nodes.",
        }),
        "jwt" => Ok(Authorization::Bearer { username: global.user.clone(), secret: global.secret.clone() }),
        _ => Err(Failure::Operation {
            text: format!("invalid -auth-type: {}", global.auth_type),
            hint: "It is one of none, basic, jwt.",
        }),
    }
}
