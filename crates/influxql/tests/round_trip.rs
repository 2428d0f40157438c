//! Trees that were made up, printed and read back.
//!
//! `parse(print(tree)) == tree` for what the parser makes. A tree that was built another way comes back with the
//! parentheses that keep its meaning, so trees are compared without them; and what came back must then be stable.

use influxql::ast::{
    AlterRetentionPolicy, Binary, BinaryOp, Call, CardinalityOf, CreateContinuousQuery, CreateDatabase,
    CreateRetentionPolicy, CreateSubscription, DataType, DatabaseOptions, Delete, DestinationMode, Direction,
    DropSeries, Explain, Expr, Field, Fill, FillNumber, Grant, KeyCondition, KillQuery, Literal, Measurement,
    MeasurementFilter, MeasurementName, NameOrWildcard, OnDatabase, OrderBy, Privilege, Resample, Revoke,
    SelectStatement, ServerKind, ShowCardinality, ShowFieldKeys, ShowMeasurements, ShowSeries, ShowTagKeys,
    ShowTagValues, Source, Statement, Target, TargetName, VarRef, WildcardKind,
};
use influxql::fuzzing::check_round_trip;
use influxql::visit::rewrite_expr;
use influxql::{parse_canonical, parse_canonical_expr};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const CASES: u32 = 400;

fn name() -> impl Strategy<Value = String> {
    const NAMES: &[&str] =
        &["a", "b_1", "time", "select", "DISTINCT", "fill", "tz", "servers", "past", "1a", "a b", "a.b", "é", "-"];
    prop_oneof![
        4 => select(NAMES).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[\"'\\\\\n\r\0/$ ]{0,6}",
    ]
}

fn given_name() -> impl Strategy<Value = String> {
    name().prop_filter("absent", |name| !name.is_empty())
}

fn optional_name() -> impl Strategy<Value = Option<String>> {
    option::of(given_name())
}

/// A pattern as the parser keeps it: it compiles and has no characters that are written as escapes.
fn pattern() -> impl Strategy<Value = String> {
    select(["", "a", "^a/b$", r"\d+\.\w", r"\\a", "/", "[/]", "'\"", "(?i)é|x", " ", r"\n"].as_slice())
        .prop_map(str::to_owned)
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
        any::<i32>().prop_map(f64::from),
    ]
}

fn duration() -> impl Strategy<Value = i64> {
    prop_oneof![
        -i64::MAX..=i64::MAX,
        (-100i64..100, select([1, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000, 604_800_000_000_000].as_slice()))
            .prop_map(|(count, unit)| count * unit),
    ]
}

fn positive_duration() -> impl Strategy<Value = i64> {
    duration().prop_map(|value| value.abs().max(1))
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<i64>().prop_map(Literal::Integer),
        (i64::MAX.unsigned_abs() + 1..=u64::MAX).prop_map(Literal::Unsigned),
        finite().prop_map(Literal::Number),
        name().prop_map(Literal::String),
        any::<bool>().prop_map(Literal::Boolean),
        duration().prop_map(Literal::Duration),
    ]
}

fn var_ref() -> impl Strategy<Value = Expr> {
    let types = [
        DataType::Float,
        DataType::Integer,
        DataType::Unsigned,
        DataType::String,
        DataType::Boolean,
        DataType::AnyField,
        DataType::Tag,
    ];
    (name(), option::of(select(types.to_vec()))).prop_map(|(name, cast)| Expr::VarRef(VarRef { name, cast }))
}

fn wildcard() -> impl Strategy<Value = Expr> {
    option::of(select([WildcardKind::Field, WildcardKind::Tag].as_slice())).prop_map(Expr::Wildcard)
}

fn regex() -> impl Strategy<Value = Expr> {
    pattern().prop_map(|pattern| Expr::Literal(Literal::Regex(pattern)))
}

const ARITHMETIC: [BinaryOp; 8] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::BitOr,
    BinaryOp::BitXor,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::BitAnd,
];

const CONDITIONAL: [BinaryOp; 8] = [
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Eq,
    BinaryOp::NotEq,
    BinaryOp::Lt,
    BinaryOp::LtEq,
    BinaryOp::Gt,
    BinaryOp::GtEq,
];

/// An expression of the given operators.
fn expr_of(ops: Vec<BinaryOp>) -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => var_ref(),
        3 => literal().prop_map(Expr::Literal),
        1 => wildcard(),
        1 => name().prop_map(Expr::Distinct),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let arg = prop_oneof![4 => inner.clone(), 1 => regex()];
        prop_oneof![
            5 => (select(ops.clone()), inner.clone(), inner.clone())
                .prop_map(|(op, lhs, rhs)| Expr::binary(op, lhs, rhs)),
            1 => inner.clone().prop_map(Expr::paren),
            2 => (name(), prop::collection::vec(arg, 0..4))
                .prop_map(|(name, args)| Expr::Call(Call { name: name.to_lowercase(), args })),
        ]
    })
}

fn arithmetic() -> impl Strategy<Value = Expr> {
    expr_of(ARITHMETIC.to_vec())
}

fn condition() -> impl Strategy<Value = Expr> {
    let matching = (var_ref(), select([BinaryOp::EqRegex, BinaryOp::NotEqRegex, BinaryOp::Eq].as_slice()), regex())
        .prop_map(|(lhs, op, rhs)| Expr::binary(op, lhs, rhs));
    let plain = expr_of(ARITHMETIC.into_iter().chain(CONDITIONAL).collect());
    (plain, option::of(matching)).prop_map(|(plain, matching)| match matching {
        Some(matching) => Expr::and(plain, matching),
        None => plain,
    })
}

fn measurement() -> impl Strategy<Value = Measurement> {
    let name = prop_oneof![
        3 => name().prop_map(MeasurementName::Name),
        1 => pattern().prop_map(MeasurementName::Regex),
    ];
    (optional_name(), optional_name(), name).prop_map(|(database, retention_policy, name)| Measurement {
        database,
        retention_policy,
        name,
    })
}

fn measurements() -> impl Strategy<Value = Vec<Source>> {
    prop::collection::vec(measurement().prop_map(Source::Measurement), 0..3)
}

fn order_by() -> impl Strategy<Value = Option<OrderBy>> {
    let direction = select([Direction::Ascending, Direction::Descending].as_slice());
    option::of((any::<bool>(), direction).prop_map(|(names_time, direction)| OrderBy { names_time, direction }))
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..10u64, Just(i64::MAX.unsigned_abs())]
}

fn fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        Just(Fill::Null),
        Just(Fill::None),
        Just(Fill::Previous),
        Just(Fill::Linear),
        any::<i64>().prop_map(|value| Fill::Number(FillNumber::Integer(value))),
        finite().prop_map(|value| Fill::Number(FillNumber::Float(value))),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let expr = prop_oneof![5 => arithmetic(), 1 => regex()];
    (expr, optional_name()).prop_map(|(expr, alias)| Field { expr, alias })
}

fn target() -> impl Strategy<Value = Target> {
    let name = prop_oneof![given_name().prop_map(TargetName::Name), Just(TargetName::SameAsSource)];
    (optional_name(), optional_name(), name).prop_map(|(database, retention_policy, name)| Target {
        database,
        retention_policy,
        name,
    })
}

fn select_of(source: BoxedStrategy<Source>) -> BoxedStrategy<SelectStatement> {
    let dimension = prop_oneof![5 => arithmetic(), 1 => regex()];
    (
        prop::collection::vec(field(), 1..4),
        option::of(target()),
        prop::collection::vec(source, 1..3),
        option::of(condition()),
        prop::collection::vec(dimension, 0..3),
        fill(),
        order_by(),
        [count(), count(), count(), count()],
        option::of(select(["UTC", "Local", "Europe/Berlin"].as_slice()).prop_map(str::to_owned)),
    )
        .prop_map(|(fields, target, sources, condition, dimensions, fill, order_by, counts, tz)| {
            let [limit, offset, slimit, soffset] = counts;
            SelectStatement {
                fields,
                target,
                sources,
                condition,
                dimensions,
                fill,
                order_by,
                limit,
                offset,
                slimit,
                soffset,
                tz,
            }
        })
        .boxed()
}

fn select_statement() -> BoxedStrategy<SelectStatement> {
    let measurement = measurement().prop_map(Source::Measurement).boxed();
    let subquery = select_of(measurement.clone()).prop_map(|select| Source::Subquery(Box::new(select)));
    select_of(prop_oneof![3 => measurement, 1 => subquery].boxed())
}

fn key_condition() -> impl Strategy<Value = KeyCondition> {
    prop_oneof![
        name().prop_map(KeyCondition::Eq),
        name().prop_map(KeyCondition::NotEq),
        pattern().prop_map(KeyCondition::Matches),
        pattern().prop_map(KeyCondition::NotMatches),
        prop::collection::vec(name(), 1..4).prop_map(KeyCondition::In),
    ]
}

fn show() -> BoxedStrategy<Statement> {
    let name_or_wildcard = || prop_oneof![given_name().prop_map(NameOrWildcard::Name), Just(NameOrWildcard::Wildcard)];
    let on = (name_or_wildcard(), option::of(name_or_wildcard()))
        .prop_map(|(database, retention_policy)| OnDatabase { database, retention_policy });
    let filter = prop_oneof![name().prop_map(MeasurementFilter::Name), pattern().prop_map(MeasurementFilter::Regex)];
    let of = prop_oneof![
        Just(CardinalityOf::Series),
        Just(CardinalityOf::Measurement),
        Just(CardinalityOf::TagKey),
        Just(CardinalityOf::FieldKey),
        key_condition().prop_map(CardinalityOf::TagValues),
    ];
    let tail = || (option::of(condition()), order_by(), count(), count());
    prop_oneof![
        (option::of(on), option::of(filter), tail()).prop_map(|(on, filter, (condition, order_by, limit, offset))| {
            Statement::ShowMeasurements(ShowMeasurements { on, filter, condition, order_by, limit, offset })
        }),
        (optional_name(), measurements(), tail()).prop_map(|(database, sources, tail)| {
            let (condition, order_by, limit, offset) = tail;
            Statement::ShowSeries(ShowSeries { database, sources, condition, order_by, limit, offset })
        }),
        (optional_name(), measurements(), option::of(key_condition()), tail(), count(), count()).prop_map(
            |(database, sources, key, (condition, order_by, limit, offset), slimit, soffset)| {
                Statement::ShowTagKeys(ShowTagKeys {
                    database,
                    sources,
                    key,
                    condition,
                    order_by,
                    limit,
                    offset,
                    slimit,
                    soffset,
                })
            }
        ),
        (optional_name(), measurements(), key_condition(), tail()).prop_map(|(database, sources, key, tail)| {
            let (condition, order_by, limit, offset) = tail;
            Statement::ShowTagValues(ShowTagValues { database, sources, key, condition, order_by, limit, offset })
        }),
        (optional_name(), measurements(), order_by(), count(), count()).prop_map(
            |(database, sources, order_by, limit, offset)| {
                Statement::ShowFieldKeys(ShowFieldKeys { database, sources, order_by, limit, offset })
            }
        ),
        (of, any::<bool>(), optional_name(), measurements(), tail(), prop::collection::vec(arithmetic(), 0..2))
            .prop_map(|(of, exact, database, sources, (condition, _, limit, offset), dimensions)| {
                Statement::ShowCardinality(ShowCardinality {
                    of,
                    exact,
                    database,
                    sources,
                    condition,
                    dimensions,
                    limit,
                    offset,
                })
            }),
        optional_name().prop_map(|database| Statement::ShowRetentionPolicies { database }),
        name().prop_map(|user| Statement::ShowGrants { user }),
        optional_name().prop_map(|module| Statement::ShowStats { module }),
        optional_name().prop_map(|module| Statement::ShowDiagnostics { module }),
        select(vec![
            Statement::ShowDatabases,
            Statement::ShowContinuousQueries,
            Statement::ShowQueries,
            Statement::ShowUsers,
            Statement::ShowSubscriptions,
            Statement::ShowShards,
            Statement::ShowShardGroups,
            Statement::ShowServers,
        ]),
    ]
    .boxed()
}

fn without_database(sources: Vec<Source>) -> Vec<Source> {
    let strip = |source| match source {
        Source::Measurement(measurement) => Source::Measurement(Measurement { database: None, ..measurement }),
        subquery => subquery,
    };
    sources.into_iter().map(strip).collect()
}

fn unqualified(sources: Vec<Source>) -> Vec<Source> {
    let strip = |source| match source {
        Source::Measurement(measurement) => Source::Measurement(Measurement { retention_policy: None, ..measurement }),
        subquery => subquery,
    };
    without_database(sources).into_iter().map(strip).collect()
}

fn remove() -> BoxedStrategy<Statement> {
    let removal = || (measurements(), option::of(condition()), condition());
    prop_oneof![
        removal().prop_map(|(sources, condition, other)| {
            let condition = if sources.is_empty() { Some(other) } else { condition };
            Statement::Delete(Delete { sources: without_database(sources), condition })
        }),
        removal().prop_map(|(sources, condition, other)| {
            let condition = if sources.is_empty() { Some(other) } else { condition };
            Statement::DropSeries(DropSeries { sources: unqualified(sources), condition })
        }),
        name().prop_map(|name| Statement::DropMeasurement { name }),
        any::<u64>().prop_map(|id| Statement::DropShard { id }),
        name().prop_map(|name| Statement::DropDatabase { name }),
        name().prop_map(|name| Statement::DropUser { name }),
        (name(), name()).prop_map(|(name, database)| Statement::DropRetentionPolicy { name, database }),
        (name(), name()).prop_map(|(name, database)| Statement::DropContinuousQuery { name, database }),
        (name(), name(), name()).prop_map(|(name, database, retention_policy)| Statement::DropSubscription {
            name,
            database,
            retention_policy
        }),
        (select([ServerKind::Meta, ServerKind::Data].as_slice()), any::<u64>())
            .prop_map(|(kind, id)| Statement::DropServer { kind, id }),
        (any::<u64>(), optional_name()).prop_map(|(id, host)| Statement::KillQuery(KillQuery { id, host })),
    ]
    .boxed()
}

fn define() -> BoxedStrategy<Statement> {
    let replication = || 1..=i32::MAX.unsigned_abs();
    let limits = || (option::of(positive_duration()), option::of(positive_duration()));
    let privilege = || select([Privilege::Read, Privilege::Write, Privilege::All].as_slice());
    let options = (
        option::of(positive_duration()),
        option::of(replication()),
        option::of(positive_duration()),
        limits(),
        optional_name(),
    )
        .prop_map(|(duration_ns, replication, shard_duration_ns, (future_limit_ns, past_limit_ns), name)| {
            DatabaseOptions { duration_ns, replication, shard_duration_ns, future_limit_ns, past_limit_ns, name }
        });
    prop_oneof![
        (name(), options).prop_map(|(name, options)| {
            let options = Some(options).filter(|options| *options != DatabaseOptions::default());
            Statement::CreateDatabase(CreateDatabase { name, options })
        }),
        (name(), name(), positive_duration(), replication(), option::of(positive_duration()), any::<bool>(), limits())
            .prop_map(|(name, database, duration_ns, replication, shard_duration_ns, default, limits)| {
                Statement::CreateRetentionPolicy(CreateRetentionPolicy {
                    name,
                    database,
                    duration_ns,
                    replication,
                    shard_duration_ns,
                    default,
                    future_limit_ns: limits.0,
                    past_limit_ns: limits.1,
                })
            }),
        (name(), name(), option::of(positive_duration()), option::of(replication()), limits()).prop_map(
            |(name, database, duration_ns, replication, limits)| {
                Statement::AlterRetentionPolicy(AlterRetentionPolicy {
                    name,
                    database,
                    duration_ns,
                    replication,
                    shard_duration_ns: limits.0,
                    default: duration_ns.is_none(),
                    future_limit_ns: limits.1,
                    past_limit_ns: limits.0,
                })
            }
        ),
        (name(), name(), name(), any::<bool>(), prop::collection::vec(name(), 1..3)).prop_map(
            |(name, database, retention_policy, all, destinations)| {
                let mode = if all { DestinationMode::All } else { DestinationMode::Any };
                Statement::CreateSubscription(CreateSubscription {
                    name,
                    database,
                    retention_policy,
                    mode,
                    destinations,
                })
            }
        ),
        (privilege(), name(), name())
            .prop_map(|(privilege, database, user)| { Statement::Grant(Grant { privilege, database, user }) }),
        (privilege(), name(), name())
            .prop_map(|(privilege, database, user)| { Statement::Revoke(Revoke { privilege, database, user }) }),
        name().prop_map(|user| Statement::GrantAdmin { user }),
        name().prop_map(|user| Statement::RevokeAdmin { user }),
    ]
    .boxed()
}

fn continuous_query() -> BoxedStrategy<Statement> {
    let resample = (option::of(1..1_000i64), option::of(1_000..2_000i64))
        .prop_map(|(every_ns, for_ns)| Resample { every_ns, for_ns });
    (name(), name(), option::of(resample), select_statement(), target(), var_ref())
        .prop_map(|(name, database, resample, mut select, target, field)| {
            let resample = resample.filter(|resample| resample.every_ns.is_some() || resample.for_ns.is_some());
            select.target = Some(target);
            // With a call it would need an interval.
            select.fields = vec![Field::new(field)];
            select.dimensions = Vec::new();
            Statement::CreateContinuousQuery(CreateContinuousQuery {
                name,
                database,
                resample,
                select: Box::new(select),
            })
        })
        .boxed()
}

fn statement() -> BoxedStrategy<Statement> {
    prop_oneof![
        4 => select_statement().prop_map(|select| Statement::Select(Box::new(select))),
        1 => (any::<bool>(), any::<bool>(), select_statement()).prop_map(|(analyze, verbose, select)| {
            Statement::Explain(Explain { analyze, verbose, statement: Box::new(select) })
        }),
        2 => show(),
        2 => remove(),
        2 => define(),
        1 => continuous_query(),
    ]
    .boxed()
}

/// The same expression without parentheses, and with chains of AND and OR as they would be read from left to right.
fn plain(expr: Expr) -> Expr {
    rewrite_expr(expr, &mut |expr| match expr {
        Expr::Paren(inner) => *inner,
        Expr::Binary(binary) if binary.op.is_logical() => {
            let op = binary.op;
            let mut terms = Vec::new();
            flatten(op, Expr::Binary(binary), &mut terms);
            terms.into_iter().reduce(|lhs, rhs| Expr::binary(op, lhs, rhs)).expect("a chain has terms")
        }
        other => other,
    })
}

fn flatten(op: BinaryOp, expr: Expr, terms: &mut Vec<Expr>) {
    match expr {
        Expr::Binary(binary) if binary.op == op => {
            let Binary { lhs, rhs, .. } = *binary;
            flatten(op, lhs, terms);
            flatten(op, rhs, terms);
        }
        other => terms.push(other),
    }
}

fn plain_list(exprs: &mut Vec<Expr>) {
    *exprs = std::mem::take(exprs).into_iter().map(plain).collect();
}

fn plain_select(select: &mut SelectStatement) {
    for field in &mut select.fields {
        field.expr = plain(field.expr.clone());
    }
    select.condition = select.condition.take().map(plain);
    plain_list(&mut select.dimensions);
    for source in &mut select.sources {
        if let Source::Subquery(inner) = source {
            plain_select(inner);
        }
    }
}

fn plain_statement(mut statement: Statement) -> Statement {
    match &mut statement {
        Statement::Select(select) => plain_select(select),
        Statement::Explain(explain) => plain_select(&mut explain.statement),
        Statement::CreateContinuousQuery(create) => plain_select(&mut create.select),
        Statement::Delete(delete) => delete.condition = delete.condition.take().map(plain),
        Statement::DropSeries(drop) => drop.condition = drop.condition.take().map(plain),
        Statement::ShowMeasurements(show) => show.condition = show.condition.take().map(plain),
        Statement::ShowSeries(show) => show.condition = show.condition.take().map(plain),
        Statement::ShowTagKeys(show) => show.condition = show.condition.take().map(plain),
        Statement::ShowTagValues(show) => show.condition = show.condition.take().map(plain),
        Statement::ShowCardinality(show) => {
            show.condition = show.condition.take().map(plain);
            plain_list(&mut show.dimensions);
        }
        _ => {}
    }
    statement
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn statements_read_back(statement in statement()) {
        let text = statement.to_string();
        let again = parse_canonical(&text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
        prop_assert_eq!(again.len(), 1, "{}", text);
        check_round_trip(&again[0]);
        prop_assert_eq!(plain_statement(again[0].clone()), plain_statement(statement), "{}", text);
    }

    #[test]
    fn conditions_read_back(condition in condition()) {
        let text = condition.to_string();
        let again = parse_canonical_expr(&text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
        prop_assert_eq!(parse_canonical_expr(&again.to_string()), Ok(again.clone()));
        prop_assert_eq!(plain(again), plain(condition), "{}", text);
    }

    /// Also the parts of a float that no comparison of floats sees.
    #[test]
    fn floats_read_back_bit_by_bit(value in finite()) {
        let again = parse_canonical_expr(&Expr::number(value).to_string());
        let Ok(Expr::Literal(Literal::Number(again))) = again else {
            return Err(TestCaseError::fail(format!("{again:?}")));
        };
        prop_assert_eq!(again.to_bits(), value.to_bits());
    }
}
