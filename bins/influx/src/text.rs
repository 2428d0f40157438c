//! What the shell says.

use std::fmt::Display;

use api_client::{Address, Ping};

use crate::VERSION;

/// Behind an error of a query while no database is set.
pub(crate) const NO_DATABASE: &str = "\
Warning: It is possible this error is due to not setting a database.
Please set a database with the command \"use <database>\".
";

/// Behind an error of a write while no database is set.
pub(crate) const NO_TARGET: &str = "\
Note: error may be due to not setting a database or retention policy.
Please set a database with the command \"use <database>\" or
INSERT INTO <database>.<retention-policy> <point>
";

/// What `clear` takes.
pub(crate) const CLEAR_HELP: &str = "\
Possible commands for 'clear' are:
    # Clear the database context
    clear database
    clear db

    # Clear the retention policy context
    clear retention policy
    clear rp
";

/// What `help` prints.
pub(crate) const HELP: &str = "\
Usage:
        connect <host:port>   talks to another server
        auth [user]           asks for a user name and password
        use <db>[.<rp>]       sets the database and retention policy that queries and inserts refer to
        clear <what>          forgets the database or retention policy; 'clear' alone says how
        insert <point>        writes a point in line protocol
        insert into [<db>.]<rp> <point>
        format <format>       shows answers as json, csv, or column
        precision <unit>      shows and writes times in rfc3339, h, m, s, ms, u or ns
        consistency <level>   writes with any, one, quorum, or all
        pretty                indents json, or no longer
        chunked               takes answers in chunks, or no longer
        chunk size <rows>     sets how many rows a chunk has; 0 leaves it to the server
        node <id>             asks only this data node; 'node clear' asks all
        settings              shows what is set
        history               shows the lines entered so far
        exit, quit, ctrl+d    leaves the shell

        Everything else is InfluxQL, for example:

        show databases        show measurements     show series
        show tag keys         show field keys       select * from <measurement> limit 10
";

/// What `gopher` prints.
pub(crate) const GOPHER: &str = "
           .--.   .--.
          ( oo )-( oo )
          /  `-.v.-'  \\
         |    [___]    |
         |     \" \"     |
        /|             |\\
       ( |             | )
         |             |
          \\__.     .__/
          (___)   (___)

";

/// Printed once a server answered.
pub(crate) fn connected(address: &Address, ping: &Ping) -> String {
    if ping.version.is_empty() {
        return format!("WARN: Connected to {address}, but found no server version.\n");
    }
    format!("Connected to {address} version {}\n", ping.version)
}

/// Printed when no server answered.
pub(crate) fn not_connected(address: &Address, error: &dyn Display) -> String {
    format!(
        "Failed to connect to {address}: {error}\n\
         Please check your connection settings and ensure 'influxd' is running.\n"
    )
}

/// What this program is.
pub(crate) fn version() -> String {
    format!("InfluxDB shell version: {VERSION}\n")
}
