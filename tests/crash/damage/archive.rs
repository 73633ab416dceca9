//! A data directory as one compressed file: for each file its name, its length and its bytes.

use std::io::{IoSlice, Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use ottla_storage::disk::simulated::SimulatedDisk;
use ottla_storage::disk::{Disk, OpenMode};

use crate::golden::DIR;

/// Every file of a disk, in the order of their names.
pub(crate) fn files(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from(DIR)];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir).unwrap() {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                dirs.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn read(disk: &SimulatedDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, OpenMode::Existing).unwrap();
    let len = usize::try_from(file.size().unwrap()).unwrap();
    file.read_at(0, len).unwrap().to_vec()
}

pub(crate) fn pack(disk: &SimulatedDisk) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for path in files(disk) {
        let name = path.to_str().unwrap().as_bytes();
        let bytes = read(disk, &path);
        for part in [name, &bytes] {
            let len = u32::try_from(part.len()).unwrap();
            encoder.write_all(&len.to_le_bytes()).unwrap();
            encoder.write_all(part).unwrap();
        }
    }
    encoder.finish().unwrap()
}

pub(crate) fn unpack(packed: &[u8]) -> SimulatedDisk {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    let mut part = || {
        let (len, after) = rest.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).unwrap();
        let (part, after) = after.split_at(len);
        rest = after;
        Some(part)
    };
    let disk = SimulatedDisk::new();
    while let (Some(name), Some(bytes)) = (part(), part()) {
        let path = Path::new(std::str::from_utf8(name).unwrap());
        disk.create_dir(path.parent().unwrap()).unwrap();
        let file = disk.open(path, OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(bytes)]).unwrap();
    }
    disk
}
