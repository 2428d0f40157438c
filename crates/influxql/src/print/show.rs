//! `SHOW` statements.

use std::fmt::{self, Display, Formatter};

use super::{
    Ident, quote_regex, write_count, write_from, write_group_by, write_list, write_on, write_order_by, write_where,
};
use crate::ast::{
    CardinalityOf, KeyCondition, MeasurementFilter, NameOrWildcard, OnDatabase, ShowCardinality, ShowFieldKeys,
    ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues,
};

impl Display for ShowMeasurements {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW MEASUREMENTS")?;
        if let Some(on) = &self.on {
            write!(f, " ON {on}")?;
        }
        match &self.filter {
            Some(MeasurementFilter::Name(name)) => write!(f, " WITH MEASUREMENT = {}", Ident(name))?,
            Some(MeasurementFilter::Regex(pattern)) => write!(f, " WITH MEASUREMENT =~ {}", quote_regex(pattern))?,
            None => {}
        }
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, self.order_by)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)
    }
}

impl Display for OnDatabase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.database.fmt(f)?;
        match &self.retention_policy {
            Some(retention_policy) => write!(f, ".{retention_policy}"),
            None => Ok(()),
        }
    }
}

impl Display for NameOrWildcard {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NameOrWildcard::Name(name) => Ident(name).fmt(f),
            NameOrWildcard::Wildcard => f.write_str("*"),
        }
    }
}

impl Display for ShowSeries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW SERIES")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.sources)?;
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, self.order_by)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)
    }
}

impl Display for ShowTagKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW TAG KEYS")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.sources)?;
        if let Some(key) = &self.key {
            write!(f, " {key}")?;
        }
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, self.order_by)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)?;
        write_count(f, "SLIMIT", self.slimit)?;
        write_count(f, "SOFFSET", self.soffset)
    }
}

impl Display for ShowTagValues {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW TAG VALUES")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.sources)?;
        write!(f, " {}", self.key)?;
        write_where(f, self.condition.as_ref())?;
        write_order_by(f, self.order_by)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)
    }
}

impl Display for KeyCondition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("WITH KEY ")?;
        match self {
            KeyCondition::Eq(key) => write!(f, "= {}", Ident(key)),
            KeyCondition::NotEq(key) => write!(f, "!= {}", Ident(key)),
            KeyCondition::Matches(pattern) => write!(f, "=~ {}", quote_regex(pattern)),
            KeyCondition::NotMatches(pattern) => write!(f, "!~ {}", quote_regex(pattern)),
            KeyCondition::In(keys) => {
                f.write_str("IN (")?;
                write_list(f, keys.iter().map(|key| Ident(key)))?;
                f.write_str(")")
            }
        }
    }
}

impl Display for ShowFieldKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW FIELD KEYS")?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.sources)?;
        write_order_by(f, self.order_by)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)
    }
}

impl Display for ShowCardinality {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exact = if self.exact { "EXACT " } else { "" };
        write!(f, "SHOW {} {exact}CARDINALITY", self.of.as_str())?;
        write_on(f, self.database.as_deref())?;
        write_from(f, &self.sources)?;
        if let CardinalityOf::TagValues(key) = &self.of {
            write!(f, " {key}")?;
        }
        write_where(f, self.condition.as_ref())?;
        write_group_by(f, &self.dimensions)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)
    }
}
