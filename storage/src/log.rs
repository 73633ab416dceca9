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
pub struct Log;
impl Log {
  pub fn append(&self, _b: Append, _now: i64) -> Result<Appended, AppendError> { todo!() }
  pub fn read(&self, _from: i64, _m: usize, _f: bool, _b: Bound) -> Result<LogRead, ReadError> { todo!() }
  pub fn available(&self, _from: i64, _m: usize) -> Result<usize, ReadError> { todo!() }
  pub fn is_resident(&self, _f: i64, _m: usize) -> bool { todo!() }
  pub fn populate(&self, _f: i64, _m: usize) { todo!() }
  pub fn offsets(&self) -> Offsets { todo!() }
  pub fn leader_epoch(&self) -> i32 { todo!() }
  pub fn is_failed(&self) -> bool { todo!() }
  pub fn identity(&self) -> &LogIdentity { todo!() }
  pub fn size(&self) -> u64 { todo!() }
  pub fn offset_for_timestamp(&self, _t: i64) -> Result<Option<TimestampOffset>, ReadError> { todo!() }
  pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> { todo!() }
  pub fn end_offset_for_epoch(&self, _e: i32) -> (i32, i64) { todo!() }
  pub fn advance_log_start(&self, _t: i64) -> Result<i64, ChangeError> { todo!() }
  pub fn set_config(&self, _c: LogConfig) { todo!() }
  pub fn set_listener(&self, _l: Arc<dyn LogListener>) { todo!() }
}
