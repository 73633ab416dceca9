//! Structs that several messages have in common, field for field.

use crate::declare::message;
use crate::primitive::StrBytes;

message! {
    /// A leader and its epoch.
    pub struct LeaderIdAndEpoch {
        /// The broker that leads, or -1.
        pub leader_id: i32 = -1,
        /// The epoch of the leader, or -1.
        pub leader_epoch: i32 = -1,
    }

    /// Where a broker is.
    pub struct NodeEndpoint {
        /// The broker.
        pub node_id: i32,
        /// Host to connect to.
        pub host: StrBytes,
        /// Port to connect to.
        pub port: i32,
        /// The rack that the broker is in, if known.
        pub rack: Option<StrBytes>,
    }
}
