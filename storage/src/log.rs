//! STUB to be replaced.
use std::sync::Arc;
use bytes::Bytes;
use ottla_protocol::record::BatchHeader;
use uuid::Uuid;
use crate::config::LogConfig;
pub use crate::error::*;
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity { pub topic: String, pub topic_id: Uuid, pub partition: i32 }
pub struct Append { pub header: BatchHeader, pub body: Bytes }
pub struct Appended { pub base_offset: i64, pub last_offset: i64, pub log_append_time: i64, pub log_start_offset: i64, pub duplicate: bool }
#[derive(Clone, Copy)]
pub struct Offsets { pub log_start_offset: i64, pub last_stable_offset: i64, pub high_watermark: i64, pub log_end_offset: i64 }
pub struct LogRead { pub records: Bytes, pub offsets: Offsets, pub next_offset: i64 }
pub enum Bound { HighWatermark, LogEnd }
pub struct TimestampOffset { pub timestamp: i64, pub offset: i64, pub leader_epoch: i32 }
pub trait LogListener: Send + Sync { fn high_watermark_moved(&self, offset: i64); fn failed(&self); }

use parking_lot::Mutex;
pub struct Log { id: LogIdentity, st: Mutex<St> }
#[derive(Default)]
struct St { batches: Vec<(BatchHeader, Bytes)>, end: i64, start: i64, l: Option<Arc<dyn LogListener>>, seqs: std::collections::HashMap<i64,(i16,i32)> }
impl Log {
  pub fn stub(id: LogIdentity) -> Self { Self { id, st: Mutex::default() } }
  pub fn append(&self, b: Append, _now: i64) -> Result<Appended, AppendError> {
    let l; let r;
    { let mut s = self.st.lock();
      let mut h = b.header; h.base_offset = s.end;
      if h.producer_id >= 0 { s.seqs.insert(h.producer_id, (h.producer_epoch, h.last_sequence())); }
      let mut v = h.encode().to_vec(); v.extend_from_slice(&b.body);
      s.end = h.next_offset(); let e = s.end; s.batches.push((h, v.into())); l = s.l.clone().map(|l| (l, e));
      r = Appended { base_offset: h.base_offset, last_offset: h.last_offset(), log_append_time: -1, log_start_offset: s.start, duplicate: false };
    }
    if let Some((l, e)) = l { l.high_watermark_moved(e); }
    Ok(r)
  }
  pub fn read(&self, from: i64, m: usize, f: bool, _b: Bound) -> Result<LogRead, ReadError> {
    let offsets = self.offsets(); let s = self.st.lock();
    if from < s.start || from > s.end { return Err(ReadError::OffsetOutOfRange { offset: from, log_start_offset: s.start, log_end_offset: s.end }); }
    let mut out = Vec::new(); let mut next = from;
    for (h, v) in s.batches.iter().filter(|(h, _)| h.last_offset() >= from) {
      if out.len() + v.len() > m && !(f && out.is_empty()) { break; }
      out.extend_from_slice(v); next = h.next_offset();
    }
    Ok(LogRead { records: out.into(), offsets, next_offset: next })
  }
  pub fn available(&self, from: i64, m: usize) -> Result<usize, ReadError> { Ok(self.read(from, m, true, Bound::HighWatermark)?.records.len().min(m)) }
  pub fn is_resident(&self, _f: i64, _m: usize) -> bool { true }
  pub fn populate(&self, _f: i64, _m: usize) { }
  pub fn offsets(&self) -> Offsets { let s = self.st.lock(); Offsets { log_start_offset: s.start, last_stable_offset: s.end, high_watermark: s.end, log_end_offset: s.end } }
  pub fn leader_epoch(&self) -> i32 { 0 }
  pub fn is_failed(&self) -> bool { false }
  pub fn identity(&self) -> &LogIdentity { &self.id }
  pub fn size(&self) -> u64 { 0 }
  pub fn offset_for_timestamp(&self, t: i64) -> Result<Option<TimestampOffset>, ReadError> { let s = self.st.lock(); Ok(s.batches.iter().find(|(h, _)| h.max_timestamp >= t).map(|(h, _)| TimestampOffset { timestamp: h.max_timestamp, offset: h.base_offset, leader_epoch: 0 })) }
  pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> { Ok(None) }
  pub fn end_offset_for_epoch(&self, _e: i32) -> (i32, i64) { (0, self.offsets().log_end_offset) }
  pub fn advance_log_start(&self, t: i64) -> Result<i64, ChangeError> { self.st.lock().start = t; Ok(t) }
  pub fn set_config(&self, _c: LogConfig) { }
  pub fn set_listener(&self, l: Arc<dyn LogListener>) { self.st.lock().l = Some(l); }
}
