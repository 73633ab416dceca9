//! Appends that are under way while a store is closed.

use std::sync::mpsc;

use super::*;
use crate::disk::simulated::{Call, Operation};

/// Once, its group came behind the end that the next start was told of, and what was acknowledged
/// after that start was cut at the one after it.
#[test]
fn an_append_that_a_close_overtakes_hides_nothing_that_is_acknowledged_later() {
    let disk = SimulatedDisk::new();
    let store = Arc::new(open(&disk));
    store.defer(|| {});
    append(&create(&store, "a", 1), "one");
    let late = create(&store, "b", 2);
    // So that the next start has two journal files, and does not write over the one in use.
    store.drive();
    let (is_writing, writes) = mpsc::channel();
    let (goes_on, drained) = mpsc::channel();
    let drained = Mutex::new(drained);
    let closing = Arc::downgrade(&store);
    let checkpoint = Path::new(DIR).join(layout::CHECKPOINT);
    disk.observe(Arc::new(move |call: &Call| {
        let path = call.path.to_string_lossy();
        match call.operation {
            Operation::Write if path.ends_with("b-0/00000000000000000000.log") => {
                is_writing.send(()).unwrap();
                drained.lock().recv().unwrap();
            }
            // The queue was found empty, and the logs are being closed.
            Operation::Sync if path.ends_with("a-0/00000000000000000000.log") => {
                let _ = goes_on.send(());
            }
            Operation::Rename if call.path == checkpoint => {
                closing.upgrade().unwrap().drive();
            }
            _ => {}
        }
    }));
    thread::scope(|scope| {
        scope.spawn(|| append(&late, "late"));
        writes.recv().unwrap();
        store.close().unwrap();
    });
    disk.observe(Arc::new(|_| {}));
    let store = open(&disk);
    assert!(store.recovery_report().clean);
    append(&store.log("b", 0).unwrap(), "acknowledged");
    drop(store);
    disk.kill();
    let store = open(&disk);
    let log = store.log("b", 0).unwrap();
    assert_eq!(bodies(&log), ["late", "acknowledged"]);
}
