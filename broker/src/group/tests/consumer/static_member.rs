//! Members that keep their partitions while they are away for a while (KIP-345).

use super::*;

const AWAY: i32 = -2;

/// Two static members, each with two partitions.
fn fixed_pair(bench: &mut Bench) -> (Reader, Reader) {
    let mut a = Reader::fixed("a", "one");
    let mut b = Reader::fixed("b", "two");
    a.join(bench);
    b.join(bench);
    bench.settle(&mut [&mut a, &mut b]);
    (a, b)
}

#[test]
fn a_static_member_that_comes_back_has_what_it_had() {
    let mut bench = Bench::new();
    let (a, mut b) = fixed_pair(&mut bench);
    let epoch = bench.consumer().group_epoch();

    assert_eq!(bench.beat(a.leaving(AWAY)).unwrap().member_epoch, AWAY);
    b.beat(&mut bench);
    assert_eq!(
        b.partitions().len(),
        2,
        "nobody takes what is only left for a while"
    );
    for epoch in [a.epoch, AWAY] {
        let stale = bench.commit(committing("a", epoch, 1));
        assert_eq!(stale, GroupError::StaleMemberEpoch, "{epoch}");
    }
    let mut again = Reader::fixed("c", "one");
    again.join(&mut bench);
    assert_eq!((again.owned, again.epoch), (a.owned.clone(), a.epoch));
    assert_eq!(bench.consumer().group_epoch(), epoch, "no rebalance");
    assert_eq!(
        bench.consumer_error(a.beating()),
        Some(GroupError::FencedInstanceId)
    );
}

#[test]
fn a_static_member_that_stays_away_is_gone_after_its_session() {
    let mut bench = Bench::new();
    let (a, mut b) = fixed_pair(&mut bench);
    bench.beat(a.leaving(AWAY)).unwrap();
    bench.advance(Duration::from_secs(44));
    b.beat(&mut bench);
    bench.advance(Duration::from_secs(2));
    bench.settle(&mut [&mut b]);
    assert_eq!(b.partitions().len(), 4);
}

#[test]
fn an_instance_id_is_not_taken_from_one_that_is_there() {
    let mut bench = Bench::new();
    let mut a = Reader::fixed("a", "one");
    a.join(&mut bench);
    let other = Reader::fixed("b", "one");
    assert_eq!(
        bench.consumer_error(other.joining()),
        Some(GroupError::UnreleasedInstanceId)
    );
    a.join(&mut bench);
}

#[test]
fn a_static_member_that_leaves_for_good_is_forgotten() {
    let mut bench = Bench::new();
    let mut a = Reader::fixed("a", "one");
    a.join(&mut bench);
    bench.beat(a.leaving(-1)).unwrap();
    assert_eq!(bench.consumer_state(), ConsumerState::Empty);
    Reader::fixed("b", "one").join(&mut bench);
}

#[test]
fn an_instance_id_that_nobody_has_is_unknown() {
    let mut bench = Bench::new();
    Reader::new("a").join(&mut bench);
    let stranger = Reader {
        epoch: 1,
        ..Reader::fixed("a", "one")
    };
    for request in [
        stranger.beating(),
        stranger.leaving(-1),
        stranger.leaving(AWAY),
    ] {
        assert_eq!(
            bench.consumer_error(request),
            Some(GroupError::UnknownMemberId)
        );
    }
}

#[test]
fn being_away_survives_a_restart() {
    let mut bench = Bench::new();
    let mut a = Reader::fixed("a", "one");
    a.join(&mut bench);
    bench.beat(a.leaving(AWAY)).unwrap();
    let mut bench = bench.restarted();
    let mut again = Reader::fixed("b", "one");
    again.join(&mut bench);
    assert_eq!(again.partitions().len(), 4);
}

#[test]
fn what_a_member_was_to_give_back_is_free_when_it_is_away() {
    let mut bench = Bench::new();
    let mut a = Reader::fixed("a", "one");
    let mut b = Reader::new("b");
    a.join(&mut bench);
    b.join(&mut bench);
    bench.beat(a.beating()).unwrap();
    bench.beat(a.leaving(AWAY)).unwrap();
    b.beat(&mut bench);
    assert_eq!(b.partitions().len(), 2);
}
