//! From what members have to what they are to have.

use super::*;

#[test]
fn a_partition_is_given_away_only_when_its_owner_has_let_it_go() {
    let mut bench = Bench::new();
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    a.join(&mut bench);
    b.join(&mut bench);
    assert_eq!((b.epoch, b.partitions().len()), (2, 0), "a has everything");

    let told = bench.beat(a.beating()).unwrap();
    assert_eq!(
        told.member_epoch, 1,
        "it stays at its epoch until it has given back"
    );
    let keeps = told.assignment.clone().unwrap();
    assert_eq!(keeps.len(), 2);
    // It says that it still has them all, and then nothing of what it has.
    assert_eq!(bench.beat(a.beating()).unwrap().member_epoch, 1);
    let silent = ConsumerHeartbeatRequest {
        owned: None,
        ..a.beating()
    };
    assert_eq!(bench.beat(silent).unwrap().member_epoch, 1);
    b.beat(&mut bench);
    assert_eq!(b.partitions().len(), 0);

    a.owned = keeps;
    a.beat(&mut bench);
    assert_eq!(a.epoch, 2);
    b.beat(&mut bench);
    assert_eq!(b.partitions().len(), 2);
    assert!(!b.owned.intersects(&a.owned));
    assert_eq!(bench.consumer_state(), ConsumerState::Stable);
}

#[test]
fn a_member_that_does_not_give_back_in_time_is_fenced() {
    let mut bench = Bench::new();
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    a.join(&mut bench);
    b.join(&mut bench);
    bench.beat(a.beating()).unwrap();
    for _ in 0..3 {
        bench.advance(Duration::from_secs(19));
        bench.beat(a.beating()).expect("it is alive");
        b.beat(&mut bench);
    }
    bench.advance(Duration::from_secs(3));
    assert_eq!(
        bench.consumer_error(a.beating()),
        Some(GroupError::UnknownMemberId)
    );
    bench.settle(&mut [&mut b]);
    assert_eq!(b.partitions().len(), 4);
}

#[test]
fn the_time_to_give_back_goes_on_after_a_restart() {
    let mut bench = Bench::new();
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    a.join(&mut bench);
    b.join(&mut bench);
    bench.beat(a.beating()).unwrap();
    let mut bench = bench.restarted();
    bench.advance(Duration::from_secs(40));
    bench.beat(a.beating()).expect("it is alive");
    bench.advance(Duration::from_secs(21));
    assert_eq!(
        bench.consumer_error(a.beating()),
        Some(GroupError::UnknownMemberId)
    );
}

#[test]
fn a_member_that_missed_an_answer_may_ask_again() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    let missed = a.clone();
    let mut c = Reader::new("c");
    c.join(&mut bench);
    // Answers to a are lost from here on.
    bench.beat(a.beating()).unwrap();
    let kept = bench.group().consumer.as_deref().unwrap();
    let kept = kept.members().next().unwrap().value.assigned.clone();
    a.owned = kept;
    a.beat(&mut bench);
    assert!(a.epoch > missed.epoch);
    let again = ConsumerHeartbeatRequest {
        member_epoch: missed.epoch,
        ..a.beating()
    };
    assert_eq!(bench.beat(again).unwrap().member_epoch, a.epoch);
    let too_much = ConsumerHeartbeatRequest {
        owned: Some([(topic_id(9), 9)].into_iter().collect()),
        member_epoch: missed.epoch,
        ..a.beating()
    };
    assert_eq!(
        bench.consumer_error(too_much),
        Some(GroupError::FencedMemberEpoch)
    );
    bench.settle(&mut [&mut a, &mut b, &mut c]);
}

#[test]
fn an_epoch_that_is_not_the_members_is_fenced() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    let mut c = Reader::new("c");
    c.join(&mut bench);
    bench.settle(&mut [&mut a, &mut b, &mut c]);
    for epoch in [a.epoch + 1, a.epoch - 2] {
        let request = ConsumerHeartbeatRequest {
            member_epoch: epoch,
            ..a.beating()
        };
        let fenced = Some(GroupError::FencedMemberEpoch);
        assert_eq!(bench.consumer_error(request), fenced, "{epoch}");
    }
}

#[test]
fn what_was_given_back_returns_when_nobody_else_is_to_have_it() {
    let mut bench = Bench::new();
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    a.join(&mut bench);
    b.join(&mut bench);
    a.beat(&mut bench);
    assert_eq!(a.partitions().len(), 2);
    bench.beat(b.leaving(-1)).unwrap();
    bench.settle(&mut [&mut a]);
    assert_eq!(a.partitions().len(), 4);
}

#[test]
fn members_choose_the_assignor_by_majority() {
    let mut bench = Bench::new();
    let (a, b) = (Reader::new("a"), Reader::new("b"));
    let wanting = |reader: &Reader, assignor: &str| ConsumerHeartbeatRequest {
        server_assignor: Some(assignor.into()),
        ..reader.joining()
    };
    bench.beat(wanting(&a, "range")).unwrap();
    bench.beat(b.joining()).unwrap();
    let group = bench.describe_consumer().unwrap();
    assert_eq!(group.assignor_name, "range");
    let of_b = &group.members[1].target_assignment;
    assert_eq!(*of_b, [("orders".into(), topic_id(1), vec![2, 3])]);
}
