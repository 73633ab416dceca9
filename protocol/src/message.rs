//! Requests and responses: one file per API, and the enums over all of them.
//!
//! Pure. Each file declares its structs once with the versions of their fields. Structs and
//! fields have Kafka's names in Rust's case, all `Option` fields default to `None`, and
//! `error_code` fields are [`ErrorCode`](crate::ErrorCode)s.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod expire_delegation_token;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod renew_delegation_token;
mod shared;
mod sync_group;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod write_txn_markers;

pub use add_offsets_to_txn::*;
pub use add_partitions_to_txn::*;
pub use alter_client_quotas::*;
pub use alter_configs::*;
pub use alter_partition_reassignments::*;
pub use alter_replica_log_dirs::*;
pub use alter_user_scram_credentials::*;
pub use api_versions::*;
pub use consumer_group_describe::*;
pub use consumer_group_heartbeat::*;
pub use create_acls::*;
pub use create_delegation_token::*;
pub use create_partitions::*;
pub use create_topics::*;
pub use delete_acls::*;
pub use delete_groups::*;
pub use delete_records::*;
pub use delete_topics::*;
pub use describe_acls::*;
pub use describe_client_quotas::*;
pub use describe_cluster::*;
pub use describe_configs::*;
pub use describe_delegation_token::*;
pub use describe_groups::*;
pub use describe_log_dirs::*;
pub use describe_producers::*;
pub use describe_quorum::*;
pub use describe_topic_partitions::*;
pub use describe_transactions::*;
pub use describe_user_scram_credentials::*;
pub use elect_leaders::*;
pub use end_txn::*;
pub use expire_delegation_token::*;
pub use fetch::*;
pub use find_coordinator::*;
pub use heartbeat::*;
pub use incremental_alter_configs::*;
pub use init_producer_id::*;
pub use join_group::*;
pub use leave_group::*;
pub use list_config_resources::*;
pub use list_groups::*;
pub use list_offsets::*;
pub use list_partition_reassignments::*;
pub use list_transactions::*;
pub use metadata::*;
pub use offset_commit::*;
pub use offset_delete::*;
pub use offset_fetch::*;
pub use offset_for_leader_epoch::*;
pub use produce::*;
pub use renew_delegation_token::*;
pub use shared::*;
pub use sync_group::*;
pub use txn_offset_commit::*;
pub use unregister_broker::*;
pub use update_features::*;
pub use write_txn_markers::*;

use bytes::Bytes;

use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};
use crate::primitive::{Reader, Version, Wire, Writer};

/// A request struct, tied to its API and its response.
pub trait RequestMessage: Wire + Into<Request> {
    /// The API.
    const API_KEY: ApiKey;

    /// What answers it.
    type Response: ResponseMessage;
}

/// A response struct, tied to its API.
pub trait ResponseMessage: Wire + Into<Response> + TryFrom<Response, Error = Response> {
    /// The API.
    const API_KEY: ApiKey;
}

macro_rules! messages {
    ($($name:ident($request:ident, $response:ident),)+) => {
        /// A request of any API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $(#[doc = concat!("A [`", stringify!($request), "`].")] $name($request),)+
        }

        /// A response of any API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Response {
            $(#[doc = concat!("A [`", stringify!($response), "`].")] $name($response),)+
        }

        impl Request {
            /// The API of the request.
            #[must_use]
            pub fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)+
                }
            }

            /// A request with values in all fields that `version` has.
            #[cfg(test)]
            fn arbitrary(key: ApiKey, version: i16, entropy: &[u8]) -> Self {
                let source = &mut crate::arbitrary::Source::new(entropy);
                let version = key.api().version(version);
                match key {
                    $(ApiKey::$name => {
                        Self::$name(crate::arbitrary::Arbitrary::arbitrary(source, version))
                    })+
                }
            }

            /// Reads the body that `reader` has left, to its last byte.
            pub(crate) fn read(
                key: ApiKey,
                version: Version,
                mut reader: Reader,
            ) -> Result<Self, DecodeError> {
                let request = match key {
                    $(ApiKey::$name => Wire::decode(&mut reader, version).map(Self::$name),)+
                }?;
                reader.finish()?;
                Ok(request)
            }

            /// Writes the body. The caller has checked the version.
            pub(crate) fn write(&self, writer: &mut Writer, version: Version) {
                match self {
                    $(Self::$name(request) => request.encode(writer, version),)+
                }
            }
        }

        impl Response {
            /// The API of the response.
            #[must_use]
            pub fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)+
                }
            }

            /// A response with values in all fields that `version` has.
            #[cfg(test)]
            fn arbitrary(key: ApiKey, version: i16, entropy: &[u8]) -> Self {
                let source = &mut crate::arbitrary::Source::new(entropy);
                let version = key.api().version(version);
                match key {
                    $(ApiKey::$name => {
                        Self::$name(crate::arbitrary::Arbitrary::arbitrary(source, version))
                    })+
                }
            }

            /// Reads the body that `reader` has left, to its last byte.
            pub(crate) fn read(
                key: ApiKey,
                version: Version,
                mut reader: Reader,
            ) -> Result<Self, DecodeError> {
                let response = match key {
                    $(ApiKey::$name => Wire::decode(&mut reader, version).map(Self::$name),)+
                }?;
                reader.finish()?;
                Ok(response)
            }

            /// Writes the body. The caller has checked the version.
            pub(crate) fn write(&self, writer: &mut Writer, version: Version) {
                match self {
                    $(Self::$name(response) => response.encode(writer, version),)+
                }
            }
        }

        $(
            impl RequestMessage for $request {
                const API_KEY: ApiKey = ApiKey::$name;
                type Response = $response;
            }

            impl ResponseMessage for $response {
                const API_KEY: ApiKey = ApiKey::$name;
            }

            impl From<$request> for Request {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }

            impl From<$response> for Response {
                fn from(response: $response) -> Self {
                    Self::$name(response)
                }
            }

            /// Gives back a response of another API.
            impl TryFrom<Response> for $response {
                type Error = Response;

                fn try_from(response: Response) -> Result<Self, Response> {
                    match response {
                        Response::$name(response) => Ok(response),
                        other => Err(other),
                    }
                }
            }
        )+
    };
}

messages! {
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

impl Request {
    /// Reads a body to its last byte. String and byte fields keep it alive.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not that request in that version.
    pub fn decode(key: ApiKey, version: i16, body: Bytes) -> Result<Self, DecodeError> {
        let version = supported(key, version).map_err(|_| DecodeError::Version(version))?;
        Self::read(key, version, Reader::new(body))
    }

    /// The body in `version`, as chunks in order; large record fields are not copied.
    ///
    /// # Errors
    /// [`EncodeError`] when the version is not supported or a field too long.
    pub fn encode(&self, version: i16) -> Result<Vec<Bytes>, EncodeError> {
        let mut writer = Writer::new();
        self.write(&mut writer, supported(self.api_key(), version)?);
        writer.finish()
    }
}

impl Response {
    /// Reads a body to its last byte. String and byte fields keep it alive.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not that response in that version.
    pub fn decode(key: ApiKey, version: i16, body: Bytes) -> Result<Self, DecodeError> {
        let version = supported(key, version).map_err(|_| DecodeError::Version(version))?;
        Self::read(key, version, Reader::new(body))
    }

    /// The body in `version`, as chunks in order; large record fields are not copied.
    ///
    /// # Errors
    /// [`EncodeError`] when the version is not supported or a field too long.
    pub fn encode(&self, version: i16) -> Result<Vec<Bytes>, EncodeError> {
        let mut writer = Writer::new();
        self.write(&mut writer, supported(self.api_key(), version)?);
        writer.finish()
    }
}

/// How `version` of the API is written, if it is one that has an encoding here.
pub(crate) fn supported(key: ApiKey, version: i16) -> Result<Version, EncodeError> {
    let api = key.api();
    if api.supports(version) {
        Ok(api.version(version))
    } else {
        Err(EncodeError::Version(version))
    }
}

#[cfg(test)]
mod tests;
