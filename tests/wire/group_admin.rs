//! What administrators ask of groups: DescribeGroups, ListGroups, DeleteGroups.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DeleteGroupsRequest, DescribeGroupsRequest, LeaveGroupRequest, ListGroupsRequest,
    MemberIdentity,
};

use crate::groups::join_request;
use crate::support::{Client, Server, text, versions};

fn describe_request(groups: &[&str]) -> DescribeGroupsRequest {
    let groups = groups.iter().map(|group| text(group)).collect();
    DescribeGroupsRequest {
        groups,
        ..Default::default()
    }
}

async fn listed(client: &mut Client, states: &[&str], types: &[&str]) -> Vec<(String, String)> {
    let texts = |values: &[&str]| values.iter().map(|value| text(value)).collect();
    let request = ListGroupsRequest {
        states_filter: texts(states),
        types_filter: texts(types),
    };
    let response = client.call(5, request).await;
    assert_eq!(response.error_code, ErrorCode::None);
    let groups = response.groups.iter();
    groups
        .map(|group| (group.group_id.to_string(), group.group_state.to_string()))
        .collect()
}

#[tokio::test]
async fn every_version_describes_a_stable_group_with_its_member() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = client.join_alone().await;
    for version in versions::<DescribeGroupsRequest>() {
        let response = client.call(version, describe_request(&["g"])).await;
        let group = &response.groups[0];
        assert_eq!((group.error_code, &*group.group_id), (ErrorCode::None, "g"));
        assert_eq!(&*group.group_state, "Stable");
        assert_eq!(
            (&*group.protocol_type, &*group.protocol_data),
            ("consumer", "range")
        );
        assert_eq!(group.authorized_operations, i32::MIN);
        let [member] = &group.members[..] else {
            panic!("one member")
        };
        assert_eq!(member.member_id, joined.member_id);
        assert_eq!(
            (&*member.client_id, &*member.client_host),
            ("wire", "/127.0.0.1")
        );
        assert_eq!(member.member_metadata, "range metadata");
        assert_eq!(
            member.member_assignment,
            format!("for {}", joined.member_id)
        );
    }
}

#[tokio::test]
async fn a_group_that_is_not_there_is_dead_and_from_version_6_on_not_found() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<DescribeGroupsRequest>() {
        let response = client.call(version, describe_request(&["nope"])).await;
        let group = &response.groups[0];
        assert_eq!(&*group.group_state, "Dead");
        let code = if version < 6 {
            ErrorCode::None
        } else {
            ErrorCode::GroupIdNotFound
        };
        assert_eq!(group.error_code, code);
        assert_eq!(group.error_message.is_some(), version >= 6);
    }
}

#[tokio::test]
async fn a_group_on_its_way_is_described_in_its_state_without_a_protocol() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let joined = client.join(9).await;
    let group = client
        .call(5, describe_request(&["g"]))
        .await
        .groups
        .remove(0);
    assert_eq!(
        (&*group.group_state, &*group.protocol_data),
        ("CompletingRebalance", "")
    );
    let members = vec![MemberIdentity {
        member_id: joined.member_id.clone(),
        ..Default::default()
    }];
    let request = LeaveGroupRequest {
        group_id: text("g"),
        members,
        ..Default::default()
    };
    client.call(5, request).await;
    let group = client
        .call(5, describe_request(&["g"]))
        .await
        .groups
        .remove(0);
    assert_eq!((&*group.group_state, group.members.len()), ("Empty", 0));
}

#[tokio::test]
async fn every_version_lists_the_group() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.join_alone().await;
    for version in versions::<ListGroupsRequest>() {
        let response = client.call(version, ListGroupsRequest::default()).await;
        let [group] = &response.groups[..] else {
            panic!("one group")
        };
        assert_eq!((&*group.group_id, &*group.protocol_type), ("g", "consumer"));
        assert_eq!(
            &*group.group_state,
            if version >= 4 { "Stable" } else { "" }
        );
        assert_eq!(
            &*group.group_type,
            if version >= 5 { "classic" } else { "" }
        );
    }
}

#[tokio::test]
async fn groups_are_listed_by_state_and_type_in_any_case() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    assert_eq!(listed(&mut client, &[], &[]).await, []);
    client.join_alone().await;
    let here = [("g".to_owned(), "Stable".to_owned())];
    for (states, types) in [
        (&["Stable"][..], &[][..]),
        (&["Empty", "stable"], &[]),
        (&[], &["Classic"]),
        (&["STABLE"], &["consumer", "classic"]),
    ] {
        assert_eq!(
            listed(&mut client, states, types).await,
            here,
            "{states:?} {types:?}"
        );
    }
    for (states, types) in [
        (&["Empty"][..], &[][..]),
        (&["odd"], &[]),
        (&[], &["consumer"]),
    ] {
        assert_eq!(
            listed(&mut client, states, types).await,
            [],
            "{states:?} {types:?}"
        );
    }
}

#[tokio::test]
async fn only_a_group_without_members_can_be_deleted() {
    for version in versions::<DeleteGroupsRequest>() {
        let server = Server::start().await;
        let mut client = server.connect().await;
        let joined = client.join_alone().await;
        let groups_names = vec![text("g"), text("nope")];
        let request = DeleteGroupsRequest { groups_names };
        let refused = client.call(version, request.clone()).await;
        let codes: Vec<_> = refused
            .results
            .iter()
            .map(|group| group.error_code)
            .collect();
        assert_eq!(
            codes,
            [ErrorCode::NonEmptyGroup, ErrorCode::GroupIdNotFound]
        );
        let members = vec![MemberIdentity {
            member_id: joined.member_id,
            ..Default::default()
        }];
        let leave = LeaveGroupRequest {
            group_id: text("g"),
            members,
            ..Default::default()
        };
        client.call(5, leave).await;
        let deleted = client.call(version, request).await;
        assert_eq!(deleted.results[0].error_code, ErrorCode::None);
        assert_eq!(listed(&mut client, &[], &[]).await, []);
    }
}

#[tokio::test]
async fn an_id_that_was_handed_out_does_not_make_a_member() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.call(9, join_request("")).await;
    let group = client
        .call(5, describe_request(&["g"]))
        .await
        .groups
        .remove(0);
    assert_eq!(group.members.len(), 0);
}
