//! What accidents leave in a data directory: half-made files and directories, and shortages while
//! it is used. Whatever happens to the store, the promises hold.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_protocol::record::TransactionResult;
use ottla_storage::disk::simulated::{Fault, FaultKind, Operation, SimulatedDisk};
use ottla_storage::disk::{Disk, DiskFile, OpenMode};

use crate::transactions::Producer;
use crate::world::{CACHED, KEYED, World};

const DATA: &str = "data";

/// Leaves scars in a directory that nobody has open. A disk that refuses leaves fewer.
pub(crate) fn leave(disk: &SimulatedDisk) {
    let data = Path::new(DATA);
    let _ = file(disk, &data.join("journal/00000090.journal.tmp"), 10);
    for name in ["journal/00000091.journal", "journal/00000092.journal"] {
        // A file of the journal is on disk before it has its name.
        let _ = file(disk, &data.join(name), 12 << 10).and_then(|file| file.sync());
    }
    let _ = file(disk, &data.join("a-0/leader-epoch-checkpoint.tmp"), 5);
    let _ = file(disk, &data.join("a-0/00000000000000009999.index"), 8);
    let _ = file(disk, &data.join("b-0/00000000000000009999.snapshot"), 8);
    let deleted = data.join(format!("gone-0.{:032x}-delete", 7));
    let begun = data.join("begun-0");
    for dir in [deleted, begun] {
        if disk.create_dir(&dir).is_ok() {
            let _ = file(disk, &dir.join("00000000000000000000.log"), 0);
        }
    }
    for path in files(disk, &data.join("journal")) {
        // The head of a file; its first group tells the same.
        let _ = flip(disk, &path, 20);
    }
    for path in ["d-0", "u-0"]
        .iter()
        .flat_map(|dir| files(disk, &data.join(dir)))
    {
        if path.to_string_lossy().ends_with("index") {
            let _ = lengthen(disk, &path);
        }
    }
    if let Some(last) = last_segment(disk) {
        let _ = lengthen(disk, &last);
    }
}

/// Turns a bit over in front of intact batches of a log that bypasses the journal.
pub(crate) fn damage(disk: &SimulatedDisk) {
    if let Some(last) = last_segment(disk) {
        let _ = flip_near_end(disk, &last);
    }
}

fn last_segment(disk: &SimulatedDisk) -> Option<PathBuf> {
    let files = files(disk, &Path::new(DATA).join(format!("{CACHED}-0")));
    let mut logs = files.into_iter().filter(|path| {
        let extension = path.extension();
        extension.is_some_and(|extension| extension == "log")
    });
    logs.next_back()
}

/// Has things go wrong while the store is used, and lets them pass.
pub(crate) fn suffer(world: &mut World) {
    let disk = world.disk.clone();
    disk.fill("journal");
    for _ in 0..8 {
        world.append("a", 3000);
    }
    disk.make_room();
    world.roll("d");
    disk.fill("d-0");
    world.append("d", 3800);
    world.delete_records("d");
    disk.make_room();
    disk.inject(Fault {
        operation: Some(Operation::Write),
        path: "b-0/".to_owned(),
        after: 0,
        kind: FaultKind::ShortWrite,
        lasting: false,
    });
    world.append("b", 500);
    world.append("b", 400);
    if let Some(log) = world.log("b") {
        let end = log.offsets().log_end_offset;
        let _ = file(
            &disk,
            &Path::new(DATA).join(format!("b-0/{end:020}.log")),
            0,
        );
    }
    world.roll("b");
    world.append("b", 300);
    world.roll("u");
    for _ in 0..2 {
        world.produce("u", Producer::Bumping, 40);
        world.end_transaction(Producer::Bumping, TransactionResult::Abort);
        world.checkpoint();
    }
    world.produce("u", Producer::Bumping, 40);
    world.end_transaction(Producer::Bumping, TransactionResult::Abort);
}

/// Has a compaction end where only a restart can go on.
pub(crate) fn interrupt_compaction(world: &mut World) {
    for _ in 0..9 {
        world.append(KEYED, 900);
    }
    world.roll(KEYED);
    world.disk.inject(Fault {
        operation: Some(Operation::Rename),
        path: format!("{KEYED}-0/{:020}.log", 0),
        after: 0,
        kind: FaultKind::Io,
        lasting: false,
    });
    world.compact();
}

/// Leaves batches that no sync has covered in the log that bypasses the journal.
pub(crate) fn expose(world: &mut World) {
    world.tick();
    for _ in 0..3 {
        world.append(CACHED, 100);
    }
}

fn file(disk: &SimulatedDisk, path: &Path, len: usize) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, OpenMode::New)?;
    file.write_at(0, &[IoSlice::new(&vec![0; len])])?;
    Ok(file)
}

fn files(disk: &SimulatedDisk, dir: &Path) -> Vec<PathBuf> {
    let entries = disk.list(dir).unwrap_or_default();
    entries.iter().map(|entry| dir.join(&entry.name)).collect()
}

fn flip(disk: &SimulatedDisk, path: &Path, at: u64) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Existing)?;
    let byte = file.read_at(at, 1)?;
    file.write_at(at, &[IoSlice::new(&[byte[0] ^ 1])])
}

/// In the records of the last batch but two.
fn flip_near_end(disk: &SimulatedDisk, path: &Path) -> io::Result<()> {
    let size = disk.open(path, OpenMode::Existing)?.size()?;
    flip(disk, path, size.saturating_sub(400))
}

fn lengthen(disk: &SimulatedDisk, path: &Path) -> io::Result<()> {
    let file = disk.open(path, OpenMode::Existing)?;
    file.write_at(file.size()?, &[IoSlice::new(&[0; 34])])
}
