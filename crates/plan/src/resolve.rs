//! The second half of planning begins here: names get types, wildcards and patterns are written out.
//!
//! All sources of a statement are looked at together: a name has one type throughout, the preferred one of those it has
//! anywhere, and the columns of the answer are the same for every measurement.

mod expand;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use influxql::ast::{Call, DataType, Expr, Field, MeasurementName, VarRef};
use influxql::visit::rewrite_expr;
use model::{FieldType, Pattern};

use crate::compile::{Compiled, CompiledSource};
use crate::error::PlanError;
use crate::schema::{Catalog, Schema};

pub(crate) use names::{column_names, field_name};

/// A statement whose names are known.
#[derive(Debug)]
pub(crate) struct Resolved<'a> {
    pub(crate) compiled: &'a Compiled,
    /// The select list written out; every name that is known has its type as a cast.
    pub(crate) fields: Vec<Field>,
    /// The condition, with casts.
    pub(crate) condition: Option<Expr>,
    /// Tags of the `GROUP BY`, as listed.
    pub(crate) group_by: Vec<String>,
    pub(crate) sources: Vec<ResolvedSource<'a>>,
    pub(crate) scope: Scope,
    /// The names by which a statement around this one finds columns.
    column_names: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) enum ResolvedSource<'a> {
    Measurements(Vec<MeasurementSource<'a>>),
    Subquery(Resolved<'a>),
}

/// One measurement with a schema.
#[derive(Debug)]
pub(crate) struct MeasurementSource<'a> {
    pub(crate) database: &'a str,
    pub(crate) retention_policy: &'a str,
    /// Raw.
    pub(crate) name: &'a [u8],
    pub(crate) schema: &'a Schema,
}

/// The names that the sources of a statement have.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    names: BTreeMap<String, Known>,
}

/// What a name is.
#[derive(Debug, Default)]
struct Known {
    /// As bytes, where they are no UTF-8 and the name is only an approximation.
    raw: Option<Vec<u8>>,
    /// Preferred type of a field, or of a column of a subquery.
    field: Option<FieldType>,
    /// A column of a subquery that is a tag there.
    tag_column: bool,
    /// A column of a subquery that is always null.
    null_column: bool,
    /// An extra argument of `top` or `bottom` in a subquery: known by name, but no wildcard finds it.
    hidden: Option<DataType>,
    tag: bool,
}

/// Resolves a statement and its subqueries, innermost first.
pub(crate) fn resolve<'a>(compiled: &'a Compiled, catalog: &'a Catalog) -> Result<Resolved<'a>, PlanError> {
    let sources = compiled.sources.iter().map(|source| match source {
        CompiledSource::Measurement(measurement) => {
            let database = measurement.database.as_deref().unwrap_or_default();
            let retention_policy = measurement.retention_policy.as_deref().unwrap_or_default();
            let source = |name, schema| MeasurementSource { database, retention_policy, name, schema };
            let found = match &measurement.name {
                MeasurementName::Name(name) => {
                    let schema = catalog.schema(database, retention_policy, name.as_bytes());
                    schema.map(|schema| source(name.as_bytes(), schema)).into_iter().collect()
                }
                MeasurementName::Regex(text) => {
                    let pattern = compile_pattern(text)?;
                    let found = catalog.matching(database, retention_policy, &pattern);
                    found.map(|(name, schema)| source(name, schema)).collect()
                }
            };
            Ok(ResolvedSource::Measurements(found))
        }
        CompiledSource::Subquery(inner) => resolve(inner, catalog).map(ResolvedSource::Subquery),
    });
    let sources = sources.collect::<Result<Vec<_>, PlanError>>()?;
    let scope = Scope::of(&sources);
    let (fields, group_by) = expand::expand(compiled, &scope)?;
    let fields: Vec<Field> =
        fields.into_iter().map(|field| Field { expr: scope.with_types(field.expr), alias: field.alias }).collect();
    let condition = compiled.condition.clone().map(|condition| scope.with_types(condition));
    let hidden = hidden_columns(&fields).map(|var| var.name.clone());
    let column_names = fields.iter().map(field_name).chain(hidden).collect();
    Ok(Resolved { compiled, fields, condition, group_by, sources, scope, column_names })
}

/// A compiled pattern.
///
/// # Errors
/// In the words of the parser, which has refused such patterns before.
pub(crate) fn compile_pattern(text: &str) -> Result<Pattern, PlanError> {
    Pattern::compile(text).map_err(|error| PlanError::new(format!("error parsing regexp: {error}")))
}

/// The type after `::` of a field of this type.
pub(crate) fn data_type(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Float => DataType::Float,
        FieldType::Integer => DataType::Integer,
        FieldType::Unsigned => DataType::Unsigned,
        FieldType::String => DataType::String,
        FieldType::Boolean => DataType::Boolean,
    }
}

/// The inverse of [`data_type`]; `None` for tags and unknown types.
pub(crate) fn field_type(data_type: Option<DataType>) -> Option<FieldType> {
    match data_type? {
        DataType::Float => Some(FieldType::Float),
        DataType::Integer => Some(FieldType::Integer),
        DataType::Unsigned => Some(FieldType::Unsigned),
        DataType::String => Some(FieldType::String),
        DataType::Boolean => Some(FieldType::Boolean),
        DataType::Tag | DataType::AnyField => None,
    }
}

impl Scope {
    fn of(sources: &[ResolvedSource<'_>]) -> Scope {
        let mut scope = Scope::default();
        for source in sources {
            match source {
                ResolvedSource::Measurements(measurements) => {
                    measurements.iter().for_each(|measurement| scope.add_schema(measurement.schema));
                }
                ResolvedSource::Subquery(inner) => scope.add_subquery(inner),
            }
        }
        scope
    }

    fn add_schema(&mut self, schema: &Schema) {
        for (key, _) in schema.fields() {
            let found = schema.field_type(key);
            let known = self.known(key);
            known.field = prefer(known.field, found);
        }
        schema.tags().for_each(|key| self.known(key).tag = true);
    }

    fn add_subquery(&mut self, inner: &Resolved<'_>) {
        for field in &inner.fields {
            let known = self.known(field_name(field).as_bytes());
            match inner.type_of_output(&field.expr) {
                Some(DataType::Tag) => known.tag_column = true,
                None | Some(DataType::AnyField) => known.null_column = true,
                found => known.field = prefer(known.field, field_type(found)),
            }
        }
        for var in hidden_columns(&inner.fields) {
            self.known(var.name.as_bytes()).hidden = var.cast;
        }
        inner.group_by.iter().for_each(|tag| self.known(tag.as_bytes()).tag = true);
    }

    fn known(&mut self, raw: &[u8]) -> &mut Known {
        let name = String::from_utf8_lossy(raw);
        let known = self.names.entry(name.clone().into_owned()).or_default();
        if name.as_bytes() != raw {
            known.raw = Some(raw.to_vec());
        }
        known
    }

    /// The bytes of a name.
    pub(crate) fn raw(&self, name: &str) -> Vec<u8> {
        self.names.get(name).and_then(|known| known.raw.clone()).unwrap_or_else(|| name.as_bytes().to_vec())
    }

    /// The type of a reference: its own cast, or what the name is.
    fn type_of(&self, var: &VarRef) -> Option<DataType> {
        if let Some(cast) = var.cast.filter(|cast| *cast != DataType::AnyField) {
            return Some(cast);
        }
        let known = self.names.get(&var.name)?;
        let tag = (known.tag || known.tag_column).then_some(DataType::Tag);
        let found = known.field.map(data_type).or(known.hidden).or(tag);
        found.filter(|found| !(var.cast.is_some() && *found == DataType::Tag))
    }

    fn with_types(&self, expr: Expr) -> Expr {
        rewrite_expr(expr, &mut |expr| match expr {
            Expr::VarRef(var) => {
                let cast = self.type_of(&var).or(var.cast);
                Expr::VarRef(VarRef { name: var.name, cast })
            }
            other => other,
        })
    }
}

impl Resolved<'_> {
    /// Whether the statement around this one finds a column of this name.
    pub(crate) fn has_column(&self, name: &str) -> bool {
        self.column_names.contains(name)
    }

    /// The type of an output expression, for the statement around this one.
    fn type_of_output(&self, expr: &Expr) -> Option<DataType> {
        crate::output::type_of(expr).ok().flatten()
    }
}

/// The arguments of `top` and `bottom` that have columns of their own.
fn hidden_columns(fields: &[Field]) -> impl Iterator<Item = &VarRef> {
    let calls = fields.iter().filter_map(|field| match &field.expr {
        Expr::Call(call) => Some(call),
        _ => None,
    });
    calls.flat_map(extra_columns)
}

/// The arguments between the first and the last of `top` and `bottom`.
pub(crate) fn extra_columns(call: &Call) -> impl Iterator<Item = &VarRef> {
    let between = match call.args.as_slice() {
        [_, between @ .., _] if call.name == "top" || call.name == "bottom" => between,
        _ => &[],
    };
    between.iter().filter_map(|arg| match arg {
        Expr::VarRef(var) => Some(var),
        _ => None,
    })
}

/// The preferred one of two types.
fn prefer(one: Option<FieldType>, other: Option<FieldType>) -> Option<FieldType> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
