//! Columns below the cut, and what names in a condition mean there.

use influxql::ast::{DataType, VarRef};
use model::FieldType;

use crate::condition::{Meaning, Names};
use crate::expr::Expr;
use crate::resolve::{Resolved, Scope, field_type};
use crate::shard_plan::{Column, ColumnKind};

/// A column as the select list wants it, before it is known where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WantedColumn {
    pub(super) name: String,
    pub(super) kind: WantedKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WantedKind {
    Field(FieldType),
    Tag,
    /// A tag as the argument of a call. Calls see the tags of subqueries, as strings, but not those of shards.
    TagOfSubquery,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    Shards(&'a Scope),
    Subquery(&'a Resolved<'a>),
}

impl Origin<'_> {
    /// How the wanted column is read here.
    pub(super) fn column(&self, wanted: &WantedColumn) -> Column {
        match self {
            Origin::Shards(scope) => {
                let kind = match wanted.kind {
                    WantedKind::Field(kind) => ColumnKind::Field(kind),
                    WantedKind::Tag => ColumnKind::Tag,
                    WantedKind::TagOfSubquery => ColumnKind::Field(FieldType::String),
                };
                Column { name: scope.raw(&wanted.name), kind }
            }
            Origin::Subquery(inner) => {
                let kind = match wanted.kind {
                    WantedKind::Field(kind) => kind,
                    WantedKind::Tag | WantedKind::TagOfSubquery => FieldType::String,
                };
                let is_tag = !inner.has_column(&wanted.name) && inner.group_by.contains(&wanted.name);
                let kind = if is_tag { ColumnKind::Tag } else { ColumnKind::Field(kind) };
                Column { name: wanted.name.clone().into_bytes(), kind }
            }
        }
    }

    fn is_tag(&self, var: &VarRef) -> bool {
        match self {
            Origin::Shards(_) => matches!(var.cast, None | Some(DataType::Tag)),
            Origin::Subquery(inner) => !inner.has_column(&var.name),
        }
    }

    fn raw(&self, name: &str) -> Vec<u8> {
        match self {
            Origin::Shards(scope) => scope.raw(name),
            Origin::Subquery(_) => name.as_bytes().to_vec(),
        }
    }
}

/// The names of one source in a condition; columns that the condition needs are added as they are met.
pub(super) struct ConditionNames<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) measurement: &'a [u8],
    pub(super) columns: Vec<Column>,
    /// Whether the measurement itself was asked for.
    pub(super) asks_for_measurement: bool,
}

impl ConditionNames<'_> {
    fn input(&mut self, column: Column) -> Expr {
        let value_type = column.kind.value_type();
        let known = self.columns.iter().position(|other| *other == column);
        let index = known.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        Expr::input(index, value_type)
    }
}

impl Names for ConditionNames<'_> {
    fn meaning(&mut self, var: &VarRef) -> Meaning {
        if var.name == "_name" {
            self.asks_for_measurement = true;
            return Meaning::Measurement;
        }
        if var.name == "time" || var.cast == Some(DataType::AnyField) {
            return Meaning::Value(Expr::null());
        }
        if self.origin.is_tag(var) {
            return Meaning::Tag(self.origin.raw(&var.name));
        }
        let kind = WantedKind::Field(field_type(var.cast).unwrap_or(FieldType::String));
        let column = self.origin.column(&WantedColumn { name: var.name.clone(), kind });
        Meaning::Value(self.input(column))
    }

    fn tag_value(&mut self, key: &[u8]) -> Expr {
        self.input(Column { name: key.to_vec(), kind: ColumnKind::Tag })
    }

    fn measurement(&self) -> &[u8] {
        self.measurement
    }
}
