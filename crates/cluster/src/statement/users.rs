//! Users: their passwords become hashes here, everything else is decided by the metadata service.

use influxql::ast::{CreateUser, Grant, Privilege, Revoke, SetPassword};
use login::{HashError, LoginError};
use meta::{Command, Rejection};
use meta_client::ProposeError;

use super::{QueryContext, StatementError, Statements};
use crate::access::Asker;

impl From<HashError> for StatementError {
    fn from(error: HashError) -> StatementError {
        match error {
            HashError::Password(error) => StatementError::Wrong(error.to_string()),
            HashError::Busy => StatementError::Unavailable(error.to_string()),
        }
    }
}

impl Statements {
    /// Creates a user. One who is there already with the same rights and the same password is fine.
    /// Who asks without being anybody makes the first, and the metadata service decides who that is.
    pub(super) async fn create_user(&self, create: &CreateUser, context: &QueryContext) -> Result<(), StatementError> {
        // Nobody waits for a hash that nobody can have.
        if create.name.is_empty() {
            return Err(StatementError::Wrong(Rejection::UsernameRequired.to_string()));
        }
        let hash = self.logins.hash(&create.password).await?;
        let name = create.name.clone();
        let command = match &context.asker {
            Asker::Nobody => Command::CreateFirstAdmin { name, hash },
            _ => Command::CreateUser { name, hash, admin: create.admin },
        };
        match self.meta.propose(command).await {
            Ok(_) => {
                // The user may log in at any node.
                self.peers.spread_metadata().await;
                Ok(())
            }
            Err(ProposeError::Rejected(Rejection::UserExists)) if self.is_same_user(create).await? => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the user exists as the statement wants them.
    async fn is_same_user(&self, create: &CreateUser) -> Result<bool, StatementError> {
        self.meta.refresh().await;
        let data = self.meta.data();
        let Some(user) = data.user(&create.name).filter(|user| user.admin == create.admin) else { return Ok(false) };
        let same = self.logins.is_password(&user.name, &user.hash, &create.password).await;
        same.map_err(|error: LoginError| StatementError::Unavailable(error.to_string()))
    }

    pub(super) async fn set_password(&self, set: &SetPassword) -> Result<Command, StatementError> {
        let hash = self.logins.hash(&set.password).await?;
        Ok(Command::SetPassword { name: set.user.clone(), hash })
    }
}

pub(super) fn grant_command(grant: &Grant) -> Command {
    let (user, database) = (grant.user.clone(), grant.database.clone());
    Command::Grant { user, database, privilege: privilege(grant.privilege) }
}

pub(super) fn revoke_command(revoke: &Revoke) -> Command {
    let (user, database) = (revoke.user.clone(), revoke.database.clone());
    Command::Revoke { user, database, privilege: privilege(revoke.privilege) }
}

fn privilege(privilege: Privilege) -> meta::Privilege {
    match privilege {
        Privilege::Read => meta::Privilege::Read,
        Privilege::Write => meta::Privilege::Write,
        Privilege::All => meta::Privilege::All,
    }
}
