//! Wildcards and patterns of the select list and of `GROUP BY`, written out.

use influxql::ast::{Call, DataType, Expr, Field, Literal, VarRef, WildcardKind};
use influxql::visit::find_expr;
use model::Pattern;

use super::names::field_name;
use super::{Scope, compile_pattern, data_type};
use crate::compile::Compiled;
use crate::error::PlanError;

/// A name that a wildcard may stand for.
struct Candidate<'a> {
    name: &'a str,
    data_type: Option<DataType>,
}

/// Which candidates are meant.
enum Selection {
    All,
    Fields,
    Tags,
    Matching(Pattern),
}

/// The select list and the tags to group by.
pub(super) fn expand(compiled: &Compiled, scope: &Scope) -> Result<(Vec<Field>, Vec<String>), PlanError> {
    let group_by = expand_dimensions(compiled, scope)?;
    let candidates = candidates(compiled, scope);
    let mut fields = Vec::with_capacity(compiled.fields.len());
    for field in &compiled.fields {
        if let Some(selection) = Selection::of(&field.expr)? {
            let chosen = candidates.iter().filter(|candidate| selection.accepts(candidate));
            fields.extend(chosen.map(|candidate| Field::new(candidate.expr())));
            continue;
        }
        match &field.expr {
            Expr::Call(call) => expand_call(field, call, &candidates, &mut fields)?,
            other => {
                refuse_wildcards(other)?;
                fields.push(field.clone());
            }
        }
    }
    Ok((fields, group_by))
}

impl Selection {
    /// What a wildcard or pattern selects; `None` for other expressions.
    fn of(expr: &Expr) -> Result<Option<Selection>, PlanError> {
        Ok(Some(match expr {
            Expr::Wildcard(None) => Selection::All,
            Expr::Wildcard(Some(WildcardKind::Field)) => Selection::Fields,
            Expr::Wildcard(Some(WildcardKind::Tag)) => Selection::Tags,
            Expr::Literal(Literal::Regex(text)) => Selection::Matching(compile_pattern(text)?),
            _ => return Ok(None),
        }))
    }

    fn accepts(&self, candidate: &Candidate<'_>) -> bool {
        let is_tag = candidate.data_type == Some(DataType::Tag);
        match self {
            Selection::All => true,
            Selection::Fields => !is_tag,
            Selection::Tags => is_tag,
            Selection::Matching(pattern) => pattern.is_match(candidate.name.as_bytes()),
        }
    }
}

impl Candidate<'_> {
    fn expr(&self) -> Expr {
        Expr::VarRef(VarRef { name: self.name.to_owned(), cast: self.data_type })
    }

    /// Order by name, then by type as the reference numbers them.
    fn rank(&self) -> u8 {
        match self.data_type {
            None | Some(DataType::AnyField) => 0,
            Some(DataType::Float) => 1,
            Some(DataType::Integer) => 2,
            Some(DataType::String) => 3,
            Some(DataType::Boolean) => 4,
            Some(DataType::Tag) => 7,
            Some(DataType::Unsigned) => 9,
        }
    }
}

/// All fields; and all tags but those grouped by, unless the `GROUP BY` list has a wildcard itself. Without any field
/// there is nothing to select.
fn candidates<'a>(compiled: &Compiled, scope: &'a Scope) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for (name, known) in &scope.names {
        let column = match known.field {
            Some(field) => Some(data_type(field)),
            None if known.tag_column => Some(DataType::Tag),
            None if known.null_column => None,
            None => continue,
        };
        found.push(Candidate { name, data_type: column });
    }
    if found.is_empty() {
        return found;
    }
    let is_named = |dimension: &Expr, tag: &str| matches!(dimension, Expr::VarRef(var) if var.name == tag);
    if compiled.dimensions.iter().all(|dimension| matches!(dimension, Expr::VarRef(_))) {
        let tags = scope.names.iter().filter(|(_, known)| known.tag);
        let free = tags.filter(|(name, _)| !compiled.dimensions.iter().any(|dimension| is_named(dimension, name)));
        found.extend(free.map(|(name, _)| Candidate { name, data_type: Some(DataType::Tag) }));
    }
    found.sort_by(|a, b| a.name.cmp(b.name).then(a.rank().cmp(&b.rank())));
    found
}

/// `mean(*)` and `derivative(mean(/re/), 1s)`: one call for each field that the function takes.
fn expand_call(
    field: &Field,
    call: &Call,
    candidates: &[Candidate<'_>],
    fields: &mut Vec<Field>,
) -> Result<(), PlanError> {
    let inner = innermost(call);
    let selection = inner.args.first().map(Selection::of).transpose()?.flatten();
    let selection = match selection {
        None => {
            refuse_wildcards(&field.expr)?;
            fields.push(field.clone());
            return Ok(());
        }
        Some(Selection::Tags) => {
            return Err(PlanError::new(format!("unable to use tag wildcard in {}()", inner.name)));
        }
        Some(selection) => selection,
    };
    let chosen = candidates.iter().filter(|candidate| {
        candidate.data_type.is_some_and(|kind| takes(&inner.name, kind)) && selection.accepts(candidate)
    });
    let prefix = field_name(field);
    for candidate in chosen {
        let alias = Some(format!("{prefix}_{}", candidate.name));
        fields.push(Field { expr: Expr::Call(with_innermost_arg(call, candidate.expr())), alias });
    }
    Ok(())
}

/// The call that is reached by going to the first argument as long as that is a call.
fn innermost(call: &Call) -> &Call {
    match call.args.first() {
        Some(Expr::Call(inner)) => innermost(inner),
        _ => call,
    }
}

fn with_innermost_arg(call: &Call, arg: Expr) -> Call {
    let mut call = call.clone();
    match call.args.first_mut() {
        Some(Expr::Call(inner)) => *inner = with_innermost_arg(inner, arg),
        Some(first) => *first = arg,
        None => {}
    }
    call
}

/// Whether a wildcard in this function stands for fields of this type.
fn takes(function: &str, kind: DataType) -> bool {
    let any_field = matches!(function, "count" | "first" | "last" | "distinct" | "elapsed" | "mode" | "sample");
    match kind {
        DataType::Float | DataType::Integer => true,
        DataType::Unsigned => !matches!(function, "holt_winters" | "holt_winters_with_fit"),
        DataType::String => any_field,
        DataType::Boolean => any_field || matches!(function, "min" | "max"),
        DataType::AnyField | DataType::Tag => false,
    }
}

/// Wildcards that were in none of the places where they may be.
fn refuse_wildcards(expr: &Expr) -> Result<(), PlanError> {
    if find_expr(expr, &mut |part| matches!(part, Expr::Wildcard(_))).is_some() {
        return Err(PlanError::new(format!("unsupported expression with wildcard: {expr}")));
    }
    if find_expr(expr, &mut |part| matches!(part, Expr::Literal(Literal::Regex(_)))).is_some() {
        return Err(PlanError::new(format!("unsupported expression with regex: {expr}")));
    }
    Ok(())
}

fn expand_dimensions(compiled: &Compiled, scope: &Scope) -> Result<Vec<String>, PlanError> {
    let tags = || scope.names.iter().filter(|(_, known)| known.tag).map(|(name, _)| name);
    let mut group_by: Vec<String> = Vec::new();
    for dimension in &compiled.dimensions {
        match (dimension, Selection::of(dimension)?) {
            (Expr::VarRef(var), _) => group_by.push(var.name.clone()),
            (_, Some(Selection::Matching(pattern))) => {
                group_by.extend(tags().filter(|tag| pattern.is_match(tag.as_bytes())).cloned());
            }
            _ => group_by.extend(tags().cloned()),
        }
    }
    Ok(group_by)
}
