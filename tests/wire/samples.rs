//! A valid request of every API that is served, with something in each of its arrays.

use bytes::Bytes;
use ottla_protocol::message::*;
use ottla_protocol::{ApiKey, Request};
use uuid::Uuid;

use crate::groups::join_request;
use crate::support::{Topic, batch, fetch_request, produce_request, text};

/// The sample of an API. Each version writes those fields that it has.
pub(crate) fn sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    group_sample(key)
        .or_else(|| offset_sample(key, topic))
        .or_else(|| topic_sample(key, topic))
        .or_else(|| records_sample(key, topic))
        .or_else(|| config_sample(key, topic))
        .or_else(|| transaction_sample(key, topic))
        .or_else(|| transaction_admin_sample(key, topic))
        .or_else(|| replica_sample(key, topic))
        .or_else(|| cluster_sample(key))
        .or_else(|| acl_sample(key, topic))
        .or_else(|| token_sample(key))
        .or_else(|| client_sample(key))
}

fn group_sample(key: ApiKey) -> Option<Request> {
    let group_id = text("g");
    let member_id = text("member");
    Some(match key {
        ApiKey::FindCoordinator => FindCoordinatorRequest {
            key: group_id.clone(),
            coordinator_keys: vec![group_id, text("h")],
            ..Default::default()
        }
        .into(),
        ApiKey::JoinGroup => join_request("").into(),
        ApiKey::Heartbeat => HeartbeatRequest {
            group_id,
            member_id,
            ..Default::default()
        }
        .into(),
        ApiKey::LeaveGroup => LeaveGroupRequest {
            group_id,
            member_id: member_id.clone(),
            members: vec![MemberIdentity {
                member_id,
                ..Default::default()
            }],
        }
        .into(),
        ApiKey::ConsumerGroupHeartbeat => ConsumerGroupHeartbeatRequest {
            group_id: text("c"),
            member_id,
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec![text("t")]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        }
        .into(),
        ApiKey::ConsumerGroupDescribe => ConsumerGroupDescribeRequest {
            group_ids: vec![text("c"), group_id],
            ..Default::default()
        }
        .into(),
        ApiKey::SyncGroup => {
            let assignment = Bytes::from_static(b"assignment");
            let assignments = vec![SyncGroupRequestAssignment {
                member_id,
                assignment,
            }];
            SyncGroupRequest {
                group_id,
                assignments,
                ..Default::default()
            }
            .into()
        }
        ApiKey::DescribeGroups => DescribeGroupsRequest {
            groups: vec![group_id],
            ..Default::default()
        }
        .into(),
        ApiKey::ListGroups => ListGroupsRequest {
            states_filter: vec![text("Stable")],
            types_filter: vec![text("classic")],
        }
        .into(),
        ApiKey::DeleteGroups => DeleteGroupsRequest {
            groups_names: vec![group_id],
        }
        .into(),
        _ => return None,
    })
}

fn offset_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let group_id = text("g");
    let name = topic.name.clone();
    let topic_id = topic.id;
    let partition_indexes = vec![0, 1];
    Some(match key {
        ApiKey::OffsetCommit => {
            let partitions = vec![OffsetCommitRequestPartition::default()];
            let topics = vec![OffsetCommitRequestTopic {
                name,
                topic_id,
                partitions,
            }];
            OffsetCommitRequest {
                group_id,
                topics,
                ..Default::default()
            }
            .into()
        }
        ApiKey::OffsetFetch => {
            let by_group = OffsetFetchRequestGroup {
                group_id: group_id.clone(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: name.clone(),
                    topic_id,
                    partition_indexes: partition_indexes.clone(),
                }]),
                ..Default::default()
            };
            let topics = Some(vec![OffsetFetchRequestTopic {
                name,
                partition_indexes,
            }]);
            let groups = vec![by_group];
            OffsetFetchRequest {
                group_id,
                topics,
                groups,
                ..Default::default()
            }
            .into()
        }
        ApiKey::OffsetDelete => {
            let partitions = vec![OffsetDeleteRequestPartition::default()];
            let topics = vec![OffsetDeleteRequestTopic { name, partitions }];
            OffsetDeleteRequest { group_id, topics }.into()
        }
        ApiKey::ListOffsets => {
            let partitions = vec![ListOffsetsPartition {
                timestamp: -1,
                ..Default::default()
            }];
            let topics = vec![ListOffsetsTopic { name, partitions }];
            ListOffsetsRequest {
                replica_id: -1,
                topics,
                ..Default::default()
            }
            .into()
        }
        ApiKey::OffsetForLeaderEpoch => {
            let partitions = vec![OffsetForLeaderPartition::default()];
            let topics = vec![OffsetForLeaderTopic {
                topic: name,
                partitions,
            }];
            OffsetForLeaderEpochRequest {
                topics,
                ..Default::default()
            }
            .into()
        }
        _ => return None,
    })
}

fn topic_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let name = topic.name.clone();
    Some(match key {
        ApiKey::Produce => produce_request(topic, Some(batch(&["a", "b"]))).into(),
        ApiKey::Fetch => fetch_sample(topic).into(),
        ApiKey::Metadata => {
            let topics = vec![MetadataRequestTopic {
                name: Some(name),
                topic_id: Uuid::nil(),
            }];
            MetadataRequest {
                topics: Some(topics),
                ..Default::default()
            }
            .into()
        }
        ApiKey::ApiVersions => ApiVersionsRequest {
            client_software_name: text("name"),
            client_software_version: text("1"),
        }
        .into(),
        ApiKey::CreateTopics => create_sample().into(),
        ApiKey::DeleteTopics => {
            let topics = vec![DeleteTopicState {
                name: Some(text("x")),
                topic_id: Uuid::nil(),
            }];
            let topic_names = vec![text("x")];
            DeleteTopicsRequest {
                topics,
                topic_names,
                ..Default::default()
            }
            .into()
        }
        ApiKey::CreatePartitions => {
            let assignments = Some(vec![CreatePartitionsAssignment {
                broker_ids: vec![1],
            }]);
            let topics = vec![CreatePartitionsTopic {
                name,
                count: 2,
                assignments,
            }];
            CreatePartitionsRequest {
                topics,
                validate_only: true,
                ..Default::default()
            }
            .into()
        }
        ApiKey::InitProducerId => InitProducerIdRequest::default().into(),
        ApiKey::DescribeConfigs => {
            let resources = vec![DescribeConfigsResource {
                resource_type: 2,
                resource_name: name,
                configuration_keys: Some(vec![text("retention.ms")]),
            }];
            DescribeConfigsRequest {
                resources,
                ..Default::default()
            }
            .into()
        }
        ApiKey::DescribeCluster => DescribeClusterRequest::default().into(),
        ApiKey::DescribeTopicPartitions => {
            let cursor = Some(Cursor {
                topic_name: name.clone(),
                partition_index: 0,
            });
            let topics = vec![TopicRequest { name }];
            DescribeTopicPartitionsRequest {
                topics,
                cursor,
                ..Default::default()
            }
            .into()
        }
        _ => return None,
    })
}

fn transaction_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let transactional_id = text("transaction");
    let topics = vec![AddPartitionsToTxnTopic {
        name: topic.name.clone(),
        partitions: vec![0],
    }];
    Some(match key {
        ApiKey::AddPartitionsToTxn => AddPartitionsToTxnRequest {
            transactions: vec![AddPartitionsToTxnTransaction {
                transactional_id: transactional_id.clone(),
                topics: topics.clone(),
                ..Default::default()
            }],
            v3_and_below_transactional_id: transactional_id,
            v3_and_below_topics: topics,
            ..Default::default()
        }
        .into(),
        ApiKey::AddOffsetsToTxn => AddOffsetsToTxnRequest {
            transactional_id,
            group_id: text("g"),
            ..Default::default()
        }
        .into(),
        ApiKey::EndTxn => EndTxnRequest {
            transactional_id,
            ..Default::default()
        }
        .into(),
        ApiKey::TxnOffsetCommit => TxnOffsetCommitRequest {
            transactional_id,
            group_id: text("g"),
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.name.clone(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_metadata: Some(text("note")),
                    ..Default::default()
                }],
            }],
            ..Default::default()
        }
        .into(),
        _ => return None,
    })
}

fn records_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let name = topic.name.clone();
    Some(match key {
        ApiKey::DeleteRecords => DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name,
                partitions: vec![DeleteRecordsPartition {
                    partition_index: 0,
                    offset: 0,
                }],
            }],
            timeout_ms: 30_000,
        }
        .into(),
        ApiKey::DescribeLogDirs => DescribeLogDirsRequest {
            topics: Some(vec![DescribableLogDirTopic {
                topic: name,
                partitions: vec![0],
            }]),
        }
        .into(),
        _ => return None,
    })
}

fn config_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    const TOPIC: i8 = 2;
    let resource_name = topic.name.clone();
    let (name, value) = (text("retention.ms"), Some(text("1000")));
    Some(match key {
        ApiKey::AlterConfigs => AlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name,
                configs: vec![AlterableConfig { name, value }],
            }],
            ..Default::default()
        }
        .into(),
        ApiKey::IncrementalAlterConfigs => IncrementalAlterConfigsRequest {
            resources: vec![IncrementalAlterConfigsResource {
                resource_type: TOPIC,
                resource_name,
                configs: vec![IncrementalAlterableConfig {
                    name,
                    config_operation: 0,
                    value,
                }],
            }],
            ..Default::default()
        }
        .into(),
        ApiKey::ListConfigResources => ListConfigResourcesRequest {
            resource_types: vec![TOPIC],
        }
        .into(),
        _ => return None,
    })
}

fn transaction_admin_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let name = topic.name.clone();
    Some(match key {
        ApiKey::WriteTxnMarkers => WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: 7,
                topics: vec![WritableTxnMarkerTopic {
                    name,
                    partition_indexes: vec![0],
                }],
                ..Default::default()
            }],
        }
        .into(),
        ApiKey::DescribeProducers => DescribeProducersRequest {
            topics: vec![DescribeProducersTopic {
                name,
                partition_indexes: vec![0],
            }],
        }
        .into(),
        ApiKey::DescribeTransactions => DescribeTransactionsRequest {
            transactional_ids: vec![text("transaction")],
        }
        .into(),
        ApiKey::ListTransactions => ListTransactionsRequest {
            state_filters: vec![text("Ongoing")],
            producer_id_filters: vec![7],
            transactional_id_pattern: Some(text("t.*")),
            ..Default::default()
        }
        .into(),
        _ => return None,
    })
}

fn fetch_sample(topic: &Topic) -> FetchRequest {
    let forgotten = ForgottenTopic {
        topic: topic.name.clone(),
        topic_id: topic.id,
        partitions: vec![1, 2],
    };
    FetchRequest {
        forgotten_topics_data: vec![forgotten],
        ..fetch_request(topic, 0)
    }
}

/// With an explicit assignment, so that no damage to a number asks for very many partitions.
fn create_sample() -> CreateTopicsRequest {
    let assignment = CreatableReplicaAssignment {
        partition_index: 0,
        broker_ids: vec![1],
    };
    let config = CreatableTopicConfig {
        name: text("retention.ms"),
        value: Some(text("1000")),
    };
    let topic = CreatableTopic {
        name: text("created"),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![assignment],
        configs: vec![config],
    };
    CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    }
}

fn replica_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let name = topic.name.clone();
    Some(match key {
        ApiKey::AlterReplicaLogDirs => AlterReplicaLogDirsRequest {
            dirs: vec![AlterReplicaLogDir {
                path: text("/"),
                topics: vec![AlterReplicaLogDirTopic {
                    name,
                    partitions: vec![0],
                }],
            }],
        }
        .into(),
        ApiKey::ElectLeaders => ElectLeadersRequest {
            topic_partitions: Some(vec![ElectTopic {
                topic: name,
                partitions: vec![0],
            }]),
            ..Default::default()
        }
        .into(),
        ApiKey::AlterPartitionReassignments => AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name,
                partitions: vec![ReassignablePartition {
                    partition_index: 0,
                    replicas: Some(vec![1]),
                }],
            }],
            ..Default::default()
        }
        .into(),
        ApiKey::ListPartitionReassignments => ListPartitionReassignmentsRequest {
            topics: Some(vec![ListPartitionReassignmentsTopics {
                name,
                partition_indexes: vec![0],
            }]),
            ..Default::default()
        }
        .into(),
        _ => return None,
    })
}

fn cluster_sample(key: ApiKey) -> Option<Request> {
    Some(match key {
        ApiKey::DescribeQuorum => DescribeQuorumRequest {
            topics: vec![QuorumTopic {
                topic_name: text("__cluster_metadata"),
                partitions: vec![QuorumPartition { partition_index: 0 }],
            }],
        }
        .into(),
        ApiKey::UpdateFeatures => UpdateFeaturesRequest {
            feature_updates: vec![FeatureUpdate {
                feature: text("transaction.version"),
                max_version_level: 2,
                ..Default::default()
            }],
            ..Default::default()
        }
        .into(),
        ApiKey::UnregisterBroker => UnregisterBrokerRequest { broker_id: 7 }.into(),
        _ => return None,
    })
}

fn acl_sample(key: ApiKey, topic: &Topic) -> Option<Request> {
    let name = topic.name.clone();
    let (principal, host) = (text("User:any"), text("*"));
    Some(match key {
        ApiKey::DescribeAcls => DescribeAclsRequest {
            resource_type_filter: 2,
            resource_name_filter: Some(name),
            principal_filter: Some(principal),
            host_filter: Some(host),
            operation: 1,
            permission_type: 1,
            ..Default::default()
        }
        .into(),
        ApiKey::CreateAcls => CreateAclsRequest {
            creations: vec![AclCreation {
                resource_type: 2,
                resource_name: name,
                principal,
                host,
                operation: 3,
                permission_type: 3,
                ..Default::default()
            }],
        }
        .into(),
        ApiKey::DeleteAcls => DeleteAclsRequest {
            filters: vec![DeleteAclsFilter {
                resource_type_filter: 2,
                resource_name_filter: Some(name),
                principal_filter: Some(principal),
                host_filter: Some(host),
                operation: 1,
                permission_type: 1,
                ..Default::default()
            }],
        }
        .into(),
        _ => return None,
    })
}

fn token_sample(key: ApiKey) -> Option<Request> {
    let principals = vec![TokenPrincipal {
        principal_type: text("User"),
        principal_name: text("any"),
    }];
    let hmac = Bytes::from_static(b"secret");
    Some(match key {
        ApiKey::CreateDelegationToken => CreateDelegationTokenRequest {
            renewers: principals,
            ..Default::default()
        }
        .into(),
        ApiKey::RenewDelegationToken => RenewDelegationTokenRequest {
            hmac,
            renew_period_ms: 1,
        }
        .into(),
        ApiKey::ExpireDelegationToken => ExpireDelegationTokenRequest {
            hmac,
            expiry_time_period_ms: 1,
        }
        .into(),
        ApiKey::DescribeDelegationToken => DescribeDelegationTokenRequest {
            owners: Some(principals),
        }
        .into(),
        _ => return None,
    })
}

fn client_sample(key: ApiKey) -> Option<Request> {
    let entity = vec![QuotaEntity {
        entity_type: text("user"),
        entity_name: Some(text("any")),
    }];
    let name = text("any");
    Some(match key {
        ApiKey::DescribeClientQuotas => DescribeClientQuotasRequest {
            components: vec![QuotaComponent {
                entity_type: text("user"),
                match_type: 0,
                match_name: Some(name),
            }],
            strict: true,
        }
        .into(),
        ApiKey::AlterClientQuotas => AlterClientQuotasRequest {
            entries: vec![QuotaAlteration {
                entity,
                ops: vec![QuotaOperation {
                    key: text("producer_byte_rate"),
                    value: 1.0,
                    remove: false,
                }],
            }],
            ..Default::default()
        }
        .into(),
        ApiKey::DescribeUserScramCredentials => DescribeUserScramCredentialsRequest {
            users: Some(vec![ScramUser { name }]),
        }
        .into(),
        ApiKey::AlterUserScramCredentials => AlterUserScramCredentialsRequest {
            deletions: vec![ScramCredentialDeletion {
                name: text("other"),
                mechanism: 1,
            }],
            upsertions: vec![ScramCredentialUpsertion {
                name,
                mechanism: 1,
                iterations: 4_096,
                salt: Bytes::from_static(b"salt"),
                salted_password: Bytes::from_static(b"password"),
            }],
        }
        .into(),
        _ => return None,
    })
}
