//! The broker as one function: a decoded request in, an answer out.
//!
//! Shell. Every transport ends here; nothing below knows about sockets or frames.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use ottla_protocol::StrBytes;
use ottla_protocol::message::{Request, Response};

use crate::core::Core;
use crate::handler::{
    alter_configs, api_versions, cluster, configs, consumer_groups, features, fetch, groups,
    list_offsets, metadata, offsets, produce, producer_id, quotas, records, replicas, security,
    topics, transaction_admin, transaction_offsets, transactions,
};

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Version of the API in which the request is made.
    pub(crate) api_version: i16,
    /// What the client calls itself.
    pub(crate) client_id: StrBytes,
    /// The address of ours that the client is connected to; none without a socket.
    pub(crate) local: Option<SocketAddr>,
    /// Address of the client, as groups show it.
    pub(crate) client_host: StrBytes,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Send this.
    Reply(Response),
    /// The request wants no answer.
    Nothing,
    /// The protocol has no answer for this; end the connection for this reason.
    Close(String),
}

/// The wait for an answer.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

fn ready(response: Response) -> Pending {
    Box::pin(std::future::ready(Answer::Reply(response)))
}

fn reply<F>(response: F) -> Pending
where
    F: Future<Output = Response> + Send + 'static,
{
    Box::pin(async { Answer::Reply(response.await) })
}

/// Applies a request and returns the wait for its answer.
///
/// What the request changes is changed in the order of calls, but for topics: they are created,
/// deleted and cut on the first poll. Dropping the wait takes nothing back that was applied.
pub(crate) fn call(core: &Arc<Core>, context: &Context, request: Request) -> Pending {
    match request {
        Request::Produce(request) => Box::pin(produce::produce(core, context, request)),
        Request::Fetch(request) => reply(fetch::fetch(core, context, request)),
        Request::ListOffsets(request) => reply(list_offsets::list_offsets(core, request)),
        Request::Metadata(request) => reply(metadata::metadata(core, context, request)),
        Request::OffsetCommit(request) => reply(offsets::commit(core, context, request)),
        Request::OffsetFetch(request) => reply(offsets::fetch(core, context, request)),
        Request::FindCoordinator(request) => {
            ready(cluster::find_coordinator(core, context, request))
        }
        Request::JoinGroup(request) => reply(groups::join(core, context, request)),
        Request::Heartbeat(request) => reply(groups::heartbeat(core, request)),
        Request::LeaveGroup(request) => reply(groups::leave(core, context, request)),
        Request::SyncGroup(request) => reply(groups::sync(core, context, request)),
        Request::ConsumerGroupHeartbeat(request) => {
            reply(consumer_groups::heartbeat(core, context, request))
        }
        Request::ConsumerGroupDescribe(request) => reply(consumer_groups::describe(core, request)),
        Request::DescribeGroups(request) => reply(groups::describe(core, context, request)),
        Request::ListGroups(request) => reply(groups::list(core, request)),
        Request::DeleteGroups(request) => reply(groups::delete(core, request)),
        Request::OffsetDelete(request) => reply(offsets::delete(core, request)),
        Request::ApiVersions(request) => ready(api_versions::api_versions(context, &request)),
        Request::CreateTopics(request) => reply(topics::create(core, context, request)),
        Request::DeleteTopics(request) => reply(topics::delete(core, context, request)),
        Request::DeleteRecords(request) => reply(records::delete(core, request)),
        Request::DescribeLogDirs(request) => reply(records::describe_log_dirs(core, request)),
        Request::CreatePartitions(request) => reply(topics::create_partitions(core, request)),
        Request::InitProducerId(request) => {
            reply(producer_id::init_producer_id(core, context, request))
        }
        Request::AddPartitionsToTxn(request) => {
            reply(transactions::add_partitions(core, context, request))
        }
        Request::AddOffsetsToTxn(request) => {
            reply(transactions::add_offsets(core, context, request))
        }
        Request::EndTxn(request) => reply(transactions::end_txn(core, context, request)),
        Request::WriteTxnMarkers(request) => reply(transaction_admin::write_markers(core, request)),
        Request::TxnOffsetCommit(request) => {
            reply(transaction_offsets::commit(core, context, request))
        }
        Request::DescribeProducers(request) => {
            ready(transaction_admin::describe_producers(core, request))
        }
        Request::DescribeTransactions(request) => ready(transaction_admin::describe(core, request)),
        Request::ListTransactions(request) => ready(transaction_admin::list(core, request)),
        Request::OffsetForLeaderEpoch(request) => {
            ready(list_offsets::offset_for_leader_epoch(core, request))
        }
        Request::DescribeConfigs(request) => ready(configs::describe(core, request)),
        Request::AlterConfigs(request) => reply(alter_configs::alter(core, request)),
        Request::IncrementalAlterConfigs(request) => {
            reply(alter_configs::alter_incrementally(core, request))
        }
        Request::ListConfigResources(request) => ready(configs::list(core, context, &request)),
        Request::DescribeCluster(request) => ready(cluster::describe(core, context, request)),
        Request::DescribeTopicPartitions(request) => {
            ready(metadata::describe_topic_partitions(core, request))
        }
        other => administer(core, context, other),
    }
}

/// [`call`] for what operators ask and what nothing else waits for.
fn administer(core: &Arc<Core>, context: &Context, request: Request) -> Pending {
    match request {
        Request::DescribeQuorum(request) => ready(cluster::describe_quorum(core, context, request)),
        Request::UnregisterBroker(request) => ready(cluster::unregister(core, &request)),
        Request::UpdateFeatures(request) => ready(features::update(context, request)),
        Request::ElectLeaders(request) => ready(replicas::elect_leaders(core, context, request)),
        Request::AlterPartitionReassignments(request) => {
            ready(replicas::alter_reassignments(core, request))
        }
        Request::ListPartitionReassignments(request) => {
            ready(replicas::list_reassignments(&request))
        }
        Request::AlterReplicaLogDirs(request) => ready(replicas::alter_log_dirs(core, request)),
        Request::DescribeClientQuotas(request) => ready(quotas::describe(&request)),
        Request::AlterClientQuotas(request) => ready(quotas::alter(request)),
        Request::DescribeAcls(_) => ready(security::describe_acls()),
        Request::CreateAcls(request) => ready(security::create_acls(&request)),
        Request::DeleteAcls(request) => ready(security::delete_acls(&request)),
        Request::CreateDelegationToken(_) => ready(security::create_token()),
        Request::RenewDelegationToken(_) => ready(security::renew_token()),
        Request::ExpireDelegationToken(_) => ready(security::expire_token()),
        Request::DescribeDelegationToken(_) => ready(security::describe_tokens()),
        Request::DescribeUserScramCredentials(request) => {
            ready(security::describe_credentials(request))
        }
        Request::AlterUserScramCredentials(request) => ready(security::alter_credentials(request)),
        other => {
            let reason = format!("{:?} is not served", other.api_key());
            Box::pin(std::future::ready(Answer::Close(reason)))
        }
    }
}
