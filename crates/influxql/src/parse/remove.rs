//! `DELETE`, `DROP` and `KILL QUERY`.

use super::{Parser, unexpected};
use crate::ast::{Delete, DropSeries, KillQuery, Measurement, ServerKind, Source, Statement};
use crate::error::{ParseError, Pos};
use crate::token::{Keyword, Token};

impl Parser<'_> {
    /// Behind `DELETE`.
    pub(super) fn delete(&mut self) -> Result<Statement, ParseError> {
        let sources = self.removal_sources()?;
        if measurements(&sources).any(|measurement| measurement.database.is_some()) {
            return Err(ParseError::at("database not supported", Pos::default()));
        }
        Ok(Statement::Delete(Delete { sources, condition: self.condition()? }))
    }

    fn drop_series(&mut self) -> Result<Statement, ParseError> {
        let sources = self.removal_sources()?;
        for measurement in measurements(&sources) {
            if measurement.retention_policy.is_some() {
                return Err(ParseError::at("retention policy not supported", Pos::default()));
            }
            if measurement.database.is_some() {
                return Err(ParseError::at("database not supported", Pos::default()));
            }
        }
        Ok(Statement::DropSeries(DropSeries { sources, condition: self.condition()? }))
    }

    /// The sources behind `FROM`; none, if `WHERE` comes next.
    fn removal_sources(&mut self) -> Result<Vec<Source>, ParseError> {
        let lexeme = self.next();
        self.unread();
        match lexeme.token {
            Token::Keyword(Keyword::From | Keyword::Where) => self.optional_sources(),
            _ => Err(unexpected(&lexeme, &["FROM", "WHERE"])),
        }
    }

    /// Behind `DROP`.
    pub(super) fn drop(&mut self) -> Result<Statement, ParseError> {
        const EXPECTED: &[&str] =
            &["CONTINUOUS", "DATABASE", "MEASUREMENT", "RETENTION", "SERIES", "SHARD", "SUBSCRIPTION", "USER"];
        let lexeme = self.next();
        if let Some(kind) = server_kind(|word| lexeme.is_word(word))
            && self.accept_word("SERVER")
        {
            return Ok(Statement::DropServer { kind, id: self.unsigned()? });
        }
        let Token::Keyword(keyword) = lexeme.token else { return Err(unexpected(&lexeme, EXPECTED)) };
        match keyword {
            Keyword::Continuous => {
                self.expect(Keyword::Query)?;
                let (name, database) = self.name_on_database()?;
                Ok(Statement::DropContinuousQuery { name, database })
            }
            Keyword::Database => Ok(Statement::DropDatabase { name: self.identifier()? }),
            Keyword::Measurement => Ok(Statement::DropMeasurement { name: self.identifier()? }),
            Keyword::Retention => {
                self.expect(Keyword::Policy)?;
                let (name, database) = self.name_on_database()?;
                Ok(Statement::DropRetentionPolicy { name, database })
            }
            Keyword::Series => self.drop_series(),
            Keyword::Shard => Ok(Statement::DropShard { id: self.unsigned()? }),
            Keyword::Subscription => {
                let (name, database) = self.name_on_database()?;
                let retention_policy = self.behind_dot()?;
                Ok(Statement::DropSubscription { name, database, retention_policy })
            }
            Keyword::User => Ok(Statement::DropUser { name: self.identifier()? }),
            _ => Err(unexpected(&lexeme, EXPECTED)),
        }
    }

    /// `name ON database`.
    pub(super) fn name_on_database(&mut self) -> Result<(String, String), ParseError> {
        let name = self.identifier()?;
        self.expect(Keyword::On)?;
        Ok((name, self.identifier()?))
    }

    /// `.name` directly behind the last token.
    pub(super) fn behind_dot(&mut self) -> Result<String, ParseError> {
        let lexeme = self.next_adjacent();
        match lexeme.token {
            Token::Dot => self.identifier(),
            _ => Err(unexpected(&lexeme, &["."])),
        }
    }

    /// Behind `KILL`.
    pub(super) fn kill(&mut self) -> Result<Statement, ParseError> {
        self.expect(Keyword::Query)?;
        let id = self.unsigned()?;
        let host = if self.accept(Keyword::On) { self.identifier_or_empty()? } else { None };
        Ok(Statement::KillQuery(KillQuery { id, host }))
    }
}

fn measurements(sources: &[Source]) -> impl Iterator<Item = &Measurement> {
    sources.iter().filter_map(|source| match source {
        Source::Measurement(measurement) => Some(measurement),
        Source::Subquery(_) => None,
    })
}

fn server_kind(is_word: impl Fn(&str) -> bool) -> Option<ServerKind> {
    if is_word("META") {
        Some(ServerKind::Meta)
    } else if is_word("DATA") {
        Some(ServerKind::Data)
    } else {
        None
    }
}
