//! Makes a damaged partition one that can be served again, when it is told to. Nothing is thrown
//! away: the files as they were are kept beside the partitions.
//!
//! Shell. Intact batches stay where their offsets are. Records that are lost leave an empty batch
//! behind, as compaction does, so that no offset is ever given to another record (L1).

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_protocol::record::{Attributes, BatchHeader, HEADER_LEN};
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::config::LogConfig;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::inspect::survey::Piece;
use crate::inspect::{Survey, Surveyed, survey_all};
use crate::journal::LogKey;
use crate::layout::{self, LogFile};
use crate::leader_epochs::LeaderEpochs;
use crate::log::{LogIdentity, store_log_start};
use crate::meta;
use crate::partition_metadata::{PartitionMetadata, StoredDurability};
use crate::recovery::Point;
use crate::segment::{as_u64, swap};
use crate::store::{JournalOptions, OpenError, Quarantined, Store, StoreOptions};
use crate::text_checkpoint::replace_file;

/// Bytes copied at once.
const COPY_WINDOW: u64 = 1 << 20;
/// Records that one empty batch can stand for.
const LARGEST_GAP: i64 = 1 << 30;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Offsets whose records are lost.
    pub lost: Vec<Range<i64>>,
    /// Batches that were intact but for their head, which was mended.
    pub mended: usize,
    /// Where the log starts and ends now.
    pub offsets: Range<i64>,
    /// The directory with the files as they were; `None` when none was replaced.
    pub kept_in: Option<PathBuf>,
}

/// Why nothing was repaired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no such partition.
    #[error("{} has no partition {name}", dir.display())]
    Unknown {
        /// The data directory.
        dir: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// The journal may have what the partition lacks.
    #[error("{} was not closed: start the broker, which recovers it, and stop it first", dir.display())]
    NotClosed {
        /// The data directory.
        dir: PathBuf,
    },
    /// The checkpoint is damaged.
    #[error("the checkpoint of {} is damaged ({reason}): start the broker and stop it first", dir.display())]
    Checkpoint {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `partition.metadata` is damaged, and nothing else tells the topic's id for certain.
    #[error(
        "nobody knows the id of the topic of {name}: restore its partition.metadata from a backup"
    )]
    TopicId {
        /// The partition's directory.
        name: String,
    },
    /// The disk refused. The repair can be repeated.
    #[error("the disk refused: {0}")]
    Disk(#[from] io::Error),
}

/// What a repair of the journal and the checkpoint did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRepaired {
    /// The partitions that are not served because something is missing in them.
    pub quarantined: Vec<Quarantined>,
    /// The directory with the journal and the checkpoint as they were.
    pub kept_in: PathBuf,
}

/// Gets a directory going again whose journal or checkpoint is damaged, with what the segments
/// hold. What was acknowledged before a crash, and is in the damaged part only, is lost. Nobody may
/// use the directory meanwhile.
///
/// # Errors
/// [`RepairError`]; its text says what to do.
pub fn repair_journal(disk: &Arc<dyn Disk>, dir: &Path) -> Result<JournalRepaired, RepairError> {
    let kept_in = {
        let _lock = meta::take(&**disk, dir)?;
        let journal = dir.join(layout::JOURNAL_DIR);
        let files = disk.list(&journal)?;
        let files = files.iter().map(|entry| journal.join(&entry.name));
        let files = files.chain([dir.join(layout::CHECKPOINT)]).collect();
        let kept = keep(&**disk, dir, layout::JOURNAL_DIR, files)?;
        kept.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?
    };
    let options = StoreOptions {
        config: Arc::new(|_: &LogIdentity| LogConfig::default()),
        cluster_id: Uuid::nil(),
        directory_id: Uuid::nil(),
        journal: JournalOptions::default(),
        threads: false,
        repair: true,
    };
    let store = Store::open(Arc::clone(disk), dir, options)?;
    let quarantined = store.quarantined();
    store.close().map_err(io::Error::other)?;
    Ok(JournalRepaired {
        quarantined,
        kept_in,
    })
}

/// Repairs the partition whose directory in `dir` is `name`, as `orders-0`. It is the same when it
/// was whole. Nobody may use the directory meanwhile; its lock is taken.
///
/// # Errors
/// [`RepairError`]; its text says what to do.
pub fn repair(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Repaired, RepairError> {
    let entries = disk.list(dir)?;
    let is_there = |name: &str| entries.iter().any(|entry| entry.name == name);
    let unknown = || RepairError::Unknown {
        dir: dir.to_owned(),
        name: name.to_owned(),
    };
    let (topic, partition) = layout::parse_partition_dir(name)
        .filter(|_| is_there(name) && is_there(layout::META))
        .ok_or_else(unknown)?;
    let _lock = meta::take(disk, dir)?;
    meta::Meta::load(disk, dir)?;
    if !is_there(layout::CLEAN_SHUTDOWN) {
        return Err(RepairError::NotClosed {
            dir: dir.to_owned(),
        });
    }
    let checkpoint = Checkpoint::load(disk, dir)?.map_err(|reason| RepairError::Checkpoint {
        dir: dir.to_owned(),
        reason,
    })?;
    // As a start would: what a compaction has replaced is no part of the log.
    swap::finish_all(disk, &dir.join(name))?;
    let survey = survey_all(disk, &dir.join(name))?;
    let metadata = match &survey.metadata {
        Ok(Some(metadata)) => *metadata,
        _ => {
            let topic_id = only_candidate(disk, dir, &checkpoint, partition)?;
            PartitionMetadata {
                topic_id: topic_id.ok_or_else(|| RepairError::TopicId {
                    name: name.to_owned(),
                })?,
                durability: StoredDurability::Journal,
            }
        }
    };
    let repair = Repair {
        disk,
        data: dir,
        dir: dir.join(name),
        identity: LogIdentity {
            topic: topic.to_owned(),
            topic_id: metadata.topic_id,
            partition,
        },
    };
    repair.run(&survey, metadata, checkpoint)
}

/// The one topic id that the checkpoint knows of a partition with this number and that no
/// directory claims.
fn only_candidate(
    disk: &dyn Disk,
    dir: &Path,
    checkpoint: &Checkpoint,
    partition: i32,
) -> io::Result<Option<Uuid>> {
    let mut claimed = Vec::new();
    for entry in disk.list(dir)?.iter().filter(|entry| entry.is_dir) {
        if let Some((_, number)) = layout::parse_partition_dir(&entry.name)
            && number == partition
            && let Ok(Some(found)) = PartitionMetadata::load(disk, &dir.join(&entry.name))
        {
            claimed.push(found.topic_id);
        }
    }
    let known = checkpoint.points.keys();
    let mut left = known
        .filter(|key| key.partition == partition && !claimed.contains(&key.topic_id))
        .map(|key| key.topic_id);
    let only = left.next();
    Ok(only.filter(|_| left.next().is_none()))
}

/// What is to be done to a log.
struct Plan<'a> {
    /// Segments that are written anew.
    damaged: Vec<&'a Surveyed>,
    /// Offsets whose records are lost.
    lost: Vec<Range<i64>>,
    mended: usize,
    /// Where the log ends afterwards.
    end: i64,
}

/// Everything stays but what is damaged; what was promised and is not there is lost.
fn plan(survey: &Survey, promised: i64) -> Plan<'_> {
    let end = survey.end.max(promised);
    let mut lost = Vec::new();
    let mut mended = 0;
    let mut damaged = Vec::new();
    let last = survey.segments.last().map(Surveyed::base_offset);
    for segment in &survey.segments {
        let mut is_damaged = end > survey.end && last == Some(segment.base_offset());
        for piece in &segment.pieces {
            match piece {
                Piece::Intact { .. } => continue,
                Piece::Mended { .. } => mended += 1,
                Piece::Lost { offsets, .. } => lost.push(offsets.clone()),
            }
            is_damaged = true;
        }
        if is_damaged {
            damaged.push(segment);
        }
    }
    lost.push(survey.end..end);
    Plan {
        damaged,
        lost,
        mended,
        end,
    }
}

struct Repair<'a> {
    disk: &'a dyn Disk,
    data: &'a Path,
    dir: PathBuf,
    identity: LogIdentity,
}

impl Repair<'_> {
    fn run(
        &self,
        survey: &Survey,
        metadata: PartitionMetadata,
        mut checkpoint: Checkpoint,
    ) -> Result<Repaired, RepairError> {
        let key = LogKey {
            topic_id: self.identity.topic_id,
            partition: self.identity.partition,
        };
        let promised = checkpoint.points.get(&key).map_or(0, |point| point.end);
        let plan = plan(survey, promised);
        let small = self.damaged_files(survey);
        let segments = plan.damaged.iter().map(|found| found.file.path.clone());
        let files = segments.chain(small.iter().cloned()).collect();
        let name = layout::partition_dir(&self.identity.topic, self.identity.partition);
        let kept_in = keep(self.disk, self.data, &name, files)?;
        let last = survey.segments.last().map(Surveyed::base_offset);
        for segment in &plan.damaged {
            let is_last = last == Some(segment.base_offset());
            let missing = is_last.then_some(survey.end..plan.end);
            self.rewrite(segment, missing, survey.epochs.as_ref())?;
        }
        if survey.segments.is_empty() {
            self.write_missing(plan.end)?;
        }
        for path in &small {
            self.remove(path)?;
        }
        if !matches!(survey.metadata, Ok(Some(_))) {
            metadata.store(self.disk, &self.dir)?;
        }
        self.disk.sync_dir(&self.dir)?;
        let first = survey.segments.first().map_or(0, Surveyed::base_offset);
        let stored = survey.log_start.as_ref().map_or(0, |start| *start);
        let start = stored.max(first);
        if start > stored {
            store_log_start(self.disk, &self.dir, &self.identity, start)?;
        }
        checkpoint.points.insert(key, Point::at(plan.end));
        checkpoint.store(self.disk, self.data)?;
        let lost = plan.lost.into_iter();
        let lost = lost.map(|lost| lost.start.max(start)..lost.end);
        Ok(Repaired {
            lost: lost.filter(|lost| !lost.is_empty()).collect(),
            mended: plan.mended,
            offsets: start..plan.end,
            kept_in,
        })
    }

    /// Small files that are not intact: caches are made anew, and so is the start of the log, which
    /// becomes that of its first segment.
    fn damaged_files(&self, survey: &Survey) -> Vec<PathBuf> {
        let names = [
            (
                layout::LOG_START_OFFSET_CHECKPOINT,
                survey.log_start.is_err(),
            ),
            (layout::LEADER_EPOCH_CHECKPOINT, survey.epochs.is_none()),
            (layout::PARTITION_METADATA, survey.metadata.is_err()),
        ];
        let damaged = names.into_iter().filter(|(_, damaged)| *damaged);
        damaged.map(|(name, _)| self.dir.join(name)).collect()
    }

    /// Writes a segment anew, with empty batches for what is lost of it and `missing` behind it.
    fn rewrite(
        &self,
        segment: &Surveyed,
        missing: Option<Range<i64>>,
        epochs: Option<&LeaderEpochs>,
    ) -> io::Result<()> {
        let base_offset = segment.base_offset();
        let path = &segment.file.path;
        let from = self.disk.open(path, OpenMode::Existing)?;
        let temporary = layout::temporary_file(path);
        let to = self.disk.open(&temporary, OpenMode::Any)?;
        to.truncate(0)?;
        let (mut at, mut epoch) = (0, 0);
        for piece in &segment.pieces {
            match piece {
                Piece::Intact { bytes, header } => {
                    copy(&*from, bytes.clone(), &*to, at)?;
                    at += bytes.end - bytes.start;
                    epoch = header.partition_leader_epoch;
                }
                Piece::Mended { bytes, header, .. } => {
                    copy(&*from, bytes.clone(), &*to, at)?;
                    to.write_at(at, &[IoSlice::new(&header.encode())])?;
                    at += bytes.end - bytes.start;
                    epoch = header.partition_leader_epoch;
                }
                Piece::Lost { offsets, .. } => {
                    // What is missing in front belongs to no segment, and the log starts later.
                    let start = offsets.start.max(base_offset);
                    at = write_gap(&*to, at, start..offsets.end, epochs, epoch)?;
                }
            }
        }
        if let Some(missing) = missing {
            write_gap(&*to, at, missing, epochs, epoch)?;
        }
        to.sync()?;
        self.disk.rename(&temporary, path)?;
        for entry in self.disk.list(&self.dir)? {
            let is_stale = match LogFile::parse(&entry.name) {
                LogFile::OffsetIndex(base) | LogFile::TimeIndex(base) => base == base_offset,
                _ => false,
            };
            if is_stale {
                self.remove(&self.dir.join(&entry.name))?;
            }
        }
        Ok(())
    }

    /// A log without any segment: one that stands for all that was in it.
    fn write_missing(&self, end: i64) -> io::Result<()> {
        let path = layout::log_file(&self.dir, 0);
        let temporary = layout::temporary_file(&path);
        replace_file(self.disk, &temporary, &[])?;
        let file = self.disk.open(&temporary, OpenMode::Any)?;
        write_gap(&*file, 0, 0..end, None, 0)?;
        file.sync()?;
        self.disk.rename(&temporary, &path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Copies those of `files` that are there to a new directory for what was called `name`.
fn keep(
    disk: &dyn Disk,
    data: &Path,
    name: &str,
    files: Vec<PathBuf>,
) -> io::Result<Option<PathBuf>> {
    let mut there = Vec::new();
    for path in files {
        match disk.open(&path, OpenMode::Existing) {
            Ok(file) => there.push((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if there.is_empty() {
        return Ok(None);
    }
    let names = disk.list(data)?;
    let kept = (1..)
        .map(|number| layout::damaged_dir(name, number))
        .find(|kept| !names.iter().any(|entry| entry.name == *kept))
        .map(|kept| data.join(kept))
        .ok_or(io::ErrorKind::AlreadyExists)?;
    disk.create_dir(&kept)?;
    for (path, file) in there {
        let to = disk.open(
            &kept.join(path.file_name().unwrap_or_default()),
            OpenMode::New,
        )?;
        copy(&*file, 0..file.size()?, &*to, 0)?;
        to.sync()?;
    }
    disk.sync_dir(&kept)?;
    disk.sync_dir(data)?;
    Ok(Some(kept))
}

fn copy(from: &dyn DiskFile, range: Range<u64>, to: &dyn DiskFile, at: u64) -> io::Result<()> {
    let mut position = range.start;
    while position < range.end {
        let len = usize::try_from((range.end - position).min(COPY_WINDOW)).unwrap_or(0);
        let bytes = from.read_at(position, len)?;
        to.write_at(at + (position - range.start), &[IoSlice::new(&bytes)])?;
        position += as_u64(len);
    }
    Ok(())
}

/// Writes empty batches for `offsets` at `at`, each in its epoch; in `epoch` where none is known.
/// Answers the position behind them.
fn write_gap(
    file: &dyn DiskFile,
    mut at: u64,
    offsets: Range<i64>,
    epochs: Option<&LeaderEpochs>,
    epoch: i32,
) -> io::Result<u64> {
    let mut next = offsets.start;
    while next < offsets.end {
        let known = epochs.and_then(|epochs| epochs.span(next));
        let (epoch, until) = known.unwrap_or((epoch, i64::MAX));
        let count = (offsets.end.min(until) - next).min(LARGEST_GAP);
        file.write_at(at, &[IoSlice::new(&empty_batch(next, count, epoch))])?;
        at += as_u64(HEADER_LEN);
        next += count;
    }
    Ok(at)
}

/// A batch that stands for `count` offsets without a record.
fn empty_batch(base_offset: i64, count: i64, leader_epoch: i32) -> [u8; HEADER_LEN] {
    let mut header = BatchHeader {
        base_offset,
        batch_length: i32::try_from(HEADER_LEN - 12).unwrap_or(0),
        partition_leader_epoch: leader_epoch,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: i32::try_from(count - 1).unwrap_or(0),
        base_timestamp: -1,
        max_timestamp: -1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 0,
    };
    header.crc = header.compute_crc(&[]);
    header.encode()
}
