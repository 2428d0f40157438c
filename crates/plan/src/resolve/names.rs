//! Names of output columns.

use std::collections::BTreeMap;

use influxql::ast::{Expr, Field};

/// The name that a field has of itself: its alias or what its expression says.
pub(crate) fn field_name(field: &Field) -> String {
    field.alias.clone().unwrap_or_else(|| expr_name(&field.expr))
}

fn expr_name(expr: &Expr) -> String {
    match expr {
        Expr::VarRef(var) => var.name.clone(),
        Expr::Call(call) => call.name.clone(),
        Expr::Paren(inner) => expr_name(inner),
        Expr::Binary(_) => {
            let mut parts = Vec::new();
            collect_names(expr, &mut parts);
            parts.join("_")
        }
        Expr::Distinct(_) => "distinct".to_owned(),
        Expr::Wildcard(_) | Expr::Literal(_) => String::new(),
    }
}

/// Names of variables and calls from left to right; what is inside a call does not count.
fn collect_names<'a>(expr: &'a Expr, parts: &mut Vec<&'a str>) {
    match expr {
        Expr::VarRef(var) => parts.push(&var.name),
        Expr::Call(call) => parts.push(&call.name),
        other => other.children().for_each(|child| collect_names(child, parts)),
    }
}

/// The names of the columns, `time` not among them. Aliases stay as they are, even if two are equal; other names that
/// are taken get a number.
pub(crate) fn column_names(fields: &[Field]) -> Vec<String> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for alias in fields.iter().filter_map(|field| field.alias.as_ref()) {
        taken.insert(alias.clone(), 1);
    }
    let name = |field: &Field| match &field.alias {
        Some(alias) => alias.clone(),
        None => unique(expr_name(&field.expr), &mut taken),
    };
    fields.iter().map(name).collect()
}

fn unique(name: String, taken: &mut BTreeMap<String, usize>) -> String {
    let Some(mut count) = taken.get(&name).copied() else {
        taken.insert(name.clone(), 1);
        return name;
    };
    loop {
        let numbered = format!("{name}_{count}");
        count += 1;
        if !taken.contains_key(&numbered) {
            taken.insert(name, count);
            taken.insert(numbered.clone(), 1);
            return numbered;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, want: &[&str]) {
        let text = format!("SELECT {list} FROM m");
        let statement = influxql::parse_canonical_select(&text).expect("a statement");
        assert_eq!(column_names(&statement.fields), want, "{list}");
    }

    #[test]
    fn names_say_what_is_computed() {
        check("v, mean(v), v + i, mean(v) / max(i), (v), -v", &["v", "mean", "v_i", "mean_max", "v_1", "v_2"]);
        check("2 * v + abs(i + v), distinct(v), v::integer", &["v_abs", "distinct", "v"]);
    }

    #[test]
    fn names_that_are_taken_get_numbers() {
        check("v, v, v", &["v", "v_1", "v_2"]);
        check("v, v AS v_1, v", &["v", "v_1", "v_2"]);
        check("v AS a, i AS a, b AS a_1, a", &["a", "a", "a_1", "a_2"]);
    }
}
