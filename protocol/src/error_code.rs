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
    /// Kafka: `UNKNOWN_SERVER_ERROR`.
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", final;
    /// Kafka: `NONE`.
    None = 0, "NONE", final;
    /// Kafka: `OFFSET_OUT_OF_RANGE`.
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", final;
    /// Kafka: `CORRUPT_MESSAGE`.
    CorruptMessage = 2, "CORRUPT_MESSAGE", retriable;
    /// Kafka: `UNKNOWN_TOPIC_OR_PARTITION`.
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retriable;
    /// Kafka: `INVALID_FETCH_SIZE`.
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", final;
    /// Kafka: `LEADER_NOT_AVAILABLE`.
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retriable;
    /// Kafka: `NOT_LEADER_OR_FOLLOWER`.
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retriable;
    /// Kafka: `REQUEST_TIMED_OUT`.
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retriable;
    /// Kafka: `BROKER_NOT_AVAILABLE`.
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", final;
    /// Kafka: `REPLICA_NOT_AVAILABLE`.
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retriable;
    /// Kafka: `MESSAGE_TOO_LARGE`.
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", final;
    /// Kafka: `STALE_CONTROLLER_EPOCH`.
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", final;
    /// Kafka: `OFFSET_METADATA_TOO_LARGE`.
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", final;
    /// Kafka: `NETWORK_EXCEPTION`.
    NetworkException = 13, "NETWORK_EXCEPTION", retriable;
    /// Kafka: `COORDINATOR_LOAD_IN_PROGRESS`.
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retriable;
    /// Kafka: `COORDINATOR_NOT_AVAILABLE`.
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retriable;
    /// Kafka: `NOT_COORDINATOR`.
    NotCoordinator = 16, "NOT_COORDINATOR", retriable;
    /// Kafka: `INVALID_TOPIC_EXCEPTION`.
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", final;
    /// Kafka: `RECORD_LIST_TOO_LARGE`.
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", final;
    /// Kafka: `NOT_ENOUGH_REPLICAS`.
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retriable;
    /// Kafka: `NOT_ENOUGH_REPLICAS_AFTER_APPEND`.
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable;
    /// Kafka: `INVALID_REQUIRED_ACKS`.
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", final;
    /// Kafka: `ILLEGAL_GENERATION`.
    IllegalGeneration = 22, "ILLEGAL_GENERATION", final;
    /// Kafka: `INCONSISTENT_GROUP_PROTOCOL`.
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", final;
    /// Kafka: `INVALID_GROUP_ID`.
    InvalidGroupId = 24, "INVALID_GROUP_ID", final;
    /// Kafka: `UNKNOWN_MEMBER_ID`.
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", final;
    /// Kafka: `INVALID_SESSION_TIMEOUT`.
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", final;
    /// Kafka: `REBALANCE_IN_PROGRESS`.
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", final;
    /// Kafka: `INVALID_COMMIT_OFFSET_SIZE`.
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", final;
    /// Kafka: `TOPIC_AUTHORIZATION_FAILED`.
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", final;
    /// Kafka: `GROUP_AUTHORIZATION_FAILED`.
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", final;
    /// Kafka: `CLUSTER_AUTHORIZATION_FAILED`.
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", final;
    /// Kafka: `INVALID_TIMESTAMP`.
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", final;
    /// Kafka: `UNSUPPORTED_SASL_MECHANISM`.
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", final;
    /// Kafka: `ILLEGAL_SASL_STATE`.
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", final;
    /// Kafka: `UNSUPPORTED_VERSION`.
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", final;
    /// Kafka: `TOPIC_ALREADY_EXISTS`.
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", final;
    /// Kafka: `INVALID_PARTITIONS`.
    InvalidPartitions = 37, "INVALID_PARTITIONS", final;
    /// Kafka: `INVALID_REPLICATION_FACTOR`.
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", final;
    /// Kafka: `INVALID_REPLICA_ASSIGNMENT`.
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", final;
    /// Kafka: `INVALID_CONFIG`.
    InvalidConfig = 40, "INVALID_CONFIG", final;
    /// Kafka: `NOT_CONTROLLER`.
    NotController = 41, "NOT_CONTROLLER", retriable;
    /// Kafka: `INVALID_REQUEST`.
    InvalidRequest = 42, "INVALID_REQUEST", final;
    /// Kafka: `UNSUPPORTED_FOR_MESSAGE_FORMAT`.
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", final;
    /// Kafka: `POLICY_VIOLATION`.
    PolicyViolation = 44, "POLICY_VIOLATION", final;
    /// Kafka: `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", final;
    /// Kafka: `DUPLICATE_SEQUENCE_NUMBER`.
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", final;
    /// Kafka: `INVALID_PRODUCER_EPOCH`.
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", final;
    /// Kafka: `INVALID_TXN_STATE`.
    InvalidTxnState = 48, "INVALID_TXN_STATE", final;
    /// Kafka: `INVALID_PRODUCER_ID_MAPPING`.
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", final;
    /// Kafka: `INVALID_TRANSACTION_TIMEOUT`.
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", final;
    /// Kafka: `CONCURRENT_TRANSACTIONS`.
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retriable;
    /// Kafka: `TRANSACTION_COORDINATOR_FENCED`.
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", final;
    /// Kafka: `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`.
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", final;
    /// Kafka: `SECURITY_DISABLED`.
    SecurityDisabled = 54, "SECURITY_DISABLED", final;
    /// Kafka: `OPERATION_NOT_ATTEMPTED`.
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", final;
    /// Kafka: `KAFKA_STORAGE_ERROR`.
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retriable;
    /// Kafka: `LOG_DIR_NOT_FOUND`.
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", final;
    /// Kafka: `SASL_AUTHENTICATION_FAILED`.
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", final;
    /// Kafka: `UNKNOWN_PRODUCER_ID`.
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", final;
    /// Kafka: `REASSIGNMENT_IN_PROGRESS`.
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", final;
    /// Kafka: `DELEGATION_TOKEN_AUTH_DISABLED`.
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", final;
    /// Kafka: `DELEGATION_TOKEN_NOT_FOUND`.
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", final;
    /// Kafka: `DELEGATION_TOKEN_OWNER_MISMATCH`.
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", final;
    /// Kafka: `DELEGATION_TOKEN_REQUEST_NOT_ALLOWED`.
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", final;
    /// Kafka: `DELEGATION_TOKEN_AUTHORIZATION_FAILED`.
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", final;
    /// Kafka: `DELEGATION_TOKEN_EXPIRED`.
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", final;
    /// Kafka: `INVALID_PRINCIPAL_TYPE`.
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", final;
    /// Kafka: `NON_EMPTY_GROUP`.
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", final;
    /// Kafka: `GROUP_ID_NOT_FOUND`.
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", final;
    /// Kafka: `FETCH_SESSION_ID_NOT_FOUND`.
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retriable;
    /// Kafka: `INVALID_FETCH_SESSION_EPOCH`.
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retriable;
    /// Kafka: `LISTENER_NOT_FOUND`.
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retriable;
    /// Kafka: `TOPIC_DELETION_DISABLED`.
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", final;
    /// Kafka: `FENCED_LEADER_EPOCH`.
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retriable;
    /// Kafka: `UNKNOWN_LEADER_EPOCH`.
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retriable;
    /// Kafka: `UNSUPPORTED_COMPRESSION_TYPE`.
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", final;
    /// Kafka: `STALE_BROKER_EPOCH`.
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", final;
    /// Kafka: `OFFSET_NOT_AVAILABLE`.
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retriable;
    /// Kafka: `MEMBER_ID_REQUIRED`.
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", final;
    /// Kafka: `PREFERRED_LEADER_NOT_AVAILABLE`.
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retriable;
    /// Kafka: `GROUP_MAX_SIZE_REACHED`.
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", final;
    /// Kafka: `FENCED_INSTANCE_ID`.
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", final;
    /// Kafka: `ELIGIBLE_LEADERS_NOT_AVAILABLE`.
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable;
    /// Kafka: `ELECTION_NOT_NEEDED`.
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retriable;
    /// Kafka: `NO_REASSIGNMENT_IN_PROGRESS`.
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", final;
    /// Kafka: `GROUP_SUBSCRIBED_TO_TOPIC`.
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", final;
    /// Kafka: `INVALID_RECORD`.
    InvalidRecord = 87, "INVALID_RECORD", final;
    /// Kafka: `UNSTABLE_OFFSET_COMMIT`.
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retriable;
    /// Kafka: `THROTTLING_QUOTA_EXCEEDED`.
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retriable;
    /// Kafka: `PRODUCER_FENCED`.
    ProducerFenced = 90, "PRODUCER_FENCED", final;
    /// Kafka: `RESOURCE_NOT_FOUND`.
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", final;
    /// Kafka: `DUPLICATE_RESOURCE`.
    DuplicateResource = 92, "DUPLICATE_RESOURCE", final;
    /// Kafka: `UNACCEPTABLE_CREDENTIAL`.
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", final;
    /// Kafka: `INCONSISTENT_VOTER_SET`.
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", final;
    /// Kafka: `INVALID_UPDATE_VERSION`.
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", final;
    /// Kafka: `FEATURE_UPDATE_FAILED`.
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", final;
    /// Kafka: `PRINCIPAL_DESERIALIZATION_FAILURE`.
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", final;
    /// Kafka: `SNAPSHOT_NOT_FOUND`.
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", final;
    /// Kafka: `POSITION_OUT_OF_RANGE`.
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", final;
    /// Kafka: `UNKNOWN_TOPIC_ID`.
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retriable;
    /// Kafka: `DUPLICATE_BROKER_REGISTRATION`.
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", final;
    /// Kafka: `BROKER_ID_NOT_REGISTERED`.
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", final;
    /// Kafka: `INCONSISTENT_TOPIC_ID`.
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retriable;
    /// Kafka: `INCONSISTENT_CLUSTER_ID`.
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", final;
    /// Kafka: `TRANSACTIONAL_ID_NOT_FOUND`.
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", final;
    /// Kafka: `FETCH_SESSION_TOPIC_ID_ERROR`.
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retriable;
    /// Kafka: `INELIGIBLE_REPLICA`.
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", final;
    /// Kafka: `NEW_LEADER_ELECTED`.
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", final;
    /// Kafka: `OFFSET_MOVED_TO_TIERED_STORAGE`.
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", final;
    /// Kafka: `FENCED_MEMBER_EPOCH`.
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", final;
    /// Kafka: `UNRELEASED_INSTANCE_ID`.
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", final;
    /// Kafka: `UNSUPPORTED_ASSIGNOR`.
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", final;
    /// Kafka: `STALE_MEMBER_EPOCH`.
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", final;
    /// Kafka: `MISMATCHED_ENDPOINT_TYPE`.
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", final;
    /// Kafka: `UNSUPPORTED_ENDPOINT_TYPE`.
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", final;
    /// Kafka: `UNKNOWN_CONTROLLER_ID`.
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", final;
    /// Kafka: `UNKNOWN_SUBSCRIPTION_ID`.
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", final;
    /// Kafka: `TELEMETRY_TOO_LARGE`.
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", final;
    /// Kafka: `INVALID_REGISTRATION`.
    InvalidRegistration = 119, "INVALID_REGISTRATION", final;
    /// Kafka: `TRANSACTION_ABORTABLE`.
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", final;
    /// Kafka: `INVALID_RECORD_STATE`.
    InvalidRecordState = 121, "INVALID_RECORD_STATE", final;
    /// Kafka: `SHARE_SESSION_NOT_FOUND`.
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retriable;
    /// Kafka: `INVALID_SHARE_SESSION_EPOCH`.
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retriable;
    /// Kafka: `FENCED_STATE_EPOCH`.
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", final;
    /// Kafka: `INVALID_VOTER_KEY`.
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", final;
    /// Kafka: `DUPLICATE_VOTER`.
    DuplicateVoter = 126, "DUPLICATE_VOTER", final;
    /// Kafka: `VOTER_NOT_FOUND`.
    VoterNotFound = 127, "VOTER_NOT_FOUND", final;
    /// Kafka: `INVALID_REGULAR_EXPRESSION`.
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", final;
    /// Kafka: `REBOOTSTRAP_REQUIRED`.
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", final;
    /// Kafka: `STREAMS_INVALID_TOPOLOGY`.
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", final;
    /// Kafka: `STREAMS_INVALID_TOPOLOGY_EPOCH`.
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", final;
    /// Kafka: `STREAMS_TOPOLOGY_FENCED`.
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", final;
    /// Kafka: `SHARE_SESSION_LIMIT_REACHED`.
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
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in i16::MIN..=i16::MAX {
            assert_eq!(ErrorCode::from(code).code(), code);
        }
    }

    #[test]
    fn named_codes_rise_without_gaps_from_minus_one() {
        for (code, error) in (-1_i16..).zip(ErrorCode::NAMED) {
            assert_eq!(error.code(), code);
            assert!(!matches!(ErrorCode::from(code), ErrorCode::Unrecognized(_)));
        }
    }
}
