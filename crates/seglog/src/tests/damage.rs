//! Bytes change under the log: torn tails, flipped bits, lost, swapped and foreign files.

use std::path::{Path, PathBuf};

use env::simulated::{LossModel, SimDisk};
use env::{Fs, OpenMode};

use super::model::{DIR, Dice, Run, open, payload};
use crate::planted::{Bug, found_by};
use crate::segment::SegmentId;
use crate::{Cause, Entry, Fenced, Log, OpenError, Position, fuzzing};

/// A log with records of these lengths, durable; closed cleanly or not. Returns where the records are.
fn filled(seed: u64, lengths: &[usize], closed: bool) -> (SimDisk, Vec<Position>) {
    let disk = SimDisk::new(seed);
    let mut run = Run::start(disk.clone()).expect("opens");
    let positions = lengths.iter().map(|length| run.append(*length).expect("appended")).collect();
    run.sync().expect("synced");
    if closed {
        run.log.close_idle().expect("closes");
    }
    disk.crash(LossModel::LoseAll);
    (disk, positions)
}

fn segments(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().collect()
}

/// The position behind a record of so many bytes (and its id).
fn behind(position: Position, length: usize) -> Position {
    Position { offset: position.offset + 20 + 8 + length as u64, ..position }
}

/// What a reader finds from the start: positions of records, and damage.
fn read_all(log: &Log) -> (Vec<Position>, Vec<(Position, Position)>) {
    let mut reader = log.reader(Position::START);
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.read_next().expect("reads") {
        match entry {
            Entry::Record { position, next, .. } => {
                assert!(position < next);
                records.push(position);
            }
            Entry::Damaged { start, end } => damage.push((start, end)),
        }
    }
    (records, damage)
}

#[test]
fn a_tail_torn_at_any_byte_costs_the_torn_records_only() {
    let lengths = [100, 0, 300, 50, 200];
    let (disk, positions) = filled(1, &lengths, false);
    let (path, bytes) = segments(&disk).pop().expect("one segment");
    let end = behind(positions[4], 200).offset as usize;
    for cut in 0..=end {
        for style in 0..3 {
            let disk = disk.fork(1);
            let file = disk.open(&path, OpenMode::ReadWrite).expect("opens");
            match style {
                0 => file.set_len(cut as u64).expect("cut"),
                1 => file.write_at(cut as u64, &vec![0; bytes.len() - cut]).expect("zeroed"),
                _ => file.write_at(cut as u64, &payload(9, bytes.len())[8..][..bytes.len() - cut]).expect("scrambled"),
            }
            // Zeros over zeros change nothing.
            let now = disk.files()[&path].clone();
            let want = positions.iter().zip(lengths).filter(|(at, length)| {
                let record = at.offset as usize..behind(**at, *length).offset as usize;
                now.get(record.clone()) == bytes.get(record)
            });
            let want: Vec<Position> = want.map(|(at, _)| *at).collect();
            if style == 2 && cut < 24 && matches!(open(&disk), Err(OpenError::Foreign { .. })) {
                continue; // nothing is left that tells it from somebody else's file
            }
            let (log, recovery, records) = open(&disk).unwrap_or_else(|error| panic!("cut {cut}/{style}: {error}"));
            assert_eq!(records.iter().map(|(at, _)| *at).collect::<Vec<_>>(), want, "cut {cut} style {style}");
            assert!(recovery.fenced.iter().all(|it| it.end.offset == 44), "cut {cut} style {style}");
            let position = log.append(b"more").expect("goes on");
            assert!(recovery.is_new || position.segment == 2);
            log.sync(position).expect("synced");
            disk.crash(LossModel::LoseAll);
            let (_, recovery, records) = open(&disk).expect("opens again");
            assert_eq!(records.len(), want.len() + 1);
            assert_eq!(recovery.torn_bytes, 0, "the tail was cut off for good");
        }
    }
}

#[test]
fn a_flipped_bit_costs_the_record_it_hits_and_is_reported() {
    let lengths = [100, 1500, 0, 700, 900, 700, 300, 2000, 10];
    let (disk, positions) = filled(2, &lengths, true);
    let mut dice = Dice(3);
    let files = segments(&disk);
    assert_eq!(files.len(), 2);
    for (index, (path, bytes)) in files.iter().enumerate() {
        let segment = index as u64 + 1;
        let ends = positions
            .iter()
            .zip(lengths)
            .filter(|(at, _)| at.segment == segment)
            .map(|(at, it)| behind(*at, it).offset);
        let records_end = ends.max().expect("records");
        let is_last = index + 1 == files.len();
        // Behind the last record of all stands the mark of the clean close.
        let end = if is_last { records_end + 20 } else { records_end };
        assert!(end <= bytes.len() as u64);
        for offset in 0..end {
            let hit = Position { segment, offset };
            let disk = disk.fork(offset);
            disk.flip(path, offset, dice.below(8) as u8).expect("flipped");
            let want: Vec<Position> = positions
                .iter()
                .zip(lengths)
                .filter(|(at, length)| !(**at <= hit && hit < behind(**at, *length)))
                .map(|(at, _)| *at)
                .collect();
            let (log, recovery, records) = open(&disk).expect("opens");
            assert_eq!(records.iter().map(|(at, _)| *at).collect::<Vec<_>>(), want, "flip at {hit}");
            let is_reported =
                recovery.fenced.iter().any(|it| it.start <= hit && hit < it.end && it.cause == Cause::Damaged);
            // The mark of the clean close is not worth a report: no record is lost with it.
            let is_mark = is_last && offset >= records_end;
            assert!(is_reported != is_mark, "flip at {hit}: {recovery:?}");
            assert_eq!(recovery.has_losses(), is_reported);
            let (read, damage) = read_all(&log);
            assert_eq!(read, want);
            assert_eq!(damage.len(), usize::from(want.len() < lengths.len()), "flip at {hit}, {recovery:?}");
            // Found again by the next one, because nothing was covered up.
            drop(log);
            assert_eq!(open(&disk).expect("opens").1.has_losses(), is_reported);
        }
    }
}

#[test]
fn damage_before_the_tail_is_told_from_a_torn_tail_without_a_clean_close() {
    // The second sync vouches for the first record, nobody for the others.
    let disk = SimDisk::new(4);
    let mut run = Run::start(disk.clone()).expect("opens");
    let first = run.append(100).expect("appended");
    run.sync().expect("synced");
    let second = run.append(100).expect("appended");
    let third = run.append(100).expect("appended");
    run.sync().expect("synced");
    disk.crash(LossModel::LoseAll);
    let path = segments(&disk)[0].0.clone();
    for (hit, cause) in [(first, Cause::Damaged), (second, Cause::NeverDurable)] {
        let disk = disk.fork(1);
        disk.flip(&path, hit.offset + 30, 1).expect("flipped");
        let (log, recovery, records) = open(&disk).expect("opens");
        assert_eq!(records.len(), 2);
        assert_eq!(records.last().map(|(at, _)| *at), Some(third));
        assert_eq!(recovery.fenced.len(), 1);
        assert_eq!((recovery.fenced[0].start, recovery.fenced[0].cause), (hit, cause));
        // Later records vouch for everything before; what was never durable must not become damage by that.
        let later = log.append(b"later").expect("appended");
        log.sync(later).expect("synced");
        log.close_idle().expect("closed");
        drop(log);
        let (log, recovery, records) = open(&disk).expect("opens");
        assert_eq!((records.len(), recovery.has_losses()), (3, cause == Cause::Damaged));
        assert_eq!(read_all(&log).1.len(), usize::from(cause == Cause::Damaged));
    }
}

#[test]
fn many_flips_never_invent_or_hide_records() {
    let mut dice = Dice(77);
    for seed in 0..150 {
        let lengths: Vec<usize> = (0..20).map(|_| dice.below(600) as usize).collect();
        let (disk, positions) = filled(seed, &lengths, dice.below(2) == 0);
        let mut hits = Vec::new();
        for _ in 0..dice.below(12) {
            let files = segments(&disk);
            let index = dice.below(files.len() as u64);
            let (path, bytes) = &files[index as usize];
            let offset = 44 + dice.below(bytes.len() as u64 - 44);
            disk.poke(path, offset, &[bytes[offset as usize] ^ (1 + dice.below(255) as u8)]).expect("poked");
            hits.push(Position { segment: index + 1, offset });
        }
        let (_, _, records) = open(&disk).expect("opens");
        let mut found = records.iter();
        for (id, (at, length)) in positions.iter().zip(&lengths).enumerate() {
            let is_hit = hits.iter().any(|hit| *at <= *hit && *hit < behind(*at, *length));
            if !is_hit {
                assert_eq!(found.next(), Some(&(*at, payload(id as u64, *length))), "seed {seed}");
            } else if found.as_slice().first().is_some_and(|(it, _)| it == at) {
                // Two hits on one byte may cancel out.
                assert_eq!(found.next().map(|it| &it.1), Some(&payload(id as u64, *length)), "seed {seed}");
            }
        }
        assert_eq!(found.next(), None, "seed {seed}");
    }
}

#[test]
fn a_lost_sector_of_zeros_hides_nothing_behind_it() {
    let (disk, positions) = filled(5, &[700, 700, 700, 700], true);
    let path = segments(&disk)[0].0.clone();
    disk.poke(&path, positions[1].offset, &[0; 728]).expect("zeroed");
    let (log, recovery, records) = open(&disk).expect("opens");
    assert_eq!(records.len(), 3);
    assert_eq!(recovery.fenced.len(), 1);
    assert_eq!((recovery.fenced[0].start, recovery.fenced[0].end), (positions[1], positions[2]));
    assert_eq!(read_all(&log).1, [(positions[1], positions[2])]);
}

#[test]
fn lost_and_swapped_segments_are_reported() {
    let lengths = [3000; 5];
    let (disk, positions) = filled(6, &lengths, true);
    let files = segments(&disk);
    assert_eq!(files.len(), 5);
    {
        let disk = disk.fork(1);
        disk.remove_file(&files[1].0).expect("removed");
        disk.remove_file(&files[2].0).expect("removed");
        let (log, recovery, records) = open(&disk).expect("opens");
        assert_eq!(records.len(), 3);
        assert_eq!(recovery.fenced.len(), 1);
        let fenced = recovery.fenced[0];
        assert_eq!((fenced.start.segment, fenced.end.segment, fenced.cause), (2, 4, Cause::Missing));
        assert_eq!(read_all(&log).0.len(), 3);
    }
    {
        // An old copy of one segment in place of another: its checksums are right, its place is not.
        let disk = disk.fork(1);
        disk.poke(&files[2].0, 0, &files[1].1).expect("overwritten");
        let (log, recovery, records) = open(&disk).expect("opens");
        assert_eq!(records.iter().map(|(at, _)| at.segment).collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert!(recovery.has_losses());
        assert_eq!(read_all(&log).1.len(), 1);
    }
    {
        // One that ended too early, at the end of a record: only the next one can tell.
        let disk = disk.fork(1);
        let file = disk.open(&files[2].0, OpenMode::ReadWrite).expect("opens");
        file.set_len(44).expect("cut");
        let (_, recovery, records) = open(&disk).expect("opens");
        assert_eq!(records.len(), 4);
        let behind = behind(positions[2], 3000);
        assert_eq!(recovery.fenced, [Fenced { start: positions[2], end: behind, cause: Cause::Damaged }]);
    }
    // A block that landed elsewhere in the same segment.
    let (disk, positions_small) = filled(7, &[400; 6], true);
    let path = segments(&disk)[0].0.clone();
    let block = disk.files()[&path][positions_small[1].offset as usize..][..428].to_vec();
    disk.poke(&path, positions_small[3].offset, &block).expect("overwritten");
    let (_, recovery, records) = open(&disk).expect("opens");
    assert_eq!(records.len(), 5);
    assert!(recovery.has_losses());
    assert_eq!(positions.len(), 5);
}

#[test]
fn damaged_file_headers_cost_no_record() {
    let (disk, positions) = filled(8, &[1000; 3], true);
    let path = segments(&disk)[0].0.clone();
    for garbage in [[0u8; 44], [0xab; 44]] {
        let disk = disk.fork(1);
        disk.poke(&path, 0, &garbage).expect("overwritten");
        let (_, recovery, records) = open(&disk).expect("opens");
        assert_eq!(records.len(), positions.len());
        assert_eq!(recovery.fenced.len(), 1);
        assert_eq!((recovery.fenced[0].end.offset, recovery.fenced[0].cause), (44, Cause::Damaged));
    }
}

/// Opening must fail with this text, and leave everything as it was.
#[track_caller]
fn check_refused(disk: &SimDisk, want: &str) {
    let before = (disk.files(), disk.counts().changes());
    let error = open(disk).map(|_| ()).expect_err("it must be refused");
    assert_eq!(error.to_string(), want);
    assert_eq!((disk.files(), disk.counts().changes()), before, "it is left untouched");
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let (disk, _) = filled(9, &[3000; 3], true);
    let files = segments(&disk);
    let name = |path: &Path| path.display().to_string();
    {
        let disk = disk.fork(1);
        let mut header = files[1].1[..16].to_vec();
        header[8] = 2;
        let crc = crc32fast::hash(&header[..12]);
        header[12..].copy_from_slice(&crc.to_le_bytes());
        disk.poke(&files[1].0, 0, &header).expect("overwritten");
        check_refused(&disk, &format!("{} has log format 2, this program knows 1", name(&files[1].0)));
    }
    {
        let disk = disk.fork(1);
        disk.poke(&files[2].0, 0, &vec![b'x'; files[2].1.len()]).expect("overwritten");
        check_refused(&disk, &format!("{} is not a log segment", name(&files[2].0)));
    }
    {
        let disk = disk.fork(1);
        let id = SegmentId { identity: 1, number: 9 };
        disk.open(&Path::new(DIR).join(id.file_name()), OpenMode::Create).expect("created");
        check_refused(&disk, "/data/wal has segments of different logs");
    }
    // Files with other names are nobody's business.
    disk.open(&Path::new(DIR).join("head"), OpenMode::Create).expect("created");
    assert_eq!(open(&disk).expect("opens").2.len(), 3);
    assert!(disk.files().contains_key(&Path::new(DIR).join("head")));
}

#[test]
fn planted_bugs_are_found() {
    let stop = found_by(Bug::StopAtDamage, a_flipped_bit_costs_the_record_it_hits_and_is_reported);
    assert!(stop.is_some_and(|it| it.contains("flip at")));
    assert!(found_by(Bug::ForgetPlace, lost_and_swapped_segments_are_reported).is_some());
}

#[test]
fn fuzzing_finds_nothing_in_a_few_thousand_tries() {
    let mut dice = Dice(1);
    for _ in 0..3000 {
        let length = dice.below(200) as usize;
        let bytes: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
        fuzzing::fuzz_segment(&bytes);
    }
    let (disk, _) = filled(10, &[100; 10], true);
    for (_, bytes) in disk.files() {
        fuzzing::fuzz_segment(&bytes);
    }
}
