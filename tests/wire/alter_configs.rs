//! AlterConfigs, IncrementalAlterConfigs and ListConfigResources, and that changes take effect.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig, DescribeConfigsRequest,
    DescribeConfigsResource, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterableConfig, ListConfigResourcesRequest,
};
use ottla_protocol::record::{BatchOptions, Batches, Compression};

use crate::support::{Client, NOW_MS, Server, batch, batch_with, text, values, versions};

pub(crate) const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Operation, name and value.
type Operation<'a> = (i8, &'a str, Option<&'a str>);

fn resource(kind: i8, name: &str, operations: &[Operation<'_>]) -> IncrementalAlterConfigsResource {
    let config = |(operation, name, value): &Operation<'_>| IncrementalAlterableConfig {
        name: text(name),
        config_operation: *operation,
        value: value.map(text),
    };
    IncrementalAlterConfigsResource {
        resource_type: kind,
        resource_name: text(name),
        configs: operations.iter().map(config).collect(),
    }
}

impl Client {
    async fn alter(&mut self, resource: IncrementalAlterConfigsResource) -> (ErrorCode, String) {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
        let mut response = self.call(1, request).await;
        let outcome = response.responses.remove(0);
        let message = outcome.error_message.unwrap_or_default().to_string();
        (outcome.error_code, message)
    }

    pub(crate) async fn set(&mut self, kind: i8, name: &str, key: &str, value: &str) {
        let change = resource(kind, name, &[(SET, key, Some(value))]);
        assert_eq!(self.alter(change).await, (ErrorCode::None, String::new()));
    }

    /// The value of a setting and the source it is from.
    pub(crate) async fn setting(
        &mut self,
        kind: i8,
        name: &str,
        key: &str,
    ) -> Option<(String, i8)> {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: kind,
                resource_name: text(name),
                configuration_keys: Some(vec![text(key)]),
            }],
            ..Default::default()
        };
        let mut response = self.call(4, request).await;
        let entry = response.results.remove(0).configs.pop()?;
        Some((entry.value?.to_string(), entry.config_source))
    }
}

fn shown(value: &str, source: i8) -> Option<(String, i8)> {
    Some((value.to_owned(), source))
}

#[tokio::test]
async fn every_version_sets_a_setting_of_a_topic() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for version in versions::<IncrementalAlterConfigsRequest>() {
        let value = format!("{}", 1000 + i32::from(version));
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource(TOPIC, "t", &[(SET, "retention.ms", Some(&value))])],
            validate_only: false,
        };
        let response = client.call(version, request).await;
        let outcome = &response.responses[0];
        assert_eq!(
            (outcome.error_code, &outcome.error_message),
            (ErrorCode::None, &None)
        );
        assert_eq!(
            (outcome.resource_type, &*outcome.resource_name),
            (TOPIC, "t")
        );
        assert_eq!(
            client.setting(TOPIC, "t", "retention.ms").await,
            shown(&value, 1)
        );
    }
}

#[tokio::test]
async fn every_version_replaces_the_settings_of_a_topic() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<AlterConfigsRequest>() {
        let name = format!("t{version}");
        client
            .create_topic_with(&name, 1, &[("retention.ms", "1")])
            .await;
        let request = AlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: text(&name),
                configs: vec![AlterableConfig {
                    name: text("segment.ms"),
                    value: Some(text("5")),
                }],
            }],
            validate_only: false,
        };
        let response = client.call(version, request).await;
        assert_eq!(response.responses[0].error_code, ErrorCode::None);
        assert_eq!(
            client.setting(TOPIC, &name, "segment.ms").await,
            shown("5", 1)
        );
        assert_eq!(
            client.setting(TOPIC, &name, "retention.ms").await,
            shown("604800000", 5)
        );
    }
}

#[tokio::test]
async fn lists_are_appended_to_subtracted_from_and_deleted() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for (operation, value, expected) in [
        (SUBTRACT, Some("delete"), shown("", 1)),
        (APPEND, Some("delete"), shown("delete", 1)),
        (DELETE, None, shown("delete", 5)),
    ] {
        let change = resource(TOPIC, "t", &[(operation, "cleanup.policy", value)]);
        assert_eq!(client.alter(change).await.0, ErrorCode::None);
        assert_eq!(client.setting(TOPIC, "t", "cleanup.policy").await, expected);
    }
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_as_kafka_does_with_a_reason() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let one = |key| (SET, key, Some("1"));
    let twice = [one("retention.ms"), one("retention.ms")];
    let cases: &[(i8, &str, &[Operation<'_>], ErrorCode, &str)] = &[
        (
            TOPIC,
            "t",
            &[(SET, "retention.ms", Some("x"))],
            ErrorCode::InvalidConfig,
            "must be",
        ),
        (
            TOPIC,
            "t",
            &[one("no.such")],
            ErrorCode::InvalidConfig,
            "no setting",
        ),
        (
            TOPIC,
            "t",
            &[(SET, "min.insync.replicas", Some("2"))],
            ErrorCode::InvalidConfig,
            "one node",
        ),
        (
            TOPIC,
            "t",
            &[(APPEND, "retention.ms", Some("1"))],
            ErrorCode::InvalidConfig,
            "not a list",
        ),
        (
            TOPIC,
            "t",
            &[(SET, "retention.ms", None)],
            ErrorCode::InvalidRequest,
            "Null value",
        ),
        (
            TOPIC,
            "t",
            &[(9, "retention.ms", Some("1"))],
            ErrorCode::InvalidRequest,
            "unknown",
        ),
        (
            TOPIC,
            "t",
            &twice,
            ErrorCode::InvalidRequest,
            "at most once",
        ),
        (
            TOPIC,
            "absent",
            &[one("retention.ms")],
            ErrorCode::UnknownTopicOrPartition,
            "absent",
        ),
        (
            TOPIC,
            "",
            &[one("retention.ms")],
            ErrorCode::InvalidRequest,
            "Default topic",
        ),
        (
            TOPIC,
            "a/b",
            &[one("retention.ms")],
            ErrorCode::InvalidTopicException,
            "a/b",
        ),
        (
            BROKER,
            "1",
            &[one("num.partitions")],
            ErrorCode::InvalidRequest,
            "started",
        ),
        (
            BROKER,
            "",
            &[one("num.io.threads")],
            ErrorCode::InvalidRequest,
            "sizes its threads",
        ),
        (
            BROKER,
            "7",
            &[one("log.retention.ms")],
            ErrorCode::InvalidRequest,
            "expected 1",
        ),
        (
            8,
            "1",
            &[one("root")],
            ErrorCode::InvalidRequest,
            "--log-level",
        ),
        (99, "1", &[one("x")], ErrorCode::InvalidRequest, "99"),
    ];
    for (kind, name, operations, code, part) in cases {
        let (found, message) = client.alter(resource(*kind, name, operations)).await;
        assert_eq!(found, *code, "{operations:?}: {message}");
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(
        client.setting(TOPIC, "t", "retention.ms").await,
        shown("604800000", 5)
    );
}

#[tokio::test]
async fn a_resource_that_is_named_twice_is_changed_by_neither() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let change = |value| resource(TOPIC, "t", &[(SET, "retention.ms", Some(value))]);
    let request = IncrementalAlterConfigsRequest {
        resources: vec![change("1"), change("2")],
        validate_only: false,
    };
    let response = client.call(1, request).await;
    for outcome in response.responses {
        assert_eq!(outcome.error_code, ErrorCode::InvalidRequest);
    }
    assert_eq!(
        client.setting(TOPIC, "t", "retention.ms").await,
        shown("604800000", 5)
    );
}

#[tokio::test]
async fn settings_of_the_broker_reach_its_topics_by_their_weight() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.set(BROKER, "", "log.retention.ms", "2000").await;
    assert_eq!(
        client.setting(TOPIC, "t", "retention.ms").await,
        shown("2000", 3)
    );
    client.set(BROKER, "1", "log.retention.ms", "1000").await;
    assert_eq!(
        client.setting(TOPIC, "t", "retention.ms").await,
        shown("1000", 2)
    );
    assert_eq!(
        client.setting(BROKER, "", "log.retention.ms").await,
        shown("2000", 3)
    );
    assert_eq!(
        client.setting(BROKER, "1", "log.retention.ms").await,
        shown("1000", 2)
    );
    client.set(TOPIC, "t", "retention.ms", "500").await;
    assert_eq!(
        client.setting(TOPIC, "t", "retention.ms").await,
        shown("500", 1)
    );
    assert_eq!(client.setting(BROKER, "", "max.connections").await, None);
}

#[tokio::test]
async fn a_change_is_in_force_for_the_next_batch() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let produced = client.produce(9, &topic, batch(&["a"])).await;
    assert_eq!(produced.log_append_time_ms, -1);

    client
        .set(TOPIC, "t", "message.timestamp.type", "LogAppendTime")
        .await;
    let produced = client.produce(9, &topic, batch(&["b"])).await;
    assert!(produced.log_append_time_ms >= NOW_MS);

    client
        .set(TOPIC, "t", "message.timestamp.type", "CreateTime")
        .await;
    client
        .set(TOPIC, "t", "message.timestamp.before.max.ms", "0")
        .await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_millis(5)).await;
    tokio::time::resume();
    let produced = client.produce(9, &topic, batch(&["late"])).await;
    assert_eq!(produced.error_code, ErrorCode::InvalidTimestamp);

    client.set(BROKER, "", "message.max.bytes", "10").await;
    let produced = client.produce(9, &topic, batch(&["large"])).await;
    assert_eq!(produced.error_code, ErrorCode::MessageTooLarge);
}

#[tokio::test]
async fn batches_are_stored_under_the_codec_of_their_topic() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let mut offset = 0;
    for (name, stored) in [
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
        ("uncompressed", Compression::None),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
    ] {
        client.set(TOPIC, "t", "compression.type", name).await;
        for sent in [Compression::None, Compression::Gzip, Compression::Lz4] {
            let options = BatchOptions {
                compression: sent,
                ..Default::default()
            };
            let produced = client
                .produce(9, &topic, batch_with(options, &["one", "two"]))
                .await;
            assert_eq!(
                (produced.error_code, produced.base_offset),
                (ErrorCode::None, offset)
            );
            let records = client.fetch(12, &topic, offset).await.records;
            let first = Batches::new(records.clone().unwrap())
                .next()
                .unwrap()
                .unwrap();
            first.verify_crc().unwrap();
            assert_eq!(first.header().attributes.compression(), Ok(stored));
            let expected = [(offset, "one".to_owned()), (offset + 1, "two".to_owned())];
            assert_eq!(values(records), expected);
            offset += 2;
        }
    }
}

#[tokio::test]
async fn what_has_settings_is_listed_by_kind() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let mut list = async |version, resource_types| {
        let request = ListConfigResourcesRequest { resource_types };
        let response = client.call(version, request).await;
        let named = response.config_resources.into_iter();
        let named = named.map(|found| (found.resource_type, found.resource_name.to_string()));
        (response.error_code, named.collect::<Vec<_>>())
    };
    let broker = || (BROKER, "1".to_owned());
    let topic = || (TOPIC, "t".to_owned());
    assert_eq!(
        list(1, vec![]).await,
        (ErrorCode::None, vec![broker(), topic()])
    );
    assert_eq!(list(1, vec![TOPIC]).await, (ErrorCode::None, vec![topic()]));
    assert_eq!(list(1, vec![16]).await, (ErrorCode::None, vec![]));
    assert_eq!(list(1, vec![99]).await.0, ErrorCode::UnsupportedVersion);
    assert_eq!(list(0, vec![]).await, (ErrorCode::None, vec![]));
}
