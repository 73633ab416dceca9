//! DescribeTopicPartitions: topics page by page.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};

use crate::support::{Client, Server, text};

async fn filled() -> (Server, Client) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (name, partitions) in [("c", 1), ("a", 3), ("b", 2)] {
        client.create_topic(name, partitions).await;
    }
    (server, client)
}

fn named(names: &[&str]) -> DescribeTopicPartitionsRequest {
    let topics = names
        .iter()
        .map(|name| TopicRequest { name: text(name) })
        .collect();
    DescribeTopicPartitionsRequest {
        topics,
        ..Default::default()
    }
}

fn told(page: &DescribeTopicPartitionsResponse) -> Vec<(String, i32)> {
    let topics = page.topics.iter();
    let pairs = topics.flat_map(|topic| {
        let name = topic.name.as_deref().unwrap();
        topic
            .partitions
            .iter()
            .map(move |partition| (name.to_owned(), partition.partition_index))
    });
    pairs.collect()
}

fn everything() -> Vec<(String, i32)> {
    let pairs = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("c", 0)];
    pairs
        .iter()
        .map(|(name, index)| ((*name).to_owned(), *index))
        .collect()
}

#[tokio::test]
async fn no_names_ask_for_all_topics_in_the_order_of_their_names() {
    let (_server, mut client) = filled().await;
    let page = client.call(0, named(&[])).await;
    assert_eq!(told(&page), everything());
    assert_eq!(page.next_cursor, None);
    let partition = &page.topics[0].partitions[0];
    assert_eq!(
        (partition.leader_id, &partition.isr_nodes[..]),
        (1, &[1][..])
    );
    assert!(!page.topics[0].topic_id.is_nil());
}

#[tokio::test]
async fn pages_of_any_size_together_tell_everything_once() {
    let (_server, mut client) = filled().await;
    for names in [&[][..], &["c", "b", "a"]] {
        for response_partition_limit in 1..=7 {
            let mut all = Vec::new();
            let mut cursor = None;
            loop {
                let request = DescribeTopicPartitionsRequest {
                    response_partition_limit,
                    cursor,
                    ..named(names)
                };
                let page = client.call(0, request).await;
                let partitions = told(&page);
                assert!(partitions.len() <= response_partition_limit as usize);
                all.extend(partitions);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(all, everything(), "{response_partition_limit}");
        }
    }
}

#[tokio::test]
async fn names_without_a_topic_are_unknown_or_invalid() {
    let (_server, mut client) = filled().await;
    let page = client.call(0, named(&["nope", "a/b", "c"])).await;
    let codes: Vec<_> = page
        .topics
        .iter()
        .map(|t| (t.name.as_deref().unwrap(), t.error_code))
        .collect();
    let expected = [
        ("a/b", ErrorCode::InvalidTopicException),
        ("c", ErrorCode::None),
        ("nope", ErrorCode::UnknownTopicOrPartition),
    ];
    assert_eq!(codes, expected);
}

#[tokio::test]
async fn a_cursor_that_points_nowhere_goes_on_with_what_comes_next() {
    let (_server, mut client) = filled().await;
    let rest: Vec<_> = everything().split_off(3);
    for (topic, partition_index) in [("a", 3), ("a", i32::MAX), ("aa", 1)] {
        let cursor = Some(Cursor {
            topic_name: text(topic),
            partition_index,
        });
        let page = client
            .call(
                0,
                DescribeTopicPartitionsRequest {
                    cursor,
                    ..named(&[])
                },
            )
            .await;
        assert_eq!(told(&page), rest, "{topic} {partition_index}");
    }
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_still_gives_a_page() {
    let (_server, mut client) = filled().await;
    for response_partition_limit in [0, -1, i32::MIN] {
        let request = DescribeTopicPartitionsRequest {
            response_partition_limit,
            ..named(&[])
        };
        let page = client.call(0, request).await;
        assert_eq!(told(&page).len(), 1);
        assert!(page.next_cursor.is_some());
    }
}
