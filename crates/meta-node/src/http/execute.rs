//! `POST /execute`: commands in the encoding of the reference.

use credentials::password::is_hash;
use http::Uri;
use meta::Command;
use meta::published::{NotACommand, decode_command, encode_response};

use super::Admin;
use super::operators::refused;
use super::reply::Reply;
use crate::node::ProposeError;
use crate::operate::OperateError;

impl Admin {
    /// Carries out a command and tells where in the log it stands. What the metadata refuses is an answer, too: 200, with
    /// the reason inside.
    pub(super) async fn execute(&self, body: &[u8], uri: &Uri) -> Reply {
        let command = match decode_command(body).and_then(with_a_known_hash) {
            Ok(command) => command,
            Err(NotACommand::Refused(why)) => return answer(Err(&why)),
            Err(error @ NotACommand::Malformed(_)) => {
                return Reply::error(http::StatusCode::BAD_REQUEST, &error.to_string());
            }
        };
        let proposed = match command {
            // Its vote goes as well.
            Command::DeleteMetaNode { id } => self.node.remove_member(id).await,
            command => self.node.propose(&command).await.map(|(_, index)| index),
        };
        match proposed {
            Ok(index) => answer(Ok(index.0)),
            Err(ProposeError::Rejected(rejection)) => answer(Err(&rejection.to_string())),
            Err(error) => refused(&OperateError::from(error), uri),
        }
    }
}

fn answer(outcome: Result<u64, &str>) -> Reply {
    Reply::bytes(encode_response(outcome).into())
}

/// A hash that no scheme knows would lock its user out.
fn with_a_known_hash(command: Command) -> Result<Command, NotACommand> {
    match &command {
        Command::CreateUser { hash, .. } | Command::SetPassword { hash, .. } if !is_hash(hash) => {
            Err(NotACommand::Refused("invalid hash".to_owned()))
        }
        _ => Ok(command),
    }
}
