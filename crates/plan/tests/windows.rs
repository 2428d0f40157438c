//! Windows in time zones, against a recording of the reference.

use model::Timestamp;
use plan::{Window, Zone};

const SECOND_NS: i64 = 1_000_000_000;
const STEP_SECONDS: i64 = 20 * 60;
const POINT_COUNT: i64 = 150;

fn window(interval: &str, zone: &str) -> Window {
    let duration = |text: &str| influxql::duration::parse_duration(text).unwrap();
    let (length, offset) = interval.split_once(',').unwrap_or((interval, "0s"));
    Window::new(duration(length), duration(offset), Some(Zone::get(zone).unwrap())).unwrap()
}

#[test]
fn windows_begin_where_those_of_the_reference_begin() {
    for line in include_str!("windows.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (zone, interval, first) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (window, first) = (window(interval, zone), first.parse::<i64>().unwrap());
        let mut counted: Vec<(i64, i64)> = Vec::new();
        for index in 0..POINT_COUNT {
            let at = Timestamp((first + index * STEP_SECONDS) * SECOND_NS);
            let start = window.start(at).0 / SECOND_NS - first;
            match counted.last_mut() {
                Some((last, count)) if *last == start => *count += 1,
                _ => counted.push((start, 1)),
            }
        }
        let got: Vec<String> = counted.iter().map(|(start, count)| format!("{start}:{count}")).collect();
        assert_eq!(got, words.collect::<Vec<_>>(), "{zone} {interval}");
    }
}
