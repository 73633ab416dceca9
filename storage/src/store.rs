//! STUB to be replaced.
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::log::{Log, LogIdentity};
#[derive(Debug, thiserror::Error)]
pub enum OpenError { #[error("{0}")] Io(std::io::Error) }
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct StoreError;
#[derive(Default)]
pub struct StoreOptions { pub cluster_id: Uuid, pub directory_id: Uuid, pub now_ms: i64 }
pub struct Store;
impl Store {
  pub fn open(_d: Arc<dyn Disk>, _dir: &Path, _o: StoreOptions) -> Result<Self, OpenError> { todo!() }
  pub fn create_log(&self, _i: LogIdentity, _c: LogConfig) -> Result<Arc<Log>, StoreError> { todo!() }
  pub fn log(&self, _i: &LogIdentity) -> Option<Arc<Log>> { todo!() }
  pub fn logs(&self) -> Vec<Arc<Log>> { todo!() }
  pub fn delete_log(&self, _i: &LogIdentity) -> Result<(), StoreError> { todo!() }
  pub fn cluster_id(&self) -> String { todo!() }
  pub fn leader_epoch(&self) -> i32 { todo!() }
  pub fn is_volatile(&self) -> bool { todo!() }
  pub fn close(&self) -> Result<(), StoreError> { todo!() }
}
