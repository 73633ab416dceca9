//! The life of a classic group: join, sync, heartbeat, leave.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::message::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
    LeaveGroupRequest, MemberIdentity, SyncGroupRequest, SyncGroupRequestAssignment,
    SyncGroupResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};
use tokio::time::Instant;

use crate::support::{Client, Server, text, versions};

/// A JoinGroup of group `g` with the protocols `range` and `sticky`.
pub(crate) fn join_request(member_id: &str) -> JoinGroupRequest {
    let protocol = |name: &str| JoinGroupRequestProtocol {
        name: text(name),
        metadata: Bytes::from(format!("{name} metadata")),
    };
    JoinGroupRequest {
        group_id: text("g"),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        member_id: text(member_id),
        protocol_type: text("consumer"),
        protocols: vec![protocol("range"), protocol("sticky")],
        ..Default::default()
    }
}

pub(crate) fn sync_request(joined: &JoinGroupResponse) -> SyncGroupRequest {
    let assignment = |member_id: &StrBytes| SyncGroupRequestAssignment {
        member_id: member_id.clone(),
        assignment: Bytes::from(format!("for {member_id}")),
    };
    SyncGroupRequest {
        group_id: text("g"),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: Some(text("consumer")),
        protocol_name: Some(text("range")),
        assignments: joined
            .members
            .iter()
            .map(|member| assignment(&member.member_id))
            .collect(),
        ..Default::default()
    }
}

fn beat_request(joined: &JoinGroupResponse) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: text("g"),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    }
}

impl Client {
    /// Joins `g`, for the first time and, where it is told to, again with the id it was given.
    pub(crate) async fn join(&mut self, version: i16) -> JoinGroupResponse {
        let response = self.call(version, join_request("")).await;
        if response.error_code != ErrorCode::MemberIdRequired {
            return response;
        }
        self.call(version, join_request(&response.member_id)).await
    }

    /// Becomes the only member of `g`, with an assignment.
    pub(crate) async fn join_alone(&mut self) -> JoinGroupResponse {
        let joined = self.join(9).await;
        assert_eq!(joined.error_code, ErrorCode::None);
        assert_eq!(self.sync(5, &joined).await.error_code, ErrorCode::None);
        joined
    }

    async fn sync(&mut self, version: i16, joined: &JoinGroupResponse) -> SyncGroupResponse {
        self.call(version, sync_request(joined)).await
    }

    async fn beat(&mut self, version: i16, joined: &JoinGroupResponse) -> ErrorCode {
        self.call(version, beat_request(joined)).await.error_code
    }

    async fn leave(&mut self, member_id: &StrBytes) {
        let members = vec![MemberIdentity {
            member_id: member_id.clone(),
            ..Default::default()
        }];
        let request = LeaveGroupRequest {
            group_id: text("g"),
            members,
            ..Default::default()
        };
        let response = self.call(5, request).await;
        assert_eq!(response.members[0].error_code, ErrorCode::None);
    }
}

#[tokio::test]
async fn every_version_of_join_makes_a_member_and_a_generation() {
    for version in versions::<JoinGroupRequest>() {
        let server = Server::start().await;
        let joined = server.connect().await.join(version).await;
        assert_eq!(joined.error_code, ErrorCode::None, "version {version}");
        assert_eq!(
            (joined.generation_id, &joined.leader),
            (1, &joined.member_id)
        );
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        let kind = (version >= 7).then_some("consumer");
        assert_eq!(joined.protocol_type.as_deref(), kind);
        assert_eq!(joined.members.len(), 1);
        assert_eq!(joined.members[0].metadata, "range metadata");
        assert!(!joined.skip_assignment);
        assert!(
            joined.member_id.starts_with("wire-"),
            "{}",
            joined.member_id
        );
    }
}

#[tokio::test]
async fn a_new_member_is_given_its_id_before_it_may_join_from_version_4_on() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 4..=9 {
        let answer = client.call(version, join_request("")).await;
        assert_eq!(
            answer.error_code,
            ErrorCode::MemberIdRequired,
            "version {version}"
        );
        assert!(!answer.member_id.is_empty());
        assert_eq!(answer.generation_id, -1);
    }
}

#[tokio::test]
async fn every_version_of_sync_hands_out_the_assignment() {
    for version in versions::<SyncGroupRequest>() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        let joined = client.join(3).await;
        for _ in 0..2 {
            let synced = client.sync(version, &joined).await;
            assert_eq!(synced.error_code, ErrorCode::None, "version {version}");
            assert_eq!(synced.assignment, format!("for {}", joined.member_id));
            let name = (version >= 5).then_some("range");
            assert_eq!(synced.protocol_name.as_deref(), name);
        }
    }
}

#[tokio::test]
async fn heartbeats_are_answered_in_every_version() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = client.join_alone().await;
    for version in versions::<HeartbeatRequest>() {
        assert_eq!(client.beat(version, &joined).await, ErrorCode::None);
        let older = JoinGroupResponse {
            generation_id: 0,
            ..joined.clone()
        };
        assert_eq!(
            client.beat(version, &older).await,
            ErrorCode::IllegalGeneration
        );
        let stranger = JoinGroupResponse {
            member_id: text("x"),
            ..joined.clone()
        };
        assert_eq!(
            client.beat(version, &stranger).await,
            ErrorCode::UnknownMemberId
        );
    }
}

#[tokio::test]
async fn the_leader_learns_all_members_and_each_gets_what_the_leader_gave_it() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    let first = one.join_alone().await;
    let given = two.call(9, join_request("")).await.member_id;
    let waiting = two.send(9, join_request(&given)).await;
    while one.beat(4, &first).await != ErrorCode::RebalanceInProgress {}
    let again = one.call(9, join_request(&first.member_id)).await;
    let joined = two.receive::<JoinGroupRequest>(9, waiting).await;
    assert_eq!((again.generation_id, joined.generation_id), (2, 2));
    assert_eq!((again.members.len(), joined.members.len()), (2, 0));
    assert_eq!(joined.leader, again.member_id);
    let follower = two.send(5, sync_request(&joined)).await;
    let own = one.sync(5, &again).await;
    let other = two.receive::<SyncGroupRequest>(5, follower).await;
    assert_eq!(own.assignment, format!("for {}", again.member_id));
    assert_eq!(other.assignment, format!("for {}", joined.member_id));
}

#[tokio::test]
async fn leaving_is_answered_in_every_version_and_ends_the_membership() {
    for version in versions::<LeaveGroupRequest>() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        let joined = client.join_alone().await;
        let identity = MemberIdentity {
            member_id: joined.member_id.clone(),
            ..Default::default()
        };
        let request = LeaveGroupRequest {
            group_id: text("g"),
            member_id: if version < 3 {
                joined.member_id.clone()
            } else {
                text("")
            },
            members: if version < 3 {
                Vec::new()
            } else {
                vec![identity]
            },
        };
        for code in [ErrorCode::None, ErrorCode::UnknownMemberId] {
            let left = client.call(version, request.clone()).await;
            if version < 3 {
                assert_eq!(left.error_code, code, "version {version}");
            } else {
                assert_eq!(left.error_code, ErrorCode::None);
                assert_eq!(left.members[0].error_code, code, "version {version}");
            }
        }
        assert_eq!(client.beat(4, &joined).await, ErrorCode::UnknownMemberId);
    }
}

#[tokio::test]
async fn a_join_that_cannot_be_has_kafkas_error() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.join_alone().await;
    let new = join_request("");
    let cases = [
        (
            JoinGroupRequest {
                group_id: text(""),
                ..new.clone()
            },
            ErrorCode::InvalidGroupId,
        ),
        (
            JoinGroupRequest {
                session_timeout_ms: 5_999,
                ..new.clone()
            },
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            JoinGroupRequest {
                session_timeout_ms: -1,
                ..new.clone()
            },
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            JoinGroupRequest {
                session_timeout_ms: i32::MAX,
                ..new.clone()
            },
            ErrorCode::InvalidSessionTimeout,
        ),
        (join_request("stranger"), ErrorCode::UnknownMemberId),
        (
            JoinGroupRequest {
                protocol_type: text("connect"),
                ..new.clone()
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest {
                protocol_type: text(""),
                ..new.clone()
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest {
                protocols: Vec::new(),
                ..new.clone()
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            JoinGroupRequest {
                protocols: vec![JoinGroupRequestProtocol {
                    name: text("odd"),
                    ..Default::default()
                }],
                ..new
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
    ];
    for (request, code) in cases {
        let answer = client.call(9, request.clone()).await;
        assert_eq!(answer.error_code, code, "{request:?}");
        assert_eq!((answer.generation_id, answer.members.len()), (-1, 0));
    }
}

#[tokio::test]
async fn a_sync_of_another_generation_or_protocol_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = client.join(9).await;
    let good = sync_request(&joined);
    let cases = [
        (
            SyncGroupRequest {
                generation_id: 7,
                ..good.clone()
            },
            ErrorCode::IllegalGeneration,
        ),
        (
            SyncGroupRequest {
                member_id: text("x"),
                ..good.clone()
            },
            ErrorCode::UnknownMemberId,
        ),
        (
            SyncGroupRequest {
                group_id: text("h"),
                ..good.clone()
            },
            ErrorCode::UnknownMemberId,
        ),
        (
            SyncGroupRequest {
                group_id: text(""),
                ..good.clone()
            },
            ErrorCode::InvalidGroupId,
        ),
        (
            SyncGroupRequest {
                protocol_name: Some(text("odd")),
                ..good.clone()
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (
            SyncGroupRequest {
                protocol_type: Some(text("odd")),
                ..good.clone()
            },
            ErrorCode::InconsistentGroupProtocol,
        ),
        (good, ErrorCode::None),
    ];
    for (request, code) in cases {
        assert_eq!(
            client.call(5, request.clone()).await.error_code,
            code,
            "{request:?}"
        );
    }
}

#[tokio::test]
async fn a_static_member_that_comes_back_keeps_its_place_and_its_old_self_is_fenced() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let group_instance_id = Some(text("seat-1"));
    let request = JoinGroupRequest {
        group_instance_id: group_instance_id.clone(),
        ..join_request("")
    };
    let first = client.call(9, request.clone()).await;
    assert_eq!(first.error_code, ErrorCode::None, "no round trip for an id");
    let sync = SyncGroupRequest {
        group_instance_id: group_instance_id.clone(),
        ..sync_request(&first)
    };
    client.call(5, sync).await;
    let second = server.connect().await.call(9, request).await;
    assert_eq!(
        (second.error_code, second.generation_id),
        (ErrorCode::None, 1)
    );
    assert_ne!(second.member_id, first.member_id);
    assert!(second.skip_assignment);
    let beat = HeartbeatRequest {
        group_instance_id,
        ..beat_request(&first)
    };
    assert_eq!(
        client.call(4, beat).await.error_code,
        ErrorCode::FencedInstanceId
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_falls_silent_is_dropped_after_its_session() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = client.join_alone().await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(client.beat(4, &joined).await, ErrorCode::None);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(client.beat(4, &joined).await, ErrorCode::None);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(client.beat(4, &joined).await, ErrorCode::UnknownMemberId);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_drops_while_its_join_waits_does_not_hold_up_the_group() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    let first = one.join_alone().await;
    let given = two.call(9, join_request("")).await.member_id;
    two.send(9, join_request(&given)).await;
    while one.beat(4, &first).await != ErrorCode::RebalanceInProgress {}
    drop(two);
    let started = Instant::now();
    let mut again = one.call(9, join_request(&first.member_id)).await;
    assert_eq!(again.error_code, ErrorCode::None);
    // Whether the lost member was still counted or not: soon the group is the survivor's alone.
    while again.members.len() > 1 {
        one.sync(5, &again).await;
        while one.beat(4, &again).await == ErrorCode::None {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        again = one.call(9, join_request(&first.member_id)).await;
        assert_eq!(again.error_code, ErrorCode::None);
    }
    assert_eq!(again.members[0].member_id, first.member_id);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_rejoin_in_time_is_dropped_from_the_rebalance() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    let first = one.join_alone().await;
    let given = two.call(9, join_request("")).await.member_id;
    let started = Instant::now();
    let joined = two.call(9, join_request(&given)).await;
    assert_eq!(
        (joined.error_code, joined.members.len()),
        (ErrorCode::None, 1)
    );
    assert_eq!(joined.leader, joined.member_id);
    assert!(
        started.elapsed() <= Duration::from_secs(21),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(one.beat(4, &first).await, ErrorCode::UnknownMemberId);
}

#[tokio::test(start_paused = true)]
async fn the_first_join_waits_for_others_as_long_as_it_is_told() {
    let server = Server::with(&[("group.initial.rebalance.delay.ms", "3000")]).await;
    let mut clients = vec![server.connect().await, server.connect().await];
    let started = Instant::now();
    let mut waiting = Vec::new();
    for client in &mut clients {
        waiting.push(client.send(3, join_request("")).await);
    }
    for (client, id) in clients.iter_mut().zip(waiting) {
        let joined = client.receive::<JoinGroupRequest>(3, id).await;
        assert_eq!(
            (joined.error_code, joined.generation_id),
            (ErrorCode::None, 1)
        );
    }
    assert!(
        started.elapsed() >= Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_group_takes_no_more_members_than_group_max_size() {
    let server = Server::with(&[("group.max.size", "1")]).await;
    server.connect().await.join_alone().await;
    for version in [3, 9] {
        let answer = server.connect().await.join(version).await;
        assert_eq!(answer.error_code, ErrorCode::GroupMaxSizeReached);
    }
}

#[tokio::test]
async fn the_last_member_that_leaves_lets_the_next_start_anew() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = client.join_alone().await;
    client.leave(&joined.member_id).await;
    let next = server.connect().await.join(9).await;
    assert_eq!((next.error_code, next.members.len()), (ErrorCode::None, 1));
    assert!(next.generation_id > joined.generation_id);
}
