//! `SHOW` statements.

use super::{Parser, unexpected};
use crate::ast::{
    CardinalityOf, KeyCondition, MeasurementFilter, NameOrWildcard, OnDatabase, ShowCardinality, ShowFieldKeys,
    ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues, Statement,
};
use crate::error::ParseError;
use crate::token::{Keyword, Token};

impl Parser<'_> {
    /// Behind `SHOW`.
    pub(super) fn show(&mut self) -> Result<Statement, ParseError> {
        const EXPECTED: &[&str] = &[
            "CONTINUOUS",
            "DATABASES",
            "DIAGNOSTICS",
            "FIELD",
            "GRANTS",
            "MEASUREMENT",
            "MEASUREMENTS",
            "QUERIES",
            "RETENTION",
            "SERIES",
            "SHARD",
            "SHARDS",
            "STATS",
            "SUBSCRIPTIONS",
            "TAG",
            "USERS",
        ];
        let lexeme = self.next();
        if lexeme.is_word("SERVERS") {
            return Ok(Statement::ShowServers);
        }
        let Token::Keyword(keyword) = lexeme.token else { return Err(unexpected(&lexeme, EXPECTED)) };
        match keyword {
            Keyword::Continuous => self.expect(Keyword::Queries).map(|()| Statement::ShowContinuousQueries),
            Keyword::Databases => Ok(Statement::ShowDatabases),
            Keyword::Diagnostics => Ok(Statement::ShowDiagnostics { module: self.module()? }),
            Keyword::Field => self.show_field(),
            Keyword::Grants => {
                self.expect(Keyword::For)?;
                Ok(Statement::ShowGrants { user: self.identifier()? })
            }
            Keyword::Measurement => self.cardinality(CardinalityOf::Measurement),
            Keyword::Measurements => self.show_measurements(),
            Keyword::Queries => Ok(Statement::ShowQueries),
            Keyword::Retention => {
                self.expect(Keyword::Policies)?;
                Ok(Statement::ShowRetentionPolicies { database: self.on()? })
            }
            Keyword::Series => self.show_series(),
            Keyword::Shard => self.expect(Keyword::Groups).map(|()| Statement::ShowShardGroups),
            Keyword::Shards => Ok(Statement::ShowShards),
            Keyword::Stats => Ok(Statement::ShowStats { module: self.module()? }),
            Keyword::Subscriptions => Ok(Statement::ShowSubscriptions),
            Keyword::Tag => self.show_tag(),
            Keyword::Users => Ok(Statement::ShowUsers),
            _ => Err(unexpected(&lexeme, EXPECTED)),
        }
    }

    /// `FOR 'module'`.
    fn module(&mut self) -> Result<Option<String>, ParseError> {
        if !self.accept(Keyword::For) {
            return Ok(None);
        }
        Ok(Some(self.string()?).filter(|module| !module.is_empty()))
    }

    /// `ON database`.
    fn on(&mut self) -> Result<Option<String>, ParseError> {
        if self.accept(Keyword::On) { self.identifier_or_empty() } else { Ok(None) }
    }

    fn show_field(&mut self) -> Result<Statement, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Key) => self.cardinality(CardinalityOf::FieldKey),
            Token::Keyword(Keyword::Keys) => Ok(Statement::ShowFieldKeys(ShowFieldKeys {
                database: self.on()?,
                sources: self.optional_sources()?,
                order_by: self.order_by()?,
                limit: self.count(Keyword::Limit)?,
                offset: self.count(Keyword::Offset)?,
            })),
            _ => Err(unexpected(&lexeme, &["KEY", "KEYS"])),
        }
    }

    fn show_tag(&mut self) -> Result<Statement, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Key) => self.cardinality(CardinalityOf::TagKey),
            Token::Keyword(Keyword::Keys) => Ok(Statement::ShowTagKeys(ShowTagKeys {
                database: self.on()?,
                sources: self.optional_sources()?,
                key: if self.accept(Keyword::With) { Some(self.key_condition()?) } else { None },
                condition: self.condition()?,
                order_by: self.order_by()?,
                limit: self.count(Keyword::Limit)?,
                offset: self.count(Keyword::Offset)?,
                slimit: self.count(Keyword::Slimit)?,
                soffset: self.count(Keyword::Soffset)?,
            })),
            Token::Keyword(Keyword::Values) => self.show_tag_values(),
            _ => Err(unexpected(&lexeme, &["KEY", "KEYS", "VALUES"])),
        }
    }

    fn show_tag_values(&mut self) -> Result<Statement, ParseError> {
        let exact = self.accept(Keyword::Exact);
        if exact {
            self.expect(Keyword::Cardinality)?;
        }
        if exact || self.accept(Keyword::Cardinality) {
            let (database, sources) = (self.on()?, self.optional_sources()?);
            self.expect(Keyword::With)?;
            let of = CardinalityOf::TagValues(self.key_condition()?);
            return self.cardinality_rest(of, exact, database, sources);
        }
        Ok(Statement::ShowTagValues(ShowTagValues {
            database: self.on()?,
            sources: self.optional_sources()?,
            key: {
                self.expect(Keyword::With)?;
                self.key_condition()?
            },
            condition: self.condition()?,
            order_by: self.order_by()?,
            limit: self.count(Keyword::Limit)?,
            offset: self.count(Keyword::Offset)?,
        }))
    }

    /// Behind `WITH`.
    fn key_condition(&mut self) -> Result<KeyCondition, ParseError> {
        self.expect(Keyword::Key)?;
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::In) => {
                self.expect_token(Token::LeftParen)?;
                let mut keys = vec![self.identifier()?];
                while self.accept_comma() {
                    keys.push(self.identifier()?);
                }
                self.expect_token(Token::RightParen)?;
                Ok(KeyCondition::In(keys))
            }
            Token::Eq => self.identifier().map(KeyCondition::Eq),
            Token::NotEq => self.identifier().map(KeyCondition::NotEq),
            Token::EqRegex => self.expect_regex().map(KeyCondition::Matches),
            Token::NotEqRegex => self.expect_regex().map(KeyCondition::NotMatches),
            _ => Err(unexpected(&lexeme, &["IN", "=", "=~"])),
        }
    }

    fn show_measurements(&mut self) -> Result<Statement, ParseError> {
        Ok(Statement::ShowMeasurements(ShowMeasurements {
            on: self.on_databases()?,
            filter: self.measurement_filter()?,
            condition: self.condition()?,
            order_by: self.order_by()?,
            limit: self.count(Keyword::Limit)?,
            offset: self.count(Keyword::Offset)?,
        }))
    }

    fn on_databases(&mut self) -> Result<Option<OnDatabase>, ParseError> {
        if !self.accept(Keyword::On) {
            return Ok(None);
        }
        let database = self.name_or_wildcard()?;
        let retention_policy = if self.next_adjacent().token == Token::Dot {
            Some(self.name_or_wildcard()?)
        } else {
            self.unread();
            None
        };
        if database == NameOrWildcard::Name(String::new()) && retention_policy.is_none() {
            return Ok(None);
        }
        Ok(Some(OnDatabase { database, retention_policy }))
    }

    fn name_or_wildcard(&mut self) -> Result<NameOrWildcard, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Identifier => Ok(NameOrWildcard::Name(lexeme.text.into_owned())),
            Token::Mul => Ok(NameOrWildcard::Wildcard),
            _ => Err(unexpected(&lexeme, &["identifier"])),
        }
    }

    /// `WITH MEASUREMENT`. Like the reference, takes a name or a regex behind either operator.
    fn measurement_filter(&mut self) -> Result<Option<MeasurementFilter>, ParseError> {
        if !self.accept(Keyword::With) {
            return Ok(None);
        }
        self.expect(Keyword::Measurement)?;
        let lexeme = self.next();
        if !matches!(lexeme.token, Token::Eq | Token::EqRegex) {
            return Err(unexpected(&lexeme, &["=", "=~"]));
        }
        match self.regex()? {
            Some(pattern) => Ok(Some(MeasurementFilter::Regex(pattern))),
            None => self.identifier().map(|name| Some(MeasurementFilter::Name(name))),
        }
    }

    fn show_series(&mut self) -> Result<Statement, ParseError> {
        // The reference takes `SHOW SERIES EXACT` for `SHOW SERIES`.
        let exact = self.accept(Keyword::Exact);
        if self.accept(Keyword::Cardinality) {
            let (database, sources) = (self.on()?, self.optional_sources()?);
            return self.cardinality_rest(CardinalityOf::Series, exact, database, sources);
        }
        Ok(Statement::ShowSeries(ShowSeries {
            database: self.on()?,
            sources: self.optional_sources()?,
            condition: self.condition()?,
            order_by: self.order_by()?,
            limit: self.count(Keyword::Limit)?,
            offset: self.count(Keyword::Offset)?,
        }))
    }

    /// `[EXACT] CARDINALITY` and what follows.
    fn cardinality(&mut self, of: CardinalityOf) -> Result<Statement, ParseError> {
        let lexeme = self.next();
        let exact = match lexeme.token {
            Token::Keyword(Keyword::Exact) => {
                self.expect(Keyword::Cardinality)?;
                true
            }
            Token::Keyword(Keyword::Cardinality) => false,
            _ => return Err(unexpected(&lexeme, &["EXACT", "CARDINALITY"])),
        };
        let (database, sources) = (self.on()?, self.optional_sources()?);
        self.cardinality_rest(of, exact, database, sources)
    }

    fn cardinality_rest(
        &mut self,
        of: CardinalityOf,
        exact: bool,
        database: Option<String>,
        sources: Vec<crate::ast::Source>,
    ) -> Result<Statement, ParseError> {
        Ok(Statement::ShowCardinality(ShowCardinality {
            of,
            exact,
            database,
            sources,
            condition: self.condition()?,
            dimensions: self.dimensions()?,
            limit: self.count(Keyword::Limit)?,
            offset: self.count(Keyword::Offset)?,
        }))
    }
}
