//! Every operator against a plain evaluation of one row.

use model::{FieldType, Pattern, TagTest};
use plan::{MathFunction, Operator};
use proptest::prelude::*;

use super::*;
use crate::columns;

fn column(field_type: FieldType, values: &[Option<FieldValue>]) -> Column {
    let mut column = Column::new(field_type);
    for value in values {
        match value {
            Some(value) => column.push(value),
            None => column.pad_to(column.len() + 1),
        }
    }
    column
}

fn evaluate(expr: &Expr, inputs: &[Column]) -> Vec<Option<FieldValue>> {
    let len = inputs.first().map_or(1, Column::len);
    let vectors: Vec<Vector<'_>> = inputs.iter().map(|column| Vector::Column(Cow::Borrowed(column))).collect();
    match vector(expr, Inputs { len, vectors: &vectors, tags: None }) {
        Vector::Constant(value) => vec![value; len],
        Vector::Column(column) => (0..len).map(|index| column.get(index)).collect(),
    }
}

fn holds(expr: &Expr, inputs: &[Column]) -> Vec<bool> {
    let len = inputs.first().map_or(1, Column::len);
    let vectors: Vec<Vector<'_>> = inputs.iter().map(|column| Vector::Column(Cow::Borrowed(column))).collect();
    match truth(expr, Inputs { len, vectors: &vectors, tags: None }) {
        Truth::All => vec![true; len],
        Truth::None => vec![false; len],
        Truth::Some(bits) => (0..len).map(|index| bits.get(index)).collect(),
    }
}

fn integer(value: i64) -> Option<FieldValue> {
    Some(FieldValue::Integer(value))
}

fn float(value: f64) -> Option<FieldValue> {
    Some(FieldValue::Float(value))
}

fn binary(operator: Operator, lhs: Expr, rhs: Expr) -> Expr {
    Expr::binary(operator, lhs, rhs).expect("types fit")
}

/// One row, as a person would compute it.
fn plain(operator: Operator, a: i64, b: i64) -> FieldValue {
    match operator {
        Operator::Eq => FieldValue::Boolean(a == b),
        Operator::NotEq => FieldValue::Boolean(a != b),
        Operator::Lt => FieldValue::Boolean(a < b),
        Operator::LtEq => FieldValue::Boolean(a <= b),
        Operator::Gt => FieldValue::Boolean(a > b),
        Operator::GtEq => FieldValue::Boolean(a >= b),
        Operator::Add => FieldValue::Integer(a.wrapping_add(b)),
        Operator::Sub => FieldValue::Integer(a.wrapping_sub(b)),
        Operator::Mul => FieldValue::Integer(a.wrapping_mul(b)),
        Operator::Div => FieldValue::Integer(if b == 0 { 0 } else { a.wrapping_div(b) }),
        Operator::Mod => FieldValue::Integer(if b == 0 { 0 } else { a.wrapping_rem(b) }),
        Operator::BitAnd => FieldValue::Integer(a & b),
        Operator::BitOr => FieldValue::Integer(a | b),
        Operator::BitXor => FieldValue::Integer(a ^ b),
        Operator::And | Operator::Or => unreachable!("of booleans"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn integer_operators_agree_with_single_rows(
        rows in prop::collection::vec((prop::option::of(-4i64..4), prop::option::of(-4i64..4)), 1..150),
        constant in -3i64..3,
    ) {
        let a: Vec<_> = rows.iter().map(|row| row.0.map(FieldValue::Integer)).collect();
        let b: Vec<_> = rows.iter().map(|row| row.1.map(FieldValue::Integer)).collect();
        let inputs = [column(FieldType::Integer, &a), column(FieldType::Integer, &b)];
        let (x, y) = (Expr::input(0, FieldType::Integer), Expr::input(1, FieldType::Integer));
        let literal = Expr::literal(FieldValue::Integer(constant));
        for operator in Operator::ALL.into_iter().filter(|op| !matches!(op, Operator::And | Operator::Or)) {
            let columns = binary(operator, x.clone(), y.clone());
            let want: Vec<_> = rows.iter().map(|row| Some(plain(operator, row.0?, row.1?))).collect();
            prop_assert_eq!(evaluate(&columns, &inputs), want.clone(), "{:?}", operator);
            let left = binary(operator, literal.clone(), x.clone());
            let want_left: Vec<_> = rows.iter().map(|row| Some(plain(operator, constant, row.0?))).collect();
            prop_assert_eq!(evaluate(&left, &inputs), want_left);
            if operator.is_comparison() {
                let want: Vec<bool> = want.into_iter().map(|value| value == Some(FieldValue::Boolean(true))).collect();
                prop_assert_eq!(holds(&columns, &inputs), want);
            }
        }
    }
}

#[test]
fn null_is_false_to_and_and_or() {
    let x = || binary(Operator::Gt, Expr::input(0, FieldType::Integer), Expr::literal(FieldValue::Integer(0)));
    let yes = || Expr::literal(FieldValue::Boolean(true));
    let inputs = [column(FieldType::Integer, &[integer(1), None, integer(-1)])];
    assert_eq!(holds(&x(), &inputs), [true, false, false]);
    assert_eq!(holds(&binary(Operator::And, x(), yes()), &inputs), [true, false, false]);
    assert_eq!(holds(&binary(Operator::Or, x(), yes()), &inputs), [true, true, true]);
    let or = binary(
        Operator::Or,
        x(),
        binary(Operator::Lt, Expr::input(0, FieldType::Integer), Expr::literal(FieldValue::Integer(0))),
    );
    assert_eq!(evaluate(&or, &inputs), [true, false, true].map(|value| Some(FieldValue::Boolean(value))));
}

#[test]
fn division_by_zero_is_zero() {
    let inputs =
        [column(FieldType::Float, &[float(1.0), float(0.0)]), column(FieldType::Float, &[float(0.0), float(2.0)])];
    let (x, y) = (Expr::input(0, FieldType::Float), Expr::input(1, FieldType::Float));
    assert_eq!(evaluate(&binary(Operator::Div, x.clone(), y.clone()), &inputs), [float(0.0), float(0.0)]);
    let remainder = evaluate(&binary(Operator::Mod, x, y), &inputs);
    assert!(matches!(remainder[0], Some(FieldValue::Float(nan)) if nan.is_nan()));
}

#[test]
fn the_least_integer_does_not_panic() {
    let inputs = [column(FieldType::Integer, &[integer(i64::MIN)])];
    let minus_one = || Expr::literal(FieldValue::Integer(-1));
    let x = || Expr::input(0, FieldType::Integer);
    assert_eq!(evaluate(&binary(Operator::Div, x(), minus_one()), &inputs), [integer(i64::MIN)]);
    assert_eq!(evaluate(&binary(Operator::Mod, x(), minus_one()), &inputs), [integer(0)]);
    assert_eq!(evaluate(&Expr::math(MathFunction::Abs, vec![x()]).expect("fits"), &inputs), [integer(i64::MIN)]);
}

#[test]
fn signed_and_unsigned_compare_by_value() {
    let inputs = [
        column(FieldType::Integer, &[integer(-1), integer(5), integer(3)]),
        column(FieldType::Unsigned, &[Some(FieldValue::Unsigned(u64::MAX)), Some(FieldValue::Unsigned(5)), None]),
    ];
    let (x, y) = (Expr::input(0, FieldType::Integer), Expr::input(1, FieldType::Unsigned));
    assert_eq!(holds(&binary(Operator::Lt, x.clone(), y.clone()), &inputs), [true, false, false]);
    assert_eq!(holds(&binary(Operator::Eq, y.clone(), x.clone()), &inputs), [false, true, false]);
    assert_eq!(holds(&binary(Operator::GtEq, y, x), &inputs), [true, true, false]);
}

#[test]
fn strings_are_compared_and_searched() {
    let text = |text: &str| Some(FieldValue::String(text.into()));
    let inputs = [column(FieldType::String, &[text("web-01"), text("db"), None, text("web-02")])];
    let x = || Expr::input(0, FieldType::String);
    let literal = Expr::literal(FieldValue::String(b"db".to_vec()));
    assert_eq!(holds(&binary(Operator::Eq, x(), literal.clone()), &inputs), [false, true, false, false]);
    assert_eq!(holds(&binary(Operator::NotEq, x(), literal), &inputs), [true, false, false, true]);
    let pattern = || Pattern::compile("^web").expect("a pattern");
    let found = Expr::matches(x(), pattern(), false).expect("a string");
    let missing = Expr::matches(x(), pattern(), true).expect("a string");
    assert_eq!(holds(&found, &inputs), [true, false, false, true]);
    assert_eq!(holds(&missing, &inputs), [false, true, false, false]);
    assert_eq!(evaluate(&found, &inputs)[2], None);
}

#[test]
fn tags_hold_for_all_rows_or_none() {
    let tags = Tags::new(vec![(b"host".to_vec(), b"a".to_vec())]);
    let test = |value: &str| Expr::tag_test(b"host".to_vec(), TagTest::Equal(value.into()));
    let inputs = Inputs { len: 3, vectors: &[], tags: Some(&tags) };
    assert_eq!(truth(&test("a"), inputs), Truth::All);
    assert_eq!(truth(&test("b"), inputs), Truth::None);
    let tag = [Vector::Constant(Some(FieldValue::String(b"a".to_vec())))];
    let equal =
        binary(Operator::Eq, Expr::input(0, FieldType::String), Expr::literal(FieldValue::String(b"a".to_vec())));
    assert_eq!(truth(&equal, Inputs { len: 3, vectors: &tag, tags: None }), Truth::All);
}

#[test]
fn functions_and_casts() {
    let inputs =
        [column(FieldType::Float, &[float(-2.5), None]), column(FieldType::Integer, &[integer(7), integer(8)])];
    let x = || Expr::input(0, FieldType::Float);
    let math = |function, args| evaluate(&Expr::math(function, args).expect("fits"), &inputs);
    assert_eq!(math(MathFunction::Abs, vec![x()]), [float(2.5), None]);
    assert_eq!(math(MathFunction::Round, vec![x()]), [float(-3.0), None]);
    assert_eq!(math(MathFunction::Floor, vec![Expr::input(1, FieldType::Integer)]), [integer(7), integer(8)]);
    let three = Expr::literal(FieldValue::Float(3.0));
    assert_eq!(math(MathFunction::Pow, vec![x(), three]), [float(-15.625), None]);
    let cast = Expr::cast(x(), FieldType::Integer).expect("numbers");
    assert_eq!(evaluate(&cast, &inputs), [integer(-2), None]);
}

#[test]
fn an_input_of_another_type_reads_as_null() {
    let inputs = [column(FieldType::Integer, &[integer(1)])];
    assert_eq!(evaluate(&Expr::input(0, FieldType::Float), &inputs), [None]);
    assert_eq!(evaluate(&Expr::input(9, FieldType::Float), &inputs), [None]);
    assert_eq!(evaluate(&Expr::null(), &[columns::nulls(FieldType::Float, 2)]), [None, None]);
}
