//! One conversation with a server: what is set, and what each command does and says.

use std::io::{self, Write};
use std::time::Duration;

use api_client::{Address, Cell, Client, ClientConfig, ClientError, Credentials, Document, Query};
use bytes::Bytes;
use env::Env;
use tls::ClientSettings;

use crate::VERSION;
use crate::command::{Command, parse_target};
use crate::format::tabs::Tabs;
use crate::format::{Format, Printer};
use crate::text;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What can be changed by commands.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) database: String,
    pub(crate) retention_policy: String,
    pub(crate) format: Format,
    /// `ns`, `u`, `ms`, `s`, `m`, `h` or `rfc3339`.
    pub(crate) precision: String,
    pub(crate) consistency: String,
    pub(crate) pretty: bool,
    pub(crate) chunked: bool,
    pub(crate) chunk_size: usize,
    pub(crate) node_id: u64,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The next one, please.
    Done,
    /// The user wants to leave.
    Exit,
    /// A query failed; why. It was printed already.
    Failed(String),
    /// Only an interactive shell can do this.
    NeedsPerson(Command),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    env: Env,
    client: Client,
    /// Whom to believe, where a server has TLS.
    tls: ClientSettings,
    credentials: Option<Credentials>,
    pub(crate) settings: Settings,
}

/// The unit of a name, in any case.
pub(crate) fn parse_precision(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    ["ns", "u", "ms", "s", "m", "h", "rfc3339"].into_iter().find(|known| *known == name)
}

/// The level of a name, in any case.
pub(crate) fn parse_consistency(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    ["any", "one", "quorum", "all"].into_iter().find(|known| *known == name)
}

fn client(
    env: &Env,
    address: Address,
    tls: &ClientSettings,
    credentials: Option<Credentials>,
) -> Result<Client, ClientError> {
    let user_agent = format!("InfluxDBShell/{VERSION}");
    let config = ClientConfig {
        address,
        tls: tls.clone(),
        credentials,
        user_agent,
        connect_timeout: CONNECT_TIMEOUT,
        answer_timeout: None,
    };
    Client::new(env.clone(), config)
}

impl Session {
    pub(crate) fn new(
        env: Env,
        address: Address,
        tls: ClientSettings,
        credentials: Option<Credentials>,
        settings: Settings,
    ) -> Result<Session, ClientError> {
        Ok(Session { client: client(&env, address, &tls, credentials.clone())?, env, tls, credentials, settings })
    }

    /// The way to the server.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Who the user is from now on.
    pub(crate) fn set_credentials(&mut self, credentials: Credentials) -> Result<(), ClientError> {
        self.credentials = Some(credentials);
        self.client = client(&self.env, self.client.address().clone(), &self.tls, self.credentials.clone())?;
        Ok(())
    }

    /// Reads a line and does what it says.
    pub(crate) async fn run_line(&mut self, line: &str, out: &mut dyn Write) -> io::Result<Outcome> {
        match Command::parse(line) {
            Command::Empty => {}
            Command::Exit => return Ok(Outcome::Exit),
            Command::Help => out.write_all(text::HELP.as_bytes())?,
            Command::Gopher => out.write_all(text::GOPHER.as_bytes())?,
            Command::Settings => self.print_settings(out)?,
            Command::Connect(target) => self.connect(&target, out).await?,
            Command::Format(name) => match Format::parse(&name) {
                Some(format) => self.settings.format = format,
                None => writeln!(out, "Unknown format {name:?}. Please use json, csv, or column.")?,
            },
            Command::Precision(name) => match parse_precision(&name) {
                Some(precision) => self.settings.precision = precision.to_owned(),
                None => writeln!(out, "Unknown precision {name:?}. Please use rfc3339, h, m, s, ms, u or ns.")?,
            },
            Command::Consistency(name) => match parse_consistency(&name) {
                Some(level) => self.settings.consistency = level.to_owned(),
                None => {
                    writeln!(out, "Unknown consistency level {name:?}. Please use any, one, quorum, or all.")?;
                }
            },
            Command::Pretty => {
                self.settings.pretty = !self.settings.pretty;
                writeln!(out, "Pretty print {}", if self.settings.pretty { "enabled" } else { "disabled" })?;
            }
            Command::Chunked => {
                self.settings.chunked = !self.settings.chunked;
                // The second text is spelled as in the reference.
                let said =
                    if self.settings.chunked { "chunked responses enabled" } else { "chunked reponses disabled" };
                writeln!(out, "{said}")?;
            }
            Command::ChunkSize(number) => self.set_chunk_size(&number, out)?,
            Command::Use(target) => self.use_target(&target, out).await?,
            Command::Node(id) => match (id.as_str(), id.parse()) {
                ("clear", _) => self.settings.node_id = 0,
                (_, Ok(id)) => self.settings.node_id = id,
                (_, Err(_)) => writeln!(out, "Unable to parse node id from {id}. Must be an integer or 'clear'.")?,
            },
            Command::Clear(what) => self.clear(&what, out)?,
            Command::Insert { db, rp, line } => self.insert(&db, &rp, line, out).await?,
            Command::Query(text) => return self.query(&text, out).await,
            command @ (Command::History | Command::Auth(..)) => return Ok(Outcome::NeedsPerson(command)),
        }
        Ok(Outcome::Done)
    }

    /// Runs statements and prints what they answer.
    pub(crate) async fn query(&self, text: &str, out: &mut dyn Write) -> io::Result<Outcome> {
        let mut printer = Printer::new(self.settings.format, self.settings.pretty);
        let mut error = None;
        match self.client.query(&self.query_of(text)).await {
            Ok(mut answer) => loop {
                match answer.next().await {
                    Ok(Some(document)) => {
                        error = error.or_else(|| document.first_error().map(str::to_owned));
                        printer.print(&document, out)?;
                    }
                    Ok(None) => {
                        printer.finish(out)?;
                        break;
                    }
                    Err(broken) => {
                        printer.finish(out)?;
                        error = Some(broken.to_string());
                        break;
                    }
                }
            },
            Err(refused) => {
                if let ClientError::Refused { text, .. } = &refused {
                    printer.print(&Document { error: Some(text.clone()), ..Document::default() }, out)?;
                    printer.finish(out)?;
                }
                error = Some(refused.to_string());
            }
        }
        let Some(error) = error else { return Ok(Outcome::Done) };
        writeln!(out, "ERR: {error}")?;
        if self.settings.database.is_empty() {
            out.write_all(text::NO_DATABASE.as_bytes())?;
        }
        Ok(Outcome::Failed(error))
    }

    fn query_of(&self, text: &str) -> Query {
        let settings = &self.settings;
        Query {
            text: text.to_owned(),
            db: settings.database.clone(),
            rp: settings.retention_policy.clone(),
            epoch: self.unit().to_owned(),
            chunked: settings.chunked,
            chunk_size: settings.chunk_size,
            node_id: settings.node_id,
        }
    }

    /// The unit of times that are sent and asked for; empty for dates.
    pub(crate) fn unit(&self) -> &str {
        if self.settings.precision == "rfc3339" { "" } else { &self.settings.precision }
    }

    async fn connect(&mut self, target: &str, out: &mut dyn Write) -> io::Result<()> {
        let old = self.client.address();
        let parsed = if target.is_empty() { Ok(old.clone()) } else { Address::parse(target, None) };
        // Who came with TLS goes on with it, unless the scheme says otherwise.
        let keeps_tls = old.tls && !target.contains("://");
        let parsed = parsed.map(|address| Address { tls: address.tls || keeps_tls, ..address });
        let made = parsed.and_then(|address| client(&self.env, address, &self.tls, self.credentials.clone()));
        match made {
            Err(error) => writeln!(out, "ERR: {error}"),
            Ok(client) => {
                self.client = client;
                match self.client.ping().await {
                    Ok(ping) => out.write_all(text::connected(self.client.address(), &ping).as_bytes()),
                    Err(error) => out.write_all(text::not_connected(self.client.address(), &error).as_bytes()),
                }
            }
        }
    }

    fn set_chunk_size(&mut self, number: &str, out: &mut dyn Write) -> io::Result<()> {
        match number.parse::<i64>() {
            Ok(size) => {
                self.settings.chunk_size = usize::try_from(size).unwrap_or(0);
                writeln!(out, "chunk size set to {}", self.settings.chunk_size)
            }
            Err(_) => writeln!(out, "unable to parse chunk size from {number:?}"),
        }
    }

    async fn use_target(&mut self, target: &str, out: &mut dyn Write) -> io::Result<()> {
        let Some((db, rp)) = parse_target(target) else {
            let said = format!("use {target}");
            return writeln!(out, "Could not parse database name from {:?}.", said.trim_end());
        };
        if !self.is_among("SHOW DATABASES", &db, out).await? {
            let hint = "Run SHOW DATABASES for a list of existing databases.";
            return writeln!(out, "ERR: Database {db} doesn't exist. {hint}\nDB does not exist!");
        }
        if self.settings.database != db {
            // The retention policy was one of the other database. The reference keeps it, and the next query fails.
            self.settings.retention_policy.clear();
        }
        self.settings.database.clone_from(&db);
        writeln!(out, "Using database {db}")?;
        if rp.is_empty() {
            return Ok(());
        }
        let show = format!("SHOW RETENTION POLICIES ON {}", quoted(&db));
        if !self.is_among(&show, &rp, out).await? {
            // "polices" is spelled as in the reference.
            let hint = format!("Run {show} for a list of existing retention polices.");
            return writeln!(out, "ERR: RETENTION POLICY {rp} doesn't exist. {hint}");
        }
        self.settings.retention_policy.clone_from(&rp);
        writeln!(out, "Using retention policy {rp}")
    }

    /// Whether `name` is in the first column of what a statement answers. Also when the user may not ask.
    async fn is_among(&self, statement: &str, name: &str, out: &mut dyn Write) -> io::Result<bool> {
        let query = Query { text: statement.to_owned(), ..Query::default() };
        let mut answer = match self.client.query(&query).await {
            Ok(answer) => answer,
            Err(ClientError::Refused { status: 401 | 403, .. }) => return Ok(true),
            Err(error) => {
                writeln!(out, "ERR: {error}")?;
                return Ok(false);
            }
        };
        loop {
            match answer.next().await {
                Ok(Some(document)) => {
                    // A statement that fails leaves it open, and the user gets the benefit of the doubt.
                    let rows =
                        document.results.iter().flat_map(|result| &result.series).flat_map(|series| &series.values);
                    let mut cells = rows.filter_map(|row| row.first());
                    let is_name = |cell: &Cell| matches!(cell, Cell::Text(text) if text == name);
                    if document.first_error().is_some() || cells.any(is_name) {
                        return Ok(true);
                    }
                }
                Ok(None) => return Ok(false),
                Err(error) => {
                    writeln!(out, "ERR: {error}")?;
                    return Ok(false);
                }
            }
        }
    }

    fn clear(&mut self, what: &str, out: &mut dyn Write) -> io::Result<()> {
        let words: Vec<&str> = what.trim_end_matches(';').split_whitespace().collect();
        match words.as_slice() {
            ["database" | "db"] => {
                self.settings.database.clear();
                writeln!(out, "database context cleared")
            }
            ["retention", "policy"] | ["rp"] => {
                self.settings.retention_policy.clear();
                writeln!(out, "retention policy context cleared")
            }
            [] => out.write_all(text::CLEAR_HELP.as_bytes()),
            _ => {
                writeln!(out, "invalid command {what:?}.")?;
                out.write_all(text::CLEAR_HELP.as_bytes())
            }
        }
    }

    async fn insert(&self, db: &str, rp: &str, line: String, out: &mut dyn Write) -> io::Result<()> {
        let settings = &self.settings;
        let or = |given: &str, usual: &str| if given.is_empty() { usual.to_owned() } else { given.to_owned() };
        let write = api_client::Write {
            db: or(db, &settings.database),
            rp: or(rp, &settings.retention_policy),
            precision: self.unit().to_owned(),
            consistency: settings.consistency.clone(),
        };
        let has_database = !write.db.is_empty();
        match self.client.write(&write, Bytes::from(line)).await {
            Ok(()) => return Ok(()),
            Err(ClientError::Refused { body, .. }) if !body.is_empty() => writeln!(out, "ERR: {body}")?,
            Err(error) => writeln!(out, "ERR: {error}")?,
        }
        if has_database { Ok(()) } else { out.write_all(text::NO_TARGET.as_bytes()) }
    }

    fn print_settings(&self, out: &mut dyn Write) -> io::Result<()> {
        let settings = &self.settings;
        let username = self.credentials.as_ref().map_or("", |credentials| &credentials.username);
        let rows = [
            ("Setting", "Value".to_owned()),
            ("--------", "--------".to_owned()),
            ("URL", self.client.address().to_string()),
            ("Username", username.to_owned()),
            ("Database", settings.database.clone()),
            ("RetentionPolicy", settings.retention_policy.clone()),
            ("Pretty", settings.pretty.to_string()),
            ("Format", settings.format.name().to_owned()),
            ("Write Consistency", settings.consistency.clone()),
            ("Chunked", settings.chunked.to_string()),
            ("Chunk Size", settings.chunk_size.to_string()),
        ];
        let mut tabs = Tabs::default();
        for (name, value) in rows {
            tabs.line(&format!("{name}\t{value}"), out)?;
        }
        tabs.line("", out)
    }
}

/// A name as InfluxQL wants it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
