//! Too little memory: what clients send is bounded, and a broker that dies of it all the same loses nothing
//! acknowledged.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_tests::Deadline;
use ottla_tests::serving::{Serving, serve};
use ottla_tests::wire::Connection;
use tempfile::TempDir;

use crate::ledger::Ledger;

const TOPIC: &str = "kept";
/// Bytes that each connection of the crowd announces and does not quite send.
const FRAME_BYTES: usize = 16 << 20;
const CROWD: usize = 40;

/// A broker that may have so many kilobytes of addresses.
fn serve_within(kilobytes: u32, data: &Path, settings: &[&str]) -> Serving {
    let mut command = serve(data);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let script = format!("ulimit -v {kilobytes}; exec \"$@\"");
    let mut limited = Command::new("sh");
    limited.args(["-c", &script, "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    Serving::start(limited)
}

fn ledger_of(broker: &Serving) -> Ledger {
    let mut connection = Connection::open(broker.address());
    assert_eq!(connection.create_topic(TOPIC, 1), ErrorCode::None);
    let mut ledger = Ledger::new(TOPIC);
    for _ in 0..20 {
        ledger.produce(&mut connection).expect("a record");
    }
    ledger
}

/// A Produce request of which the end is missing, as far as the broker reads.
fn crowd(address: &str) {
    let push = || {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return;
        };
        let patience = Some(Duration::from_secs(1));
        stream.set_write_timeout(patience).expect("a timeout");
        let len = i32::try_from(FRAME_BYTES).expect("a length");
        let mut bytes = len.to_be_bytes().to_vec();
        // The API, its version, and no name.
        bytes.extend([0, 0, 0, 9, 0, 0, 0, 1, 255, 255, 0]);
        bytes.resize(FRAME_BYTES - 1024, 0);
        // It may not take all of it.
        let _ = stream.write_all(&bytes);
    };
    thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(push);
        }
    });
}

#[test]
fn requests_that_would_fill_the_memory_are_not_read_and_others_are_served_afterwards() {
    let data = TempDir::with_prefix("ottla-memory-").expect("a temporary directory");
    let settings = [
        "socket.request.max.bytes=33554432",
        "queued.max.request.bytes=67108864",
    ];
    let broker = serve_within(600_000, data.path(), &settings);
    let mut ledger = ledger_of(&broker);
    crowd(broker.address());
    let mut connection = Connection::open(broker.address());
    let resumed = Deadline::generous().poll(|| ledger.produce(&mut connection).ok());
    assert!(resumed.is_some(), "no record was taken any more");
    ledger.check(&mut connection);
}

#[test]
fn a_broker_that_dies_for_want_of_memory_loses_nothing_acknowledged() {
    let data = TempDir::with_prefix("ottla-memory-").expect("a temporary directory");
    // Less than it may use for requests by default.
    let mut broker = serve_within(250_000, data.path(), &[]);
    let ledger = ledger_of(&broker);
    crowd(broker.address());
    assert_ne!(broker.wait(), Some(0), "it dies: {}", broker.log());
    assert!(
        broker.log().contains("memory allocation of"),
        "{}",
        broker.log()
    );

    let broker = Serving::start(serve(data.path()));
    let mut connection = Connection::open(broker.address());
    ledger.check(&mut connection);
    let mut ledger = ledger;
    ledger.produce(&mut connection).expect("a record");
    ledger.check(&mut connection);
}
