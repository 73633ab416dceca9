//! Subscriptions by name and by pattern, and topics that come, go and grow.

use super::*;

fn info(number: u8, partitions: i32) -> Option<TopicInfo> {
    Some(TopicInfo {
        id: topic_id(number),
        partitions,
    })
}

#[test]
fn a_topic_that_does_not_exist_yet_is_read_when_it_does() {
    let mut bench = Bench::new();
    let mut a = Reader::reading("a", &["later"]);
    a.join(&mut bench);
    assert_eq!(a.partitions(), []);
    bench.set_topic("later", info(3, 2));
    a.beat(&mut bench);
    assert_eq!(a.partitions(), [(3, 0), (3, 1)]);
    bench.set_topic("later", info(3, 3));
    a.beat(&mut bench);
    assert_eq!(a.partitions(), [(3, 0), (3, 1), (3, 2)]);
}

#[test]
fn a_topic_of_the_same_name_is_another_topic() {
    let mut bench = Bench::new();
    let mut a = Reader::new("a");
    a.join(&mut bench);
    bench.set_topic("orders", None);
    a.beat(&mut bench);
    assert_eq!(a.partitions(), []);
    bench.set_topic("orders", info(7, 1));
    bench.settle(&mut [&mut a]);
    assert_eq!(a.partitions(), [(7, 0)]);
}

#[test]
fn a_topic_that_nobody_reads_bothers_nobody() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    let epoch = bench.consumer().group_epoch();
    bench.set_topic("payments", None);
    bench.set_topic("new", info(9, 9));
    bench.settle(&mut [&mut a, &mut b]);
    assert_eq!(bench.consumer().group_epoch(), epoch);
}

#[test]
fn a_topic_that_changed_while_the_broker_was_down_is_noticed() {
    let mut bench = Bench::new();
    let mut a = Reader::new("a");
    a.join(&mut bench);
    let mut bench = bench.restarted();
    bench.coordinator.topics.set(&"orders".into(), info(1, 5));
    a.beat(&mut bench);
    assert_eq!(a.partitions().len(), 5);
}

#[test]
fn a_pattern_reads_the_topics_that_it_matches_now_and_later() {
    let mut bench = Bench::new();
    let mut a = Reader::matching("a", "o.*|p.*s");
    a.join(&mut bench);
    assert_eq!(a.partitions().len(), 6);
    bench.set_topic("other", info(3, 1));
    bench.set_topic("unmatched", info(4, 1));
    a.beat(&mut bench);
    assert_eq!(a.partitions().len(), 7);
    bench.set_topic("payments", None);
    bench.settle(&mut [&mut a]);
    assert_eq!(a.partitions().len(), 5);
}

#[test]
fn names_and_pattern_add_up_and_a_pattern_can_be_dropped() {
    let mut bench = Bench::new();
    let mut a = Reader {
        regex: Some("pay.*".into()),
        ..Reader::new("a")
    };
    a.join(&mut bench);
    assert_eq!(a.partitions().len(), 6);
    let dropped = ConsumerHeartbeatRequest {
        subscribed_topic_regex: Some("".into()),
        ..a.beating()
    };
    let told = bench.beat(dropped).unwrap();
    assert_eq!(told.assignment.unwrap().len(), 4);
}

#[test]
fn a_pattern_is_still_known_after_a_restart() {
    let mut bench = Bench::new();
    let mut a = Reader::matching("a", "orders");
    a.join(&mut bench);
    let mut bench = bench.restarted();
    let epoch = a.epoch;
    bench.settle(&mut [&mut a]);
    assert_eq!((a.epoch, a.partitions().len()), (epoch, 4));
}

#[test]
fn a_group_has_a_limited_number_of_patterns() {
    let config = GroupConfig {
        consumer_max_size: 100,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    for number in 0..64 {
        let member = format!("member-{number}");
        Reader::matching(&member, &format!("orders{number}")).join(&mut bench);
    }
    let one_more = Reader::matching("one-more", "orders64");
    assert_eq!(
        bench.consumer_error(one_more.joining()),
        Some(GroupError::PolicyViolation)
    );
    Reader::matching("known", "orders63").join(&mut bench);
}

#[test]
fn members_with_different_subscriptions_share_what_they_have_in_common() {
    let mut bench = Bench::new();
    let mut a = Reader::reading("a", &["orders", "payments"]);
    let mut b = Reader::reading("b", &["orders"]);
    a.join(&mut bench);
    b.join(&mut bench);
    bench.settle(&mut [&mut a, &mut b]);
    assert_eq!((a.partitions().len(), b.partitions().len()), (3, 3));
}

#[test]
fn a_member_that_reads_other_topics_gives_up_those_it_had() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    let other = ConsumerHeartbeatRequest {
        subscribed_topic_names: Some(vec!["payments".into()]),
        ..a.beating()
    };
    let told = bench.beat(other).unwrap();
    assert_eq!(
        told.assignment,
        Some(Assignment::default()),
        "first it gives back"
    );
    a.owned = Assignment::default();
    bench.settle(&mut [&mut a, &mut b]);
    assert_eq!(a.partitions(), [(2, 0), (2, 1)]);
    assert_eq!(b.partitions().len(), 4);
}
