//! Who somebody is: find the entry, bind as it, find its groups.
//!
//! Servers are asked in order; the first that can be asked and knows the user decides. What happens on the way is told to
//! a log, which `influxd-ctl ldap verify` shows: steps, names and counts, never passwords.

use env::Env;
use login::{DirectoryError, Known, Memberships};

use crate::config::{Config, Server};
use crate::connection::{Connection, ENTRIES_MAX, Found, STEP_TIMEOUT, Unreachable};
use crate::filter::{compile, filled};
use crate::message::{Entry, INVALID_CREDENTIALS, NO_SUCH_OBJECT, SUCCESS, Search};

/// Longest name of a user, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What happened, line by line.
#[derive(Debug, Default)]
pub(crate) struct Log(Vec<String>);

impl Log {
    fn add(&mut self, line: impl Into<String>) {
        self.0.push(line.into());
    }

    /// All lines.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Whom to look up.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What they call themselves.
    pub(crate) name: &'a str,
    /// Without one nothing is proved: the caller knows already that it is them.
    pub(crate) password: Option<&'a str>,
    /// Whose groups need not be asked for.
    pub(crate) ahead: Option<&'a Memberships>,
}

/// Looks somebody up.
pub(crate) async fn find(
    env: &Env,
    config: &Config,
    wanted: Wanted<'_>,
    log: &mut Log,
) -> Result<Known, DirectoryError> {
    let Wanted { name, password, .. } = wanted;
    // Directories take a bind without a password for one of nobody, and let it pass.
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') || password == Some("") {
        log.add("a name and a password are needed");
        return Err(DirectoryError::Wrong);
    }
    let mut unreachable = None;
    for (place, server) in config.servers.iter().enumerate() {
        log.add(format!("server {}, security {:?}", server.address(), server.security));
        match at(env, (place, server), wanted, log).await {
            Ok(Some(known)) => return known.ok_or(DirectoryError::Wrong),
            Ok(None) => log.add("no such user here"),
            Err(error) => {
                log.add(format!("failed: {error}"));
                unreachable = Some(error.to_string());
            }
        }
    }
    match unreachable {
        // A server that does not answer may be the one that knows.
        Some(why) => Err(DirectoryError::Unavailable(why)),
        None => Err(DirectoryError::Wrong),
    }
}

/// Asks one server: `None` when it does not know the user, `Some(None)` when the password is another one.
async fn at(
    env: &Env,
    server: (usize, &Server),
    wanted: Wanted<'_>,
    log: &mut Log,
) -> Result<Option<Option<Known>>, Unreachable> {
    let mut connection = Connection::open(env, server.1).await?;
    log.add("connected");
    let found = ask(&mut connection, server, wanted, log).await;
    connection.close().await;
    found
}

async fn ask(
    connection: &mut Connection,
    (place, server): (usize, &Server),
    Wanted { name, password, ahead }: Wanted<'_>,
    log: &mut Log,
) -> Result<Option<Option<Known>>, Unreachable> {
    bind_to_search(connection, server, log).await?;
    let filter = compile(&filled(&server.search_filter, name)).map_err(|error| Unreachable(error.to_string()))?;
    let Some(entry) = find_user(connection, server, &filter, log).await? else {
        if password.is_some() {
            // As much work as for somebody who is there.
            let nobody = server.search_base_dns.first().map_or("", String::as_str);
            connection.bind(nobody, "not the password of anybody").await?;
        }
        return Ok(None);
    };
    if let Some(password) = password {
        match connection.bind(&entry.dn, password).await? {
            SUCCESS => log.add(format!("bound as {}", entry.dn)),
            code => {
                let wrong = if code == INVALID_CREDENTIALS { ": the password is wrong" } else { "" };
                log.add(format!("cannot bind as {} (result code {code}){wrong}", entry.dn));
                return Ok(Some(None));
            }
        }
    }
    if let Some(known) = ahead.and_then(|ahead| ahead.known(place, &entry.dn, name)) {
        return Ok(Some(Some(known)));
    }
    if password.is_some() {
        bind_to_search(connection, server, log).await?;
    }
    let groups = find_groups(connection, server, &entry.dn, log).await?;
    let among = |wanted: &str| groups.iter().any(|group| group.eq_ignore_ascii_case(wanted));
    let mut roles: Vec<String> = Vec::new();
    for mapping in server.group_mappings.iter().filter(|mapping| among(&mapping.group)) {
        if !roles.contains(&mapping.role) {
            roles.push(mapping.role.clone());
        }
    }
    let admin = server.admin_groups.iter().any(|group| among(group));
    log.add(format!("administrator: {admin}, roles: {roles:?}"));
    Ok(Some(Some(Known { name: name.to_owned(), admin, roles })))
}

pub(crate) async fn bind_to_search(
    connection: &mut Connection,
    server: &Server,
    log: &mut Log,
) -> Result<(), Unreachable> {
    match connection.bind(&server.bind_dn, &server.bind_password).await? {
        SUCCESS => {
            let whom = if server.bind_dn.is_empty() { "nobody" } else { &server.bind_dn };
            log.add(format!("bound as {whom}, to search"));
            Ok(())
        }
        code => Err(Unreachable(format!("bind-dn is not let in (result code {code})"))),
    }
}

/// The one entry that a user is.
async fn find_user(
    connection: &mut Connection,
    server: &Server,
    filter: &[u8],
    log: &mut Log,
) -> Result<Option<Entry>, Unreachable> {
    for base in &server.search_base_dns {
        let mut found = search(connection, base, filter, &[], 2).await?.entries;
        log.add(format!("{} below {base:?}", found.len()));
        match found.len() {
            0 => {}
            1 => return Ok(found.pop()),
            _ => return Err(Unreachable(format!("search-filter finds several entries below {base:?}"))),
        }
    }
    Ok(None)
}

/// The names of the groups of an entry.
async fn find_groups(
    connection: &mut Connection,
    server: &Server,
    dn: &str,
    log: &mut Log,
) -> Result<Vec<String>, Unreachable> {
    let text = filled(&server.group_membership_search_filter, dn);
    let filter = compile(&text).map_err(|error| Unreachable(error.to_string()))?;
    let mut groups = Vec::new();
    for base in &server.group_search_base_dns {
        for entry in search(connection, base, &filter, &[&server.group_attribute], ENTRIES_MAX).await?.entries {
            groups.extend(entry.values(&server.group_attribute).map(str::to_owned));
        }
    }
    log.add(format!("groups: {groups:?}"));
    Ok(groups)
}

pub(crate) async fn search(
    connection: &mut Connection,
    base: &str,
    filter: &[u8],
    attributes: &[&str],
    entries_max: u32,
) -> Result<Found, Unreachable> {
    let seconds_max = u32::try_from(STEP_TIMEOUT.as_secs()).unwrap_or(0);
    let search = Search { base, filter, attributes, entries_max, seconds_max };
    match connection.search(&search).await? {
        Ok(found) => Ok(found),
        Err(NO_SUCH_OBJECT) => Err(Unreachable(format!("there is nothing at {base:?}, or bind-dn may not see it"))),
        Err(code) => Err(Unreachable(format!("search below {base:?} failed (result code {code})"))),
    }
}
