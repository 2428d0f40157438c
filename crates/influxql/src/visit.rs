//! Walking and rewriting trees.
//!
//! All functions recurse, which is safe for trees from the parser: their height is bounded.

use crate::ast::{Binary, Call, Expr, Measurement, SelectStatement, Source, Statement, VarRef};

impl Expr {
    /// The direct parts of this expression, left to right.
    pub fn children(&self) -> impl Iterator<Item = &Expr> {
        let (pair, list): ([Option<&Expr>; 2], &[Expr]) = match self {
            Expr::Binary(binary) => ([Some(&binary.lhs), Some(&binary.rhs)], &[]),
            Expr::Paren(inner) => ([Some(inner), None], &[]),
            Expr::Call(call) => ([None, None], &call.args),
            Expr::VarRef(_) | Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Literal(_) => ([None, None], &[]),
        };
        pair.into_iter().flatten().chain(list)
    }
}

/// Calls `visit` on `expr` and everything in it; a parent before its parts, left before right.
pub fn walk_expr<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr)) {
    visit(expr);
    for child in expr.children() {
        walk_expr(child, visit);
    }
}

/// The first expression in the order of [`walk_expr`] that `wanted` accepts.
pub fn find_expr<'a>(expr: &'a Expr, wanted: &mut impl FnMut(&'a Expr) -> bool) -> Option<&'a Expr> {
    if wanted(expr) {
        return Some(expr);
    }
    expr.children().find_map(|child| find_expr(child, wanted))
}

/// Rebuilds an expression from the leaves up: `rewrite` gets each part after its own parts have been rewritten.
pub fn rewrite_expr(expr: Expr, rewrite: &mut impl FnMut(Expr) -> Expr) -> Expr {
    let rebuilt = match expr {
        Expr::Binary(binary) => {
            let Binary { op, lhs, rhs } = *binary;
            let lhs = rewrite_expr(lhs, rewrite);
            Expr::binary(op, lhs, rewrite_expr(rhs, rewrite))
        }
        Expr::Paren(inner) => Expr::paren(rewrite_expr(*inner, rewrite)),
        Expr::Call(call) => {
            let args = call.args.into_iter().map(|arg| rewrite_expr(arg, rewrite)).collect();
            Expr::Call(Call { name: call.name, args })
        }
        leaf => leaf,
    };
    rewrite(rebuilt)
}

/// All column references in `expr`, left to right, repetitions included. `DISTINCT v` is not one of them.
pub fn var_refs(expr: &Expr) -> Vec<&VarRef> {
    let mut found = Vec::new();
    walk_expr(expr, &mut |expr| {
        if let Expr::VarRef(var_ref) = expr {
            found.push(var_ref);
        }
    });
    found
}

/// All calls in `expr`, left to right, outer before inner.
pub fn calls(expr: &Expr) -> Vec<&Call> {
    let mut found = Vec::new();
    walk_expr(expr, &mut |expr| {
        if let Expr::Call(call) = expr {
            found.push(call);
        }
    });
    found
}

impl SelectStatement {
    /// The measurements that this statement and its subqueries read, in the order of the text.
    pub fn measurements(&self) -> Vec<&Measurement> {
        let mut found = Vec::new();
        collect_measurements(&self.sources, &mut found);
        found
    }

    /// Calls `visit` on every measurement that this statement and its subqueries read. Targets are not among them.
    pub fn for_each_measurement_mut(&mut self, visit: &mut impl FnMut(&mut Measurement)) {
        for_each_measurement_mut(&mut self.sources, visit);
    }
}

fn collect_measurements<'a>(sources: &'a [Source], found: &mut Vec<&'a Measurement>) {
    for source in sources {
        match source {
            Source::Measurement(measurement) => found.push(measurement),
            Source::Subquery(select) => collect_measurements(&select.sources, found),
        }
    }
}

/// Calls `visit` on every measurement in `sources`, also in subqueries.
pub fn for_each_measurement_mut(sources: &mut [Source], visit: &mut impl FnMut(&mut Measurement)) {
    for source in sources {
        match source {
            Source::Measurement(measurement) => visit(measurement),
            Source::Subquery(select) => for_each_measurement_mut(&mut select.sources, visit),
        }
    }
}

impl Statement {
    /// The sources of the `FROM` clause; empty for statements without one.
    pub fn sources(&self) -> &[Source] {
        match self {
            Statement::Select(select) => &select.sources,
            Statement::Explain(explain) => &explain.statement.sources,
            Statement::Delete(delete) => &delete.sources,
            Statement::DropSeries(drop) => &drop.sources,
            Statement::ShowSeries(show) => &show.sources,
            Statement::ShowTagKeys(show) => &show.sources,
            Statement::ShowTagValues(show) => &show.sources,
            Statement::ShowFieldKeys(show) => &show.sources,
            Statement::ShowCardinality(show) => &show.sources,
            Statement::CreateContinuousQuery(create) => &create.select.sources,
            _ => &[],
        }
    }

    /// The same, to be changed.
    pub fn sources_mut(&mut self) -> &mut [Source] {
        match self {
            Statement::Select(select) => &mut select.sources,
            Statement::Explain(explain) => &mut explain.statement.sources,
            Statement::Delete(delete) => &mut delete.sources,
            Statement::DropSeries(drop) => &mut drop.sources,
            Statement::ShowSeries(show) => &mut show.sources,
            Statement::ShowTagKeys(show) => &mut show.sources,
            Statement::ShowTagValues(show) => &mut show.sources,
            Statement::ShowFieldKeys(show) => &mut show.sources,
            Statement::ShowCardinality(show) => &mut show.sources,
            Statement::CreateContinuousQuery(create) => &mut create.select.sources,
            _ => &mut [],
        }
    }

    /// The `WHERE` clause, for statements that can have one.
    pub fn condition(&self) -> Option<&Expr> {
        match self {
            Statement::Select(select) => select.condition.as_ref(),
            Statement::Explain(explain) => explain.statement.condition.as_ref(),
            Statement::Delete(delete) => delete.condition.as_ref(),
            Statement::DropSeries(drop) => drop.condition.as_ref(),
            Statement::ShowMeasurements(show) => show.condition.as_ref(),
            Statement::ShowSeries(show) => show.condition.as_ref(),
            Statement::ShowTagKeys(show) => show.condition.as_ref(),
            Statement::ShowTagValues(show) => show.condition.as_ref(),
            Statement::ShowCardinality(show) => show.condition.as_ref(),
            Statement::CreateContinuousQuery(create) => create.select.condition.as_ref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
