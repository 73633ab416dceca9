//! STUB
#![allow(
    missing_docs,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]
use crate::config::*;
use crate::disk::*;
use crate::error::*;
use crate::layout;
use crate::partition_metadata::*;
use bytes::Bytes;
use ottla_protocol::record::BatchHeader;
use parking_lot::Mutex;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;
#[derive(Clone, Debug)]
pub struct LogIdentity {
    pub topic: String,
    pub topic_id: Uuid,
    pub partition: i32,
}
pub struct Append {
    pub header: BatchHeader,
    pub body: Bytes,
}
#[derive(Debug)]
pub struct Appended {
    pub base_offset: i64,
    pub last_offset: i64,
}
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    pub high_watermark: i64,
    pub log_end_offset: i64,
}
pub(crate) trait CommitSink: Send + Sync {
    fn admit(&self, bytes: u64) -> Result<(), AppendError>;
    fn submit(&self, entries: Vec<JournalEntry>) -> Result<(), Failed>;
    fn submitted(&self);
}
pub(crate) struct JournalEntry {
    pub(crate) log: Arc<Log>,
    pub(crate) segment_base: i64,
    pub(crate) position: u64,
    pub(crate) head: [u8; 61],
    pub(crate) body: Bytes,
    pub(crate) end_offset: i64,
}
pub enum Tail {
    Clean,
    Scan { from: i64 },
    Exact { from: i64, end_offset: i64 },
}
pub trait LogListener: Send + Sync {
    fn high_watermark_moved(&self, offset: i64);
    fn failed(&self);
}
struct State {
    offsets: Offsets,
    segments: Vec<(i64, Arc<dyn DiskFile>, u64)>,
    failed: Option<Failed>,
    closed: bool,
    unsynced: bool,
}
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: LogIdentity,
    config: LogConfig,
    sink: Option<Arc<dyn CommitSink>>,
    state: Mutex<State>,
    listener: Mutex<Option<Arc<dyn LogListener>>>,
}
impl Log {
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: LogIdentity,
        config: LogConfig,
        _epoch: i32,
        sink: Option<Arc<dyn CommitSink>>,
        tail: Tail,
    ) -> Result<Arc<Self>, OpenError> {
        disk.create_dir(dir)?;
        if PartitionMetadata::load(&*disk, dir)?.is_none() {
            let durability = if config.durability == Durability::Journal {
                StoredDurability::Journal
            } else {
                StoredDurability::PageCache
            };
            PartitionMetadata {
                topic_id: identity.topic_id,
                durability,
            }
            .store(&*disk, dir)?;
            disk.sync_dir(dir.parent().unwrap())?;
        }
        let mut segments = Vec::new();
        for e in disk.list(dir)? {
            if let layout::LogFile::Log(base) = layout::LogFile::parse(&e.name) {
                let file = disk.open(&layout::log_file(dir, base), OpenMode::Existing)?;
                segments.push((base, file, 0));
            }
        }
        if segments.is_empty() {
            segments.push((0, disk.open(&layout::log_file(dir, 0), OpenMode::New)?, 0));
            disk.sync_dir(dir)?;
        }
        let mut end = segments[0].0;
        let stop = match tail {
            Tail::Exact { end_offset, .. } => end_offset,
            _ => i64::MAX,
        };
        let mut kept = Vec::new();
        'all: for (base, file, _) in segments {
            if base != end {
                break;
            }
            let size = file.size()?;
            let mut pos = 0;
            while pos + 61 <= size && end < stop {
                let head = file.read_at(pos, 61)?;
                let Ok(h) = BatchHeader::decode(&head) else {
                    break;
                };
                if pos + h.size() as u64 > size || h.base_offset != end {
                    break;
                }
                let all = file.read_at(pos, h.size())?;
                if h.verify_crc(&all).is_err() {
                    break;
                }
                pos += h.size() as u64;
                end = h.next_offset();
            }
            let cut = pos < size;
            if cut {
                file.truncate(pos)?;
            }
            kept.push((base, file, pos));
            if cut {
                break 'all;
            }
        }
        if let Tail::Exact { end_offset, .. } = tail {
            if end < end_offset {
                return Err(OpenError::Quarantined {
                    offset: end,
                    reason: "short".into(),
                });
            }
        }
        Ok(Arc::new(Self {
            disk,
            dir: dir.to_owned(),
            identity,
            config,
            sink,
            state: Mutex::new(State {
                offsets: Offsets {
                    high_watermark: end,
                    log_end_offset: end,
                },
                segments: kept,
                failed: None,
                closed: false,
                unsynced: true,
            }),
            listener: Mutex::new(None),
        }))
    }
    pub fn append(self: &Arc<Self>, batch: Append, _now: i64) -> Result<Appended, AppendError> {
        let size = 61 + batch.body.len() as u64;
        let sink = if self.is_journaled() {
            self.sink.clone()
        } else {
            None
        };
        if let Some(sink) = &sink {
            sink.admit(size)?;
        }
        let out;
        {
            let mut s = self.state.lock();
            if s.closed {
                return Err(AppendError::Closed);
            }
            if let Some(f) = &s.failed {
                return Err(f.clone().into());
            }
            let mut h = batch.header;
            h.base_offset = s.offsets.log_end_offset;
            let end = h.next_offset();
            let full = s.segments.last().unwrap().2 + size > self.config.segment_bytes as u64;
            if full {
                let file = self
                    .disk
                    .open(&layout::log_file(&self.dir, h.base_offset), OpenMode::New)
                    .map_err(AppendError::Disk)?;
                self.disk.sync_dir(&self.dir).map_err(AppendError::Disk)?;
                s.segments.push((h.base_offset, file, 0));
            }
            let head = h.encode();
            s.unsynced = true;
            let seg = s.segments.last_mut().unwrap();
            match seg.1.reserve(seg.2 + size) {
                Err(e) if e.kind() == std::io::ErrorKind::StorageFull => {
                    return Err(AppendError::Full);
                }
                other => other.map_err(AppendError::Disk)?,
            }
            seg.1
                .write_at(seg.2, &[IoSlice::new(&head), IoSlice::new(&batch.body)])
                .map_err(AppendError::Disk)?;
            let (base, position) = (seg.0, seg.2);
            seg.2 += size;
            s.offsets.log_end_offset = end;
            out = Appended {
                base_offset: h.base_offset,
                last_offset: end - 1,
            };
            match &sink {
                Some(sink) => {
                    if let Err(f) = sink.submit(vec![JournalEntry {
                        log: Arc::clone(self),
                        segment_base: base,
                        position,
                        head,
                        body: batch.body,
                        end_offset: end,
                    }]) {
                        s.failed = Some(f.clone());
                        return Err(f.into());
                    }
                }
                None => s.offsets.high_watermark = end,
            }
        }
        if let Some(sink) = &sink {
            sink.submitted();
        }
        Ok(out)
    }
    pub fn offsets(&self) -> Offsets {
        self.state.lock().offsets
    }
    pub fn read(
        &self,
        from: i64,
        _max: usize,
        _one: bool,
        _b: Bound,
    ) -> Result<LogRead, ReadError> {
        let s = self.state.lock();
        for seg in &s.segments {
            let mut pos = 0;
            while pos < seg.2 {
                let h = BatchHeader::decode(&seg.1.read_at(pos, 61)?).unwrap();
                if h.next_offset() > from {
                    return Ok(LogRead {
                        records: seg.1.read_at(pos, h.size())?,
                        next_offset: h.next_offset(),
                    });
                }
                pos += h.size() as u64;
            }
        }
        Ok(LogRead {
            records: Bytes::new(),
            next_offset: from,
        })
    }
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::new(self.config.clone())
    }
    pub fn is_journaled(&self) -> bool {
        self.sink.is_some() && self.config.durability == Durability::Journal
    }
    pub fn flush(&self) -> Result<(), ChangeError> {
        let mut s = self.state.lock();
        if s.closed {
            return Err(ChangeError::Closed);
        }
        if s.unsynced {
            for seg in &s.segments {
                seg.1.sync()?;
            }
            s.unsynced = false;
        }
        Ok(())
    }
    pub fn close(&self) -> Result<(), ChangeError> {
        self.flush()?;
        self.state.lock().closed = true;
        Ok(())
    }
    pub fn set_listener(&self, l: Arc<dyn LogListener>) {
        *self.listener.lock() = Some(l);
    }
    pub(crate) fn abandon(&self) {
        self.state.lock().closed = true;
    }
    pub(crate) fn commit(&self, end: i64) {
        self.state.lock().offsets.high_watermark = end;
        if let Some(l) = &*self.listener.lock() {
            l.high_watermark_moved(end);
        }
    }
    pub(crate) fn fail(&self, f: Failed) {
        self.state.lock().failed = Some(f);
        if let Some(l) = &*self.listener.lock() {
            l.failed();
        }
    }
}

pub enum Bound {
    HighWatermark,
    LogEnd,
}
pub struct LogRead {
    pub records: Bytes,
    pub next_offset: i64,
}
