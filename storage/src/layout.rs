//! Every file and directory name of a data directory, formatted and parsed.
//!
//! Pure. The names inside a partition's directory are Kafka's, so that its tools find them.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Digits of an offset in a file name.
const OFFSET_DIGITS: usize = 20;
/// Leader epochs and where they start.
pub(crate) const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";
/// The first offset that readers may ask for.
pub(crate) const LOG_START_OFFSET_CHECKPOINT: &str = "log-start-offset-checkpoint";
/// From where on compaction has not looked at the log.
pub(crate) const CLEANER_OFFSET_CHECKPOINT: &str = "cleaner-offset-checkpoint";
/// Which topic a directory belongs to.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// Suffix of a file that is being written and not yet renamed to its name.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";
/// Suffix of a directory with what a repair has replaced.
const DAMAGED_SUFFIX: &str = "-damaged";
/// Bytes of the longest name that file systems take (`NAME_MAX`). The directory of a topic with
/// Kafka's longest name, 249 characters, and a partition of five digits is as long.
const LONGEST_NAME: usize = 255;
/// Suffix of a partition's directory that is being removed.
pub(crate) const DELETED_SUFFIX: &str = "-delete";

/// Who the data directory is.
pub(crate) const META: &str = "meta";
/// Held while a process uses the data directory.
pub(crate) const LOCK: &str = ".lock";
/// Where recovery of the data directory starts.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// There while the data directory is closed and all of it on disk.
pub(crate) const CLEAN_SHUTDOWN: &str = "clean-shutdown";
/// Directory of the journal. No partition's directory has this name: it has no number.
pub(crate) const JOURNAL_DIR: &str = "journal";

const JOURNAL_SUFFIX: &str = ".journal";

/// Name of a journal file.
pub(crate) fn journal_file(slot: u32) -> String {
    format!("{slot:08}{JOURNAL_SUFFIX}")
}

/// The number of a journal file.
pub(crate) fn parse_journal_file(name: &str) -> Option<u32> {
    let slot = name.strip_suffix(JOURNAL_SUFFIX)?.parse().ok()?;
    (journal_file(slot) == name).then_some(slot)
}

/// Whether a data directory whose first start was interrupted may have this entry, or a new file
/// system has it from the beginning.
pub(crate) fn is_initial(name: &str) -> bool {
    let name = name.strip_suffix(TEMPORARY_SUFFIX).unwrap_or(name);
    [META, LOCK, CHECKPOINT, JOURNAL_DIR, "lost+found"].contains(&name)
}

/// A file of a partition's directory, as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFile {
    /// Record batches from this base offset on.
    Log(i64),
    /// Offset index of the segment with this base offset.
    OffsetIndex(i64),
    /// Time index of the segment with this base offset.
    TimeIndex(i64),
    /// Aborted transactions that end in the segment with this base offset.
    TransactionIndex(i64),
    /// Producer state of all records below this offset.
    Snapshot(i64),
    /// All of the log from the first to below the second offset, to take the place of the segments
    /// there.
    Swap(i64, i64),
    /// Left over from an interrupted write.
    Temporary,
    /// Anything else.
    Other,
}

impl LogFile {
    /// What `name` stands for.
    pub(crate) fn parse(name: &str) -> Self {
        if name.ends_with(TEMPORARY_SUFFIX) {
            return Self::Temporary;
        }
        let Some((digits, extension)) = name.split_once('.') else {
            return Self::Other;
        };
        let Some(offset) = parse_offset(digits) else {
            return Self::Other;
        };
        match extension {
            "log" => Self::Log(offset),
            "index" => Self::OffsetIndex(offset),
            "timeindex" => Self::TimeIndex(offset),
            "txnindex" => Self::TransactionIndex(offset),
            "snapshot" => Self::Snapshot(offset),
            _ => match extension.strip_suffix(".swap").and_then(parse_offset) {
                Some(end) => Self::Swap(offset, end),
                None => Self::Other,
            },
        }
    }
}

fn parse_offset(digits: &str) -> Option<i64> {
    if digits.len() == OFFSET_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        None
    }
}

fn offset_file(dir: &Path, offset: i64, extension: &str) -> PathBuf {
    dir.join(format!("{offset:020}.{extension}"))
}

/// The record batches of the segment with this base offset.
pub(crate) fn log_file(dir: &Path, base_offset: i64) -> PathBuf {
    offset_file(dir, base_offset, "log")
}

/// The offset index of the segment with this base offset.
pub(crate) fn offset_index_file(dir: &Path, base_offset: i64) -> PathBuf {
    offset_file(dir, base_offset, "index")
}

/// The time index of the segment with this base offset.
pub(crate) fn time_index_file(dir: &Path, base_offset: i64) -> PathBuf {
    offset_file(dir, base_offset, "timeindex")
}

/// The aborted transactions that end in the segment with this base offset.
pub(crate) fn transaction_index_file(dir: &Path, base_offset: i64) -> PathBuf {
    offset_file(dir, base_offset, "txnindex")
}

/// What compaction left of the segments from `base_offset` to below `end_offset`.
pub(crate) fn swap_file(dir: &Path, base_offset: i64, end_offset: i64) -> PathBuf {
    offset_file(dir, base_offset, &format!("{end_offset:020}.swap"))
}

/// The producer state of all records below this offset.
pub(crate) fn snapshot_file(dir: &Path, offset: i64) -> PathBuf {
    offset_file(dir, offset, "snapshot")
}

/// The name under which `path` is written before it is renamed.
pub(crate) fn temporary_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    PathBuf::from(name)
}

/// The name of a partition's directory.
pub(crate) fn partition_dir(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// Topic and partition of a directory's name, or `None` when it is no partition's.
pub(crate) fn parse_partition_dir(name: &str) -> Option<(&str, i32)> {
    let (topic, digits) = name.rsplit_once('-')?;
    let partition: i32 = digits.parse().ok()?;
    let canonical = !topic.is_empty() && partition >= 0 && digits == partition.to_string();
    canonical.then_some((topic, partition))
}

/// The name under which a deleted partition's directory waits for its removal.
pub(crate) fn deleted_partition_dir(topic: &str, partition: i32, unique: Uuid) -> String {
    let end = format!("-{partition}.{}{DELETED_SUFFIX}", unique.simple());
    shortened(topic, &end)
}

/// The name of the directory that keeps what the `number`th repair of `name` has replaced. No
/// partition's directory has such a name: it does not end in a number. Long names may share it.
pub(crate) fn damaged_dir(name: &str, number: u32) -> String {
    shortened(name, &format!(".{number}{DAMAGED_SUFFIX}"))
}

/// As much of `begin` as there is room for in front of `end`, as Kafka does it.
fn shortened(begin: &str, end: &str) -> String {
    let room = begin.floor_char_boundary(LONGEST_NAME.saturating_sub(end.len()));
    format!("{}{end}", begin.get(..room).unwrap_or_default())
}

/// Whether a directory's name is that of a deleted partition.
pub(crate) fn is_deleted_partition_dir(name: &str) -> bool {
    let Some((partition, unique)) = name
        .strip_suffix(DELETED_SUFFIX)
        .and_then(|name| name.rsplit_once('.'))
    else {
        return false;
    };
    parse_partition_dir(partition).is_some() && Uuid::try_parse(unique).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_files_survive_the_round_trip() {
        let dir = Path::new("t-0");
        let files = [
            (log_file(dir, 0), LogFile::Log(0)),
            (offset_index_file(dir, 42), LogFile::OffsetIndex(42)),
            (time_index_file(dir, i64::MAX), LogFile::TimeIndex(i64::MAX)),
            (transaction_index_file(dir, 9), LogFile::TransactionIndex(9)),
            (snapshot_file(dir, 7), LogFile::Snapshot(7)),
            (swap_file(dir, 7, 19), LogFile::Swap(7, 19)),
        ];
        for (path, file) in files {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(LogFile::parse(name), file);
        }
        assert_eq!(log_file(dir, 42), dir.join("00000000000000000042.log"));
    }

    #[test]
    fn other_files_are_not_taken_for_segments() {
        for name in [
            "42.log",
            "0000000000000000004x.log",
            "-0000000000000000042.log",
            "x",
            ".log",
        ] {
            assert_eq!(LogFile::parse(name), LogFile::Other, "{name}");
        }
        assert_eq!(LogFile::parse("99999999999999999999.log"), LogFile::Other);
        assert_eq!(
            LogFile::parse("00000000000000000042.log.tmp"),
            LogFile::Temporary
        );
    }

    #[test]
    fn partition_directories_survive_the_round_trip() {
        assert_eq!(
            parse_partition_dir(&partition_dir("a-b.c", 12)),
            Some(("a-b.c", 12))
        );
        for name in [
            "topic",
            "topic-",
            "topic-x",
            "topic-01",
            "-1",
            "topic-99999999999",
            "t-+1",
        ] {
            assert_eq!(parse_partition_dir(name), None, "{name}");
        }
    }

    /// Once, a topic with a name of 214 characters and more could not be deleted.
    #[test]
    fn a_topic_with_the_longest_name_can_be_deleted_and_repaired() {
        let topic = "x".repeat(249);
        let directory = partition_dir(&topic, 99_999);
        assert_eq!(directory.len(), LONGEST_NAME);
        let deleted = deleted_partition_dir(&topic, 99_999, Uuid::from_u128(5));
        assert_eq!(deleted.len(), LONGEST_NAME);
        assert!(is_deleted_partition_dir(&deleted));
        let damaged = damaged_dir(&directory, 1);
        assert_eq!(damaged.len(), LONGEST_NAME);
        assert_eq!(parse_partition_dir(&damaged), None);
        assert_ne!(damaged, damaged_dir(&directory, 2));
    }

    #[test]
    fn a_deleted_directory_is_known_by_its_name() {
        let name = deleted_partition_dir("topic", 3, Uuid::from_u128(5));
        assert!(is_deleted_partition_dir(&name));
        assert_eq!(parse_partition_dir(&name), None);
        assert!(!is_deleted_partition_dir("my-delete"));
        assert!(!is_deleted_partition_dir("topic-3.x-delete"));
    }
}
