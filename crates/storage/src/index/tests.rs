use super::*;
use model::{Pattern, SeriesKey, TagFilter, TagTest};

fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags::new(pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
}

fn sample() -> Index {
    let mut index = Index::new(7);
    let cpu = index.add_measurement(b"cpu");
    for pairs in [
        [("host", "a"), ("rack", "")].as_slice(),
        &[("host", "a"), ("rack", "1")],
        &[("host", "b"), ("rack", "2")],
        &[("rack", "1")],
        &[],
    ] {
        index.add_series(cpu, SeriesKey::new(b"cpu", &tags(pairs)).as_bytes());
    }
    index
}

#[test]
fn filters_agree_with_the_tags_of_every_series() {
    let index = sample();
    let cpu = index.measurement(0);
    let values = ["", "a", "b", "1", "x"];
    let mut filters = vec![TagFilter::All, TagFilter::None];
    for key in ["host", "rack", "none"] {
        for value in values {
            let test = |test| TagFilter::Test { key: key.as_bytes().to_vec(), test };
            filters.push(test(TagTest::Equal(value.as_bytes().to_vec())));
            filters.push(test(TagTest::NotEqual(value.as_bytes().to_vec())));
        }
        for pattern in ["", "^$", "a|1", "x"] {
            let pattern = Pattern::compile(pattern).expect("a pattern");
            let test = |test| TagFilter::Test { key: key.as_bytes().to_vec(), test };
            filters.push(test(TagTest::Match(pattern.clone())));
            filters.push(test(TagTest::NotMatch(pattern)));
        }
    }
    let pairs: Vec<_> = filters.iter().zip(filters.iter().rev()).map(|(a, b)| vec![a.clone(), b.clone()]).collect();
    filters.extend(pairs.iter().cloned().map(TagFilter::And));
    filters.extend(pairs.into_iter().map(TagFilter::Or));
    for filter in &filters {
        let wanted: Vec<u32> =
            (0..index.series_count()).filter(|series| filter.accepts(&index.tags(*series))).collect();
        assert_eq!(cpu.matching(filter).iter().collect::<Vec<_>>(), wanted, "{filter:?}");
    }
}

#[test]
fn series_are_found_by_key_and_by_their_order() {
    let mut index = sample();
    assert_eq!(index.find(b"cpu,host=b,rack=2"), Some(2));
    assert_eq!(index.find(b"cpu,host=c"), None);
    assert_eq!(index.add_series(0, b"cpu,host=a"), 0, "known series keep their number");
    let mut table = Table::new(b"cpu");
    for key in [b"cpu,host=a,rack=1".as_slice(), b"cpu,host=b,rack=2", b"cpu,host=new", b"cpu"] {
        table.series.push(key);
    }
    let mut ids = vec![9];
    assert!(!index.resolve(&table, &mut ids));
    assert_eq!(ids, [1, 2, UNKNOWN, 4]);
}

#[test]
fn a_field_can_have_several_types() {
    let mut index = sample();
    let integer = index.add_field(0, b"v", FieldType::Integer);
    let float = index.add_field(0, b"v", FieldType::Float);
    assert_ne!(integer, float);
    assert_eq!(index.add_field(0, b"v", FieldType::Integer), integer);
    let cpu = index.measurement(0);
    assert_eq!(cpu.field_types(b"v").collect::<Vec<_>>(), [FieldType::Integer, FieldType::Float]);
    assert_eq!(cpu.fields_sorted(), [(b"v".to_vec(), vec![FieldType::Float, FieldType::Integer])]);
}
