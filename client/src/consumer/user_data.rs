//! Pure. What the sticky assignors of Kafka's Java client put beside a subscription: what a member
//! had before. Written as Java reads it, so that the two may share a group.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use ottla_protocol::consumer_protocol::{ConsumerProtocolSubscription, TopicPartitions};

use super::job::by_topic;
use crate::config::AssignmentStrategy;
use crate::metadata::TopicPartition;

/// The bytes for a member that had `owned` in `generation_id`, if the strategy has any.
pub(super) fn encode(
    strategy: AssignmentStrategy,
    owned: &BTreeSet<TopicPartition>,
    generation_id: i32,
) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    match strategy {
        AssignmentStrategy::Range | AssignmentStrategy::RoundRobin => return None,
        AssignmentStrategy::CooperativeSticky => bytes.put_i32(generation_id),
        AssignmentStrategy::Sticky if generation_id < 0 => return None,
        AssignmentStrategy::Sticky => {
            let topics = by_topic(owned);
            bytes.put_i32(i32::try_from(topics.len()).ok()?);
            for topic in topics {
                bytes.put_i16(i16::try_from(topic.topic.len()).ok()?);
                bytes.put_slice(topic.topic.as_bytes());
                bytes.put_i32(i32::try_from(topic.partitions.len()).ok()?);
                for partition in topic.partitions {
                    bytes.put_i32(partition);
                }
            }
            bytes.put_i32(generation_id);
        }
    }
    Some(bytes.freeze())
}

/// What a member had before, and in which generation.
pub(super) fn owned(
    strategy: AssignmentStrategy,
    subscription: &ConsumerProtocolSubscription,
) -> (Vec<TopicPartition>, i32) {
    let user_data = subscription.user_data.clone().unwrap_or_default();
    match strategy {
        AssignmentStrategy::Range | AssignmentStrategy::RoundRobin => (Vec::new(), -1),
        AssignmentStrategy::CooperativeSticky => {
            let generation_id = user_data.clone().try_get_i32().unwrap_or(-1);
            // Subscriptions say it themselves since their version 2.
            let generation_id = generation_id.max(subscription.generation_id);
            (flat(&subscription.owned_partitions), generation_id)
        }
        // Rubbish is as if it had nothing.
        AssignmentStrategy::Sticky => previous(user_data).unwrap_or((Vec::new(), -1)),
    }
}

/// Older Java clients leave the generation out.
fn previous(mut bytes: Bytes) -> Option<(Vec<TopicPartition>, i32)> {
    let mut owned = Vec::new();
    for _ in 0..bytes.try_get_i32().ok()? {
        let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        let name = bytes.get(..length)?;
        let topic: Arc<str> = Arc::from(std::str::from_utf8(name).ok()?);
        bytes.advance(length);
        for _ in 0..bytes.try_get_i32().ok()? {
            let partition = bytes.try_get_i32().ok()?;
            owned.push(TopicPartition::new(Arc::clone(&topic), partition));
        }
    }
    Some((owned, bytes.try_get_i32().unwrap_or(-1)))
}

fn flat(topics: &[TopicPartitions]) -> Vec<TopicPartition> {
    let mut all = Vec::new();
    for topic in topics {
        let name: Arc<str> = Arc::from(&*topic.topic);
        let numbers = topic.partitions.iter();
        all.extend(numbers.map(|number| TopicPartition::new(Arc::clone(&name), *number)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_had_survives_the_way_to_the_leader() {
        let had: BTreeSet<_> = [("a", 0), ("a", 3), ("b", 1)]
            .map(|(topic, partition)| TopicPartition::new(topic, partition))
            .into();
        let subscription = ConsumerProtocolSubscription {
            user_data: encode(AssignmentStrategy::Sticky, &had, 7),
            ..ConsumerProtocolSubscription::default()
        };
        let read = owned(AssignmentStrategy::Sticky, &subscription);
        assert_eq!(read, (had.into_iter().collect(), 7));
    }

    #[test]
    fn the_bytes_are_those_of_java() {
        let had = [TopicPartition::new("t", 2)].into();
        let bytes = encode(AssignmentStrategy::Sticky, &had, 5).unwrap();
        let expected = b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x02\0\0\0\x05";
        assert_eq!(&bytes[..], expected);
    }

    #[test]
    fn rubbish_is_as_if_the_member_had_nothing() {
        for user_data in ["", "\0", "\x7f\x7f\x7f\x7f", "\0\0\0\x01\0\x09t"] {
            let subscription = ConsumerProtocolSubscription {
                user_data: Some(Bytes::from_static(user_data.as_bytes())),
                ..ConsumerProtocolSubscription::default()
            };
            let read = owned(AssignmentStrategy::Sticky, &subscription);
            assert_eq!(read, (Vec::new(), -1), "{user_data:?}");
        }
    }
}
