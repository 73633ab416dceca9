//! The same bytes read and written by the crate `kafka-protocol`.

use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message, VersionRange};

use super::*;

/// Versions of requests newer than the oracle's schema. Of the APIs it lacks none.
const UNCOVERED_REQUESTS: &[(ApiKey, i16)] = &[
    (ApiKey::ListOffsets, 11),
    (ApiKey::OffsetCommit, 10),
    (ApiKey::OffsetFetch, 10),
    (ApiKey::WriteTxnMarkers, 2),
    (ApiKey::DescribeLogDirs, 5),
];

/// Versions of responses newer than the oracle's schema.
const UNCOVERED_RESPONSES: &[(ApiKey, i16)] = &[
    (ApiKey::ListOffsets, 11),
    (ApiKey::WriteTxnMarkers, 2),
    (ApiKey::DescribeLogDirs, 5),
];

/// Reads `bytes` as a `T` and writes it again.
fn echo<T: Encodable + Decodable>(bytes: &Bytes, version: i16) -> Bytes {
    let mut rest = bytes.clone();
    let message = T::decode(&mut rest, version).unwrap();
    assert!(rest.is_empty(), "the oracle leaves {} bytes", rest.len());
    assert_eq!(message.compute_size(version).unwrap(), bytes.len());
    let mut out = Vec::new();
    message.encode(&mut out, version).unwrap();
    out.into()
}

/// The default of `T`.
fn default<T: Encodable + Default>(version: i16) -> Bytes {
    let mut out = Vec::new();
    T::default().encode(&mut out, version).unwrap();
    out.into()
}

macro_rules! oracle {
    ($($name:ident($request:ident, $response:ident),)+) => {
        fn known_requests(key: ApiKey) -> VersionRange {
            match key {
                $(ApiKey::$name => <theirs::$request as Message>::VERSIONS,)+
            }
        }

        fn known_responses(key: ApiKey) -> VersionRange {
            match key {
                $(ApiKey::$name => <theirs::$response as Message>::VERSIONS,)+
            }
        }

        fn echo_request(key: ApiKey, version: i16, bytes: &Bytes) -> Bytes {
            match key {
                $(ApiKey::$name => echo::<theirs::$request>(bytes, version),)+
            }
        }

        fn echo_response(key: ApiKey, version: i16, bytes: &Bytes) -> Bytes {
            match key {
                $(ApiKey::$name => echo::<theirs::$response>(bytes, version),)+
            }
        }

        fn default_request(key: ApiKey, version: i16) -> Bytes {
            match key {
                $(ApiKey::$name => default::<theirs::$request>(version),)+
            }
        }

        fn default_response(key: ApiKey, version: i16) -> Bytes {
            match key {
                $(ApiKey::$name => default::<theirs::$response>(version),)+
            }
        }
    };
}

oracle! {
    Produce(ProduceRequest, ProduceResponse),
    Fetch(FetchRequest, FetchResponse),
    ListOffsets(ListOffsetsRequest, ListOffsetsResponse),
    Metadata(MetadataRequest, MetadataResponse),
    OffsetCommit(OffsetCommitRequest, OffsetCommitResponse),
    OffsetFetch(OffsetFetchRequest, OffsetFetchResponse),
    FindCoordinator(FindCoordinatorRequest, FindCoordinatorResponse),
    JoinGroup(JoinGroupRequest, JoinGroupResponse),
    Heartbeat(HeartbeatRequest, HeartbeatResponse),
    LeaveGroup(LeaveGroupRequest, LeaveGroupResponse),
    SyncGroup(SyncGroupRequest, SyncGroupResponse),
    DescribeGroups(DescribeGroupsRequest, DescribeGroupsResponse),
    ListGroups(ListGroupsRequest, ListGroupsResponse),
    ApiVersions(ApiVersionsRequest, ApiVersionsResponse),
    CreateTopics(CreateTopicsRequest, CreateTopicsResponse),
    DeleteTopics(DeleteTopicsRequest, DeleteTopicsResponse),
    DeleteRecords(DeleteRecordsRequest, DeleteRecordsResponse),
    InitProducerId(InitProducerIdRequest, InitProducerIdResponse),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse),
    AddPartitionsToTxn(AddPartitionsToTxnRequest, AddPartitionsToTxnResponse),
    AddOffsetsToTxn(AddOffsetsToTxnRequest, AddOffsetsToTxnResponse),
    EndTxn(EndTxnRequest, EndTxnResponse),
    WriteTxnMarkers(WriteTxnMarkersRequest, WriteTxnMarkersResponse),
    TxnOffsetCommit(TxnOffsetCommitRequest, TxnOffsetCommitResponse),
    DescribeAcls(DescribeAclsRequest, DescribeAclsResponse),
    CreateAcls(CreateAclsRequest, CreateAclsResponse),
    DeleteAcls(DeleteAclsRequest, DeleteAclsResponse),
    DescribeConfigs(DescribeConfigsRequest, DescribeConfigsResponse),
    AlterConfigs(AlterConfigsRequest, AlterConfigsResponse),
    AlterReplicaLogDirs(AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse),
    DescribeLogDirs(DescribeLogDirsRequest, DescribeLogDirsResponse),
    CreatePartitions(CreatePartitionsRequest, CreatePartitionsResponse),
    CreateDelegationToken(CreateDelegationTokenRequest, CreateDelegationTokenResponse),
    RenewDelegationToken(RenewDelegationTokenRequest, RenewDelegationTokenResponse),
    ExpireDelegationToken(ExpireDelegationTokenRequest, ExpireDelegationTokenResponse),
    DescribeDelegationToken(DescribeDelegationTokenRequest, DescribeDelegationTokenResponse),
    DeleteGroups(DeleteGroupsRequest, DeleteGroupsResponse),
    ElectLeaders(ElectLeadersRequest, ElectLeadersResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse),
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse),
    ListPartitionReassignments(ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse),
    OffsetDelete(OffsetDeleteRequest, OffsetDeleteResponse),
    DescribeClientQuotas(DescribeClientQuotasRequest, DescribeClientQuotasResponse),
    AlterClientQuotas(AlterClientQuotasRequest, AlterClientQuotasResponse),
    DescribeUserScramCredentials(DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse),
    AlterUserScramCredentials(AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse),
    DescribeQuorum(DescribeQuorumRequest, DescribeQuorumResponse),
    UpdateFeatures(UpdateFeaturesRequest, UpdateFeaturesResponse),
    DescribeCluster(DescribeClusterRequest, DescribeClusterResponse),
    DescribeProducers(DescribeProducersRequest, DescribeProducersResponse),
    UnregisterBroker(UnregisterBrokerRequest, UnregisterBrokerResponse),
    DescribeTransactions(DescribeTransactionsRequest, DescribeTransactionsResponse),
    ListTransactions(ListTransactionsRequest, ListTransactionsResponse),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse),
    ListConfigResources(ListConfigResourcesRequest, ListConfigResourcesResponse),
    DescribeTopicPartitions(DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse),
}

fn covered(without: &'static [(ApiKey, i16)]) -> impl Iterator<Item = (ApiKey, i16)> {
    versions().filter(|known| !without.contains(known))
}

fn lacking(known: impl Fn(ApiKey) -> VersionRange) -> Vec<(ApiKey, i16)> {
    versions()
        .filter(|&(key, version)| !(known(key).min..=known(key).max).contains(&version))
        .collect()
}

#[test]
fn the_oracle_lacks_only_what_is_listed() {
    assert_eq!(lacking(known_requests), UNCOVERED_REQUESTS);
    assert_eq!(lacking(known_responses), UNCOVERED_RESPONSES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_oracle_reads_and_writes_our_requests(entropy in entropy()) {
        for (key, version) in covered(UNCOVERED_REQUESTS) {
            let request = Request::arbitrary(key, version, &entropy);
            let bytes = joined(request.encode(version));
            let echo = echo_request(key, version, &bytes);
            prop_assert_eq!(&echo, &bytes, "{:?} {}", key, version);
            prop_assert_eq!(Request::decode(key, version, echo), Ok(request));
        }
    }

    #[test]
    fn the_oracle_reads_and_writes_our_responses(entropy in entropy()) {
        for (key, version) in covered(UNCOVERED_RESPONSES) {
            let response = Response::arbitrary(key, version, &entropy);
            let bytes = joined(response.encode(version));
            let echo = echo_response(key, version, &bytes);
            prop_assert_eq!(&echo, &bytes, "{:?} {}", key, version);
            prop_assert_eq!(Response::decode(key, version, echo), Ok(response));
        }
    }
}

#[test]
fn we_read_and_write_the_defaults_of_the_oracle() {
    for (key, version) in covered(UNCOVERED_REQUESTS) {
        let bytes = default_request(key, version);
        let request = Request::decode(key, version, bytes.clone()).unwrap();
        assert_eq!(joined(request.encode(version)), bytes, "{key:?} {version}");
    }
    for (key, version) in covered(UNCOVERED_RESPONSES) {
        let bytes = default_response(key, version);
        let response = Response::decode(key, version, bytes.clone()).unwrap();
        assert_eq!(joined(response.encode(version)), bytes, "{key:?} {version}");
    }
}
