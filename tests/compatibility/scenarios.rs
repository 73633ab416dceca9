//! What every client must be able to do. Each scenario has a broker of its own, or topics and groups of its own.

use ottla_tests::client::{JAVA, settle};
use ottla_tests::deadline::now_ms;
use ottla_tests::record::Numbered;
use ottla_tests::{Broker, Client, Consumed, Line, Log, Program, Record, Shape};

const PARTITIONS: i32 = 3;

/// Some records of every kind that both `client` and Java can express.
fn shape(client: &Client) -> Shape {
    Shape {
        partitions: PARTITIONS,
        null_header_values: client.null_header_values,
        empty_records: client.empty_records,
        big: true,
        timestamp: now_ms() - 3_600_000,
    }
}

/// Small records, `count` of them, spread over four partitions, whose values follow those before `first`.
pub(crate) fn small(topic: &str, first: usize, count: usize) -> Vec<Record> {
    let shape = Shape {
        partitions: 4,
        timestamp: now_ms(),
        ..Shape::PLAIN
    };
    (first..first + count)
        .map(|index| shape.record(topic, index))
        .collect()
}

/// A name that no other scenario uses, also not that of an earlier run against a foreign broker.
pub(crate) fn unique(client: &Client, what: &str) -> String {
    format!("{}-{what}-{}", client.name, now_ms())
}

/// Sends records that follow `first` others, and waits until each one is acknowledged.
pub(crate) fn send(producer: &mut Program, first: usize, records: &[Record]) {
    feed(producer, first, records);
    producer.acks(records.len());
}

/// Sends records without waiting.
fn feed(producer: &mut Program, first: usize, records: &[Record]) {
    for (index, record) in (first..).zip(records) {
        let index = u64::try_from(index).expect("an index of 64 bits");
        producer.send(&Numbered { index, record });
    }
}

/// Has `writer` produce to `topic` once with each codec of `codecs`; returns what the topic then holds.
fn write_with_each(
    writer: &Client,
    broker: &Broker,
    topic: &str,
    shape: Shape,
    codecs: &[&str],
) -> Vec<Record> {
    // Three partitions with one record of each of the seven kinds of values.
    const COUNT: usize = 21;
    let records = shape.records(topic, COUNT * codecs.len());
    writer.create_topic(broker, topic, PARTITIONS);
    for (codec, records) in codecs.iter().zip(records.chunks(COUNT)) {
        writer.produce(broker, topic, codec, records);
    }
    records
}

pub(crate) fn every_codec_returns_every_byte(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "codecs");
    let records = write_with_each(client, &broker, &topic, shape(client), client.codecs);
    let log = Log::of(&records);
    log.expect(client.name, &client.consume(&broker, &topic, records.len()));
    if client.name != JAVA.name && JAVA.is_here() {
        log.expect("java", &JAVA.consume(&broker, &topic, records.len()));
    }
}

pub(crate) fn records_of_java_are_read(client: &Client) {
    if !client.is_here() || !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "codecs-of-java");
    let records = write_with_each(&JAVA, &broker, &topic, shape(client), client.codecs);
    Log::of(&records).expect(client.name, &client.consume(&broker, &topic, records.len()));
}

pub(crate) fn a_topic_is_created_by_producing_to_it(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "on-demand");
    let shape = Shape {
        partitions: 1,
        ..shape(client)
    };
    let records = shape.records(&topic, 7);
    client.produce(&broker, &topic, "none", &records);
    Log::of(&records).expect(client.name, &client.consume(&broker, &topic, records.len()));
}

pub(crate) fn two_members_share_a_group(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "shared");
    let group = format!("{topic}-group");
    client.create_topic(&broker, &topic, 4);
    let mut producer = client.producer(&broker, &topic, "none");
    let mut log = Log::default();

    let mut first = client.member(&broker, &group, &topic, &[]);
    settle(&mut [&mut first], 4);
    let mut second = client.member(&broker, &group, &topic, &[]);
    let held = settle(&mut [&mut first, &mut second], 4);
    assert_eq!(
        held.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 2],
        "a fair share"
    );

    let records = small(&topic, 0, 40);
    send(&mut producer, 0, &records);
    log.extend(&records);
    let mut read = first.records(20);
    expect_only(&held[0], &read);
    let of_second = second.records(20);
    expect_only(&held[1], &of_second);
    read.extend(of_second);

    let unread = second
        .finish()
        .into_iter()
        .filter(|line| matches!(line, Line::Record(_)))
        .count();
    assert_eq!(unread, 0, "records that came twice");
    settle(&mut [&mut first], 4);
    let records = small(&topic, 40, 40);
    send(&mut producer, 40, &records);
    log.extend(&records);
    read.extend(first.records(40));
    log.expect(client.name, &read);
}

fn expect_only(partitions: &[i32], read: &[Consumed]) {
    let foreign = read
        .iter()
        .find(|record| !partitions.contains(&record.record.partition));
    assert_eq!(
        foreign, None,
        "a record of a partition that the member does not hold"
    );
}

pub(crate) fn a_restarted_member_continues(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "continued");
    let group = format!("{topic}-group");
    client.create_topic(&broker, &topic, 4);
    let records = small(&topic, 0, 120);
    let (before, rest) = records.split_at(40);
    let (between, after) = rest.split_at(40);

    client.produce(&broker, &topic, "none", before);
    let mut member = client.member(&broker, &group, &topic, &[]);
    let mut read = member.records(before.len());
    commit(&mut member);
    member.finish();

    client.produce(&broker, &topic, "none", between);
    let mut member = client.member(&broker, &group, &topic, &[]);
    read.extend(member.records(between.len()));
    member.finish();

    client.produce(&broker, &topic, "none", after);
    let mut member = client.member(&broker, &group, &topic, &[]);
    read.extend(member.records(after.len()));
    Log::of(&records).expect(client.name, &read);
}

/// Has a member commit, and waits until it has.
pub(crate) fn commit(member: &mut Program) {
    member.send(&"commit");
    member.wait_for("it committed", |line| {
        (line == Line::Committed(true)).then_some(())
    });
}

pub(crate) fn a_restart_of_the_broker_loses_nothing(client: &Client) {
    if !client.is_here() {
        return;
    }
    let Some(mut broker) = Broker::start_restartable(client.name) else {
        return;
    };
    let topic = unique(client, "restarted");
    let group = format!("{topic}-group");
    client.create_topic(&broker, &topic, 4);
    let records = small(&topic, 0, 120);
    let mut producer = client.producer(&broker, &topic, "none");
    let mut member = client.member(&broker, &group, &topic, &[]);
    send(&mut producer, 0, &records[..40]);
    let mut read = member.records(40);
    commit(&mut member);

    broker.stop();
    feed(&mut producer, 40, &records[40..80]);
    broker.start_again();
    producer.acks(40);
    read.extend(member.records(40));
    send(&mut producer, 80, &records[80..]);
    read.extend(member.records(40));

    let log = Log::of(&records);
    log.expect(client.name, &read);
    log.expect(client.name, &client.consume(&broker, &topic, records.len()));
}

pub(crate) fn offsets_are_found_by_timestamp(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "times");
    client.create_topic(&broker, &topic, 2);
    let start = now_ms() - 3_600_000;
    let records: Vec<Record> = (0_i64..20)
        .zip(Shape::PLAIN.records(&topic, 20))
        .map(|(index, record)| Record {
            timestamp: start + index * 1000,
            ..record
        })
        .collect();
    client.produce(&broker, &topic, "gzip", &records);

    for (asked, expected) in [
        (0, 0),
        (9_500, 10),
        (10_000, 10),
        (19_000, 19),
        (19_001, -1),
    ] {
        let offsets = client.offsets(&broker, &topic, start + asked);
        let found: Vec<_> = offsets
            .iter()
            .map(|of| (of.earliest, of.latest, of.at))
            .collect();
        assert_eq!(
            found,
            [(0, 20, expected), (0, 0, -1)],
            "{asked} ms after the first record"
        );
    }
}

pub(crate) fn groups_are_listed_and_described(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "described");
    let group = format!("{topic}-group");
    client.create_topic(&broker, &topic, 4);
    let mut first = client.member(&broker, &group, &topic, &[]);
    let mut second = client.member(&broker, &group, &topic, &[]);
    let mut held = settle(&mut [&mut first, &mut second], 4);

    let groups = client.groups(&broker, &group);
    assert!(
        groups.listed.contains(&group),
        "{group} is not among {:?}",
        groups.listed
    );
    assert_eq!(
        (groups.group, groups.state.as_str()),
        (group.clone(), "Stable")
    );
    let mut members = groups.members;
    members.sort();
    held.sort();
    assert_eq!(members, held);

    first.finish();
    second.finish();
    let groups = client.groups(&broker, &group);
    assert_eq!(
        (groups.state.as_str(), groups.members),
        ("Empty", Vec::new())
    );
}

/// The client commits and aborts in turn; readers of committed records see every second transaction, and the group has
/// the offset of the last one that was committed.
pub(crate) fn transactions_are_all_or_nothing(client: &Client, committed_offset: &str) {
    if !client.is_here() || !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(client, "transactions");
    let group = format!("{topic}-group");
    JAVA.create_topic(&broker, &topic, 1);
    let arguments = ["--topic", &topic, "--group", &group];
    let lines = client.run(&broker, "transact", &arguments).finish();
    assert_eq!(lines, [Line::Checked(committed_offset.to_string())]);

    let arguments = ["--topic", &topic, "--count", "6", "--set"];
    let committed = [&arguments[..], &["isolation.level=read_committed"]].concat();
    let read = JAVA.run(&broker, "consume", &committed).records(6);
    let values: Vec<String> = read.iter().map(|read| text(&read.record)).collect();
    assert_eq!(values, ["0-0", "0-1", "2-0", "2-1", "4-0", "4-1"]);
    // Readers of everything see the others too.
    assert_eq!(JAVA.consume(&broker, &topic, 12).len(), 12);
}

fn text(record: &Record) -> String {
    let value = record.value.0.clone().expect("a value");
    String::from_utf8(value).expect("text")
}

/// What one of Kafka's tools prints.
pub(crate) fn kafka_tool(broker: &Broker, class: &str, arguments: &[&str]) -> String {
    let mut command = JAVA.command();
    command
        .args([class, "--bootstrap-server", broker.bootstrap()])
        .args(arguments);
    let lines = Program::start(class, command).finish();
    let text = |line: &Line| match line {
        Line::Text(text) => format!("{text}\n"),
        other => panic!("{other:?}"),
    };
    lines.iter().map(text).collect()
}
