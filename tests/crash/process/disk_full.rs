//! A full disk: producers are refused, consumers go on, nothing acknowledged is lost, and it passes.

use std::fs;
use std::process::Command;

use ottla_protocol::message::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_protocol::{ErrorCode, StrBytes};
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
/// Records that need more room than a full disk has left.
const MANY: usize = 50;
/// The start of a log, as ListOffsets names it.
const EARLIEST: i64 = -2;

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

/// A broker on a small file system that is full of the records of a ledger.
struct Full {
    broker: Serving,
    connection: Connection,
    ledger: Ledger,
    _mount_point: TempDir,
}

impl Full {
    /// `None` where no file system can be mounted.
    fn start() -> Option<Self> {
        let mount_point = scratch();
        let mut serve = serve(&mount_point.path().join("data"));
        serve.args(["--set", "log.retention.check.interval.ms=1000"]);
        let Some(command) = with_tmpfs(mount_point.path(), "size=40m", &serve) else {
            eprintln!("skipped: this user may not mount a small file system");
            return None;
        };
        let broker = Serving::start(command);
        let mut connection = Connection::open(broker.address());
        let settings = [("segment.bytes", "1048576")];
        let created = connection.create_topic_with(TOPIC, 1, &settings);
        assert_eq!(created, ErrorCode::None);
        let mut ledger = Ledger::new(TOPIC);
        fill(&mut ledger, &mut connection);
        Some(Self {
            broker,
            connection,
            ledger,
            _mount_point: mount_point,
        })
    }

    /// Where the log starts.
    fn start_of_log(&mut self) -> i64 {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: StrBytes::from(TOPIC),
                partitions: vec![ListOffsetsPartition {
                    timestamp: EARLIEST,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let answer = self.connection.try_call(5, request).expect("an answer");
        answer.topics[0].partitions[0].offset
    }

    /// That as much can be written again as was deleted, and the rest is still there.
    fn has_room(mut self, start: i64) {
        self.ledger.deleted(start);
        let before = self.ledger.acknowledged();
        let (ledger, connection) = (&mut self.ledger, &mut self.connection);
        let resumed = Deadline::generous().poll(|| ledger.produce(connection).ok());
        assert!(resumed.is_some(), "no record was taken from {start} on");
        for _ in 0..MANY {
            ledger.produce(connection).expect("room");
        }
        assert_eq!(ledger.acknowledged(), before + 1 + MANY);
        ledger.check(connection);
        self.broker.signal(Signal::TERM);
        assert_eq!(self.broker.wait(), Some(0));
    }
}

#[test]
fn a_full_disk_has_room_again_when_records_are_deleted() {
    let Some(mut full) = Full::start() else {
        return;
    };
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: StrBytes::from(TOPIC),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset: 150,
            }],
        }],
        timeout_ms: 30_000,
    };
    let answer = full.connection.try_call(1, request).expect("an answer");
    let answer = &answer.topics[0].partitions[0];
    assert_eq!(
        (answer.error_code, answer.low_watermark),
        (ErrorCode::None, 150)
    );
    full.has_room(150);
}

#[test]
fn a_full_disk_has_room_again_when_less_is_to_be_retained() {
    let Some(mut full) = Full::start() else {
        return;
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![IncrementalAlterConfigsResource {
            resource_type: 2,
            resource_name: StrBytes::from(TOPIC),
            configs: vec![IncrementalAlterableConfig {
                name: StrBytes::from("retention.bytes"),
                config_operation: 0,
                value: Some(StrBytes::from("8388608")),
            }],
        }],
        validate_only: false,
    };
    let answer = full.connection.try_call(1, request).expect("an answer");
    assert_eq!(answer.responses[0].error_code, ErrorCode::None);
    let start = Deadline::generous().poll(|| Some(full.start_of_log()).filter(|start| *start > 0));
    full.has_room(start.expect("records that go"));
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
