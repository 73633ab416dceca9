use super::*;

fn written(disk: &SimulatedDisk, len: usize) -> Arc<dyn DiskFile> {
    let file = disk.open(Path::new("f"), OpenMode::Any).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    file.write_at(0, &[IoSlice::new(&vec![1; len])]).unwrap();
    file.sync().unwrap();
    file
}

fn bytes(disk: &SimulatedDisk) -> Vec<u8> {
    let file = disk.open(Path::new("f"), OpenMode::Existing).unwrap();
    let len = usize::try_from(file.size().unwrap()).unwrap();
    file.read_at(0, len).unwrap().to_vec()
}

#[test]
fn a_sync_keeps_bytes_and_a_synced_directory_keeps_names() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 3);
    file.write_at(1, &[IoSlice::new(b"xyz")]).unwrap();
    disk.open(Path::new("g"), OpenMode::New).unwrap();
    let crashed = disk.snapshot().crash(Loss::Everything);
    assert_eq!(bytes(&crashed), [1, 1, 1]);
    assert!(crashed.open(Path::new("g"), OpenMode::Existing).is_err());
    let killed = disk.snapshot().crash(Loss::Nothing);
    assert_eq!(bytes(&killed), [1, b'x', b'y', b'z']);
    // What a kill left in the cache is still not durable.
    killed.lose_power(Loss::Everything);
    assert_eq!(bytes(&killed), [1, 1, 1]);
}

#[test]
fn changes_survive_in_order_out_of_order_and_alone() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 1536);
    for (at, byte) in [(0, b'a'), (512, b'b'), (1024, b'c')] {
        file.write_at(at, &[IoSlice::new(&[byte])]).unwrap();
    }
    let firsts = |loss| {
        let bytes = bytes(&disk.snapshot().crash(loss));
        [bytes[0], bytes[512], bytes[1024]]
    };
    assert_eq!(firsts(Loss::After(2)), [b'a', b'b', 1]);
    assert_eq!(firsts(Loss::Without(1)), [b'a', 1, b'c']);
    assert_eq!(firsts(Loss::Only(1)), [1, b'b', 1]);
}

#[test]
fn a_later_write_to_a_sector_does_not_survive_an_earlier_one() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 512);
    file.write_at(0, &[IoSlice::new(b"a")]).unwrap();
    file.write_at(1, &[IoSlice::new(b"b")]).unwrap();
    let without_first = bytes(&disk.snapshot().crash(Loss::Without(0)));
    assert_eq!(&without_first[..2], [1, 1]);
    let only_second = bytes(&disk.snapshot().crash(Loss::Only(1)));
    assert_eq!(&only_second[..2], b"ab");
}

#[test]
fn a_write_is_torn_between_sectors() {
    for sector in SECTORS {
        let disk = SimulatedDisk::new();
        let file = written(&disk, 3 * sector);
        let new = vec![2; 3 * sector];
        file.write_at(0, &[IoSlice::new(&new)]).unwrap();
        let torn = |tail| {
            let loss = Loss::Torn {
                change: 0,
                sector,
                at: 1,
                tail,
            };
            let bytes = bytes(&disk.snapshot().crash(loss));
            [
                bytes[0],
                bytes[sector - 1],
                bytes[sector],
                bytes[3 * sector - 1],
            ]
        };
        assert_eq!(torn(false), [2, 2, 1, 1]);
        assert_eq!(torn(true), [1, 1, 2, 2]);
    }
}

#[test]
fn a_rename_happens_as_a_whole_or_not_at_all() {
    let disk = SimulatedDisk::new();
    written(&disk, 1);
    disk.rename(Path::new("f"), Path::new("g")).unwrap();
    let snapshot = disk.snapshot();
    for loss in snapshot.losses(100, 1) {
        let names: Vec<String> = snapshot
            .crash(loss)
            .list(Path::new(""))
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        assert!(names == ["f"] || names == ["g"], "{loss:?}: {names:?}");
    }
}

#[test]
fn what_a_lost_sync_covered_never_becomes_durable() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 1);
    file.write_at(0, &[IoSlice::new(b"x")]).unwrap();
    disk.fail_syncs("f");
    assert!(file.sync().is_err());
    disk.heal();
    file.sync().unwrap();
    assert_eq!(bytes(&disk), b"x");
    assert_eq!(bytes(&disk.snapshot().crash(Loss::Everything)), [1]);
}

#[test]
fn a_fault_hits_the_call_that_it_names() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 4);
    disk.inject(Fault {
        operation: Some(Operation::Write),
        path: "f".to_owned(),
        after: 1,
        kind: FaultKind::ShortWrite,
        lasting: false,
    });
    let write = |text: &[u8]| file.write_at(0, &[IoSlice::new(text)]);
    write(b"aaaa").unwrap();
    let error = write(b"bbbb").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(bytes(&disk), b"bbaa");
    write(b"cccc").unwrap();
    assert_eq!(bytes(&disk), b"cccc");
}

#[test]
fn a_flipped_bit_stays_flipped() {
    let disk = SimulatedDisk::new();
    written(&disk, 2);
    disk.flip(Path::new("f"), 9);
    assert_eq!(bytes(&disk.snapshot().crash(Loss::Everything)), [1, 3]);
}

#[test]
fn a_held_sync_goes_on_when_it_is_let_go() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 1);
    let before = disk.syncs();
    disk.hold_syncs("f");
    let syncing = std::thread::spawn(move || file.sync());
    disk.let_syncs_go();
    syncing.join().unwrap().unwrap();
    assert_eq!(disk.syncs(), before + 1);
}

#[test]
fn the_time_of_slow_calls_adds_up_and_does_not_pass() {
    let disk = SimulatedDisk::new();
    let file = written(&disk, 1);
    disk.slow_down(Operation::Sync, Duration::from_secs(60));
    file.sync().unwrap();
    file.read_at(0, 1).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.elapsed(), Duration::from_secs(120));
}

#[test]
fn an_observer_hears_of_calls_that_fail_too() {
    let disk = SimulatedDisk::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&heard);
    disk.observe(Arc::new(move |call: &Call| {
        calls.lock().push((call.operation, call.failed));
    }));
    assert!(disk.open(Path::new("f"), OpenMode::Existing).is_err());
    disk.open(Path::new("f"), OpenMode::New).unwrap();
    let expected = [(Operation::Open, true), (Operation::Create, false)];
    assert_eq!(*heard.lock(), expected);
}
