//! Pure. The partitions of one session: what is asked for and what was told.

use std::collections::{BTreeMap, HashMap};

use ottla_protocol::message::{
    FetchPartition, FetchTopic, FetchableTopicResponse, ForgottenTopic, PartitionData,
};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::MAX_SESSION_PARTITIONS;

/// The longest name of a topic that can be there. Longer ones are not worth remembering.
const MAX_NAME: usize = 249;

/// What the client was told when it was told of an error: the truth is news to it.
const NOTHING: Known = Known {
    high_watermark: -1,
    last_stable_offset: -1,
    log_start_offset: -1,
};

/// More partitions, or longer names, than a session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TopicKey {
    Name(StrBytes),
    Id(Uuid),
}

impl TopicKey {
    fn new(name: &StrBytes, id: Uuid, by_id: bool) -> Self {
        if by_id {
            Self::Id(id)
        } else {
            Self::Name(name.clone())
        }
    }

    /// The same, in memory of its own: a name out of a request would keep all of it alive.
    fn own(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(StrBytes::from(name.to_string())),
            Self::Id(id) => Self::Id(*id),
        }
    }
}

#[derive(Debug, Clone)]
struct Asked {
    topic: TopicKey,
    wanted: FetchPartition,
    known: Known,
}

/// What the client knows of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    high_watermark: i64,
    last_stable_offset: i64,
    log_start_offset: i64,
}

impl Known {
    fn of(told: &PartitionData) -> Self {
        if told.error_code.is_error() {
            return NOTHING;
        }
        Self {
            high_watermark: told.high_watermark,
            last_stable_offset: told.last_stable_offset,
            log_start_offset: told.log_start_offset,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// By turn: the first is read first.
    in_turn: BTreeMap<u64, Asked>,
    turns: HashMap<TopicKey, HashMap<i32, u64>>,
    next_turn: u64,
}

impl Partitions {
    pub(super) fn len(&self) -> usize {
        self.in_turn.len()
    }

    /// Takes in what a request asks for. New partitions come last.
    pub(super) fn update(&mut self, topics: &[FetchTopic], by_id: bool) -> Result<(), TooMany> {
        for topic in topics {
            let key = TopicKey::new(&topic.topic, topic.topic_id, by_id);
            if topic.topic.len() > MAX_NAME {
                return Err(TooMany);
            }
            for wanted in &topic.partitions {
                if let Some(asked) = self.find(&key, wanted.partition) {
                    asked.wanted = wanted.clone();
                } else if self.in_turn.len() < MAX_SESSION_PARTITIONS {
                    self.add(&key, wanted.clone());
                } else {
                    return Err(TooMany);
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, topic: &TopicKey, partition: i32) -> Option<&mut Asked> {
        let turn = self.turns.get(topic)?.get(&partition)?;
        self.in_turn.get_mut(turn)
    }

    fn add(&mut self, topic: &TopicKey, wanted: FetchPartition) {
        let own = match self.turns.get_key_value(topic) {
            Some((own, _)) => own.clone(),
            None => topic.own(),
        };
        let asked = Asked {
            topic: own,
            wanted,
            known: NOTHING,
        };
        self.put_last(asked);
    }

    fn put_last(&mut self, asked: Asked) {
        let turns = self.turns.entry(asked.topic.clone()).or_default();
        turns.insert(asked.wanted.partition, self.next_turn);
        self.in_turn.insert(self.next_turn, asked);
        self.next_turn += 1;
    }

    fn take(&mut self, topic: &TopicKey, partition: i32) -> Option<Asked> {
        let turns = self.turns.get_mut(topic)?;
        let turn = turns.remove(&partition)?;
        if turns.is_empty() {
            self.turns.remove(topic);
        }
        self.in_turn.remove(&turn)
    }

    /// Drops partitions.
    pub(super) fn forget(&mut self, forgotten: &ForgottenTopic, by_id: bool) {
        let key = TopicKey::new(&forgotten.topic, forgotten.topic_id, by_id);
        for partition in &forgotten.partitions {
            self.take(&key, *partition);
        }
    }

    /// What to read, in order. A topic comes more than once when others are in between.
    pub(super) fn in_turn(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut last: Option<&TopicKey> = None;
        for asked in self.in_turn.values() {
            match topics.last_mut() {
                Some(topic) if last == Some(&asked.topic) => {
                    topic.partitions.push(asked.wanted.clone());
                }
                _ => {
                    let (topic, topic_id) = match &asked.topic {
                        TopicKey::Name(name) => (name.clone(), Uuid::nil()),
                        TopicKey::Id(id) => (StrBytes::new(), *id),
                    };
                    topics.push(FetchTopic {
                        topic,
                        topic_id,
                        partitions: vec![asked.wanted.clone()],
                    });
                }
            }
            last = Some(&asked.topic);
        }
        topics
    }

    /// Remembers what the first answer tells, all of which is news.
    pub(super) fn remember(&mut self, told: &FetchableTopicResponse, by_id: bool) {
        let key = TopicKey::new(&told.topic, told.topic_id, by_id);
        for data in &told.partitions {
            self.is_news(&key, data);
        }
    }

    /// Leaves in an answer what is news, and remembers it.
    pub(super) fn told(&mut self, told: &mut FetchableTopicResponse, by_id: bool) {
        let key = TopicKey::new(&told.topic, told.topic_id, by_id);
        told.partitions.retain(|data| self.is_news(&key, data));
    }

    /// Whether the client does not know this yet. What gave records comes last from now on.
    fn is_news(&mut self, topic: &TopicKey, data: &PartitionData) -> bool {
        let Some(asked) = self.find(topic, data.partition_index) else {
            return true;
        };
        let before = std::mem::replace(&mut asked.known, Known::of(data));
        let is_changed = before != asked.known;
        let has_records = data
            .records
            .as_ref()
            .is_some_and(|records| !records.is_empty());
        if has_records && let Some(asked) = self.take(topic, data.partition_index) {
            self.put_last(asked);
        }
        has_records
            || is_changed
            || data.error_code != ErrorCode::None
            || data.diverging_epoch.epoch >= 0
            || data.preferred_read_replica >= 0
    }
}
