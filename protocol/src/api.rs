//! Which APIs there are, in which versions, and which of them the broker serves.
//!
//! Pure. The table here is the only one: what ApiVersions advertises, what requests are accepted
//! and how they are encoded all come from it.

use std::ops::RangeInclusive;

use crate::message::ApiVersion;
use crate::primitive::Version;

/// One row of the table: the versions of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Whose row this is.
    pub key: ApiKey,
    /// Oldest version with an encoding here.
    pub min: i16,
    /// Newest version with an encoding here.
    pub max: i16,
    /// Oldest version that ApiVersions claims. Differs from `min` only for Produce: librdkafka up
    /// to 2.11.0 stops compressing for brokers that do not claim version 0, as Kafka does too.
    pub advertised_min: i16,
    /// Oldest version with compact lengths and tag sections, if there is one.
    pub flexible_from: Option<i16>,
    /// Whether the broker answers it. What is not served is neither advertised nor accepted.
    pub served: bool,
}

impl Api {
    /// Versions with an encoding here.
    #[must_use]
    pub fn versions(&self) -> RangeInclusive<i16> {
        self.min..=self.max
    }

    /// Whether `version` has an encoding here.
    #[must_use]
    pub fn supports(&self, version: i16) -> bool {
        self.versions().contains(&version)
    }

    /// Whether `version` has compact lengths, tag sections and request header 2.
    #[must_use]
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|from| version >= from)
    }

    /// Whether responses of `version` have header 1. Never for ApiVersions, whose header a client
    /// has to read before it knows the versions of the broker.
    #[must_use]
    pub fn has_flexible_response_header(&self, version: i16) -> bool {
        self.key != ApiKey::ApiVersions && self.is_flexible(version)
    }

    /// The entry in ApiVersions, if the API is served.
    #[must_use]
    pub fn advertised(&self) -> Option<ApiVersion> {
        self.served.then(|| ApiVersion {
            api_key: self.key.into(),
            min_version: self.advertised_min,
            max_version: self.max,
        })
    }

    /// How fields of `version` are written.
    #[must_use]
    pub fn version(&self, version: i16) -> Version {
        Version::new(version, self.is_flexible(version))
    }
}

/// What the broker serves, as ApiVersions lists it, by rising key.
pub fn advertised() -> impl Iterator<Item = ApiVersion> {
    ApiKey::ALL.iter().filter_map(|key| key.api().advertised())
}

/// The number of an API that this crate does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("api key {0} is unknown")]
pub struct UnknownApiKey(pub i16);

macro_rules! apis {
    ($(
        $(#[$meta:meta])*
        $name:ident = $key:literal,
        $min:literal to $max:literal,
        flexible $flexible:expr,
        served $served:literal
        $(, advertised from $advertised:literal)?;
    )+) => {
        /// An API with an encoding here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($(#[$meta])* $name = $key,)+
        }

        impl ApiKey {
            /// All of them, by rising number.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The row of this API.
            #[must_use]
            pub fn api(self) -> &'static Api {
                match self {
                    $(Self::$name => const { &Api {
                        key: Self::$name,
                        min: $min,
                        max: $max,
                        advertised_min: [$($advertised,)? $min][0],
                        flexible_from: $flexible,
                        served: $served,
                    } },)+
                }
            }

            /// Kafka's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = UnknownApiKey;

            fn try_from(key: i16) -> Result<Self, UnknownApiKey> {
                Ok(match key {
                    $($key => Self::$name,)+
                    _ => return Err(UnknownApiKey(key)),
                })
            }
        }

        impl From<ApiKey> for i16 {
            fn from(key: ApiKey) -> Self {
                match key {
                    $(ApiKey::$name => $key,)+
                }
            }
        }
    };
}

// An API is served from the moment its row says so: advertised by ApiVersions and let through by
// `decode_request`.
apis! {
    /// Appends record batches.
    Produce = 0, 3 to 13, flexible Some(9), served true, advertised from 0;
    /// Reads record batches.
    Fetch = 1, 4 to 18, flexible Some(12), served true;
    /// Finds offsets by time or position.
    ListOffsets = 2, 1 to 11, flexible Some(6), served true;
    /// Describes brokers, topics and leaders.
    Metadata = 3, 0 to 13, flexible Some(9), served true;
    /// Stores the offsets of a group.
    OffsetCommit = 8, 2 to 10, flexible Some(8), served true;
    /// Reads the offsets of a group.
    OffsetFetch = 9, 1 to 10, flexible Some(6), served true;
    /// Finds the broker that coordinates a group or transaction.
    FindCoordinator = 10, 0 to 6, flexible Some(3), served true;
    /// Enters a group or a new generation of it.
    JoinGroup = 11, 0 to 9, flexible Some(6), served true;
    /// Keeps a membership alive.
    Heartbeat = 12, 0 to 4, flexible Some(4), served true;
    /// Ends memberships.
    LeaveGroup = 13, 0 to 5, flexible Some(4), served true;
    /// Hands out the assignment of a generation.
    SyncGroup = 14, 0 to 5, flexible Some(4), served true;
    /// Shows groups and their members.
    DescribeGroups = 15, 0 to 6, flexible Some(5), served true;
    /// Lists groups.
    ListGroups = 16, 0 to 5, flexible Some(3), served true;
    /// Lists APIs and versions.
    ApiVersions = 18, 0 to 4, flexible Some(3), served true;
    /// Creates topics.
    CreateTopics = 19, 2 to 7, flexible Some(5), served true;
    /// Deletes topics.
    DeleteTopics = 20, 1 to 6, flexible Some(4), served true;
    /// Moves the log start offset up.
    DeleteRecords = 21, 0 to 2, flexible Some(2), served true;
    /// Gives a producer its id and epoch.
    InitProducerId = 22, 0 to 5, flexible Some(2), served true;
    /// Finds where a leader epoch ends.
    OffsetForLeaderEpoch = 23, 2 to 4, flexible Some(4), served true;
    /// Adds partitions to a transaction.
    AddPartitionsToTxn = 24, 0 to 5, flexible Some(3), served true;
    /// Adds the offsets of a group to a transaction.
    AddOffsetsToTxn = 25, 0 to 4, flexible Some(3), served true;
    /// Commits or aborts a transaction.
    EndTxn = 26, 0 to 5, flexible Some(3), served true;
    /// Writes the markers that end transactions.
    WriteTxnMarkers = 27, 1 to 2, flexible Some(1), served true;
    /// Stores the offsets of a group within a transaction.
    TxnOffsetCommit = 28, 0 to 5, flexible Some(3), served true;
    /// Shows access control lists.
    DescribeAcls = 29, 1 to 3, flexible Some(2), served true;
    /// Adds to access control lists.
    CreateAcls = 30, 1 to 3, flexible Some(2), served true;
    /// Removes from access control lists.
    DeleteAcls = 31, 1 to 3, flexible Some(2), served true;
    /// Shows the configuration of topics and brokers.
    DescribeConfigs = 32, 1 to 4, flexible Some(4), served true;
    /// Replaces configurations.
    AlterConfigs = 33, 0 to 2, flexible Some(2), served true;
    /// Moves replicas between directories.
    AlterReplicaLogDirs = 34, 1 to 2, flexible Some(2), served true;
    /// Shows log directories and the sizes of logs.
    DescribeLogDirs = 35, 1 to 5, flexible Some(2), served true;
    /// Adds partitions to topics.
    CreatePartitions = 37, 0 to 3, flexible Some(2), served true;
    /// Makes tokens that stand for a principal.
    CreateDelegationToken = 38, 1 to 3, flexible Some(2), served true;
    /// Lets tokens be used for longer.
    RenewDelegationToken = 39, 1 to 2, flexible Some(2), served true;
    /// Sets when tokens expire.
    ExpireDelegationToken = 40, 1 to 2, flexible Some(2), served true;
    /// Shows tokens.
    DescribeDelegationToken = 41, 1 to 3, flexible Some(2), served true;
    /// Deletes groups.
    DeleteGroups = 42, 0 to 2, flexible Some(2), served true;
    /// Elects leaders.
    ElectLeaders = 43, 0 to 2, flexible Some(2), served true;
    /// Changes single entries of configurations.
    IncrementalAlterConfigs = 44, 0 to 1, flexible Some(1), served true;
    /// Moves replicas between brokers.
    AlterPartitionReassignments = 45, 0 to 1, flexible Some(0), served true;
    /// Lists moves of replicas.
    ListPartitionReassignments = 46, 0 to 0, flexible Some(0), served true;
    /// Deletes offsets of a group.
    OffsetDelete = 47, 0 to 0, flexible None, served true;
    /// Shows quotas.
    DescribeClientQuotas = 48, 0 to 1, flexible Some(1), served true;
    /// Changes quotas.
    AlterClientQuotas = 49, 0 to 1, flexible Some(1), served true;
    /// Shows who has SCRAM credentials.
    DescribeUserScramCredentials = 50, 0 to 0, flexible Some(0), served true;
    /// Changes SCRAM credentials.
    AlterUserScramCredentials = 51, 0 to 0, flexible Some(0), served true;
    /// Describes the quorum that keeps the metadata.
    DescribeQuorum = 55, 0 to 2, flexible Some(0), served true;
    /// Changes which levels of features are used.
    UpdateFeatures = 57, 0 to 2, flexible Some(0), served true;
    /// Describes the brokers of the cluster.
    DescribeCluster = 60, 0 to 2, flexible Some(0), served true;
    /// Shows the producers that write to partitions.
    DescribeProducers = 61, 0 to 0, flexible Some(0), served true;
    /// Forgets a broker.
    UnregisterBroker = 64, 0 to 0, flexible Some(0), served true;
    /// Shows transactions.
    DescribeTransactions = 65, 0 to 0, flexible Some(0), served true;
    /// Lists transactions.
    ListTransactions = 66, 0 to 2, flexible Some(0), served true;
    /// Joins, keeps up and leaves a group of the consumer protocol.
    ConsumerGroupHeartbeat = 68, 0 to 1, flexible Some(0), served true;
    /// Shows groups of the consumer protocol.
    ConsumerGroupDescribe = 69, 0 to 1, flexible Some(0), served true;
    /// Lists what has a configuration.
    ListConfigResources = 74, 0 to 1, flexible Some(0), served true;
    /// Describes topics page by page.
    DescribeTopicPartitions = 75, 0 to 0, flexible Some(0), served true;
}

#[cfg(test)]
mod tests;
