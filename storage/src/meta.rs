//! Shell. The identity of a data directory: who it is, in which format, and who holds it.
//!
//! A directory that is not ours, not known, not free or not writable is refused before anything
//! in it is touched.

use std::io;
use std::path::Path;

use bincode::{Decode, Encode};
use uuid::Uuid;

use crate::disk::{Disk, DiskLock};
use crate::layout;
use crate::partition_metadata::format_topic_id;
use crate::state_codec::{self, Kind, StateError};
use crate::store::OpenError;
use crate::text_checkpoint::{read_file, replace_file};

/// Version of the directory's layout and of all files in it.
pub(crate) const FORMAT_VERSION: u16 = 1;

/// No `meta` file is larger.
const LIMIT: usize = 4096;

/// The contents of `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Of the cluster that the directory belongs to.
    pub(crate) cluster_id: Uuid,
    /// Of this directory; part of every journal checksum.
    pub(crate) directory_id: Uuid,
    /// Raised at each start after a crash.
    pub(crate) leader_epoch: i32,
}

#[derive(Encode, Decode)]
struct Stored {
    cluster_id: [u8; 16],
    directory_id: [u8; 16],
    leader_epoch: i32,
}

impl Meta {
    /// The identity of `dir`; `None` when the directory is new.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(layout::META);
        let bytes = read_file(disk, &path).map_err(|error| OpenError::io(&path, error))?;
        let Some(bytes) = bytes else {
            return match foreign_entry(disk, dir) {
                Ok(None) => Ok(None),
                Ok(Some(name)) => Err(OpenError::NotOurs {
                    dir: dir.to_owned(),
                    name,
                }),
                Err(error) => Err(OpenError::io(dir, error)),
            };
        };
        let stored: Stored = state_codec::decode(Kind::META, FORMAT_VERSION, &bytes, LIMIT)
            .map_err(|error| match error {
                StateError::Version(found) => OpenError::NewerFormat {
                    dir: dir.to_owned(),
                    found,
                    known: FORMAT_VERSION,
                },
                error => OpenError::Damaged {
                    path,
                    reason: error.to_string(),
                },
            })?;
        Ok(Some(Self {
            cluster_id: Uuid::from_bytes(stored.cluster_id),
            directory_id: Uuid::from_bytes(stored.directory_id),
            leader_epoch: stored.leader_epoch,
        }))
    }

    /// Writes `meta` durably.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let stored = Stored {
            cluster_id: self.cluster_id.into_bytes(),
            directory_id: self.directory_id.into_bytes(),
            leader_epoch: self.leader_epoch,
        };
        let bytes =
            state_codec::encode(Kind::META, FORMAT_VERSION, &stored).map_err(io::Error::other)?;
        replace_file(disk, &dir.join(layout::META), &bytes)
    }

    /// The cluster id as Kafka prints it: 22 characters of URL-safe base64.
    pub(crate) fn cluster_id_text(&self) -> String {
        format_topic_id(self.cluster_id)
    }
}

/// An entry that a directory without `meta` must not have. What an interrupted first start leaves
/// behind is not foreign.
fn foreign_entry(disk: &dyn Disk, dir: &Path) -> io::Result<Option<String>> {
    let entries = disk.list(dir)?;
    let foreign = entries
        .into_iter()
        .find(|entry| !layout::is_initial(&entry.name));
    Ok(foreign.map(|entry| entry.name))
}

/// Creates the directory if needed and takes its lock.
pub(crate) fn take(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, OpenError> {
    let not_writable = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::NotWritable {
                dir: dir.to_owned(),
                source,
            }
        }
        io::ErrorKind::WouldBlock => OpenError::Locked {
            dir: dir.to_owned(),
        },
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => OpenError::NotADirectory {
            dir: dir.to_owned(),
        },
        _ => OpenError::io(dir, source),
    };
    // A directory that is not ours must not even get a lock file.
    if let Ok(entries) = disk.list(dir) {
        let known = |name: &str| entries.iter().any(|entry| entry.name == name);
        let foreign = entries
            .iter()
            .find(|entry| !layout::is_initial(&entry.name));
        if let Some(foreign) = foreign.filter(|_| !known(layout::META) && !known(layout::LOCK)) {
            return Err(OpenError::NotOurs {
                dir: dir.to_owned(),
                name: foreign.name.clone(),
            });
        }
    }
    disk.create_dir(dir).map_err(not_writable)?;
    disk.lock(&dir.join(layout::LOCK)).map_err(not_writable)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::disk::OpenMode;
    use crate::disk::simulated::SimulatedDisk;

    const META: Meta = Meta {
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        leader_epoch: 3,
    };

    fn disk() -> (SimulatedDisk, &'static Path) {
        let disk = SimulatedDisk::new();
        let dir = Path::new("data");
        disk.create_dir(dir).unwrap();
        (disk, dir)
    }

    #[test]
    fn the_identity_survives_the_round_trip() {
        let (disk, dir) = disk();
        assert_eq!(Meta::load(&disk, dir).unwrap(), None);
        META.store(&disk, dir).unwrap();
        assert_eq!(Meta::load(&disk, dir).unwrap(), Some(META));
        assert_eq!(META.cluster_id_text(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn a_directory_with_other_contents_is_refused_untouched() {
        let (disk, dir) = disk();
        disk.create_dir(&dir.join("photos")).unwrap();
        let error = take(&disk, dir).err().unwrap();
        assert!(matches!(error, OpenError::NotOurs { .. }));
        assert_eq!(
            error.to_string(),
            "data holds `photos` and no Ottla data: choose an empty directory"
        );
        assert_eq!(disk.list(dir).unwrap().len(), 1);
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let (disk, dir) = disk();
        let lock = take(&disk, dir).unwrap();
        let error = take(&disk, dir).err().unwrap();
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
        drop(lock);
        assert!(take(&disk, dir).is_ok());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let (disk, dir) = disk();
        let bytes = state_codec::encode(Kind::META, FORMAT_VERSION + 1, &7_u64).unwrap();
        let file = disk.open(&dir.join(layout::META), OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(&bytes)]).unwrap();
        let error = Meta::load(&disk, dir).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::NewerFormat {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let (disk, dir) = disk();
        META.store(&disk, dir).unwrap();
        disk.damage(&dir.join(layout::META), |bytes| bytes[20] ^= 1);
        let error = Meta::load(&disk, dir).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}
