//! Leader epochs through starts, kills and lost tails (KIP-320, KIP-595).

use std::fs::{self, File};
use std::path::PathBuf;

use ottla_protocol::message::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, DivergingEpoch, FetchPartition,
    FetchRequest, FetchTopic, MetadataRequest, MetadataRequestTopic, OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition, OffsetForLeaderTopic, PartitionData,
};
use ottla_protocol::{ErrorCode, StrBytes};
use ottla_tests::Broker;
use ottla_tests::wire::Connection;

const CREATE: i16 = 5;
const METADATA: i16 = 9;
const EPOCHS: i16 = 4;
/// The first version that tells where a reader's log parts from the leader's.
const FETCH: i16 = 12;

const TOPIC: &str = "t";

fn name() -> StrBytes {
    StrBytes::from_static(TOPIC)
}

/// A started broker and a connection to it.
struct Node {
    broker: Broker,
    connection: Connection,
}

impl Node {
    /// With a topic that syncs after so many records.
    fn start(flush_messages: &'static str) -> Self {
        let broker = Broker::start_own(&[]);
        let mut connection = Connection::open(broker.bootstrap());
        let topic = CreatableTopic {
            name: name(),
            num_partitions: 1,
            replication_factor: 1,
            configs: vec![CreatableTopicConfig {
                name: StrBytes::from_static("flush.messages"),
                value: Some(StrBytes::from_static(flush_messages)),
            }],
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let answer = connection.try_call(CREATE, request);
        assert_eq!(
            answer.expect("an answer").topics[0].error_code,
            ErrorCode::None
        );
        Self { broker, connection }
    }

    fn start_again(&mut self) {
        self.broker.start_again();
        self.connection = Connection::open(self.broker.bootstrap());
    }

    fn kill(&mut self) {
        self.broker.kill();
        self.start_again();
    }

    fn produce(&mut self, count: usize) {
        for _ in 0..count {
            self.connection
                .produce(TOPIC, 0, b"value")
                .expect("an acknowledgement");
        }
    }

    fn leader_epoch(&mut self) -> i32 {
        let topic = MetadataRequestTopic {
            name: Some(name()),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let answer = self.connection.try_call(METADATA, request);
        answer.expect("an answer").topics[0].partitions[0].leader_epoch
    }

    /// The largest epoch up to this one, and where it ends.
    fn end_of(&mut self, leader_epoch: i32) -> (i32, i64) {
        let request = OffsetForLeaderEpochRequest {
            topics: vec![OffsetForLeaderTopic {
                topic: name(),
                partitions: vec![OffsetForLeaderPartition {
                    leader_epoch,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let answer = self.connection.try_call(EPOCHS, request);
        let end = answer
            .expect("an answer")
            .topics
            .remove(0)
            .partitions
            .remove(0);
        assert_eq!(end.error_code, ErrorCode::None);
        (end.leader_epoch, end.end_offset)
    }

    /// What a reader is told whose last record before `fetch_offset` has this epoch.
    fn fetch(&mut self, fetch_offset: i64, last_fetched_epoch: i32) -> PartitionData {
        let request = FetchRequest {
            max_bytes: 1 << 20,
            topics: vec![FetchTopic {
                topic: name(),
                partitions: vec![FetchPartition {
                    fetch_offset,
                    last_fetched_epoch,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.connection.try_call(FETCH, request);
        answer
            .expect("an answer")
            .responses
            .remove(0)
            .partitions
            .remove(0)
    }

    fn segment(&self) -> PathBuf {
        let topics = fs::read_dir(self.broker.data_dir()).expect("the data directory");
        let directories = topics.map(|entry| entry.expect("an entry").path());
        let of_topic = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with(&format!("{TOPIC}-0")))
        };
        let mut found = directories.filter(of_topic);
        found
            .next()
            .expect("the directory of the partition")
            .join(format!("{:020}.log", 0))
    }
}

fn diverging(read: &PartitionData) -> DivergingEpoch {
    assert_eq!(read.error_code, ErrorCode::None);
    assert!(
        read.records
            .as_ref()
            .is_none_or(|records| records.is_empty())
    );
    read.diverging_epoch.clone()
}

#[test]
fn an_epoch_ends_where_the_broker_was_killed_and_stays_through_an_orderly_stop() {
    let mut node = Node::start("1");
    node.produce(3);
    let first = node.leader_epoch();
    node.kill();
    let second = node.leader_epoch();
    assert_eq!(second, first + 1);
    node.produce(2);
    node.broker.stop();
    node.start_again();
    assert_eq!(node.leader_epoch(), second, "nothing can have been lost");
    node.produce(1);
    node.kill();
    let third = node.leader_epoch();
    assert_eq!(third, second + 1);

    assert_eq!(node.end_of(first), (first, 3));
    assert_eq!(node.end_of(second), (second, 6));
    assert_eq!(node.end_of(third), (third, 6), "it has no record yet");
    node.produce(1);
    assert_eq!(node.end_of(second), (second, 6));
    assert_eq!(node.end_of(third), (third, 7));
    assert_eq!(node.end_of(third + 1), (-1, -1));
}

#[test]
fn a_reader_is_told_where_its_epoch_ended() {
    let mut node = Node::start("1");
    node.produce(3);
    let first = node.leader_epoch();
    node.kill();
    node.produce(2);
    let second = node.leader_epoch();

    let parted = node.fetch(5, first);
    let (epoch, end_offset) = (first, 3);
    assert_eq!(diverging(&parted), DivergingEpoch { epoch, end_offset });
    let parted = node.fetch(6, second);
    let (epoch, end_offset) = (second, 5);
    assert_eq!(diverging(&parted), DivergingEpoch { epoch, end_offset });
    for (offset, last) in [(3, first), (4, second), (0, -1)] {
        let read = node.fetch(offset, last);
        assert_eq!(read.error_code, ErrorCode::None);
        assert_eq!(read.diverging_epoch, DivergingEpoch::default());
        assert!(read.records.is_some_and(|records| !records.is_empty()));
    }
}

#[test]
fn a_tail_that_was_lost_is_told_to_who_has_read_it() {
    let mut node = Node::start("1000000");
    node.produce(5);
    let first = node.leader_epoch();
    node.broker.kill();
    // What a power failure does to a log that is not synced: the last record is gone.
    let segment = node.segment();
    let len = fs::metadata(&segment).expect("the segment").len();
    let batches = 5;
    let file = File::options().write(true).open(&segment);
    file.expect("the segment")
        .set_len(len - len / batches)
        .expect("a shorter segment");
    node.start_again();
    node.produce(3);
    let second = node.leader_epoch();

    assert_eq!(node.end_of(first), (first, 4));
    let parted = node.fetch(5, first);
    let (epoch, end_offset) = (first, 4);
    assert_eq!(diverging(&parted), DivergingEpoch { epoch, end_offset });
    assert_eq!(node.end_of(second), (second, 7));
}
