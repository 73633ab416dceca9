//! Pure. How long a broker asks its client to wait (KIP-219).

use std::time::Duration;

use ottla_protocol::message::Response;

/// The throttle time of a response; zero when it has none.
pub(super) fn throttle(response: &Response) -> Duration {
    macro_rules! of {
        ($($name:ident),+) => {
            match response {
                $(Response::$name(response) => response.throttle_time_ms,)+
                _ => 0,
            }
        };
    }
    let ms = of!(
        Produce,
        Fetch,
        ListOffsets,
        Metadata,
        OffsetCommit,
        OffsetFetch,
        FindCoordinator,
        JoinGroup,
        Heartbeat,
        LeaveGroup,
        SyncGroup,
        DescribeGroups,
        ListGroups,
        ApiVersions,
        CreateTopics,
        DeleteTopics,
        DeleteRecords,
        InitProducerId,
        OffsetForLeaderEpoch,
        AddPartitionsToTxn,
        AddOffsetsToTxn,
        EndTxn,
        TxnOffsetCommit,
        DescribeConfigs,
        CreatePartitions,
        DeleteGroups,
        IncrementalAlterConfigs,
        OffsetDelete,
        DescribeCluster
    );
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
