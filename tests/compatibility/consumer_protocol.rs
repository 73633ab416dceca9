//! Groups of the consumer protocol (KIP-848), with every client that speaks it.

use ottla_tests::client::{CONFLUENT, FRANZ_GO, JAVA, settle};
use ottla_tests::{Broker, Client, Consumed, Line, Log, Program, apache_kafka};

use crate::scenarios::{commit, kafka_tool, send, small, unique};

/// Sessions and heartbeats short enough for tests.
pub const QUICK: &[&str] = &[
    "group.consumer.min.session.timeout.ms=1000",
    "group.consumer.session.timeout.ms=6000",
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=300",
];

const CONSUMER: [&str; 2] = ["--set", "group.protocol=consumer"];

fn member(client: &Client, broker: &Broker, group: &str, topic: &str) -> Program {
    client.member(broker, group, topic, &CONSUMER)
}

fn two_members_share_a_group_and_one_is_killed(client: &Client) {
    if !client.is_here() {
        return;
    }
    let broker = Broker::start_own(QUICK);
    let topic = unique(client, "consumer-protocol");
    let group = format!("{topic}-group");
    client.create_topic(&broker, &topic, 4);
    let mut producer = client.producer(&broker, &topic, "none");
    let mut log = Log::default();

    let mut first = member(client, &broker, &group, &topic);
    settle(&mut [&mut first], 4);
    let mut second = member(client, &broker, &group, &topic);
    let held = settle(&mut [&mut first, &mut second], 4);
    assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);

    let records = small(&topic, 0, 40);
    send(&mut producer, 0, &records);
    log.extend(&records);
    let mut read = first.records(20);
    commit(&mut first);
    read.extend(second.records(20));
    commit(&mut second);

    second.kill();
    settle(&mut [&mut first], 4);
    let records = small(&topic, 40, 40);
    send(&mut producer, 40, &records);
    log.extend(&records);
    read.extend(first.records(40));
    log.expect(client.name, &read);
    first.finish();
}

#[test]
fn java_members_share_a_group_and_one_is_killed() {
    two_members_share_a_group_and_one_is_killed(&JAVA);
}

#[test]
fn librdkafka_members_share_a_group_and_one_is_killed() {
    two_members_share_a_group_and_one_is_killed(&CONFLUENT);
}

#[test]
fn franz_go_members_share_a_group_and_one_is_killed() {
    two_members_share_a_group_and_one_is_killed(&FRANZ_GO);
}

#[test]
fn members_of_three_clients_share_a_group() {
    let clients = [&JAVA, &CONFLUENT, &FRANZ_GO];
    if !clients.iter().all(|client| client.is_here()) {
        return;
    }
    let broker = Broker::start_own(QUICK);
    let topic = unique(&JAVA, "three-clients");
    JAVA.create_topic(&broker, &topic, 6);
    let mut members = clients.map(|client| member(client, &broker, "together", &topic));
    settle(&mut members.each_mut(), 6);
}

/// Both kinds of restart: in good order, and by SIGKILL.
#[test]
fn members_go_on_without_a_rebalance_when_the_broker_restarts() {
    if !JAVA.is_here() {
        return;
    }
    let mut broker = Broker::start_own(QUICK);
    let topic = unique(&JAVA, "restarted");
    JAVA.create_topic(&broker, &topic, 4);
    let mut producer = JAVA.producer(&broker, &topic, "none");
    let mut first = member(&JAVA, &broker, "restarted", &topic);
    let mut second = member(&JAVA, &broker, "restarted", &topic);
    settle(&mut [&mut first, &mut second], 4);
    let records = small(&topic, 0, 120);
    let mut read: Vec<Consumed> = Vec::new();
    for (round, chunk) in records.chunks(40).enumerate() {
        send(&mut producer, round * 40, chunk);
        for member in [&mut first, &mut second] {
            for _ in 0..20 {
                read.push(member.wait_for("it reads on", |line| match line {
                    Line::Record(record) => Some(record),
                    Line::Revoked(_) | Line::Assignment(_) => panic!("a rebalance"),
                    _ => None,
                }));
            }
            commit(member);
        }
        match round {
            0 => broker.stop(),
            1 => broker.kill(),
            _ => break,
        }
        broker.start_again();
    }
    Log::of(&records).expect("a group across restarts", &read);
}

#[test]
fn a_static_java_member_comes_back_without_a_rebalance() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start_own(QUICK);
    let topic = unique(&JAVA, "static");
    JAVA.create_topic(&broker, &topic, 4);
    let fixed = |instance| {
        let instance = format!("group.instance.id={instance}");
        let settings = [&CONSUMER[..], &["--set", &instance]].concat();
        JAVA.member(&broker, "static", &topic, &settings)
    };
    let (mut first, mut second) = (fixed("one"), fixed("two"));
    let held = settle(&mut [&mut first, &mut second], 4);
    // Closing does not make a static member leave.
    second.finish();
    let mut second = fixed("two");
    let again = second.wait_for("it holds partitions", |line| match line {
        Line::Assignment(assignment) if !assignment.is_empty() => Some(assignment),
        _ => None,
    });
    assert_eq!(again, held[1]);
    let records = small(&topic, 0, 40);
    send(&mut JAVA.producer(&broker, &topic, "none"), 0, &records);
    second.records(20);
    for _ in 0..20 {
        first.wait_for("it reads on", |line| match line {
            Line::Record(_) => Some(()),
            Line::Revoked(_) | Line::Assignment(_) => panic!("a rebalance"),
            _ => None,
        });
    }
}

#[test]
fn a_java_member_reads_the_topics_that_its_pattern_matches_now_and_later() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start_own(QUICK);
    let topic = unique(&JAVA, "matched");
    let later = format!("{topic}-later");
    JAVA.create_topic(&broker, &topic, 2);
    JAVA.create_topic(&broker, &unique(&JAVA, "other"), 2);
    let mut reader = member(&JAVA, &broker, "matching", &format!("{topic}.*"));
    let mut assigned = |count: usize| {
        reader.wait_for("it has that many partitions", |line| match line {
            Line::Assignment(assignment) if assignment.len() == count => Some(()),
            _ => None,
        });
    };
    assigned(2);
    JAVA.create_topic(&broker, &later, 3);
    assigned(5);
    let records = small(&later, 0, 3);
    let mut producer = JAVA.producer(&broker, &later, "none");
    let of_later: Vec<_> = records
        .into_iter()
        .filter(|record| record.partition < 3)
        .collect();
    send(&mut producer, 0, &of_later);
    reader.records(of_later.len());
}

/// From classic members to those of the consumer protocol and back, one at a time, while records flow.
fn a_java_group_is_rolled_over_and_back(classic: &[&str]) {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start_own(QUICK);
    let topic = unique(&JAVA, "rolled");
    JAVA.create_topic(&broker, &topic, 4);
    let mut producer = JAVA.producer(&broker, &topic, "none");
    let start = |settings: &[&str]| JAVA.member(&broker, "rolled", &topic, settings);
    let mut log = Log::default();
    let mut read = Vec::new();
    let mut members = [start(classic), start(classic)];
    for (step, next) in [&CONSUMER[..], &CONSUMER, classic, classic]
        .into_iter()
        .enumerate()
    {
        let held = settle(&mut members.each_mut(), 4);
        assert!(
            held.iter().all(|held| held.len() == 2),
            "step {step}: {held:?}"
        );
        let records = small(&topic, step * 40, 40);
        send(&mut producer, step * 40, &records);
        log.extend(&records);
        for member in &mut members {
            read.extend(member.records(20));
        }
        let [leaving, staying] = members;
        expect_no_more_records(leaving);
        members = [staying, start(next)];
    }
    settle(&mut members.each_mut(), 4);
    for member in members {
        expect_no_more_records(member);
    }
    log.expect("a rolled group", &read);
}

fn expect_no_more_records(mut member: Program) {
    let lines = member.finish();
    let more = lines.iter().filter(|line| matches!(line, Line::Record(_)));
    assert_eq!(more.count(), 0, "records that came twice");
}

#[test]
fn an_eager_java_group_is_rolled_to_the_consumer_protocol_and_back() {
    a_java_group_is_rolled_over_and_back(&["--set", "session.timeout.ms=6000"]);
}

#[test]
fn a_cooperative_java_group_is_rolled_to_the_consumer_protocol_and_back() {
    const COOPERATIVE: &str = "partition.assignment.strategy=\
         org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    a_java_group_is_rolled_over_and_back(&[
        "--set",
        "session.timeout.ms=6000",
        "--set",
        COOPERATIVE,
    ]);
}

/// What `kafka-consumer-groups` prints of one group with one member, without what differs from run to run
/// and, where members and states are shown, without numbers: Apache Kafka counts epochs from 2.
fn kafka_consumer_groups(broker: &Broker, topic: &str, group: &str) -> Vec<String> {
    const TOOL: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    JAVA.create_topic(broker, topic, 4);
    let mut member = member(&JAVA, broker, group, topic);
    settle(&mut [&mut member], 4);
    let records = small(topic, 0, 8);
    send(&mut JAVA.producer(broker, topic, "none"), 0, &records);
    member.records(8);
    commit(&mut member);
    let describe = ["--describe", "--group", group];
    let of_group = [
        &["--members", "--verbose"][..],
        &["--state", "--verbose"],
        &["--offsets", "--verbose"],
        &["--offsets"],
    ];
    let described = of_group.map(|more| kafka_tool(broker, TOOL, &[&describe[..], more].concat()));
    let listed = kafka_tool(
        broker,
        TOOL,
        &["--list", "--state", "stable", "--type", "consumer"],
    );
    let mut printed = [&described[..], &[listed]].concat();
    for (place, text) in printed.iter_mut().enumerate() {
        // A member id is 22 characters of base64.
        let word = |word: &str| match word {
            id if id.len() == 22 && !id.contains('.') && id != topic => "MEMBER".to_string(),
            number if place < 2 && number.parse::<u32>().is_ok() => "NUMBER".to_string(),
            word => word.replace(broker.bootstrap(), "BROKER"),
        };
        *text = text
            .split_whitespace()
            .map(word)
            .collect::<Vec<_>>()
            .join(" ");
    }
    member.finish();
    printed
}

#[test]
fn kafka_consumer_groups_prints_what_it_prints_of_apache_kafka() {
    let Some(kafka) = apache_kafka::bootstrap().filter(|_| JAVA.is_here()) else {
        return;
    };
    let topic = unique(&JAVA, "described");
    let ours = Broker::start_own(QUICK);
    let theirs = Broker::at(kafka);
    assert_eq!(
        kafka_consumer_groups(&ours, &topic, "described"),
        kafka_consumer_groups(&theirs, &topic, "described")
    );
}
