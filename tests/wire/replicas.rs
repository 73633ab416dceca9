//! ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, AlterReplicaLogDirs:
//! there is one replica, and it stays.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    AlterPartitionReassignmentsRequest, AlterReplicaLogDir, AlterReplicaLogDirTopic,
    AlterReplicaLogDirsRequest, DescribeLogDirsRequest, ElectLeadersRequest, ElectTopic,
    ListPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};

use crate::support::{Client, Server, text, versions};

fn election(topic: &str, election_type: i8) -> ElectLeadersRequest {
    ElectLeadersRequest {
        election_type,
        topic_partitions: Some(vec![ElectTopic {
            topic: text(topic),
            partitions: vec![0, 7],
        }]),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_only_replica_leads_already() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for version in versions::<ElectLeadersRequest>() {
        for election_type in [0, 1] {
            let elected = client.call(version, election("t", election_type)).await;
            assert_eq!(elected.error_code, ErrorCode::None);
            let codes: Vec<_> = elected.replica_election_results[0]
                .partition_result
                .iter()
                .map(|partition| (partition.partition_id, partition.error_code))
                .collect();
            let needless = ErrorCode::ElectionNotNeeded;
            let unknown = ErrorCode::UnknownTopicOrPartition;
            assert_eq!(codes, [(0, needless), (7, unknown)]);
        }
    }
}

#[tokio::test]
async fn an_election_everywhere_tells_of_no_partition_that_needed_none() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 3).await;
    for version in versions::<ElectLeadersRequest>() {
        let request = ElectLeadersRequest {
            topic_partitions: None,
            ..Default::default()
        };
        let results = client.call(version, request).await.replica_election_results;
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].partition_result, []);
    }
}

#[tokio::test]
async fn an_unknown_kind_of_election_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in 1..=2 {
        let elected = client.call(version, election("t", 2)).await;
        assert_eq!(elected.error_code, ErrorCode::InvalidRequest);
        assert_eq!(elected.replica_election_results, []);
    }
}

async fn reassign(client: &mut Client, version: i16, to: Option<Vec<i32>>) -> ErrorCode {
    let partition = |partition_index| ReassignablePartition {
        partition_index,
        replicas: to.clone(),
    };
    let request = AlterPartitionReassignmentsRequest {
        topics: vec![ReassignableTopic {
            name: text("t"),
            partitions: vec![partition(0), partition(7)],
        }],
        ..Default::default()
    };
    let answer = client.call(version, request).await;
    assert_eq!(answer.error_code, ErrorCode::None);
    let partitions = &answer.responses[0].partitions;
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(partitions[1].error_code, unknown);
    partitions[0].error_code
}

#[tokio::test]
async fn a_replica_can_only_be_moved_to_where_it_is() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for version in versions::<AlterPartitionReassignmentsRequest>() {
        let here = reassign(&mut client, version, Some(vec![1])).await;
        assert_eq!(here, ErrorCode::None);
        for elsewhere in [vec![], vec![2], vec![1, 2], vec![1, 1], vec![-1]] {
            let code = reassign(&mut client, version, Some(elsewhere)).await;
            assert_eq!(code, ErrorCode::InvalidReplicaAssignment);
        }
        let cancelled = reassign(&mut client, version, None).await;
        assert_eq!(cancelled, ErrorCode::NoReassignmentInProgress);
    }
    let moving = client
        .call(0, ListPartitionReassignmentsRequest::default())
        .await;
    assert_eq!(
        (moving.error_code, moving.topics),
        (ErrorCode::None, vec![])
    );
}

#[tokio::test]
async fn a_log_stays_in_the_one_directory() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let dirs = client
        .call(4, DescribeLogDirsRequest { topics: None })
        .await;
    let here = dirs.results[0].log_dir.clone();
    let into = |path| AlterReplicaLogDir {
        path,
        topics: ["t", "absent"]
            .map(|name| AlterReplicaLogDirTopic {
                name: text(name),
                partitions: vec![0],
            })
            .into(),
    };
    for version in versions::<AlterReplicaLogDirsRequest>() {
        let request = AlterReplicaLogDirsRequest {
            dirs: vec![into(here.clone()), into(text("/no/such"))],
        };
        let results = client.call(version, request).await.results;
        let codes: Vec<_> = results
            .iter()
            .map(|topic| topic.partitions[0].error_code)
            .collect();
        let elsewhere = ErrorCode::LogDirNotFound;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::None, unknown, elsewhere, elsewhere]);
    }
}
