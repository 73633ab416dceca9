//! A repair that fails, or that the power ends, can be repeated: no more is lost than before it.

use std::path::Path;

use ottla_storage::disk::simulated::{Fault, FaultKind, Loss, SECTORS, SimulatedDisk};
use ottla_storage::repair::repair;

use crate::flips::Subject;
use crate::golden::{DIR, Size, open};

const NAME: &str = "orders-0";

/// A closed directory with a batch that is damaged in the middle of a partition.
fn damaged(subject: &Subject) -> SimulatedDisk {
    let disk = subject.disk();
    let segment = Path::new(DIR).join(NAME).join("00000000000000000000.log");
    disk.damage(&segment, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    disk
}

fn is_repaired(subject: &Subject, disk: &SimulatedDisk) {
    repair(disk, Path::new(DIR), NAME).unwrap();
    disk.lose_power(Loss::Everything);
    let store = open(disk, false).unwrap();
    let log = store.log("orders", 0).unwrap();
    let lost = subject.expected["orders"].lost_after_repair(&log);
    assert_eq!(lost, Ok(1));
}

#[test]
fn a_repair_that_fails_at_any_call_can_be_repeated() {
    let subject = Subject::new(Size::Small, true);
    let disk = damaged(&subject);
    let before = disk.calls();
    is_repaired(&subject, &disk);
    let calls = disk.calls() - before;
    assert!(calls > 20);
    for after in 0..calls {
        for kind in [FaultKind::Io, FaultKind::Full] {
            let disk = damaged(&subject);
            disk.inject(Fault {
                operation: None,
                path: String::new(),
                after,
                kind,
                lasting: true,
            });
            let _ = repair(&disk, Path::new(DIR), NAME);
            disk.heal();
            is_repaired(&subject, &disk);
        }
    }
}

#[test]
fn a_repair_that_the_power_ends_can_be_repeated() {
    let subject = Subject::new(Size::Small, true);
    for after in 0..60 {
        let disk = damaged(&subject);
        disk.die_after(after);
        let _ = repair(&disk, Path::new(DIR), NAME);
        disk.lose_power(Loss::Random {
            seed: after,
            sector: SECTORS[0],
        });
        is_repaired(&subject, &disk);
    }
}
