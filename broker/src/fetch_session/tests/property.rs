//! A client with a session against the truth: after each answer it knows what a full fetch would
//! have told it, whatever was lost, evicted or repeated on the way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The log of a partition: the next offset, the first, and whether it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Truth {
    end: i64,
    start: i64,
    broken: bool,
}

type Key = (u8, i32);

#[derive(Debug, Clone)]
enum Step {
    Append(Key, i64),
    Delete(Key),
    Break(Key, bool),
    Want(Key),
    Drop(Key),
    /// The client fetches and the answer arrives.
    Fetch,
    /// The client fetches and the answer is lost.
    Lose,
    /// Another client takes places.
    Others(u8),
    Wait(u64),
}

fn key() -> impl Strategy<Value = Key> {
    (0..2_u8, 0..3_i32)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (key(), 1..4_i64).prop_map(|(key, count)| Step::Append(key, count)),
        1 => key().prop_map(Step::Delete),
        1 => (key(), any::<bool>()).prop_map(|(key, broken)| Step::Break(key, broken)),
        3 => key().prop_map(Step::Want),
        1 => key().prop_map(Step::Drop),
        8 => Just(Step::Fetch),
        1 => Just(Step::Lose),
        1 => (1..4_u8).prop_map(Step::Others),
        1 => (0..200_u64).prop_map(Step::Wait),
    ]
}

/// The client's side of KIP-227.
#[derive(Debug, Default)]
struct Reader {
    session_id: i32,
    epoch: i32,
    /// What the broker was told of each partition: the offset to read from.
    sent: BTreeMap<Key, i64>,
    /// What to read, and from where.
    wanted: BTreeMap<Key, i64>,
    /// What the broker has told.
    known: BTreeMap<Key, Truth>,
}

fn name(topic: u8) -> String {
    format!("t{topic}")
}

fn key_of(topic: &str, partition: i32) -> Key {
    (topic.trim_start_matches('t').parse().unwrap(), partition)
}

impl Reader {
    fn request(&self) -> FetchRequest {
        let full = self.epoch == INITIAL_EPOCH;
        let changed = |key: &Key, offset: &i64| full || self.sent.get(key) != Some(offset);
        let topics = self
            .wanted
            .iter()
            .filter(|(key, offset)| changed(key, offset))
            .map(|((topic, partition), offset)| FetchTopic {
                topic: StrBytes::from(name(*topic)),
                partitions: vec![FetchPartition {
                    partition: *partition,
                    fetch_offset: *offset,
                    ..Default::default()
                }],
                ..Default::default()
            })
            .collect();
        let gone = self
            .sent
            .keys()
            .filter(|key| !full && !self.wanted.contains_key(key));
        FetchRequest {
            forgotten_topics_data: gone
                .map(|(topic, partition)| ForgottenTopic {
                    topic: StrBytes::from(name(*topic)),
                    partitions: vec![*partition],
                    ..Default::default()
                })
                .collect(),
            ..request(self.session_id, self.epoch, topics)
        }
    }

    fn begin_anew(&mut self) {
        self.epoch = INITIAL_EPOCH;
    }

    /// Takes in an answer; true if it was one.
    fn answered(&mut self, answer: Result<(i32, Vec<FetchableTopicResponse>), ErrorCode>) -> bool {
        let Ok((session_id, topics)) = answer else {
            self.session_id = NO_SESSION;
            self.begin_anew();
            return false;
        };
        if self.epoch == INITIAL_EPOCH {
            self.known.clear();
        }
        self.sent = self.wanted.clone();
        self.known.retain(|key, _| self.wanted.contains_key(key));
        self.session_id = session_id;
        self.epoch = if session_id == NO_SESSION {
            INITIAL_EPOCH
        } else {
            next_epoch(self.epoch)
        };
        for topic in topics {
            for data in topic.partitions {
                let key = key_of(&topic.topic, data.partition_index);
                let broken = data.error_code.is_error();
                let end = data.high_watermark;
                let start = data.log_start_offset;
                self.known.insert(key, Truth { end, start, broken });
                let read = data.records.map_or(0, |records| records.len());
                let offset = self.wanted.get_mut(&key).unwrap();
                *offset = (*offset).max(start) + i64::try_from(read).unwrap();
            }
        }
        true
    }
}

/// Reads as the broker does: at most two records altogether, each a byte.
fn read(topics: &[FetchTopic], truth: &BTreeMap<Key, Truth>) -> Vec<FetchableTopicResponse> {
    let mut left = 2;
    let mut answers = Vec::new();
    for topic in topics {
        let mut partitions = Vec::new();
        for wanted in &topic.partitions {
            let truth = truth[&key_of(&topic.topic, wanted.partition)];
            let there = truth.end - wanted.fetch_offset.max(truth.start);
            let count = usize::try_from(there).unwrap().min(left);
            let mut data = PartitionData {
                partition_index: wanted.partition,
                high_watermark: truth.end,
                last_stable_offset: truth.end,
                log_start_offset: truth.start,
                records: Some(Bytes::from(vec![0; count])),
                ..Default::default()
            };
            if truth.broken {
                data.error_code = ErrorCode::KafkaStorageError;
                data.records = None;
            } else {
                left -= count;
            }
            partitions.push(data);
        }
        answers.push(FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions,
        });
    }
    answers
}

fn serve(
    all: &mut FetchSessions,
    request: &FetchRequest,
    truth: &BTreeMap<Key, Truth>,
    now: Duration,
) -> Result<(i32, Vec<FetchableTopicResponse>), ErrorCode> {
    let fetch = all.begin(request, false, now)?;
    let topics = match &fetch {
        Fetch::Incremental { topics, .. } => topics,
        _ => &request.topics,
    };
    let mut answers = read(topics, truth);
    let id = all.complete(&fetch, topics, false, &mut answers, now)?;
    Ok((id, answers))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_client_with_a_session_knows_what_a_full_fetch_would_tell(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut all = sessions(2);
        let mut now = START;
        let mut reader = Reader::default();
        let keys = (0..2_u8).flat_map(|topic| (0..3_i32).map(move |partition| (topic, partition)));
        let mut truth: BTreeMap<Key, Truth> =
            keys.map(|key| (key, Truth { end: 0, start: 0, broken: false })).collect();
        for step in steps {
            match step {
                Step::Append(key, count) => truth.get_mut(&key).unwrap().end += count,
                Step::Delete(key) => {
                    let log = truth.get_mut(&key).unwrap();
                    log.start = log.end;
                }
                Step::Break(key, broken) => truth.get_mut(&key).unwrap().broken = broken,
                Step::Want(key) => {
                    reader.wanted.entry(key).or_insert(0);
                }
                Step::Drop(key) => {
                    reader.wanted.remove(&key);
                }
                Step::Fetch => {
                    let answer = serve(&mut all, &reader.request(), &truth, now);
                    if reader.answered(answer) {
                        for key in reader.wanted.keys() {
                            prop_assert_eq!(reader.known.get(key), Some(&truth[key]), "{:?}", key);
                        }
                    }
                }
                Step::Lose => {
                    let _ = serve(&mut all, &reader.request(), &truth, now);
                    reader.begin_anew();
                }
                Step::Others(count) => {
                    for _ in 0..count {
                        open(&mut all, &[topic("other", &[0, 1, 2, 3])], now);
                    }
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            let held: usize = all.sessions.values().map(|session| session.partitions.len()).sum();
            prop_assert_eq!(all.partitions, held);
            prop_assert!(all.sessions.len() <= 2);
        }
    }

    #[test]
    fn every_partition_with_records_has_its_turn(backlog in 1..5_i64) {
        let mut all = sessions(2);
        let mut reader = Reader::default();
        let mut truth = BTreeMap::new();
        for key in (0..6).map(|partition| (0, partition)) {
            truth.insert(key, Truth { end: backlog, start: 0, broken: false });
            reader.wanted.insert(key, 0);
        }
        // Each answer has room for two records.
        for _ in 0..3 * backlog {
            let answer = serve(&mut all, &reader.request(), &truth, START);
            prop_assert!(reader.answered(answer));
            let least = reader.wanted.values().min().unwrap();
            let most = reader.wanted.values().max().unwrap();
            prop_assert!(most - least <= 2, "{:?}", reader.wanted);
        }
        prop_assert!(reader.wanted.values().all(|offset| *offset == backlog));
    }
}
