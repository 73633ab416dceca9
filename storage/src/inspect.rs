//! What is in a data directory, and what of it is damaged. Changes nothing and takes no lock.
//!
//! Shell over `survey`, which goes through a segment as a repair would leave it.

pub(crate) mod survey;

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ottla_protocol::record::BatchHeader;
use uuid::Uuid;

use self::survey::{Piece, survey};
use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, OpenMode};
use crate::journal::LogKey;
use crate::layout::{self, LogFile};
use crate::leader_epochs::LeaderEpochs;
use crate::log::{LogIdentity, ProducerInfo, load_log_start};
use crate::meta::Meta;
use crate::partition_metadata::{PartitionMetadata, StoredDurability};
use crate::producer_state::ProducerState;
use crate::recovery::Point;
use crate::store::OpenError;

/// A place that does not hold what it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub position: u64,
    /// The offsets of the records that are lost there; none when all of them can be told.
    pub offsets: Range<i64>,
    /// What is wrong.
    pub reason: String,
}

/// A segment of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentContents {
    /// The offset in its name.
    pub base_offset: i64,
    /// The offset after its last record.
    pub end_offset: i64,
    /// Bytes of its file.
    pub size: u64,
    /// Intact batches in it.
    pub batches: u64,
    /// What a compaction that was interrupted has made of the segments up to its end. The next start
    /// puts it in their place; those of them that are still there are not told.
    pub is_swap: bool,
}

/// A partition's directory.
#[derive(Debug, Clone)]
pub struct PartitionContents {
    /// Topic, its id and partition; the id is nil when it is not known.
    pub identity: LogIdentity,
    /// Whether appends are acknowledged by the journal.
    pub journaled: bool,
    /// Where the log starts.
    pub log_start_offset: i64,
    /// Where it ends.
    pub log_end_offset: i64,
    /// Where it must end at least, as far as the checkpoint knows.
    pub promised_end: Option<i64>,
    /// Its segments, ascending.
    pub segments: Vec<SegmentContents>,
    /// Each leader epoch with the offset of its first record.
    pub leader_epochs: Vec<(i32, i64)>,
    /// What the batches tell of producers.
    pub producers: Vec<ProducerInfo>,
    /// What is damaged.
    pub damage: Vec<Damage>,
}

/// A data directory.
#[derive(Debug, Clone)]
pub struct Contents {
    /// As Kafka prints it.
    pub cluster_id: String,
    /// Of this directory.
    pub directory_id: Uuid,
    /// Raised at each start after a crash.
    pub leader_epoch: i32,
    /// It was closed. Otherwise the next start brings to the partitions what the journal has, and
    /// what seems damaged may be whole after it.
    pub closed: bool,
    /// What is damaged of the files on which all partitions depend.
    pub damage: Vec<Damage>,
    /// Its partitions, by name.
    pub partitions: Vec<PartitionContents>,
}

/// Looks at the data directory `dir`.
///
/// # Errors
/// [`OpenError`] when it is none of ours, or its identity or the disk cannot be read.
pub fn inspect(disk: &dyn Disk, dir: &Path) -> Result<Contents, OpenError> {
    let failed = |error| OpenError::io(dir, error);
    let entries = disk.list(dir).map_err(failed)?;
    let meta = Meta::load(disk, dir)?.ok_or_else(|| OpenError::NotADirectory {
        dir: dir.to_owned(),
    })?;
    let mut damage = Vec::new();
    let points = match Checkpoint::load(disk, dir).map_err(failed)? {
        Ok(checkpoint) => checkpoint.points,
        Err(reason) => {
            damage.push(Damage {
                file: dir.join(layout::CHECKPOINT),
                position: 0,
                offsets: 0..0,
                reason,
            });
            HashMap::new()
        }
    };
    let mut partitions = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        if let Some((topic, partition)) = layout::parse_partition_dir(&entry.name) {
            let of = Named {
                topic,
                partition,
                dir: &dir.join(&entry.name),
            };
            partitions.push(look_at(disk, &of, &points).map_err(failed)?);
        }
    }
    Ok(Contents {
        cluster_id: meta.cluster_id_text(),
        directory_id: meta.directory_id,
        leader_epoch: meta.leader_epoch,
        closed: entries
            .iter()
            .any(|entry| entry.name == layout::CLEAN_SHUTDOWN),
        damage,
        partitions,
    })
}

/// A partition's directory by its name.
pub(crate) struct Named<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) dir: &'a Path,
}

/// A file of batches, as the next start will see it.
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    pub(crate) base_offset: i64,
    /// It takes the place of all segments below this offset.
    swap_end: Option<i64>,
}

/// A segment and the pieces that it consists of.
pub(crate) struct Surveyed {
    pub(crate) file: SegmentFile,
    pub(crate) size: u64,
    pub(crate) pieces: Vec<Piece>,
}

impl Surveyed {
    pub(crate) fn base_offset(&self) -> i64 {
        self.file.base_offset
    }
}

/// All that can be told of a log without opening it.
pub(crate) struct Survey {
    pub(crate) metadata: io::Result<Option<PartitionMetadata>>,
    pub(crate) log_start: io::Result<i64>,
    /// `None` when there is no intact file.
    pub(crate) epochs: Option<LeaderEpochs>,
    pub(crate) segments: Vec<Surveyed>,
    /// The offset after the last record.
    pub(crate) end: i64,
}

/// The segments in `dir`, ascending. What a compaction was about to replace is none any more.
fn segment_files(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<SegmentFile>> {
    let entries = disk.list(dir)?;
    let names = || entries.iter().map(|entry| LogFile::parse(&entry.name));
    let mut files: Vec<SegmentFile> = names()
        .filter_map(|name| match name {
            LogFile::Swap(base, end) => Some(SegmentFile {
                path: layout::swap_file(dir, base, end),
                base_offset: base,
                swap_end: Some(end),
            }),
            _ => None,
        })
        .collect();
    let swaps: Vec<Range<i64>> = files
        .iter()
        .filter_map(|file| Some(file.base_offset..file.swap_end?))
        .collect();
    let logs = names().filter_map(|name| match name {
        LogFile::Log(base) => Some(base),
        _ => None,
    });
    let stays = |base: &i64| !swaps.iter().any(|swap| swap.contains(base));
    files.extend(logs.filter(stays).map(|base| SegmentFile {
        path: layout::log_file(dir, base),
        base_offset: base,
        swap_end: None,
    }));
    files.sort_unstable_by_key(|file| file.base_offset);
    Ok(files)
}

/// Goes through all segments of a partition.
pub(crate) fn survey_all(disk: &dyn Disk, dir: &Path) -> io::Result<Survey> {
    let files = segment_files(disk, dir)?;
    let bases: Vec<i64> = files.iter().map(|file| file.base_offset).collect();
    let log_start = load_log_start(disk, dir);
    let epochs = LeaderEpochs::load(disk, dir)?;
    let first = bases.first().copied().unwrap_or(0);
    let mut end = log_start.as_ref().map_or(first, |start| first.min(*start));
    let mut segments = Vec::new();
    for (at, file) in files.into_iter().enumerate() {
        let base = file.base_offset;
        let opened = disk.open(&file.path, OpenMode::Existing)?;
        let size = opened.size()?;
        let next_base = bases.get(at + 1).copied();
        let mut pieces = Vec::new();
        if end < base {
            pieces.push(Piece::lost(
                0..0,
                end..base,
                "the records before are missing",
            ));
        }
        end = survey(
            &*opened,
            size,
            base,
            next_base,
            epochs.as_ref(),
            &mut pieces,
        )?;
        segments.push(Surveyed { file, size, pieces });
    }
    Ok(Survey {
        metadata: PartitionMetadata::load(disk, dir),
        log_start,
        epochs,
        segments,
        end,
    })
}

fn look_at(
    disk: &dyn Disk,
    of: &Named<'_>,
    points: &HashMap<LogKey, Point>,
) -> io::Result<PartitionContents> {
    let survey = survey_all(disk, of.dir)?;
    let mut damage = file_damage(of.dir, &survey);
    let mut producers = ProducerState::default();
    let mut segments = Vec::new();
    for segment in &survey.segments {
        let mut batches = 0;
        let mut end_offset = segment.base_offset();
        for piece in &segment.pieces {
            if let Some(header) = piece.header() {
                batches += 1;
                producers.replay(header);
            }
            end_offset = end_offset.max(piece.offsets().end);
            damage.extend(piece.damage(&segment.file.path));
        }
        segments.push(SegmentContents {
            base_offset: segment.base_offset(),
            end_offset,
            size: segment.size,
            batches,
            is_swap: segment.file.swap_end.is_some(),
        });
    }
    let metadata = survey.metadata.unwrap_or_default();
    let topic_id = metadata.map_or(Uuid::nil(), |metadata| metadata.topic_id);
    let key = LogKey {
        topic_id,
        partition: of.partition,
    };
    let promised_end = points.get(&key).map(|point| point.end);
    if let Some(promised) = promised_end.filter(|promised| *promised > survey.end) {
        let last = survey.segments.last();
        damage.push(Damage {
            file: last.map_or_else(
                || layout::log_file(of.dir, 0),
                |last| last.file.path.clone(),
            ),
            position: last.map_or(0, |last| last.size),
            offsets: survey.end..promised,
            reason: "the log ends before".to_owned(),
        });
    }
    let first = segments.first().map_or(0, |first| first.base_offset);
    Ok(PartitionContents {
        identity: LogIdentity {
            topic: of.topic.to_owned(),
            topic_id,
            partition: of.partition,
        },
        journaled: metadata
            .is_some_and(|metadata| metadata.durability == StoredDurability::Journal),
        log_start_offset: survey.log_start.unwrap_or(0).max(first),
        log_end_offset: survey.end,
        promised_end,
        segments,
        leader_epochs: survey
            .epochs
            .map(|epochs| epochs.entries().to_vec())
            .unwrap_or_default(),
        producers: producers.describe(),
        damage,
    })
}

/// Damage of the small files of a partition that cannot be made anew.
fn file_damage(dir: &Path, survey: &Survey) -> Vec<Damage> {
    let whole = |name: &str, reason: String| Damage {
        file: dir.join(name),
        position: 0,
        offsets: 0..0,
        reason,
    };
    let mut damage = Vec::new();
    match &survey.metadata {
        Ok(Some(_)) => {}
        Ok(None) => damage.push(whole(
            layout::PARTITION_METADATA,
            "it is missing".to_owned(),
        )),
        Err(error) => damage.push(whole(layout::PARTITION_METADATA, error.to_string())),
    }
    if let Err(error) = &survey.log_start {
        damage.push(whole(
            layout::LOG_START_OFFSET_CHECKPOINT,
            error.to_string(),
        ));
    }
    damage
}

impl Piece {
    fn header(&self) -> Option<&BatchHeader> {
        match self {
            Self::Intact { header, .. } | Self::Mended { header, .. } => Some(header),
            Self::Lost { .. } => None,
        }
    }

    fn damage(&self, file: &Path) -> Option<Damage> {
        let (position, offsets, reason) = match self {
            Self::Intact { .. } => return None,
            Self::Mended {
                bytes,
                header,
                reason,
            } => (bytes.start, header.base_offset..header.base_offset, reason),
            Self::Lost {
                bytes,
                offsets,
                reason,
            } => (bytes.start, offsets.clone(), reason),
        };
        Some(Damage {
            file: file.to_owned(),
            position,
            offsets,
            reason: reason.clone(),
        })
    }
}
