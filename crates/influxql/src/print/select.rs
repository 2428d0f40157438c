//! `SELECT`, `EXPLAIN` and what they are made of; `DELETE` and `DROP SERIES`.

use std::fmt::{self, Display, Formatter};

use super::expr::write_number;
use super::{
    Ident, quote_regex, quote_string, write_count, write_from, write_group_by, write_list, write_order_by, write_where,
};
use crate::ast::{
    Delete, DropSeries, Explain, Field, Fill, FillNumber, Measurement, MeasurementName, SelectStatement, Source,
    Target, TargetName,
};

impl Display for SelectStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        write_list(f, &self.fields)?;
        if let Some(target) = &self.target {
            write!(f, " {target}")?;
        }
        write_from(f, &self.sources)?;
        write_where(f, self.condition.as_ref())?;
        write_group_by(f, &self.dimensions)?;
        write_fill(f, self.fill)?;
        write_order_by(f, self.order_by)?;
        write_count(f, "LIMIT", self.limit)?;
        write_count(f, "OFFSET", self.offset)?;
        write_count(f, "SLIMIT", self.slimit)?;
        write_count(f, "SOFFSET", self.soffset)?;
        match &self.tz {
            Some(tz) => write!(f, " TZ({})", quote_string(tz)),
            None => Ok(()),
        }
    }
}

fn write_fill(f: &mut Formatter<'_>, fill: Fill) -> fmt::Result {
    match fill {
        Fill::Null => Ok(()),
        Fill::None => f.write_str(" fill(none)"),
        Fill::Previous => f.write_str(" fill(previous)"),
        Fill::Linear => f.write_str(" fill(linear)"),
        Fill::Number(FillNumber::Integer(value)) => write!(f, " fill({value})"),
        Fill::Number(FillNumber::Float(value)) => {
            f.write_str(" fill(")?;
            write_number(f, value)?;
            f.write_str(")")
        }
    }
}

impl Display for Explain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("EXPLAIN ")?;
        if self.analyze {
            f.write_str("ANALYZE ")?;
        }
        if self.verbose {
            f.write_str("VERBOSE ")?;
        }
        self.statement.fmt(f)
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        match &self.alias {
            Some(alias) => write!(f, " AS {}", Ident(alias)),
            None => Ok(()),
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Source::Measurement(measurement) => measurement.fmt(f),
            Source::Subquery(select) => write!(f, "({select})"),
        }
    }
}

impl Display for Measurement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_qualifier(f, self.database.as_deref(), self.retention_policy.as_deref())?;
        match &self.name {
            MeasurementName::Name(name) => Ident(name).fmt(f),
            MeasurementName::Regex(pattern) => f.write_str(&quote_regex(pattern)),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("INTO ")?;
        write_qualifier(f, self.database.as_deref(), self.retention_policy.as_deref())?;
        match &self.name {
            TargetName::Name(name) => Ident(name).fmt(f),
            TargetName::SameAsSource => f.write_str(":MEASUREMENT"),
        }
    }
}

/// `db.rp.`, `db..` or `rp.`.
fn write_qualifier(f: &mut Formatter<'_>, database: Option<&str>, retention_policy: Option<&str>) -> fmt::Result {
    if let Some(database) = database {
        write!(f, "{}.", Ident(database))?;
    }
    match (database, retention_policy) {
        (_, Some(retention_policy)) => write!(f, "{}.", Ident(retention_policy)),
        (Some(_), None) => f.write_str("."),
        (None, None) => Ok(()),
    }
}

impl Display for Delete {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("DELETE")?;
        write_from(f, &self.sources)?;
        write_where(f, self.condition.as_ref())
    }
}

impl Display for DropSeries {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("DROP SERIES")?;
        write_from(f, &self.sources)?;
        write_where(f, self.condition.as_ref())
    }
}
