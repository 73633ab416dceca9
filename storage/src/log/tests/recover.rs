//! Opening what a stop, a crash or damage left.

use super::*;
use crate::error::ReadError;

/// The files of a log with their bytes.
type Files = BTreeMap<String, Vec<u8>>;

const SCAN: Tail = Tail::Scan {
    from: 0,
    at_least: 0,
};

/// The files of a log with six batches of two records, without a close.
fn unclosed() -> Files {
    let disk = MemoryDisk::durable();
    let log = open(&disk, LogConfig::default(), Tail::Clean);
    for body in 0..6 {
        let spec = Spec {
            producer: Some((5, 0, body * 2)),
            timestamp: 1_000 + i64::from(body),
            ..Spec::plain(2, usize::try_from(body).unwrap() * 10)
        };
        log.append(spec.batch(), 0).unwrap();
    }
    files(&disk)
}

const LOG: &str = "00000000000000000000.log";

/// Where the batches of [`unclosed`] end.
fn ends() -> Vec<usize> {
    let mut end = 0;
    (0..6)
        .map(|body| {
            end += 61 + body * 10;
            end
        })
        .collect()
}

fn is_quarantined(result: &Result<Arc<Log>, OpenError>) -> bool {
    matches!(result, Err(OpenError::Quarantined { .. }))
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_to_the_last_whole_batch() {
    let golden = unclosed();
    let ends = ends();
    let size = golden[LOG].len();
    for len in 0..=size {
        let mut files = golden.clone();
        files.get_mut(LOG).unwrap().truncate(len);
        let disk = disk_of(&files);
        let whole = ends.iter().filter(|end| **end <= len).count();
        let log = open(&disk, LogConfig::default(), SCAN);
        assert_eq!(read_all(&log, 100).len(), whole, "cut at {len}");
        assert_eq!(log.size(), file(&disk, LOG).size().unwrap());
        // It goes on where it ends, and knows the producer.
        let next = Spec {
            producer: Some((5, 0, i32::try_from(whole).unwrap() * 2)),
            ..Spec::plain(2, 10)
        };
        let appended = log.append(next.batch(), 0).unwrap();
        assert_eq!(appended.base_offset, i64::try_from(whole).unwrap() * 2);
        assert_eq!(read_all(&log, 100).len(), whole + 1);
    }
}

#[test]
fn a_tail_of_zeros_is_cut() {
    let golden = unclosed();
    for end in ends() {
        let mut files = golden.clone();
        files.get_mut(LOG).unwrap()[end.min(400)..].fill(0);
        let log = open(&disk_of(&files), LogConfig::default(), SCAN);
        let whole = ends()
            .iter()
            .filter(|whole| **whole <= end.min(400))
            .count();
        assert_eq!(read_all(&log, 100).len(), whole);
    }
}

#[test]
fn a_bad_batch_in_front_of_good_ones_is_not_cut() {
    let golden = unclosed();
    let mut damaged = golden.clone();
    damaged.get_mut(LOG).unwrap()[ends()[2] + 70] ^= 1;
    let disk = disk_of(&damaged);
    assert!(is_quarantined(&try_open(&disk, LogConfig::default(), SCAN)));
    assert_eq!(files(&disk), damaged);
}

#[test]
fn what_was_synced_or_promised_must_be_there() {
    let mut damaged = unclosed();
    damaged.get_mut(LOG).unwrap().truncate(ends()[2] + 5);
    for (tail, quarantined) in [
        (
            Tail::Scan {
                from: 6,
                at_least: 0,
            },
            false,
        ),
        (
            Tail::Scan {
                from: 7,
                at_least: 0,
            },
            true,
        ),
        (
            Tail::Scan {
                from: 8,
                at_least: 0,
            },
            true,
        ),
        (
            Tail::Scan {
                from: 2,
                at_least: 8,
            },
            true,
        ),
        (
            Tail::Exact {
                from: 0,
                end_offset: 6,
            },
            false,
        ),
        (
            Tail::Exact {
                from: 6,
                end_offset: 6,
            },
            false,
        ),
        (
            Tail::Exact {
                from: 4,
                end_offset: 8,
            },
            true,
        ),
        (Tail::Clean, true),
    ] {
        let disk = disk_of(&damaged);
        let opened = try_open(&disk, LogConfig::default(), tail);
        assert_eq!(is_quarantined(&opened), quarantined, "{tail:?}");
        if quarantined {
            assert_eq!(files(&disk), damaged);
        } else {
            assert_eq!(read_all(&opened.unwrap(), 100).len(), 3);
        }
    }
}

#[test]
fn what_the_journal_does_not_know_is_cut() {
    for end_offset in [0, 2, 6, 12] {
        let tail = Tail::Exact {
            from: 0,
            end_offset,
        };
        let log = open(&disk_of(&unclosed()), LogConfig::default(), tail);
        assert_eq!(log.offsets().log_end_offset, end_offset);
        assert_eq!(log.offsets().high_watermark, end_offset);
    }
    let inside = Tail::Exact {
        from: 0,
        end_offset: 5,
    };
    assert!(is_quarantined(&try_open(
        &disk_of(&unclosed()),
        LogConfig::default(),
        inside
    )));
}

/// The files of a closed log of several segments, and its answers.
fn closed() -> (Files, Vec<(i64, i64)>) {
    let disk = MemoryDisk::durable();
    let log = open(&disk, small_segments(), Tail::Clean);
    for at in 0..12 {
        let spec = Spec {
            timestamp: 1_000 + at,
            ..Spec::plain(3, 139)
        };
        log.append(spec.batch(), 0).unwrap();
    }
    log.close().unwrap();
    (files(&disk), read_all(&log, 500))
}

#[test]
fn a_missing_segment_is_quarantined() {
    let (golden, _) = closed();
    for tail in [
        SCAN,
        Tail::Exact {
            from: 0,
            end_offset: 36,
        },
    ] {
        let mut files = golden.clone();
        files.remove("00000000000000000015.log").unwrap();
        assert!(is_quarantined(&try_open(
            &disk_of(&files),
            small_segments(),
            tail
        )));
    }
}

#[test]
fn any_index_may_be_missing_empty_or_from_elsewhere() {
    let (golden, answers) = closed();
    let indexes: Vec<_> = golden
        .keys()
        .filter(|name| name.ends_with("index"))
        .cloned()
        .collect();
    assert_eq!(indexes.len(), 6);
    for name in &indexes {
        let replacements = [
            None,
            Some(Vec::new()),
            Some(golden[&indexes[0]].clone()),
            Some(golden[&indexes[3]].clone()),
            Some(vec![0; 24]),
            Some(vec![0xff; 24]),
        ];
        for replacement in replacements {
            let mut files = golden.clone();
            match replacement {
                None => files.remove(name),
                Some(bytes) => files.insert(name.clone(), bytes),
            };
            let log = open(&disk_of(&files), small_segments(), Tail::Clean);
            for (base, last) in &answers {
                for offset in *base..=*last {
                    let read = log.read(offset, 1, true, Bound::HighWatermark).unwrap();
                    assert_eq!(read.next_offset, last + 1, "{name}");
                }
            }
            let newest = log
                .segments_info()
                .unwrap()
                .last()
                .unwrap()
                .largest_timestamp;
            assert_eq!(newest, Some(1_011));
        }
    }
}

/// Reads from each offset and says what is wrong with an answer that a client would believe.
fn silent_damage(log: &Log, golden: &Log) -> Option<String> {
    let end = log.offsets().log_end_offset;
    for offset in 0..36 {
        let expected = golden.read(offset, 1, true, Bound::LogEnd).unwrap();
        match log.read(offset, 1, true, Bound::LogEnd) {
            Err(ReadError::Corrupt { .. }) => {}
            Err(ReadError::OffsetOutOfRange { .. }) if offset > end => {}
            Err(error) => return Some(format!("{offset}: {error}")),
            Ok(read) if read.records == expected.records => {}
            Ok(read) => {
                // What the CRC covers, the client checks.
                let header = BatchHeader::decode(&read.records).ok()?;
                if header.verify_crc(&read.records).is_ok() {
                    return Some(format!("{offset}: {header:?}"));
                }
            }
        }
    }
    None
}

#[test]
fn no_flipped_bit_is_served_silently() {
    let (golden, _) = closed();
    let intact = open(&disk_of(&golden), small_segments(), Tail::Clean);
    for (name, bytes) in &golden {
        for bit in 0..bytes.len() * 8 {
            // Of the records themselves a few bits are enough.
            if name.ends_with(".log") && bit / 8 % 200 > 61 && bit % 97 > 0 {
                continue;
            }
            let mut files = golden.clone();
            files.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let Ok(log) = try_open(&disk_of(&files), small_segments(), Tail::Clean) else {
                continue;
            };
            let damage = silent_damage(&log, &intact);
            assert_eq!(damage, None, "{name}, byte {}, bit {}", bit / 8, bit % 8);
        }
    }
}

#[test]
fn a_log_of_another_topic_is_not_opened() {
    let (golden, _) = closed();
    let other = LogIdentity {
        topic_id: Uuid::from_u128(8),
        ..identity()
    };
    let disk = Arc::new(disk_of(&golden));
    let opened = Log::open(disk, &dir(), other, small_segments(), 1, None, Tail::Clean);
    assert!(matches!(opened, Err(OpenError::TopicId { .. })));
}

#[test]
fn leftovers_of_interrupted_writes_go() {
    let (mut files_before, answers) = closed();
    for name in ["00000000000000000000.log.tmp", "00000000000000000099.index"] {
        files_before.insert(name.to_owned(), b"left".to_vec());
    }
    files_before.insert("something-else".to_owned(), b"kept".to_vec());
    let disk = disk_of(&files_before);
    let log = open(&disk, small_segments(), Tail::Clean);
    assert_eq!(read_all(&log, 500), answers);
    let left = files(&disk);
    assert!(
        !left
            .keys()
            .any(|name| name.ends_with(".tmp") || name.contains("99.index"))
    );
    assert!(left.contains_key("something-else"));
}
