//! `CREATE` and `ALTER`: databases, retention policies, subscriptions, continuous queries.

use super::{Parser, select, unexpected};
use crate::ast::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription,
    DatabaseOptions, DestinationMode, Expr, Literal, Resample, SelectStatement, Statement,
};
use crate::duration::{format_duration, parse_duration};
use crate::error::ParseError;
use crate::token::{Keyword, Token};
use crate::visit::find_expr;

/// Largest replication factor.
const REPLICATION_MAX: u32 = i32::MAX.unsigned_abs();

impl Parser<'_> {
    /// Behind `CREATE`.
    pub(super) fn create(&mut self) -> Result<Statement, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Keyword(Keyword::Continuous) => self.create_continuous_query(),
            Token::Keyword(Keyword::Database) => self.create_database(),
            Token::Keyword(Keyword::User) => self.create_user(),
            Token::Keyword(Keyword::Retention) => self.create_retention_policy(),
            Token::Keyword(Keyword::Subscription) => self.create_subscription(),
            _ => Err(unexpected(&lexeme, &["CONTINUOUS", "DATABASE", "USER", "RETENTION", "SUBSCRIPTION"])),
        }
    }

    fn create_database(&mut self) -> Result<Statement, ParseError> {
        self.skip_if_not_exists();
        let name = self.identifier()?;
        let options = if self.accept(Keyword::With) { self.database_options()? } else { None };
        Ok(Statement::CreateDatabase(CreateDatabase { name, options }))
    }

    /// `IF NOT EXISTS`, which 0.10 has. It changes nothing: creating a database that exists succeeds.
    fn skip_if_not_exists(&mut self) {
        let start = self.scanner;
        if !["IF", "NOT", "EXISTS"].into_iter().all(|word| self.accept_word(word)) {
            self.scanner = start;
        }
    }

    /// Behind `WITH`. `None` if all that is given is an empty name.
    fn database_options(&mut self) -> Result<Option<DatabaseOptions>, ParseError> {
        let lexeme = self.next();
        self.unread();
        let known = matches!(
            lexeme.token,
            Token::Keyword(Keyword::Duration | Keyword::Name | Keyword::Replication | Keyword::Shard)
        );
        if !known && !lexeme.is_word("FUTURE") && !lexeme.is_word("PAST") {
            return Err(unexpected(&lexeme, &["DURATION", "NAME", "REPLICATION", "SHARD", "FUTURE", "PAST"]));
        }
        let mut options = DatabaseOptions::default();
        if self.accept(Keyword::Duration) {
            options.duration_ns = Some(self.duration_or_inf()?);
        }
        if self.accept(Keyword::Replication) {
            options.replication = Some(self.replication()?);
        }
        if self.accept(Keyword::Shard) {
            self.expect(Keyword::Duration)?;
            options.shard_duration_ns = Some(self.duration_or_inf()?);
        }
        while let Some((limit, value)) = self.write_limit(options.future_limit_ns, options.past_limit_ns)? {
            match limit {
                WriteLimit::Future => options.future_limit_ns = Some(value),
                WriteLimit::Past => options.past_limit_ns = Some(value),
            }
        }
        if self.accept(Keyword::Name) {
            options.name = self.identifier_or_empty()?;
        }
        Ok(Some(options).filter(|options| *options != DatabaseOptions::default()))
    }

    /// Behind `CREATE RETENTION`.
    fn create_retention_policy(&mut self) -> Result<Statement, ParseError> {
        self.expect(Keyword::Policy)?;
        let (name, database) = self.name_on_database()?;
        self.expect(Keyword::Duration)?;
        let duration_ns = self.duration_or_inf()?;
        self.expect(Keyword::Replication)?;
        let replication = self.replication()?;
        // 0 is the same as nothing, and the reference leaves it out when it prints the statement.
        let shard_duration_ns =
            if self.accept(Keyword::Shard) { Some(self.shard_duration()?).filter(|value| *value != 0) } else { None };
        let mut policy = CreateRetentionPolicy {
            name,
            database,
            duration_ns,
            replication,
            shard_duration_ns,
            default: self.accept(Keyword::Default),
            future_limit_ns: None,
            past_limit_ns: None,
        };
        while let Some((limit, value)) = self.write_limit(policy.future_limit_ns, policy.past_limit_ns)? {
            match limit {
                WriteLimit::Future => policy.future_limit_ns = Some(value),
                WriteLimit::Past => policy.past_limit_ns = Some(value),
            }
        }
        // The documentation of the limits has DEFAULT behind them.
        policy.default = policy.default || self.accept(Keyword::Default);
        Ok(Statement::CreateRetentionPolicy(policy))
    }

    /// `FUTURE LIMIT` or `PAST LIMIT`, whichever is not given yet.
    fn write_limit(&mut self, future: Option<i64>, past: Option<i64>) -> Result<Option<(WriteLimit, i64)>, ParseError> {
        let limit = if future.is_none() && self.accept_word("FUTURE") {
            WriteLimit::Future
        } else if past.is_none() && self.accept_word("PAST") {
            WriteLimit::Past
        } else {
            return Ok(None);
        };
        self.expect(Keyword::Limit)?;
        Ok(Some((limit, self.duration_or_inf()?)))
    }

    /// Behind `ALTER`.
    pub(super) fn alter(&mut self) -> Result<Statement, ParseError> {
        const OPTIONS: &[&str] = &["DURATION", "REPLICATION", "SHARD", "DEFAULT", "FUTURE", "PAST"];
        self.expect(Keyword::Retention)?;
        self.expect(Keyword::Policy)?;
        let name = if self.accept(Keyword::Default) { "default".to_owned() } else { self.identifier()? };
        self.expect(Keyword::On)?;
        let mut policy = AlterRetentionPolicy {
            name,
            database: self.identifier()?,
            duration_ns: None,
            replication: None,
            shard_duration_ns: None,
            default: false,
            future_limit_ns: None,
            past_limit_ns: None,
        };
        let mut given: Vec<&str> = Vec::new();
        loop {
            let lexeme = self.next();
            let option = match lexeme.token {
                Token::Keyword(
                    keyword @ (Keyword::Duration | Keyword::Replication | Keyword::Shard | Keyword::Default),
                ) => keyword.as_str(),
                _ if lexeme.is_word("FUTURE") => "FUTURE",
                _ if lexeme.is_word("PAST") => "PAST",
                _ if given.is_empty() => return Err(unexpected(&lexeme, OPTIONS)),
                _ => {
                    self.unread();
                    return Ok(Statement::AlterRetentionPolicy(policy));
                }
            };
            if given.contains(&option) {
                return Err(ParseError::at(format!("found duplicate {option} option"), lexeme.pos));
            }
            given.push(option);
            self.alter_option(option, &mut policy)?;
        }
    }

    fn alter_option(&mut self, option: &str, policy: &mut AlterRetentionPolicy) -> Result<(), ParseError> {
        match option {
            "DURATION" => policy.duration_ns = Some(self.duration_or_inf()?),
            "REPLICATION" => policy.replication = Some(self.replication()?),
            "SHARD" => policy.shard_duration_ns = Some(self.shard_duration()?),
            "DEFAULT" => policy.default = true,
            limit => {
                self.expect(Keyword::Limit)?;
                let value = Some(self.duration_or_inf()?);
                if limit == "FUTURE" {
                    policy.future_limit_ns = value;
                } else {
                    policy.past_limit_ns = value;
                }
            }
        }
        Ok(())
    }

    /// Behind `SHARD`.
    fn shard_duration(&mut self) -> Result<i64, ParseError> {
        self.expect(Keyword::Duration)?;
        let lexeme = self.next();
        if lexeme.is(Keyword::Inf) {
            return Err(ParseError::at("invalid duration INF for shard duration", lexeme.pos));
        }
        self.unread();
        self.duration()
    }

    fn duration(&mut self) -> Result<i64, ParseError> {
        let lexeme = self.next();
        match lexeme.token {
            Token::Duration => parse_duration(&lexeme.text).map_err(|error| error.placed(lexeme.pos)),
            _ => Err(unexpected(&lexeme, &["duration"])),
        }
    }

    /// A duration, where `INF` stands for 0.
    fn duration_or_inf(&mut self) -> Result<i64, ParseError> {
        if self.accept(Keyword::Inf) { Ok(0) } else { self.duration() }
    }

    fn replication(&mut self) -> Result<u32, ParseError> {
        let (digits, pos) = self.integer()?;
        let Ok(value) = digits.parse::<i64>() else {
            return Err(ParseError::at(format!("strconv.Atoi: parsing \"{digits}\": value out of range"), pos));
        };
        match u32::try_from(value) {
            Ok(factor @ 1..=REPLICATION_MAX) => Ok(factor),
            _ => Err(ParseError::at(format!("invalid value {value}: must be 1 <= n <= {REPLICATION_MAX}"), pos)),
        }
    }

    /// Behind `CREATE SUBSCRIPTION`.
    fn create_subscription(&mut self) -> Result<Statement, ParseError> {
        let (name, database) = self.name_on_database()?;
        let retention_policy = self.behind_dot()?;
        self.expect(Keyword::Destinations)?;
        let lexeme = self.next();
        let mode = match lexeme.token {
            Token::Keyword(Keyword::All) => DestinationMode::All,
            Token::Keyword(Keyword::Any) => DestinationMode::Any,
            _ => return Err(unexpected(&lexeme, &["ALL", "ANY"])),
        };
        let mut destinations = vec![self.string()?];
        while self.accept_comma() {
            destinations.push(self.string()?);
        }
        Ok(Statement::CreateSubscription(CreateSubscription { name, database, retention_policy, mode, destinations }))
    }

    /// Behind `CREATE CONTINUOUS`.
    fn create_continuous_query(&mut self) -> Result<Statement, ParseError> {
        self.expect(Keyword::Query)?;
        let (name, database) = self.name_on_database()?;
        let resample = if self.accept(Keyword::Resample) { Some(self.resample()?) } else { None };
        self.expect(Keyword::Begin)?;
        self.expect(Keyword::Select)?;
        let select = Box::new(self.select(select::Into::Required)?);
        let interval = group_by_interval(&select);
        self.check_interval(&select, interval)?;
        self.expect(Keyword::End)?;
        check_resample(resample, interval.map_err(ParseError::new)?)?;
        Ok(Statement::CreateContinuousQuery(CreateContinuousQuery { name, database, resample, select }))
    }

    /// Behind `RESAMPLE`. A part of 0 counts as absent.
    fn resample(&mut self) -> Result<Resample, ParseError> {
        let every_ns = if self.accept(Keyword::Every) { Some(self.duration()?) } else { None };
        let for_ns = if self.accept(Keyword::For) { Some(self.duration()?) } else { None };
        let resample =
            Resample { every_ns: every_ns.filter(|value| *value != 0), for_ns: for_ns.filter(|value| *value != 0) };
        if resample.every_ns.is_none() && resample.for_ns.is_none() {
            return Err(unexpected(&self.next(), &["EVERY", "FOR"]));
        }
        Ok(resample)
    }

    /// With a call in the select list there must be an interval.
    fn check_interval(&self, select: &SelectStatement, interval: Result<i64, &str>) -> Result<(), ParseError> {
        let raw = !select.fields.iter().any(|field| find_expr(&field.expr, &mut is_call).is_some());
        let mut expected = vec!["GROUP BY time(...)"];
        match interval {
            _ if raw => return Ok(()),
            Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(reason) => expected.push(reason),
        }
        // Like the reference, points at the last token of the query.
        let last = self.last.as_ref().expect("a SELECT was read");
        Err(unexpected(last, &expected))
    }
}

#[derive(Clone, Copy)]
enum WriteLimit {
    Future,
    Past,
}

fn is_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(_))
}

/// The duration of the first `time()` in `GROUP BY`, or 0.
fn group_by_interval(select: &SelectStatement) -> Result<i64, &'static str> {
    for dimension in &select.dimensions {
        if let Expr::Call(call) = dimension
            && call.name == "time"
        {
            return match call.args.as_slice() {
                [Expr::Literal(Literal::Duration(interval))] | [Expr::Literal(Literal::Duration(interval)), _] => {
                    Ok(*interval)
                }
                [_] | [_, _] => Err("time dimension must have duration argument"),
                _ => Err("time dimension expected 1 or 2 arguments"),
            };
        }
    }
    Ok(0)
}

/// `FOR` must cover at least one interval, and one `EVERY`.
fn check_resample(resample: Option<Resample>, interval: i64) -> Result<(), ParseError> {
    let Some(Resample { every_ns, for_ns: Some(for_ns) }) = resample else { return Ok(()) };
    let least = interval.max(every_ns.unwrap_or(0));
    if for_ns < least {
        let (least, got) = (format_duration(least), format_duration(for_ns));
        return Err(ParseError::new(format!(
            "FOR duration must be >= GROUP BY time duration: must be a minimum of {least}, got {got}"
        )));
    }
    Ok(())
}
