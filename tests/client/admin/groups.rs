use ottla_client::admin::GroupFilter;
use ottla_client::config::{ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{Consumer, Event};
use ottla_client::{Error, ErrorCode};

use super::super::consumer::holds;
use crate::stage::{Stage, eventually, seconds, with_each_protocol};

with_each_protocol! {
    #[tokio::test]
    groups_are_listed_by_state_and_type_and_described_with_their_members,
    members_are_removed_from_their_group,
}

/// A static member that has both partitions of `topic`.
async fn member(stage: &Stage, topic: &str, group: &str) -> Consumer {
    let named = |config: ConsumerConfig| config.group_instance_id(Some("one".to_owned()));
    let builder = stage.client.consumer(group).with(named).subscribe([topic]);
    let mut consumer = builder.build().await.unwrap();
    holds(&mut consumer, 2).await;
    consumer
}

async fn groups_are_listed_by_state_and_type_and_described_with_their_members(
    protocol: GroupProtocol,
) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let (topic, group) = (stage.topic(2).await, stage.name("group"));
    let admin = stage.client.admin();
    let consumer = member(&stage, &topic, &group).await;
    let listed = async |filter: GroupFilter| {
        let listed = admin.list_groups_that(&filter).await.unwrap();
        listed.into_iter().find(|listed| listed.group_id == group)
    };
    eventually("it is stable", async || {
        listed(GroupFilter::new().states(["Stable"]))
            .await
            .is_some()
    })
    .await;
    let (same, other) = match protocol {
        GroupProtocol::Classic => ("classic", "consumer"),
        GroupProtocol::Consumer => ("consumer", "classic"),
    };
    let found = listed(GroupFilter::new().types([same])).await.unwrap();
    assert_eq!(found.group_type.to_lowercase(), same);
    assert_eq!(found.protocol_type, "consumer");
    assert_eq!(listed(GroupFilter::new().types([other])).await, None);
    assert_eq!(listed(GroupFilter::new().states(["Empty"])).await, None);

    let described = admin.describe_group(&group).await.unwrap();
    assert_eq!(described.group_protocol, protocol);
    let [one] = &described.members[..] else {
        panic!("{described:?}");
    };
    assert_eq!(one.group_instance_id.as_deref(), Some("one"));
    assert_eq!(one.assignment, consumer.assignment());
    let metadata = consumer.group_metadata().unwrap();
    assert_eq!(one.member_id, metadata.member_id);
    if protocol == GroupProtocol::Consumer {
        assert_eq!(one.member_epoch, Some(metadata.generation_id));
        assert_eq!(described.group_epoch, one.member_epoch);
        assert_eq!(one.target_assignment.as_ref(), Some(&one.assignment));
    }
    consumer.close(seconds(60)).await.unwrap();
}

async fn members_are_removed_from_their_group(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let (topic, group) = (stage.topic(2).await, stage.name("group"));
    let admin = stage.client.admin();
    // A static member that closes stays in its group.
    let consumer = member(&stage, &topic, &group).await;
    consumer.close(seconds(60)).await.unwrap();
    let count = async || admin.describe_group(&group).await.unwrap().members.len();
    assert_eq!(count().await, 1);
    let removed = admin.remove_group_members(&group, ["two"]).await.unwrap();
    let error = removed["two"].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownMemberId));
    let removed = admin.remove_group_members(&group, ["one"]).await.unwrap();
    assert_eq!(removed["one"], Ok(()));
    assert_eq!(count().await, 0);

    let consumer = member(&stage, &topic, &group).await;
    consumer.close(seconds(60)).await.unwrap();
    let removed = admin.remove_all_group_members(&group).await.unwrap();
    assert!(removed.len() == 1 && removed.values().all(Result::is_ok));
    assert_eq!(count().await, 0);
    assert!(
        admin
            .remove_all_group_members(&group)
            .await
            .unwrap()
            .is_empty()
    );
    admin.delete_group(&group).await.unwrap();
}

#[tokio::test]
async fn a_member_that_is_removed_while_it_runs_hears_of_it() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let (topic, group) = (stage.topic(2).await, stage.name("group"));
    let mut consumer = member(&stage, &topic, &group).await;
    let admin = stage.client.admin();
    admin.remove_group_members(&group, ["one"]).await.unwrap()["one"]
        .as_ref()
        .unwrap();
    let heard = async {
        loop {
            match consumer.next_event().await {
                Ok(Event::Lost(lost)) => break assert_eq!(lost.len(), 2),
                Ok(_) => {}
                Err(error) => break assert!(matches!(error, Error::Fenced(_)), "{error}"),
            }
        }
    };
    tokio::time::timeout(seconds(60), heard)
        .await
        .expect("news");
}
