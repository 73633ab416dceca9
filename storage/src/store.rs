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

#[derive(Default)]
pub struct Store { logs: parking_lot::Mutex<std::collections::HashMap<(Uuid,i32), Arc<Log>>> }
impl Store {
  pub fn open(_d: Arc<dyn Disk>, _dir: &Path, _o: StoreOptions) -> Result<Self, OpenError> { Ok(Self::default()) }
  pub fn create_log(&self, i: LogIdentity, _c: LogConfig) -> Result<Arc<Log>, StoreError> { let k = (i.topic_id, i.partition); let l = Arc::new(Log::stub(i)); self.logs.lock().insert(k, l.clone()); Ok(l) }
  pub fn log(&self, i: &LogIdentity) -> Option<Arc<Log>> { self.logs.lock().get(&(i.topic_id, i.partition)).cloned() }
  pub fn logs(&self) -> Vec<Arc<Log>> { self.logs.lock().values().cloned().collect() }
  pub fn delete_log(&self, i: &LogIdentity) -> Result<(), StoreError> { self.logs.lock().remove(&(i.topic_id, i.partition)); Ok(()) }
  pub fn cluster_id(&self) -> String { "AAAAAAAAAAAAAAAAAAAAAA".to_owned() }
  pub fn leader_epoch(&self) -> i32 { 0 }
  pub fn is_volatile(&self) -> bool { true }
  pub fn close(&self) -> Result<(), StoreError> { Ok(()) }
}
