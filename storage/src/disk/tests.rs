//! The conformance suite: every claim holds for every disk.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::simulated::SimulatedDisk;
use super::{BLOCK, Disk, DiskFile, FileRange, MemoryDisk, OpenMode, OsDisk, Reads};

/// Runs a claim on each disk, in an empty directory.
fn on_every_disk(claim: impl Fn(&dyn Disk, &Path)) {
    for disk in [
        OsDisk::with_reads(Reads::Map),
        OsDisk::with_reads(Reads::Pread),
    ] {
        let dir = tempfile::tempdir().unwrap();
        claim(&disk, dir.path());
    }
    let in_memory: [&dyn Disk; 3] = [
        &MemoryDisk::new(),
        &MemoryDisk::durable(),
        &SimulatedDisk::new(),
    ];
    for disk in in_memory {
        let dir = PathBuf::from("/data");
        disk.create_dir(&dir).unwrap();
        claim(disk, &dir);
    }
}

fn new_file(disk: &dyn Disk, dir: &Path) -> Arc<dyn DiskFile> {
    disk.open(&dir.join("file"), OpenMode::New).unwrap()
}

fn write(file: &dyn DiskFile, at: u64, bytes: &[u8]) {
    file.write_at(at, &[IoSlice::new(bytes)]).unwrap();
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result
        .err()
        .map_or(io::ErrorKind::Other, |error| error.kind())
}

#[test]
fn a_volume_has_room_and_memory_is_none() {
    on_every_disk(|disk, dir| {
        let space = disk.space(dir).unwrap();
        assert_eq!(space.is_none(), dir == Path::new("/data"));
        assert!(space.is_none_or(|space| space.total >= space.usable && space.total > 0));
    });
}

#[test]
fn open_modes_say_what_must_be_there() {
    on_every_disk(|disk, dir| {
        let path = dir.join("file");
        assert_eq!(
            kind(disk.open(&path, OpenMode::Existing)),
            io::ErrorKind::NotFound
        );
        disk.open(&path, OpenMode::New).unwrap();
        assert_eq!(
            kind(disk.open(&path, OpenMode::New)),
            io::ErrorKind::AlreadyExists
        );
        disk.open(&path, OpenMode::Existing).unwrap();
        disk.open(&path, OpenMode::Any).unwrap();
        disk.open(&dir.join("other"), OpenMode::Any).unwrap();
        let orphan = dir.join("missing").join("file");
        assert_eq!(
            kind(disk.open(&orphan, OpenMode::Any)),
            io::ErrorKind::NotFound
        );
    });
}

#[test]
fn parts_are_written_one_after_the_other() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        let parts = [&b"ab"[..], b"", b"cde"].map(IoSlice::new);
        file.write_at(0, &parts).unwrap();
        file.write_at(5, &[]).unwrap();
        assert_eq!(file.size().unwrap(), 5);
        assert_eq!(&file.read_at(0, 5).unwrap()[..], b"abcde");
        assert_eq!(&file.read_at(1, 3).unwrap()[..], b"bcd");
        assert!(file.read_at(5, 0).unwrap().is_empty());
    });
}

#[test]
fn more_parts_than_a_system_call_takes_are_written() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        let parts = vec![IoSlice::new(b"xyz"); 3000];
        file.write_at(0, &parts).unwrap();
        assert_eq!(&file.read_at(0, 9000).unwrap()[..], b"xyz".repeat(3000));
    });
}

#[test]
fn a_read_past_the_end_is_refused() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, b"abc");
        assert_eq!(kind(file.read_at(1, 3)), io::ErrorKind::UnexpectedEof);
        assert!(file.read_at(u64::MAX, 2).is_err());
    });
}

#[test]
fn a_gap_reads_as_zeros() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 10_000, b"end");
        let bytes = file.read_at(0, 10_003).unwrap();
        assert!(bytes[..10_000].iter().all(|byte| *byte == 0));
        assert_eq!(&bytes[10_000..], b"end");
    });
}

#[test]
fn bytes_in_the_middle_are_replaced() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, &[1; 20_000]);
        drop(file.read_at(0, 20_000).unwrap());
        write(&*file, 5_000, &[2; 10]);
        write(&*file, 19_995, &[3; 10]);
        let bytes = file.read_at(0, 20_005).unwrap();
        assert!(bytes[..5_000].iter().all(|byte| *byte == 1));
        assert!(bytes[5_000..5_010].iter().all(|byte| *byte == 2));
        assert!(bytes[5_010..19_995].iter().all(|byte| *byte == 1));
        assert!(bytes[19_995..].iter().all(|byte| *byte == 3));
    });
}

#[test]
fn truncate_cuts_and_lengthens() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, b"abcdef");
        file.truncate(2).unwrap();
        assert_eq!(file.size().unwrap(), 2);
        assert_eq!(kind(file.read_at(0, 3)), io::ErrorKind::UnexpectedEof);
        file.truncate(4).unwrap();
        assert_eq!(&file.read_at(0, 4).unwrap()[..], b"ab\0\0");
        write(&*file, 4, b"xy");
        assert_eq!(&file.read_at(0, 6).unwrap()[..], b"ab\0\0xy");
    });
}

#[test]
fn a_reservation_keeps_the_size() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, b"abc");
        file.reserve(1 << 20).unwrap();
        assert_eq!(file.size().unwrap(), 3);
        file.truncate(3).unwrap();
        assert_eq!(file.size().unwrap(), 3);
        file.sync().unwrap();
    });
}

#[test]
fn what_was_read_stays_while_the_file_grows_and_goes() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, &[7; 8192]);
        let early = file.read_at(0, 8192).unwrap();
        for at in 2..512 {
            write(&*file, at * 4096, &[8; 4096]);
        }
        let late = file.read_at(4096, 2 << 20).map(|_| ());
        assert_eq!(late.is_ok(), 4096 + (2 << 20) <= 512 * 4096);
        disk.remove(&dir.join("file")).unwrap();
        assert_eq!(
            kind(disk.open(&dir.join("file"), OpenMode::Existing)),
            io::ErrorKind::NotFound
        );
        assert_eq!(&file.read_at(8191, 2).unwrap()[..], &[7, 8]);
        drop(file);
        assert_eq!(&early[..], &[7; 8192]);
    });
}

#[test]
fn two_handles_see_one_file() {
    on_every_disk(|disk, dir| {
        let one = new_file(disk, dir);
        let two = disk.open(&dir.join("file"), OpenMode::Existing).unwrap();
        write(&*one, 0, b"abc");
        assert_eq!(&two.read_at(0, 3).unwrap()[..], b"abc");
    });
}

#[test]
fn a_directory_lists_its_own_entries_by_name() {
    on_every_disk(|disk, dir| {
        disk.create_dir(&dir.join("b").join("deep")).unwrap();
        disk.create_dir(&dir.join("b")).unwrap();
        disk.open(&dir.join("c"), OpenMode::New).unwrap();
        disk.open(&dir.join("a"), OpenMode::New).unwrap();
        let names: Vec<_> = disk
            .list(dir)
            .unwrap()
            .into_iter()
            .map(|e| (e.name, e.is_dir))
            .collect();
        let expected = [("a", false), ("b", true), ("c", false)];
        assert_eq!(
            names,
            expected.map(|(name, is_dir)| (name.to_owned(), is_dir))
        );
        assert_eq!(kind(disk.list(&dir.join("none"))), io::ErrorKind::NotFound);
        disk.sync_dir(dir).unwrap();
    });
}

#[test]
fn rename_replaces_files_and_moves_directories() {
    on_every_disk(|disk, dir| {
        write(
            &*disk.open(&dir.join("new"), OpenMode::New).unwrap(),
            0,
            b"new",
        );
        write(
            &*disk.open(&dir.join("old"), OpenMode::New).unwrap(),
            0,
            b"old!",
        );
        disk.rename(&dir.join("new"), &dir.join("old")).unwrap();
        let file = disk.open(&dir.join("old"), OpenMode::Existing).unwrap();
        assert_eq!(&file.read_at(0, 3).unwrap()[..], b"new");
        assert_eq!(
            kind(disk.rename(&dir.join("new"), &dir.join("x"))),
            io::ErrorKind::NotFound
        );

        disk.create_dir(&dir.join("d")).unwrap();
        disk.create_dir(&dir.join("d2")).unwrap();
        disk.open(&dir.join("d").join("f"), OpenMode::New).unwrap();
        disk.rename(&dir.join("d"), &dir.join("e")).unwrap();
        disk.open(&dir.join("e").join("f"), OpenMode::Existing)
            .unwrap();
        assert_eq!(kind(disk.list(&dir.join("d"))), io::ErrorKind::NotFound);
        disk.list(&dir.join("d2")).unwrap();
    });
}

#[test]
fn remove_takes_a_directory_with_all_in_it() {
    on_every_disk(|disk, dir| {
        disk.create_dir(&dir.join("d").join("deep")).unwrap();
        disk.open(&dir.join("d").join("f"), OpenMode::New).unwrap();
        disk.open(&dir.join("d-"), OpenMode::New).unwrap();
        disk.remove(&dir.join("d")).unwrap();
        assert_eq!(kind(disk.remove(&dir.join("d"))), io::ErrorKind::NotFound);
        assert_eq!(disk.list(dir).unwrap().len(), 1);
    });
}

#[test]
fn a_lock_has_one_holder_until_dropped() {
    on_every_disk(|disk, dir| {
        let path = dir.join(".lock");
        let lock = disk.lock(&path).unwrap();
        assert_eq!(kind(disk.lock(&path)), io::ErrorKind::WouldBlock);
        drop(lock);
        drop(disk.lock(&path).unwrap());
    });
}

#[test]
fn what_was_just_written_is_resident() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, &[1; 200_000]);
        assert!(file.is_resident(0, 200_000));
        assert!(file.is_resident(199_999, 1));
    });
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    OsDisk::new().open(&target, OpenMode::New).unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join("link")).unwrap();
    assert!(
        OsDisk::new()
            .open(&dir.path().join("link"), OpenMode::Existing)
            .is_err()
    );
}

#[test]
fn a_full_memory_disk_refuses_and_gives_back() {
    let disk = MemoryDisk::new().with_capacity(100);
    let one = disk.open(Path::new("one"), OpenMode::New).unwrap();
    let two = disk.open(Path::new("two"), OpenMode::New).unwrap();
    one.reserve(60).unwrap();
    assert_eq!(kind(two.reserve(41)), io::ErrorKind::StorageFull);
    assert_eq!(
        kind(two.write_at(0, &[IoSlice::new(&[0; 41])])),
        io::ErrorKind::StorageFull
    );
    assert_eq!(two.size().unwrap(), 0);
    one.truncate(0).unwrap();
    two.reserve(100).unwrap();
    drop(two);
    disk.remove(Path::new("two")).unwrap();
    assert_eq!(disk.used(), 0);
}

#[test]
fn blocks_are_written_wherever_they_lie_and_read_as_any_bytes() {
    on_every_disk(|disk, dir| {
        let file = new_file(disk, dir);
        write(&*file, 0, &[1; 3 * BLOCK]);
        file.sync().unwrap();
        assert_eq!(file.read_at(0, BLOCK).unwrap(), [1; BLOCK][..]);
        let memory: Vec<u8> = (0..251).cycle().take(4 * BLOCK).collect();
        let aligned = memory.as_ptr().align_offset(BLOCK);
        for (offset, start, len) in [
            (BLOCK, aligned, BLOCK),
            (BLOCK, aligned + 1, BLOCK),
            (1, aligned, BLOCK),
            (2 * BLOCK, aligned, 2 * BLOCK),
            (0, aligned, 0),
            (7, aligned + 3, 100),
        ] {
            let block = &memory[start..start + len];
            file.write_block_at(offset as u64, block).unwrap();
            assert_eq!(file.read_at(offset as u64, len).unwrap(), block);
        }
        file.sync().unwrap();
        assert_eq!(file.size().unwrap(), 4 * BLOCK as u64);
        assert_eq!(file.read_at(BLOCK as u64 + 1, 3).unwrap().len(), 3);
    });
}

#[test]
fn bytes_read_through_a_map_are_known_by_their_place_in_the_file() {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    let dir = tempfile::tempdir().unwrap();
    let file = new_file(&OsDisk::new(), dir.path());
    write(&*file, 0, b"0123456789");
    let bytes = file.read_at(2, 7).unwrap().slice(1..6);
    let (to, mut from) = UnixStream::pair().unwrap();
    let range = FileRange::of(&bytes);
    assert_eq!(range.is_some(), cfg!(target_os = "linux"));
    // The file that is read from may be closed meanwhile.
    drop(file);
    if let Some(mut range) = range {
        assert_eq!(range.len(), 5);
        while !range.is_empty() {
            range.send(&to).unwrap();
        }
        drop(to);
        let mut sent = String::new();
        from.read_to_string(&mut sent).unwrap();
        assert_eq!(sent, "34567");
    }
    assert!(FileRange::of(&Bytes::from_static(b"0")).is_none());
}

#[test]
fn a_file_that_became_shorter_ends_a_send_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = new_file(&OsDisk::new(), dir.path());
    write(&*file, 0, b"0123456789");
    let bytes = file.read_at(0, 10).unwrap();
    file.truncate(0).unwrap();
    let Some(mut range) = FileRange::of(&bytes) else {
        return;
    };
    let (to, _from) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(kind(range.send(&to)), io::ErrorKind::UnexpectedEof);
}
