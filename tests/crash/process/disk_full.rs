//! A full disk: producers are refused, consumers go on, nothing acknowledged is lost, and it passes.

use std::fs;
use std::process::Command;

use ottla_protocol::ErrorCode;
use ottla_tests::Deadline;
use ottla_tests::mount::{seen_by, with_tmpfs};
use ottla_tests::serving::{Serving, serve};
use ottla_tests::wire::Connection;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::ledger::Ledger;

const TOPIC: &str = "until-it-is-full";
/// More records than fit into any of the limits below.
const TOO_MANY: usize = 4096;

fn scratch() -> TempDir {
    TempDir::with_prefix("ottla-full-").expect("a temporary directory")
}

/// Produces until the broker refuses.
fn fill(ledger: &mut Ledger, connection: &mut Connection) {
    for _ in 0..TOO_MANY {
        match ledger.produce(connection) {
            Ok(()) => {}
            // What was taken in before the disk was full may wait for room.
            Err(ErrorCode::RequestTimedOut) => {}
            Err(code) => {
                assert_eq!(code, ErrorCode::KafkaStorageError);
                return;
            }
        }
    }
    panic!("the disk did not fill");
}

#[test]
fn a_full_disk_refuses_producers_until_there_is_room() {
    let mount_point = scratch();
    let data = mount_point.path().join("data");
    let Some(command) = with_tmpfs(mount_point.path(), "size=40m", &serve(&data)) else {
        // The limit on the size of files is tested everywhere.
        eprintln!("skipped: this user may not mount a small file system");
        return;
    };
    let mut broker = Serving::start(command);
    let ballast = seen_by(broker.id(), mount_point.path()).join("ballast");
    fs::write(&ballast, vec![0; 8 << 20]).expect("room for a ballast");
    let mut connection = Connection::open(broker.address());
    assert_eq!(connection.create_topic(TOPIC, 1), ErrorCode::None);
    let mut ledger = Ledger::new(TOPIC);

    fill(&mut ledger, &mut connection);
    assert!(ledger.acknowledged() > 100, "{}", ledger.acknowledged());
    assert_eq!(
        ledger.produce(&mut connection),
        Err(ErrorCode::KafkaStorageError)
    );
    ledger.check(&mut connection);

    fs::remove_file(&ballast).expect("the ballast goes");
    let resumed = Deadline::generous().poll(|| ledger.produce(&mut connection).ok());
    assert!(
        resumed.is_some(),
        "no record was taken after there was room"
    );
    let before = ledger.acknowledged();
    for _ in 0..10 {
        ledger.produce(&mut connection).expect("room");
    }
    assert_eq!(ledger.acknowledged(), before + 10);
    ledger.check(&mut connection);
    broker.signal(Signal::TERM);
    assert_eq!(broker.wait(), Some(0));
}

/// `command` under which no file may become larger than `kilobytes`. Asking for more is an error and no signal.
fn with_largest_file(kilobytes: u32, command: &Command) -> Command {
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", kilobytes * 2);
    let mut limited = Command::new("sh");
    limited.args(["-c", &script, "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

#[test]
fn a_limit_on_files_refuses_producers_until_a_restart_without_it() {
    let data = scratch();
    let broker = Serving::start(with_largest_file(12 << 10, &serve(data.path())));
    let mut connection = Connection::open(broker.address());
    assert_eq!(connection.create_topic(TOPIC, 1), ErrorCode::None);
    let mut ledger = Ledger::new(TOPIC);
    fill(&mut ledger, &mut connection);
    assert!(ledger.acknowledged() > 100, "{}", ledger.acknowledged());
    ledger.check(&mut connection);
    broker.kill();

    let mut broker = Serving::start(serve(data.path()));
    let mut connection = Connection::open(broker.address());
    ledger.check(&mut connection);
    for _ in 0..10 {
        ledger.produce(&mut connection).expect("room");
    }
    ledger.check(&mut connection);
    broker.signal(Signal::TERM);
    assert_eq!(broker.wait(), Some(0));
}
