//! Too few file descriptors: what needs one is refused, nothing acknowledged is lost, and it passes.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use ottla_protocol::ErrorCode;
use ottla_tests::Deadline;
use ottla_tests::serving::{Serving, serve};
use ottla_tests::wire::Connection;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::ledger::Ledger;

/// Descriptors of the broker: enough to start, far fewer than the tests ask for.
const DESCRIPTORS: usize = 64;
/// Says so in the log, as the operating system does.
const COMPLAINT: &str = "Too many open files";
const TOPIC: &str = "kept";

fn scratch() -> TempDir {
    TempDir::with_prefix("ottla-descriptors-").expect("a temporary directory")
}

fn serve_with_few(data: &Path) -> Command {
    let mut command = serve(data);
    // Many files: a segment holds 16 records of the ledger.
    command.args(["--set", "log.segment.bytes=1048576"]);
    let script = format!("ulimit -n {DESCRIPTORS}; exec \"$@\"");
    let mut limited = Command::new("sh");
    limited.args(["-c", &script, "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

fn produce_until_it_works(ledger: &mut Ledger, connection: &mut Connection) {
    let resumed = Deadline::generous().poll(|| ledger.produce(connection).ok());
    assert!(resumed.is_some(), "no record was taken any more");
}

/// Stops the broker in good order and holds what is there after a start without limits against the ledger.
fn check_after_restart(mut broker: Serving, data: &Path, ledger: &Ledger) {
    broker.signal(Signal::TERM);
    assert_eq!(broker.wait(), Some(0));
    let broker = Serving::start(serve(data));
    ledger.check(&mut Connection::open(broker.address()));
}

#[test]
fn connections_that_take_all_descriptors_stop_nobody_for_good() {
    let data = scratch();
    let broker = Serving::start(serve_with_few(data.path()));
    let mut connection = Connection::open(broker.address());
    assert_eq!(connection.create_topic(TOPIC, 1), ErrorCode::None);
    let mut ledger = Ledger::new(TOPIC);
    ledger.produce(&mut connection).expect("a record");

    let crowd: Vec<TcpStream> = (0..2 * DESCRIPTORS)
        .map(|_| TcpStream::connect(broker.address()).expect("a place in the backlog"))
        .collect();
    let complained = Deadline::generous().poll(|| broker.log().contains(COMPLAINT).then_some(()));
    assert!(complained.is_some(), "{}", broker.log());
    let mut refused = 0;
    for _ in 0..100 {
        match ledger.produce(&mut connection) {
            Ok(()) => {}
            Err(ErrorCode::KafkaStorageError) => refused += 1,
            Err(code) => panic!("{code:?}"),
        }
    }
    assert!(refused > 0, "a new segment needs a descriptor");
    drop(crowd);

    produce_until_it_works(&mut ledger, &mut connection);
    for _ in 0..100 {
        ledger.produce(&mut connection).expect("a record");
    }
    ledger.check(&mut Connection::open(broker.address()));
    check_after_restart(broker, data.path(), &ledger);
}

#[test]
fn more_partitions_than_descriptors_are_served_when_there_are_more() {
    let data = scratch();
    let broker = Serving::start(serve_with_few(data.path()));
    let mut connection = Connection::open(broker.address());
    assert_eq!(connection.create_topic(TOPIC, 1), ErrorCode::None);
    let mut ledger = Ledger::new(TOPIC);
    ledger.produce(&mut connection).expect("a record");

    let half = i32::try_from(DESCRIPTORS / 2).expect("a number");
    for topic in ["first", "second", "third"] {
        connection.create_topic(topic, half);
    }
    assert!(broker.log().contains(COMPLAINT), "{}", broker.log());
    // Logs open side by side: which of them find a descriptor free is chance.
    let refused = (0..half)
        .find(|&partition| {
            connection.produce("third", partition, b"x") == Err(ErrorCode::KafkaStorageError)
        })
        .expect("a partition without a descriptor");
    ledger.check(&mut connection);
    connection.delete_topic("first");
    connection.delete_topic("second");

    let deadline = Deadline::generous();
    let served = deadline.poll(|| connection.produce("third", refused, b"x").ok());
    assert_eq!(served, Some(0), "{}", broker.log());
    produce_until_it_works(&mut ledger, &mut connection);
    check_after_restart(broker, data.path(), &ledger);
}
