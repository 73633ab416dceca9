//! Compaction as clients see it, as Apache Kafka's tools see its files, and as Apache Kafka itself does it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_protocol::message::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, CreatableTopic, CreatableTopicConfig,
    CreateTopicsRequest, EndTxnRequest, FetchPartition, FetchRequest, FetchTopic,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterableConfig, InitProducerIdRequest, PartitionData, PartitionProduceData,
    ProduceRequest, TopicProduceData,
};
use ottla_protocol::record::{
    BatchBuilder, BatchOptions, Batches, Compression, Limits, ProducerIdentity,
};
use ottla_protocol::{ErrorCode, StrBytes};
use ottla_tests::client::{
    AIOKAFKA, APACHE_KAFKA, CONFLUENT, FRANZ_GO, JAVA, KAFKA_PYTHON, KAFKAJS, SARAMA,
};
use ottla_tests::deadline::now_ms;
use ottla_tests::record::Bytes;
use ottla_tests::wire::Connection;
use ottla_tests::{Broker, Client, Deadline, Record, apache_kafka};

use crate::scenarios::unique;

/// Offset, key and value.
type Row = (i64, Vec<u8>, Option<Vec<u8>>);
type Pair = (Vec<u8>, Option<Vec<u8>>);

/// A topic that requests are written for by hand, so that every broker gets the same batches.
struct Topic {
    connection: Connection,
    name: StrBytes,
    /// The end of what was sent.
    end: i64,
    sequences: BTreeMap<i64, i32>,
}

impl Topic {
    fn create(bootstrap: &str, name: &str, settings: &[(&str, &str)]) -> Self {
        let mut connection = Connection::open(bootstrap);
        let name = StrBytes::from(name);
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: StrBytes::from(*name),
            value: Some(StrBytes::from(*value)),
        };
        let topic = CreatableTopic {
            name: name.clone(),
            num_partitions: 1,
            replication_factor: 1,
            configs: settings.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let answer = connection.try_call(5, request).expect("an answer");
        assert_eq!(answer.topics[0].error_code, ErrorCode::None);
        Self {
            connection,
            name,
            end: 0,
            sequences: BTreeMap::new(),
        }
    }

    fn write(&mut self, records: &[Pair], options: BatchOptions, transaction: Option<&str>) {
        let options = BatchOptions {
            max_size: 1 << 20,
            ..options
        };
        let mut builder = BatchBuilder::new(options).expect("a batch");
        for (key, value) in records {
            builder
                .append(1_700_000_000_000, Some(key), value.as_deref(), &[])
                .expect("a record");
        }
        let records = builder.build().expect("a batch");
        // A new topic has no leader for a moment.
        let base_offset = Deadline::generous().poll(|| {
            let request = ProduceRequest {
                transactional_id: transaction.map(StrBytes::from),
                acks: -1,
                timeout_ms: 30_000,
                topic_data: vec![TopicProduceData {
                    name: self.name.clone(),
                    partition_data: vec![PartitionProduceData {
                        index: 0,
                        records: Some(records.clone()),
                    }],
                    ..Default::default()
                }],
            };
            let answer = self.connection.try_call(9, request).expect("an answer");
            let answer = &answer.responses[0].partition_responses[0];
            (answer.error_code == ErrorCode::None).then_some(answer.base_offset)
        });
        self.end = base_offset.expect("a broker that takes records");
    }

    /// Records of a producer, who gets the next sequence numbers.
    fn write_as(&mut self, id: (i64, i16), records: &[Pair], transaction: Option<&str>) {
        let sequence = self.sequences.entry(id.0).or_default();
        let options = BatchOptions {
            producer: ProducerIdentity {
                producer_id: id.0,
                producer_epoch: id.1,
                base_sequence: *sequence,
            },
            transactional: transaction.is_some(),
            ..BatchOptions::default()
        };
        *sequence += i32::try_from(records.len()).expect("a sequence number");
        self.write(records, options, transaction);
    }

    /// One transaction, whose coordinator may have to be made first.
    fn transaction(&mut self, transaction: &str, records: &[Pair], committed: bool) {
        let id = StrBytes::from(transaction);
        let found = Deadline::generous().poll(|| {
            let request = FindCoordinatorRequest {
                key: id.clone(),
                key_type: 1,
                ..Default::default()
            };
            self.connection.try_call(3, request).expect("an answer");
            let request = InitProducerIdRequest {
                transactional_id: Some(id.clone()),
                transaction_timeout_ms: 60_000,
                ..Default::default()
            };
            let answer = self.connection.try_call(4, request).expect("an answer");
            (answer.error_code == ErrorCode::None)
                .then_some((answer.producer_id, answer.producer_epoch))
        });
        let producer = found.expect("a coordinator");
        self.sequences.insert(producer.0, 0);
        let added = Deadline::generous().poll(|| {
            let request = AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: id.clone(),
                v3_and_below_producer_id: producer.0,
                v3_and_below_producer_epoch: producer.1,
                v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                    name: self.name.clone(),
                    partitions: vec![0],
                }],
                ..Default::default()
            };
            let answer = self.connection.try_call(3, request).expect("an answer");
            let topic = &answer.results_by_topic_v3_and_below[0];
            let code = topic.results_by_partition[0].partition_error_code;
            (code == ErrorCode::None).then_some(())
        });
        added.expect("a partition that joins the transaction");
        self.write_as(producer, records, Some(transaction));
        let ended = Deadline::generous().poll(|| {
            let request = EndTxnRequest {
                transactional_id: id.clone(),
                producer_id: producer.0,
                producer_epoch: producer.1,
                committed,
            };
            let answer = self.connection.try_call(3, request).expect("an answer");
            (answer.error_code == ErrorCode::None).then_some(())
        });
        ended.expect("a transaction that ends");
        // The marker comes later, and what follows must not come before it.
        let records = i64::try_from(records.len()).expect("a number");
        let marked = self.end + records + 1;
        let is_marked = Deadline::generous()
            .poll(|| (self.fetch(marked - 1).high_watermark >= marked).then_some(()));
        is_marked.expect("a marker");
    }

    /// What there is from `offset` on, which is at most one past the end.
    fn fetch(&mut self, offset: i64) -> PartitionData {
        let request = FetchRequest {
            max_bytes: 8 << 20,
            topics: vec![FetchTopic {
                topic: self.name.clone(),
                partitions: vec![FetchPartition {
                    partition: 0,
                    fetch_offset: offset,
                    partition_max_bytes: 8 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.connection.try_call(11, request);
        let mut answer = answer.expect("an answer");
        let data = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(data.error_code, ErrorCode::None);
        data
    }

    /// All records that are there, also those of aborted transactions.
    fn read(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut next = 0;
        loop {
            let data = self.fetch(next);
            for batch in Batches::new(data.records.unwrap_or_default()) {
                let batch = batch.expect("whole batches");
                batch.verify_crc().expect("an intact batch");
                let first = next;
                next = batch.header().next_offset();
                if batch.header().attributes.is_control() {
                    continue;
                }
                for record in batch.records(&Limits::default()).expect("a batch") {
                    let record = record.expect("a record");
                    if record.offset < first {
                        continue;
                    }
                    let key = record.key.expect("a key").to_vec();
                    rows.push((record.offset, key, record.value.map(|value| value.to_vec())));
                }
            }
            if next >= data.high_watermark {
                return rows;
            }
        }
    }
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pair(&mut self) -> Pair {
        let key = format!("key-{}", self.below(40)).into_bytes();
        let len = usize::try_from(500 + self.below(8_000)).expect("a length");
        let fill = u8::try_from(self.below(256)).expect("a byte");
        let value = (self.below(6) > 0).then(|| vec![fill; len]);
        (key, value)
    }

    fn pairs(&mut self) -> Vec<Pair> {
        (0..1 + self.below(4)).map(|_| self.pair()).collect()
    }
}

/// The same work for every broker.
fn work(topic: &mut Topic, name: &str) {
    let mut random = Random(7);
    for round in 0..300_u16 {
        let records = random.pairs();
        match round % 5 {
            0 => topic.write_as((1 << 40, 0), &records, None),
            1 if round % 2 == 0 => topic.transaction(name, &records, random.below(2) == 0),
            2..=4 => {
                let codec = u8::try_from(round % 5).expect("a small number");
                let options = BatchOptions {
                    compression: Compression::from_bits(codec).expect("a codec"),
                    ..BatchOptions::default()
                };
                topic.write(&records, options, None);
            }
            _ => topic.write(&records, BatchOptions::default(), None),
        }
    }
}

/// Writes until another segment of 1 MiB is full, under one key.
fn seal(topic: &mut Topic) {
    for _ in 0..12 {
        let record = (b"seal".to_vec(), Some(vec![1; 100_000]));
        topic.write(&[record], BatchOptions::default(), None);
    }
}

/// Has a broker look for what to compact all the time.
fn hasten(bootstrap: &str) {
    let config = IncrementalAlterableConfig {
        name: StrBytes::from("log.cleaner.backoff.ms"),
        config_operation: 0,
        value: Some(StrBytes::from("50")),
    };
    let resource = IncrementalAlterConfigsResource {
        resource_type: 4,
        resource_name: StrBytes::from(""),
        configs: vec![config],
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        validate_only: false,
    };
    let answer = Connection::open(bootstrap).try_call(1, request);
    let answer = answer.expect("an answer");
    assert_eq!(answer.responses[0].error_code, ErrorCode::None);
}

#[test]
fn what_is_left_is_what_apache_kafka_leaves() {
    let Some(kafka) = apache_kafka::bootstrap() else {
        return;
    };
    let broker = Broker::start_own(&[]);
    let name = unique(&APACHE_KAFKA, "compacted");
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("delete.retention.ms", "0"),
    ];
    hasten(broker.bootstrap());
    let mut topics =
        [broker.bootstrap(), kafka].map(|bootstrap| Topic::create(bootstrap, &name, &settings));
    let mut sent = 0;
    for topic in &mut topics {
        work(topic, &name);
        sent = topic.end;
    }
    // Tombstones and markers go in the second round that finds them.
    let mut left = [const { Vec::new() }; 2];
    let is_same = Deadline::generous().poll(|| {
        for topic in &mut topics {
            seal(topic);
        }
        let patience = std::time::Duration::from_secs(4);
        Deadline::after(patience).poll(|| {
            left = topics.each_mut().map(|topic| {
                let mut rows = topic.read();
                rows.retain(|(offset, key, _)| *offset <= sent && key != b"seal");
                rows
            });
            let [ours, theirs] = &left;
            // A key and no more of it, and none that was deleted.
            let is_compact = ours.len() <= 40 && ours.iter().all(|(.., value)| value.is_some());
            (is_compact && ours == theirs).then_some(())
        })
    });
    let [ours, theirs] = left.map(|rows| {
        let short = rows.into_iter();
        let short = short.map(|(offset, key, value)| (offset, key, value.map(|v| v.len())));
        short.collect::<Vec<_>>()
    });
    assert!(is_same.is_some(), "ours: {ours:?}\ntheirs: {theirs:?}");
    assert!(ours.len() > 20);
}

/// What `kafka-dump-log` prints of the files of a partition, each of which it holds against the others.
fn dump(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let mut command = APACHE_KAFKA.command();
    command
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(["--deep-iteration", "--print-data-log", "--files"])
        .arg(names.join(","));
    let output = command.output().expect("a tool that runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    format!("{}{said}", String::from_utf8_lossy(&output.stdout))
}

/// The files of a partition that Kafka has under the same names.
fn files(partition: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(partition).expect("a directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|file| {
        let extension = file.extension().unwrap_or_default();
        ["log", "index", "timeindex", "txnindex"]
            .map(AsRef::as_ref)
            .contains(&extension)
    });
    files.sort();
    files
}

fn expect_no_complaint(said: &str, is_compacted: bool) {
    let complaints = [
        "Mismatch",
        "mismatch",
        "out of order",
        "not found",
        "Exception",
        "isvalid: false",
    ];
    for complaint in complaints {
        let lines: Vec<_> = said
            .lines()
            .filter(|line| line.contains(complaint))
            .collect();
        assert!(lines.is_empty(), "{lines:?}");
    }
    // It says this also of a file whose first record is not that with offset 0.
    let is_gap = |line: &&str| line.contains("is followed by") && !line.contains("-1 is followed");
    let gaps: Vec<_> = said.lines().filter(is_gap).collect();
    assert_eq!(!gaps.is_empty(), is_compacted, "{gaps:?}");
}

#[test]
fn kafka_dump_log_has_nothing_to_complain_about() {
    if !APACHE_KAFKA.is_here() {
        return;
    }
    let settings = [
        "log.cleaner.backoff.ms=50",
        "log.index.interval.bytes=1000",
        "log.segment.bytes=1048576",
    ];
    let mut broker = Broker::start_own(&settings);
    let plain = unique(&APACHE_KAFKA, "plain");
    let for_ever = [("retention.ms", "-1")];
    let mut topic = Topic::create(broker.bootstrap(), &plain, &for_ever);
    work(&mut topic, &plain);
    let compacted = unique(&APACHE_KAFKA, "dumped");
    let eager = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.001"),
    ];
    let mut topic = Topic::create(broker.bootstrap(), &compacted, &eager);
    work(&mut topic, &compacted);
    seal(&mut topic);
    let is_compact = Deadline::generous().poll(|| (topic.read().len() < 100).then_some(()));
    assert!(
        is_compact.is_some(),
        "{} records are left",
        topic.read().len()
    );
    broker.stop();
    for (name, is_compacted) in [(plain, false), (compacted, true)] {
        let files = files(&broker.data_dir().join(format!("{name}-0")));
        let has = |extension: &str| {
            files
                .iter()
                .any(|file| file.extension() == Some(extension.as_ref()))
        };
        assert!(
            has("index") && has("timeindex") && (is_compacted || has("txnindex")),
            "{files:?}"
        );
        let said = dump(&files);
        expect_no_complaint(&said, is_compacted);
        assert!(said.contains("endTxnMarker: ABORT"), "{said}");
        assert!(said.contains("producerId: "), "{said}");
    }
}

fn record(key: &str, value: Option<String>) -> Record {
    Record {
        partition: 0,
        key: Bytes::from(key),
        value: Bytes(value.map(String::into_bytes)),
        headers: Vec::new(),
        timestamp: now_ms(),
    }
}

/// The offset below which compaction has done its work.
fn compacted_to(broker: &Broker, topic: &str) -> Option<usize> {
    let directory = broker.data_dir().join(format!("{topic}-0"));
    let text = std::fs::read_to_string(directory.join("cleaner-offset-checkpoint")).ok()?;
    text.lines().nth(2)?.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn clients_read_the_newest_values_of_a_compacted_topic() {
    if !JAVA.is_here() {
        return;
    }
    let settings = [
        "log.cleanup.policy=compact",
        "log.segment.bytes=40000",
        "log.cleaner.min.cleanable.ratio=0.01",
        "log.cleaner.backoff.ms=50",
    ];
    let broker = Broker::start_own(&settings);
    let topic = unique(&JAVA, "changelog");
    JAVA.create_topic(&broker, &topic, 1);
    let mut records = Vec::new();
    for round in 0..60 {
        for key in 0..10 {
            let value = format!("{round} of {key} {}", "x".repeat(300));
            let deleted = round == 59 && key == 9;
            records.push(record(&format!("key-{key}"), (!deleted).then_some(value)));
        }
    }
    let keys = records.len();
    for number in 0..200 {
        records.push(record(&format!("end-{number}"), Some("y".repeat(400))));
    }
    // Its batches are smaller than a segment.
    JAVA.produce(&broker, &topic, "none", &records);
    let end =
        Deadline::generous().poll(|| compacted_to(&broker, &topic).filter(|end| *end >= keys));
    let end = end.expect("a topic that is compacted");
    let newest: BTreeMap<_, _> = (0..end).map(|at| (records[at].key.0.clone(), at)).collect();
    let mut left: Vec<usize> = newest.into_values().chain(end..records.len()).collect();
    left.sort_unstable();
    let readers: [&Client; 7] = [
        &JAVA,
        &FRANZ_GO,
        &CONFLUENT,
        &KAFKA_PYTHON,
        &AIOKAFKA,
        &SARAMA,
        &KAFKAJS,
    ];
    for reader in readers.into_iter().filter(|reader| reader.is_here()) {
        let read = reader.consume(&broker, &topic, left.len());
        let found: Vec<_> = read
            .iter()
            .map(|read| (read.offset, &read.record.key, &read.record.value))
            .collect();
        let expected: Vec<_> = left
            .iter()
            .map(|at| {
                let offset = i64::try_from(*at).expect("an offset");
                (offset, &records[*at].key, &records[*at].value)
            })
            .collect();
        assert!(found == expected, "{} reads {found:?}", reader.name);
    }
}
