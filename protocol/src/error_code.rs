//! Kafka's error codes, their names and whether a retry can help.
//!
//! Pure.

use std::fmt;

use crate::error::DecodeError;
use crate::primitive::{Reader, Version, Wire, Writer};

macro_rules! error_codes {
    (@retriable retriable) => { true };
    (@retriable final) => { false };

    ($(
        #[doc = $doc:literal]
        $name:ident = $code:literal, $kafka:literal, $kind:tt;
    )+) => {
        /// An error as messages carry it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $doc] $name,)+
            /// A code from a newer broker. Made by `From<i16>` only for codes without a name here.
            Unrecognized(i16),
        }

        impl ErrorCode {
            /// All codes with a name, by rising number.
            pub const NAMED: &[Self] = &[$(Self::$name,)+];

            /// The number on the wire.
            #[must_use]
            pub fn code(self) -> i16 {
                match self {
                    $(Self::$name => $code,)+
                    Self::Unrecognized(code) => code,
                }
            }

            /// Kafka's name, or `UNRECOGNIZED`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $kafka,)+
                    Self::Unrecognized(_) => "UNRECOGNIZED",
                }
            }

            /// Whether the same request may succeed later, as Kafka's clients see it.
            #[must_use]
            pub fn is_retriable(self) -> bool {
                match self {
                    $(Self::$name => error_codes!(@retriable $kind),)+
                    Self::Unrecognized(_) => false,
                }
            }
        }

        impl From<i16> for ErrorCode {
            fn from(code: i16) -> Self {
                match code {
                    $($code => Self::$name,)+
                    code => Self::Unrecognized(code),
                }
            }
        }
    };
}

error_codes! {
    /// The broker failed in a way that has no code of its own.
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", final;
    /// No error.
    None = 0, "NONE", final;
    /// The offset is not in the log.
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", final;
    /// The records are damaged: checksum, size or format.
    CorruptMessage = 2, "CORRUPT_MESSAGE", retriable;
    /// This broker has no such topic or partition.
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retriable;
    /// The fetch asks for a negative number of bytes.
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", final;
    /// The partition has no leader for now.
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retriable;
    /// This broker does not lead, or does not have, the partition.
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retriable;
    /// The request took longer than it may.
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retriable;
    /// The broker is down.
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", final;
    /// The replica is down or not on this broker.
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retriable;
    /// The batch is larger than the topic allows.
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", final;
    /// The controller was replaced by a newer one.
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", final;
    /// The metadata stored with an offset is too long.
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", final;
    /// The connection broke before the answer.
    NetworkException = 13, "NETWORK_EXCEPTION", retriable;
    /// The coordinator is still reading its state.
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retriable;
    /// The coordinator is not known or not up yet.
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retriable;
    /// This broker does not coordinate the group or transaction.
    NotCoordinator = 16, "NOT_COORDINATOR", retriable;
    /// The topic name is not valid, or the topic is internal.
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", final;
    /// The batch is larger than a segment.
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", final;
    /// Fewer replicas are in sync than the topic requires; nothing was appended.
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retriable;
    /// Fewer replicas are in sync than the topic requires; the batch was appended.
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable;
    /// `acks` is none of 0, 1 and -1.
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", final;
    /// The member speaks of another generation than the group is in.
    IllegalGeneration = 22, "ILLEGAL_GENERATION", final;
    /// The member shares no protocol with the group.
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", final;
    /// The group id is empty or malformed.
    InvalidGroupId = 24, "INVALID_GROUP_ID", final;
    /// The group has no such member.
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", final;
    /// The session timeout is outside what the broker allows.
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", final;
    /// The group rebalances; the member has to rejoin.
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", final;
    /// The offsets to commit are too large to be stored.
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", final;
    /// The client may not do this with the topic.
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", final;
    /// The client may not do this with the group.
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", final;
    /// The client may not do this with the cluster.
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", final;
    /// A timestamp is outside what the topic allows.
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", final;
    /// The broker does not offer this SASL mechanism.
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", final;
    /// The request is out of place in the SASL exchange.
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", final;
    /// The broker does not serve this version of the request.
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", final;
    /// The topic exists.
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", final;
    /// The number of partitions is not valid.
    InvalidPartitions = 37, "INVALID_PARTITIONS", final;
    /// The number of replicas is not valid.
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", final;
    /// The assignment of replicas is not valid.
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", final;
    /// The configuration is not valid.
    InvalidConfig = 40, "INVALID_CONFIG", final;
    /// This broker is not the controller.
    NotController = 41, "NOT_CONTROLLER", retriable;
    /// The request contradicts itself or the protocol.
    InvalidRequest = 42, "INVALID_REQUEST", final;
    /// The message format of the log is too old for this.
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", final;
    /// A policy of the cluster forbids it.
    PolicyViolation = 44, "POLICY_VIOLATION", final;
    /// The sequence of the batch does not follow the last one.
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", final;
    /// The batch was appended before.
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", final;
    /// The epoch of the producer is older than the current one.
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", final;
    /// The transaction is in a state that does not allow this.
    InvalidTxnState = 48, "INVALID_TXN_STATE", final;
    /// The producer id is not that of the transactional id.
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", final;
    /// The transaction timeout is longer than the broker allows.
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", final;
    /// Another change of the same transaction is under way.
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retriable;
    /// The transaction coordinator was replaced by a newer one.
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", final;
    /// The client may not use the transactional id.
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", final;
    /// The broker has no authorizer, so there are no ACLs.
    SecurityDisabled = 54, "SECURITY_DISABLED", final;
    /// Not tried, because something else in the request failed.
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", final;
    /// The disk failed.
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retriable;
    /// The broker has no such log directory.
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", final;
    /// The credentials are wrong.
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", final;
    /// The broker knows nothing of the producer any more.
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", final;
    /// The partition is being reassigned.
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", final;
    /// The broker does not offer delegation tokens.
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", final;
    /// There is no such delegation token.
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", final;
    /// The delegation token belongs to someone else.
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", final;
    /// Delegation tokens cannot be asked for over this connection.
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", final;
    /// The client may not use the delegation token.
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", final;
    /// The delegation token has expired.
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", final;
    /// Principals of this type are not supported.
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", final;
    /// The group has members.
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", final;
    /// There is no such group.
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", final;
    /// There is no such fetch session.
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retriable;
    /// The epoch of the fetch session is not the next one.
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retriable;
    /// The leader has no listener like the one the client came through.
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retriable;
    /// The cluster does not delete topics.
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", final;
    /// The client knows an older leader epoch than the broker.
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retriable;
    /// The client knows a newer leader epoch than the broker.
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retriable;
    /// The compression type needs a newer version of the request.
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", final;
    /// The broker was replaced by a newer registration of itself.
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", final;
    /// The leader does not know its high watermark yet.
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retriable;
    /// The member has to join again with the id that the response gives it.
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", final;
    /// The preferred leader is down.
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retriable;
    /// The group is full.
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", final;
    /// Another member took over the group instance id.
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", final;
    /// No replica that may lead is up.
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable;
    /// The partition has the leader it should have.
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retriable;
    /// The partition is not being reassigned.
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", final;
    /// The group subscribes to the topic.
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", final;
    /// A record breaks a rule of the topic.
    InvalidRecord = 87, "INVALID_RECORD", final;
    /// A transaction may still change the offsets.
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retriable;
    /// A quota for changes of the cluster is used up.
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retriable;
    /// A newer epoch of the producer is at work.
    ProducerFenced = 90, "PRODUCER_FENCED", final;
    /// There is no such resource.
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", final;
    /// The request names a resource twice, or it exists.
    DuplicateResource = 92, "DUPLICATE_RESOURCE", final;
    /// The credential does not meet the requirements.
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", final;
    /// The sets of voters disagree.
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", final;
    /// The level of the feature cannot be set.
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", final;
    /// The features could not be changed.
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", final;
    /// A forwarded principal cannot be read.
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", final;
    /// There is no such snapshot.
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", final;
    /// The position is not in the snapshot.
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", final;
    /// This broker knows no topic with this id.
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retriable;
    /// The broker id is taken.
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", final;
    /// The broker id is not registered.
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", final;
    /// The topic has another id than the log.
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retriable;
    /// The cluster id is not that of this cluster.
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", final;
    /// There is no such transactional id.
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", final;
    /// The fetch session mixes topic names and ids.
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retriable;
    /// The replica may not join the in-sync set.
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", final;
    /// The change led to another leader.
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", final;
    /// The offset is only in tiered storage.
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", final;
    /// The member has an older epoch than the coordinator gave it; it has to rejoin.
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", final;
    /// The group instance id still belongs to another member.
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", final;
    /// The coordinator has no such assignor.
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", final;
    /// The member has to retry with its current epoch.
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", final;
    /// The request came to the wrong kind of endpoint.
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", final;
    /// This kind of endpoint is not supported.
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", final;
    /// The controller id is not known.
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", final;
    /// The telemetry subscription is outdated.
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", final;
    /// The telemetry is too large.
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", final;
    /// The registration of the broker is not valid.
    InvalidRegistration = 119, "INVALID_REGISTRATION", final;
    /// The transaction has to be aborted; the producer may go on after that.
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", final;
    /// The record is in a state that does not allow this acknowledgement.
    InvalidRecordState = 121, "INVALID_RECORD_STATE", final;
    /// There is no such share session.
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retriable;
    /// The epoch of the share session is not the next one.
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retriable;
    /// The state of the share partition has a newer epoch.
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", final;
    /// The key of the voter does not match.
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", final;
    /// The voter exists.
    DuplicateVoter = 126, "DUPLICATE_VOTER", final;
    /// There is no such voter.
    VoterNotFound = 127, "VOTER_NOT_FOUND", final;
    /// The regular expression is not valid.
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", final;
    /// The client has to start over from its bootstrap servers.
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", final;
    /// The topology cannot be run.
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", final;
    /// The epoch of the topology is not valid.
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", final;
    /// The epoch of the topology is outdated.
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", final;
    /// There are as many share sessions as the broker allows.
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", retriable;
}

impl ErrorCode {
    /// Whether this is anything but [`ErrorCode::None`].
    #[must_use]
    pub fn is_error(self) -> bool {
        self != Self::None
    }
}

#[allow(clippy::derivable_impls)]
impl Default for ErrorCode {
    fn default() -> Self {
        Self::None
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

impl std::error::Error for ErrorCode {}

impl Wire for ErrorCode {
    fn min_size(version: Version) -> usize {
        i16::min_size(version)
    }

    fn encode(&self, writer: &mut Writer, version: Version) {
        self.code().encode(writer, version);
    }

    fn decode(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        i16::decode(reader, version).map(Self::from)
    }
}

#[cfg(test)]
mod tests;
