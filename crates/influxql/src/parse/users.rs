//! Users, passwords and privileges.

use super::{Parser, unexpected};
use crate::ast::{CreateUser, Grant, Privilege, Revoke, SetPassword, Statement};
use crate::error::ParseError;
use crate::token::{Keyword, Token};

impl Parser<'_> {
    /// Behind `CREATE USER`.
    pub(super) fn create_user(&mut self) -> Result<Statement, ParseError> {
        let name = self.identifier()?;
        self.expect(Keyword::With)?;
        self.expect(Keyword::Password)?;
        let password = self.string()?;
        let admin = self.accept(Keyword::With);
        if admin {
            self.expect(Keyword::All)?;
            self.expect(Keyword::Privileges)?;
        }
        Ok(Statement::CreateUser(CreateUser { name, password, admin }))
    }

    /// Behind `SET`.
    pub(super) fn set_password(&mut self) -> Result<Statement, ParseError> {
        self.expect(Keyword::Password)?;
        self.expect(Keyword::For)?;
        let user = self.identifier()?;
        self.expect_token(Token::Eq)?;
        Ok(Statement::SetPassword(SetPassword { user, password: self.string()? }))
    }

    /// Behind `GRANT`.
    pub(super) fn grant(&mut self) -> Result<Statement, ParseError> {
        let privilege = self.privilege()?;
        if !self.on_database_or(privilege, Keyword::To)? {
            return Ok(Statement::GrantAdmin { user: self.identifier()? });
        }
        let database = self.identifier()?;
        self.expect(Keyword::To)?;
        Ok(Statement::Grant(Grant { privilege, database, user: self.identifier()? }))
    }

    /// Behind `REVOKE`.
    pub(super) fn revoke(&mut self) -> Result<Statement, ParseError> {
        let privilege = self.privilege()?;
        if !self.on_database_or(privilege, Keyword::From)? {
            return Ok(Statement::RevokeAdmin { user: self.identifier()? });
        }
        let database = self.identifier()?;
        self.expect(Keyword::From)?;
        Ok(Statement::Revoke(Revoke { privilege, database, user: self.identifier()? }))
    }

    fn privilege(&mut self) -> Result<Privilege, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Read) => Ok(Privilege::Read),
            Token::Keyword(Keyword::Write) => Ok(Privilege::Write),
            Token::Keyword(Keyword::All) => {
                self.accept(Keyword::Privileges);
                Ok(Privilege::All)
            }
            _ => Err(unexpected(&lexeme, &["READ", "WRITE", "ALL [PRIVILEGES]"])),
        }
    }

    /// Whether `ON` comes next; `false` for the keyword before a user, which only `ALL` may have here.
    fn on_database_or(&mut self, privilege: Privilege, user: Keyword) -> Result<bool, ParseError> {
        let lexeme = self.next();
        if lexeme.is(Keyword::On) {
            return Ok(true);
        }
        match privilege {
            Privilege::All if lexeme.is(user) => Ok(false),
            Privilege::All => Err(unexpected(&lexeme, &["ON", user.as_str()])),
            Privilege::Read | Privilege::Write => Err(unexpected(&lexeme, &["ON"])),
        }
    }
}
