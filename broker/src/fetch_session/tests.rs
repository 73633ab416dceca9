use bytes::Bytes;
use ottla_protocol::StrBytes;
use ottla_protocol::message::{FetchPartition, ForgottenTopic, PartitionData};
use uuid::Uuid;

use super::*;

mod property;

const START: Duration = Duration::from_secs(1_000);

/// So many sessions at the most, with ids from 1.
fn sessions(max: usize) -> FetchSessions {
    let mut next = 0;
    FetchSessions::new(max, move || {
        next += 1;
        next
    })
}

fn topic(name: &str, partitions: &[i32]) -> FetchTopic {
    let partition = |index: &i32| FetchPartition {
        partition: *index,
        ..Default::default()
    };
    FetchTopic {
        topic: StrBytes::from(name),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}

fn request(id: i32, epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest {
        session_id: id,
        session_epoch: epoch,
        topics,
        ..Default::default()
    }
}

/// Answers for all of `topics`, each without records.
fn quiet(topics: &[FetchTopic]) -> Vec<FetchableTopicResponse> {
    let answer = |partition: &FetchPartition| PartitionData {
        partition_index: partition.partition,
        high_watermark: 5,
        last_stable_offset: 5,
        log_start_offset: 0,
        records: Some(Bytes::new()),
        ..Default::default()
    };
    let of_topic = |topic: &FetchTopic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(answer).collect(),
    };
    topics.iter().map(of_topic).collect()
}

/// Begins a session by name; its id, or 0.
fn open(sessions: &mut FetchSessions, topics: &[FetchTopic], now: Duration) -> i32 {
    let begun = sessions.begin(&request(0, 0, topics.to_vec()), false, now);
    let mut answers = quiet(topics);
    sessions
        .complete(&begun.unwrap(), topics, false, &mut answers, now)
        .unwrap()
}

/// An incremental fetch: what is read, in order.
fn go_on(
    sessions: &mut FetchSessions,
    request: &FetchRequest,
    now: Duration,
) -> Result<Vec<(String, i32)>, ErrorCode> {
    match sessions.begin(request, false, now)? {
        Fetch::Incremental { topics, .. } => Ok(topics
            .iter()
            .flat_map(|topic| {
                let name = topic.topic.to_string();
                topic
                    .partitions
                    .iter()
                    .map(move |p| (name.clone(), p.partition))
            })
            .collect()),
        other => panic!("not incremental: {other:?}"),
    }
}

fn named(names: &[(&str, i32)]) -> Vec<(String, i32)> {
    names
        .iter()
        .map(|(name, index)| ((*name).to_owned(), *index))
        .collect()
}

#[test]
fn a_full_fetch_begins_a_session_that_remembers_its_partitions() {
    let mut all = sessions(10);
    let id = open(&mut all, &[topic("a", &[0, 1]), topic("b", &[2])], START);
    assert_eq!(id, 1);
    let read = go_on(&mut all, &request(id, 1, vec![]), START);
    assert_eq!(read, Ok(named(&[("a", 0), ("a", 1), ("b", 2)])));
}

#[test]
fn an_incremental_fetch_adds_partitions_and_forgets_others() {
    let mut all = sessions(10);
    let id = open(&mut all, &[topic("a", &[0, 1])], START);
    let change = FetchRequest {
        forgotten_topics_data: vec![ForgottenTopic {
            topic: StrBytes::from("a"),
            partitions: vec![0, 7],
            ..Default::default()
        }],
        ..request(id, 1, vec![topic("b", &[2])])
    };
    let read = go_on(&mut all, &change, START);
    assert_eq!(read, Ok(named(&[("a", 1), ("b", 2)])));
    assert_eq!(all.partitions, 2);
}

#[test]
fn only_news_is_told() {
    let mut all = sessions(10);
    let topics = [topic("a", &[0, 1, 2, 3, 4, 5, 6])];
    let id = open(&mut all, &topics, START);
    let fetch = all.begin(&request(id, 1, vec![]), false, START).unwrap();
    let mut answers = quiet(&topics);
    let [topic] = answers.as_mut_slice() else {
        panic!("one topic");
    };
    topic.partitions[1].high_watermark += 1;
    topic.partitions[2].log_start_offset += 1;
    topic.partitions[3].last_stable_offset -= 1;
    topic.partitions[4].records = Some(Bytes::from_static(b"records"));
    topic.partitions[5].error_code = ErrorCode::OffsetOutOfRange;
    topic.partitions[6].diverging_epoch.epoch = 3;
    let completed = all.complete(&fetch, &topics, false, &mut answers, START);
    assert_eq!(completed, Ok(id));
    let told: Vec<i32> = answers[0]
        .partitions
        .iter()
        .map(|p| p.partition_index)
        .collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn after_an_error_the_truth_is_news() {
    let mut all = sessions(10);
    let topics = [topic("a", &[0])];
    let id = open(&mut all, &topics, START);
    for (epoch, error_code, told) in [
        (1, ErrorCode::KafkaStorageError, 1),
        (2, ErrorCode::KafkaStorageError, 1),
        (3, ErrorCode::None, 1),
        (4, ErrorCode::None, 0),
    ] {
        let fetch = all
            .begin(&request(id, epoch, vec![]), false, START)
            .unwrap();
        let mut answers = quiet(&topics);
        answers[0].partitions[0].error_code = error_code;
        all.complete(&fetch, &topics, false, &mut answers, START)
            .unwrap();
        assert_eq!(answers.len(), told, "epoch {epoch}");
    }
}

#[test]
fn what_gave_records_comes_last() {
    let mut all = sessions(10);
    let topics = [topic("a", &[0, 1, 2])];
    let id = open(&mut all, &topics, START);
    let fetch = all.begin(&request(id, 1, vec![]), false, START).unwrap();
    let mut answers = quiet(&topics);
    answers[0].partitions[0].records = Some(Bytes::from_static(b"records"));
    all.complete(&fetch, &topics, false, &mut answers, START)
        .unwrap();
    let read = go_on(&mut all, &request(id, 2, vec![]), START);
    assert_eq!(read, Ok(named(&[("a", 1), ("a", 2), ("a", 0)])));
}

#[test]
fn an_epoch_that_is_not_next_is_refused_and_changes_nothing() {
    let mut all = sessions(10);
    let id = open(&mut all, &[topic("a", &[0])], START);
    for epoch in [2, i32::MAX, -2, i32::MIN] {
        let refused = all.begin(&request(id, epoch, vec![topic("b", &[0])]), false, START);
        assert_eq!(refused, Err(ErrorCode::InvalidFetchSessionEpoch));
    }
    let read = go_on(&mut all, &request(id, 1, vec![]), START);
    assert_eq!(read, Ok(named(&[("a", 0)])));
    let repeated = all.begin(&request(id, 1, vec![]), false, START);
    assert_eq!(repeated, Err(ErrorCode::InvalidFetchSessionEpoch));
}

#[test]
fn the_epoch_after_the_largest_is_1() {
    let mut all = sessions(10);
    let id = open(&mut all, &[topic("a", &[0])], START);
    all.sessions.get_mut(&id).unwrap().epoch = i32::MAX;
    assert!(go_on(&mut all, &request(id, i32::MAX, vec![]), START).is_ok());
    assert!(go_on(&mut all, &request(id, 1, vec![]), START).is_ok());
}

#[test]
fn an_answer_that_another_request_has_overtaken_is_an_error() {
    let mut all = sessions(10);
    let topics = [topic("a", &[0])];
    let id = open(&mut all, &topics, START);
    let first = all.begin(&request(id, 1, vec![]), false, START).unwrap();
    let second = all.begin(&request(id, 2, vec![]), false, START).unwrap();
    let overtaken = all.complete(&first, &topics, false, &mut quiet(&topics), START);
    assert_eq!(overtaken, Err(ErrorCode::InvalidFetchSessionEpoch));
    let newest = all.complete(&second, &topics, false, &mut quiet(&topics), START);
    assert_eq!(newest, Ok(id));
}

#[test]
fn a_session_that_is_not_there_is_not_found() {
    let mut all = sessions(10);
    for id in [0, 1, -1, i32::MIN] {
        let refused = all.begin(&request(id, 1, vec![topic("a", &[0])]), false, START);
        assert_eq!(refused, Err(ErrorCode::FetchSessionIdNotFound));
    }
}

#[test]
fn names_and_ids_do_not_mix_within_a_session() {
    let mut all = sessions(10);
    let id = open(&mut all, &[topic("a", &[0])], START);
    let mixed = all.begin(&request(id, 1, vec![]), true, START);
    assert_eq!(mixed, Err(ErrorCode::FetchSessionTopicIdError));
}

#[test]
fn a_session_by_ids_tells_topics_apart_by_them() {
    let mut all = sessions(10);
    let of = |id: u128| FetchTopic {
        topic: StrBytes::new(),
        topic_id: Uuid::from_u128(id),
        ..topic("", &[0])
    };
    let topics = [of(1), of(2)];
    let begun = all
        .begin(&request(0, 0, topics.to_vec()), true, START)
        .unwrap();
    let id = all
        .complete(&begun, &topics, true, &mut quiet(&topics), START)
        .unwrap();
    let Ok(Fetch::Incremental { topics: read, .. }) =
        all.begin(&request(id, 1, vec![of(2)]), true, START)
    else {
        panic!("not incremental");
    };
    assert_eq!(read, topics);
}

#[test]
fn a_full_fetch_with_the_id_of_a_session_closes_it() {
    for (epoch, outcome) in [(0, Fetch::Full), (-1, Fetch::Sessionless)] {
        let mut all = sessions(10);
        let topics = [topic("a", &[0])];
        let id = open(&mut all, &topics, START);
        let full = all.begin(&request(id, epoch, topics.to_vec()), false, START);
        assert_eq!(full, Ok(outcome));
        assert_eq!((all.sessions.len(), all.partitions), (0, 0));
    }
}

#[test]
fn a_session_without_partitions_ends() {
    let mut all = sessions(10);
    let id = open(&mut all, &[topic("a", &[0])], START);
    let forget = FetchRequest {
        forgotten_topics_data: vec![ForgottenTopic {
            topic: StrBytes::from("a"),
            partitions: vec![0],
            ..Default::default()
        }],
        ..request(id, 1, vec![])
    };
    assert_eq!(all.begin(&forget, false, START), Ok(Fetch::Sessionless));
    assert_eq!(all.sessions.len(), 0);
    assert_eq!(open(&mut all, &[], START), 0, "and none begins");
}

#[test]
fn when_all_places_are_taken_there_is_no_session() {
    let mut all = sessions(2);
    assert_ne!(open(&mut all, &[topic("a", &[0])], START), 0);
    assert_ne!(open(&mut all, &[topic("b", &[0])], START), 0);
    assert_eq!(open(&mut all, &[topic("c", &[0, 1, 2])], START), 0);
    assert_eq!(open(&mut sessions(0), &[topic("a", &[0])], START), 0);
}

#[test]
fn a_session_that_nobody_uses_gives_its_place_to_any_other() {
    let mut all = sessions(2);
    let stale = open(&mut all, &[topic("a", &[0, 1, 2])], START);
    let used = open(&mut all, &[topic("b", &[0])], START);
    let later = START + MIN_EVICTION + Duration::from_millis(1);
    assert!(go_on(&mut all, &request(used, 1, vec![]), later).is_ok());
    assert_ne!(open(&mut all, &[topic("c", &[0])], later), 0);
    assert!(!all.sessions.contains_key(&stale));
    assert!(all.sessions.contains_key(&used));
}

#[test]
fn a_session_that_is_not_new_gives_its_place_to_a_larger_one_only() {
    let mut all = sessions(1);
    let small = open(&mut all, &[topic("a", &[0, 1])], START);
    let later = START + MIN_EVICTION + Duration::from_millis(1);
    assert!(go_on(&mut all, &request(small, 1, vec![]), later).is_ok());
    assert_eq!(open(&mut all, &[topic("b", &[0, 1])], later), 0, "as large");
    assert_ne!(open(&mut all, &[topic("b", &[0, 1, 2])], later), 0);
    assert!(!all.sessions.contains_key(&small));
}

#[test]
fn the_partitions_of_a_session_and_of_all_are_bounded() {
    let most = i32::try_from(MAX_SESSION_PARTITIONS).unwrap();
    let mut all = sessions(1_000);
    let more: Vec<i32> = (0..=most).collect();
    assert_eq!(open(&mut all, &[topic("a", &more)], START), 0);
    let full: Vec<i32> = (0..most).collect();
    let ids: Vec<i32> = (0..=MAX_PARTITIONS / MAX_SESSION_PARTITIONS)
        .map(|_| open(&mut all, &[topic("a", &full)], START))
        .collect();
    let (last, others) = ids.split_last().unwrap();
    assert_eq!(*last, 0);
    assert!(others.iter().all(|id| *id != 0));
    assert_eq!(all.partitions, MAX_PARTITIONS);
    let growing = all.begin(&request(others[0], 1, vec![topic("b", &[0])]), false, START);
    assert_eq!(growing, Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(all.partitions, MAX_PARTITIONS - MAX_SESSION_PARTITIONS);
}

#[test]
fn a_name_that_no_topic_can_have_is_not_remembered() {
    let mut all = sessions(10);
    let long = topic(&"n".repeat(250), &[0]);
    assert_eq!(open(&mut all, std::slice::from_ref(&long), START), 0);
    let id = open(&mut all, &[topic("a", &[0])], START);
    let grown = all.begin(&request(id, 1, vec![long]), false, START);
    assert_eq!(grown, Err(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn ids_are_positive_and_no_two_sessions_have_the_same() {
    let mut candidates = [0, -7, i32::MIN, 3, 3, 4].into_iter();
    let mut all = FetchSessions::new(10, move || candidates.next().unwrap());
    let mut id = || open(&mut all, &[topic("a", &[0])], START);
    assert_eq!([id(), id(), id()], [i32::MAX - 6, 3, 4]);
}
