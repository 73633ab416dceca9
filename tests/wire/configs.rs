//! DescribeConfigs.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResult,
};

use crate::support::{Client, Server, text, versions};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn resource(resource_type: i8, name: &str) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: text(name),
        configuration_keys: None,
    }
}

fn request(resource: DescribeConfigsResource) -> DescribeConfigsRequest {
    DescribeConfigsRequest {
        resources: vec![resource],
        ..Default::default()
    }
}

async fn filled() -> (Server, Client) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .create_topic_with("t", 1, &[("retention.ms", "12345")])
        .await;
    (server, client)
}

fn entry<'a>(result: &'a DescribeConfigsResult, name: &str) -> &'a DescribeConfigsResourceResult {
    result
        .configs
        .iter()
        .find(|entry| entry.name == name)
        .unwrap()
}

#[tokio::test]
async fn every_version_shows_a_topics_settings_with_their_sources() {
    let (_server, mut client) = filled().await;
    for version in versions::<DescribeConfigsRequest>() {
        let response = client.call(version, request(resource(TOPIC, "t"))).await;
        let result = &response.results[0];
        assert_eq!(
            (result.error_code, &*result.resource_name),
            (ErrorCode::None, "t")
        );
        let own = entry(result, "retention.ms");
        assert_eq!(
            (own.value.as_deref(), own.config_source),
            (Some("12345"), 1)
        );
        let default = entry(result, "cleanup.policy");
        assert_eq!(
            (default.value.as_deref(), default.config_source),
            (Some("delete"), 5)
        );
        assert_eq!(own.config_type, if version >= 3 { 5 } else { 0 }, "a long");
        assert!(own.synonyms.is_empty());
        assert_eq!(own.documentation, None);
    }
}

#[tokio::test]
async fn the_broker_is_described_by_its_id() {
    let (_server, mut client) = filled().await;
    let response = client.call(4, request(resource(BROKER, "1"))).await;
    let result = &response.results[0];
    assert_eq!(result.error_code, ErrorCode::None);
    assert_eq!(entry(result, "num.partitions").value.as_deref(), Some("1"));
    assert_eq!(entry(result, "node.id").value.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_setting_given_to_the_broker_is_shown_as_its_own_and_behind_its_topics() {
    let server = Server::with(&[("log.retention.ms", "777")]).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let request = DescribeConfigsRequest {
        include_synonyms: true,
        ..request(resource(TOPIC, "t"))
    };
    let response = client.call(4, request).await;
    let shown = entry(&response.results[0], "retention.ms");
    assert_eq!(
        (shown.value.as_deref(), shown.config_source),
        (Some("777"), 4)
    );
    assert_eq!(&*shown.synonyms[0].name, "log.retention.ms");
}

#[tokio::test]
async fn synonyms_are_told_nearest_first_to_those_who_ask() {
    let (_server, mut client) = filled().await;
    let request = DescribeConfigsRequest {
        include_synonyms: true,
        ..request(resource(TOPIC, "t"))
    };
    let response = client.call(1, request).await;
    let own = entry(&response.results[0], "retention.ms");
    assert_eq!(
        (&*own.synonyms[0].name, own.synonyms[0].source),
        ("retention.ms", 1)
    );
    assert_eq!(own.synonyms[0].value.as_deref(), Some("12345"));
    assert!(own.synonyms.len() > 1);
}

#[tokio::test]
async fn documentation_is_told_to_those_who_ask() {
    let (_server, mut client) = filled().await;
    for resource in [resource(TOPIC, "t"), resource(BROKER, "1")] {
        let request = DescribeConfigsRequest {
            include_documentation: true,
            ..request(resource)
        };
        let response = client.call(3, request).await;
        for entry in &response.results[0].configs {
            assert!(
                entry
                    .documentation
                    .as_ref()
                    .is_some_and(|text| !text.is_empty()),
                "{entry:?}"
            );
        }
    }
}

#[tokio::test]
async fn only_the_entries_asked_for_are_shown() {
    let (_server, mut client) = filled().await;
    let wanted = ["retention.ms", "no.such.setting"];
    for (keys, shown) in [(&wanted[..], 1), (&[], 0)] {
        let configuration_keys = Some(keys.iter().map(|key| text(key)).collect());
        let resource = DescribeConfigsResource {
            configuration_keys,
            ..resource(TOPIC, "t")
        };
        let response = client.call(4, request(resource)).await;
        assert_eq!(response.results[0].configs.len(), shown);
    }
}

#[tokio::test]
async fn what_is_not_there_has_an_error_of_its_own_and_does_not_hide_the_others() {
    let (_server, mut client) = filled().await;
    let cases = [
        (resource(TOPIC, "nope"), ErrorCode::UnknownTopicOrPartition),
        (resource(TOPIC, "a/b"), ErrorCode::InvalidTopicException),
        (resource(TOPIC, ""), ErrorCode::InvalidTopicException),
        (resource(BROKER, "9"), ErrorCode::InvalidRequest),
        (resource(BROKER, "one"), ErrorCode::InvalidRequest),
        (resource(99, "x"), ErrorCode::InvalidRequest),
        (resource(TOPIC, "t"), ErrorCode::None),
    ];
    let resources = cases.iter().map(|(resource, _)| resource.clone()).collect();
    let response = client
        .call(
            4,
            DescribeConfigsRequest {
                resources,
                ..Default::default()
            },
        )
        .await;
    for (result, (resource, code)) in response.results.iter().zip(&cases) {
        assert_eq!(result.resource_name, resource.resource_name);
        assert_eq!(result.error_code, *code, "{resource:?}");
        assert_eq!(result.error_message.is_some(), code.is_error());
    }
}

#[tokio::test]
async fn a_resource_that_is_named_often_is_told_once() {
    let (_server, mut client) = filled().await;
    let resources = vec![resource(BROKER, "1"); 1_000];
    let response = client
        .call(
            4,
            DescribeConfigsRequest {
                resources,
                ..Default::default()
            },
        )
        .await;
    assert_eq!(response.results.len(), 1);
}
