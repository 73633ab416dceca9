//! The topics consumers subscribe to, read from what they tell their leader. Pure.
//!
//! Only the part common to all versions of the consumer protocol's subscription is read: its version and
//! its topics. What does not parse is not an error: the subscription is unknown then.

use std::collections::BTreeSet;

use super::classic::Group;

/// The protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// Topics the members of a group read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subscription<'a> {
    /// Any topic might be one.
    Unknown,
    /// These and no others.
    Topics(BTreeSet<&'a str>),
}

impl Subscription<'_> {
    pub(super) fn contains(&self, topic: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::Topics(topics) => topics.contains(topic),
        }
    }
}

impl Group {
    pub(super) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    pub(super) fn subscription(&self) -> Subscription<'_> {
        if let Some(consumer) = &self.consumer {
            return Subscription::Topics(consumer.subscribed_topics());
        }
        if !self.is_consumer() || self.members.is_empty() {
            return Subscription::Topics(BTreeSet::new());
        }
        let Some(protocol) = self.protocol_name.as_deref() else {
            return Subscription::Unknown;
        };
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            match member.metadata(protocol).map(|metadata| parse(metadata)) {
                Some(Some(topics)) => all.extend(topics),
                Some(None) => return Subscription::Unknown,
                None => {}
            }
        }
        Subscription::Topics(all)
    }
}

/// The topics of a subscription, or none if it is not one.
fn parse(metadata: &[u8]) -> Option<Vec<&str>> {
    let (version, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    if i16::from_be_bytes(*version) < 0 || count > rest.len() / 2 {
        return None;
    }
    let mut topics = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let len = usize::try_from(i16::from_be_bytes(*len)).ok()?;
        let (topic, after) = after.split_at_checked(len)?;
        topics.push(std::str::from_utf8(topic).ok()?);
        rest = after;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &[u8] = b"\0\x01\0\0\0\x01\0\x06orders\0\0\0\0\0\0\0\0";

    #[test]
    fn topics_are_read_from_the_prefix_all_versions_share() {
        assert_eq!(parse(ORDERS), Some(vec!["orders"]));
        assert_eq!(parse(b"\0\0\0\0\0\0"), Some(vec![]));
    }

    #[test]
    fn what_is_cut_short_or_lies_about_its_size_is_no_subscription() {
        for len in 0..14 {
            assert_eq!(parse(&ORDERS[..len]), None, "{len} bytes");
        }
        assert_eq!(
            parse(b"\0\0\x7f\xff\xff\xff\0\0"),
            None,
            "a count beyond the bytes"
        );
        assert_eq!(parse(b"\0\0\xff\xff\xff\xff"), None, "a negative count");
        assert_eq!(parse(b"\xff\xff\0\0\0\0"), None, "a negative version");
        assert_eq!(parse(b"\0\0\0\0\0\x01\xff\xff"), None, "a negative length");
        assert_eq!(parse(b"\0\0\0\0\0\x01\0\x01\xff"), None, "not UTF-8");
    }
}
