//! Why a command failed, and what to do next.

use std::io;
use std::time::Duration;

use api_client::ClientError;
use stdx::human::print_duration;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument is missing or wrong: told with the way to the usage.
    Argument(String),
    /// A flag is wrong: told with the usage.
    Flag(String),
    /// The server refused, did not answer, or something else went wrong.
    Operation {
        /// What went wrong.
        text: String,
        /// What to do next; empty where nobody knows.
        hint: &'static str,
    },
    /// The command said everything itself.
    Told,
    /// Standard output or input is gone.
    Terminal(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Terminal(error)
    }
}

impl Failure {
    pub(crate) fn argument(text: impl Into<String>) -> Failure {
        Failure::Argument(text.into())
    }

    /// A failure of this program, not of a server.
    pub(crate) fn local(text: impl Into<String>) -> Failure {
        Failure::Operation { text: text.into(), hint: "" }
    }

    pub(crate) fn of(error: &ClientError, timeout: Duration) -> Failure {
        Failure::Operation { text: text(error, timeout), hint: hint(error) }
    }
}

/// What went wrong with a request, in one line. Scripts tell a server that refused (`exited`) from one that did not
/// answer (`timed out`).
pub(crate) fn text(error: &ClientError, timeout: Duration) -> String {
    let text = match error {
        ClientError::Refused { .. } | ClientError::BadAnswer(_) => format!("operation exited with error: {error}"),
        ClientError::Unreachable { .. } | ClientError::Broken(_) => format!("operation timed out with error: {error}"),
        ClientError::TimedOut => {
            format!("operation timed out with error: no answer within {}", print_duration(timeout))
        }
        ClientError::Address(..) | ClientError::Tls(_) | ClientError::Downgraded(_) => error.to_string(),
    };
    // Texts of servers, which must not move the cursor of a terminal.
    text.replace(|char: char| char.is_control(), "\u{fffd}")
}

fn hint(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
            "-bind-tls is for nodes with TLS; -ca names a file with certificates to trust, and -k trusts any."
        }
        ClientError::Unreachable { .. } => {
            "Check that the node runs and that its port can be reached; -bind names the meta node to ask."
        }
        ClientError::TimedOut | ClientError::Broken(_) => {
            "Give it longer with -timeout. A change may still be carried out: look with 'influxd-ctl show' before you \
             repeat it."
        }
        ClientError::Refused { status: 400, text, .. } if text.contains("HTTP request to an HTTPS server") => {
            "Use -bind-tls; with -k where nobody has signed the certificate."
        }
        ClientError::Refused { status: 401, .. } => {
            "Say who you are with -auth-type basic -user <name> -pwd <password>, or with -auth-type jwt -user <name> \
             -secret <secret>."
        }
        _ => "",
    }
}
