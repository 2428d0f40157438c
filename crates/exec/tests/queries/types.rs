//! Fields that have several types, and names that are something else than asked for.

use expect_test::{Expect, expect};

use crate::database::{Cut, Database};
use crate::lines;

#[track_caller]
fn check(data: &str, query: &str, want: Expect) {
    // A shard for each ten nanoseconds, so that a field may have another type in each.
    let database = Database::new(&lines::parse(data), Cut { group_ns: 10, shards: 1 });
    want.assert_eq(&database.show(query));
}

const NUMBERS: &str = "m,h=a v=1.5 1\nm,h=a v=2i 12\nm,h=a v=3u 23\nm,h=a v=\"four\" 34\nm,h=a v=true 45";

#[test]
fn numbers_convert_to_the_preferred_type_and_others_are_null() {
    check(
        NUMBERS,
        "SELECT v FROM m",
        expect![[r#"
        m [] time v
          1 1.5
          12 2.0
          23 3.0
    "#]],
    );
    check(
        NUMBERS,
        "SELECT count(v), sum(v), last(v) FROM m",
        expect![[r#"
        m [] time count sum last
          0 3 6.5 3.0
    "#]],
    );
    check(
        NUMBERS,
        "SELECT v::integer FROM m WHERE time < 20",
        expect![[r#"
        m [] time v
          1 1
          12 2
    "#]],
    );
}

#[test]
fn a_condition_sees_the_converted_value() {
    check(
        NUMBERS,
        "SELECT v FROM m WHERE v > 1.7",
        expect![[r#"
        m [] time v
          12 2.0
          23 3.0
    "#]],
    );
}

#[test]
fn unsigned_integers_wrap_and_divide() {
    let data = "m u=3u,i=2i 1\nm u=5u 2\nm u=18446744073709551615u 3";
    check(
        data,
        "SELECT u - 4, u / 2, u % 2 FROM m",
        expect![[r#"
        m [] time u u_1 u_2
          1 18446744073709551615u 1u 1u
          2 1u 2u 1u
          3 18446744073709551611u 9223372036854775807u 1u
    "#]],
    );
    check(
        data,
        "SELECT sum(u), max(u), spread(u), median(u) FROM m",
        expect![[r#"
        m [] time sum max spread median
          0 7u 18446744073709551615u 18446744073709551612u 5.0
    "#]],
    );
    check(
        data,
        "SELECT difference(u) FROM m",
        expect![[r#"
        m [] time difference
          2 2u
          3 18446744073709551610u
    "#]],
    );
}

#[test]
fn text_that_is_no_utf_8_is_replaced() {
    let mut points = lines::parse("m,h=a s=\"x\" 1");
    points[0].fields[0].1 = model::FieldValue::String(vec![b'a', 0xff]);
    let database = Database::new(&points, Cut::WHOLE);
    expect![[r#"
        m [] time s
          1 "a�"
    "#]]
    .assert_eq(&database.show("SELECT s FROM m"));
}

#[test]
fn results_that_are_no_numbers_are_null() {
    let data = "m v=0 1\nm v=-1 2\nm v=1e308 3";
    check(
        data,
        "SELECT ln(v), sqrt(v), v * 10 FROM m",
        expect![[r#"
        m [] time ln sqrt v
          1 - 0.0 0.0
          2 - - -10.0
          3 709.1962086421661 1e154 -
    "#]],
    );
    check(
        "m v=1e308 1\nm v=1e308 2",
        "SELECT sum(v), mean(v), max(v) FROM m",
        expect![[r#"
        m [] time sum mean max
          0 - - 1e308
    "#]],
    );
}
