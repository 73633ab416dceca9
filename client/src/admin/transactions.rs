//! Transactions: listed, described, and aborted when their producers are gone for good (KIP-664).

use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeProducersTopic,
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTransaction,
    ListTransactionsRequest, ListTransactionsResponse, WritableTxnMarker, WritableTxnMarkerTopic,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use super::Admin;
use crate::cluster::Coordinated;
use crate::env::millis;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;

/// A transaction in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionListing {
    /// The `transactional.id` of its producer.
    pub transactional_id: String,
    /// The id of its producer.
    pub producer_id: i64,
    /// Its state in Kafka's words, as `Ongoing` or `CompleteCommit`.
    pub state: String,
}

/// Which transactions to list: all, unless something is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransactionFilter {
    states: Vec<String>,
    producer_ids: Vec<i64>,
    longer_than: Option<Duration>,
    pattern: Option<String>,
}

impl TransactionFilter {
    /// All transactions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only transactions in one of these states, in Kafka's words, as `Ongoing`.
    #[must_use]
    pub fn states<S: Into<String>>(mut self, states: impl IntoIterator<Item = S>) -> Self {
        self.states = states.into_iter().map(Into::into).collect();
        self
    }

    /// Only transactions of these producers.
    #[must_use]
    pub fn producer_ids(mut self, producer_ids: impl IntoIterator<Item = i64>) -> Self {
        self.producer_ids = producer_ids.into_iter().collect();
        self
    }

    /// Only transactions that are open for longer than this (KIP-994).
    #[must_use]
    pub fn longer_than(mut self, duration: Duration) -> Self {
        self.longer_than = Some(duration);
        self
    }

    /// Only transactions whose whole `transactional.id` matches this regular expression in the
    /// syntax of RE2 (KIP-1152).
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// The oldest version of ListTransactions that filters so.
    fn floor(&self) -> i16 {
        match (&self.longer_than, &self.pattern) {
            (_, Some(_)) => 2,
            (Some(_), None) => 1,
            (None, None) => 0,
        }
    }
}

/// What a coordinator knows of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionDescription {
    /// The broker that coordinates it.
    pub coordinator: i32,
    /// Its state in Kafka's words, as `Ongoing` or `CompleteCommit`.
    pub state: String,
    /// The id of its producer.
    pub producer_id: i64,
    /// The epoch of its producer.
    pub producer_epoch: i16,
    /// How long it may stay open.
    pub timeout: Duration,
    /// When it was begun, in milliseconds since the Unix epoch; none while none is open.
    pub start_timestamp: Option<i64>,
    /// The partitions that take part, in order.
    pub partitions: Vec<TopicPartition>,
}

/// A producer that has written to a partition and may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerState {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence number of its last record; none after a marker.
    pub last_sequence: Option<i32>,
    /// The time of its last batch, in milliseconds since the Unix epoch.
    pub last_timestamp: Option<i64>,
    /// The epoch of the coordinator that ended its last transaction; none before any has.
    pub coordinator_epoch: Option<i32>,
    /// The first offset of its open transaction, if there is one.
    pub transaction_start_offset: Option<i64>,
}

impl Admin {
    /// Lists the transactions of all brokers that pass a filter, by `transactional.id`.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`]; [`Error::Invalid`] for a state that does not exist;
    /// [`Error::Unsupported`] when a broker cannot filter so.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<Vec<TransactionListing>, Error> {
        let states = filter.states.iter().map(|state| state.as_str().into());
        let request = ListTransactionsRequest {
            state_filters: states.collect(),
            producer_id_filters: filter.producer_ids.clone(),
            duration_filter: filter.longer_than.map_or(-1, millis),
            transactional_id_pattern: filter.pattern.as_deref().map(Into::into),
        };
        let operation = "ListTransactions";
        let mut listed = Vec::new();
        for node in self.nodes().await? {
            let code = |response: &ListTransactionsResponse| response.error_code;
            let response = self
                .node(operation, node, request.clone(), filter.floor(), code)
                .await?;
            check(operation, response.error_code, None)?;
            if let Some(unknown) = response.unknown_state_filters.first() {
                return Err(Error::Invalid(format!("no transaction is ever {unknown}")));
            }
            let states = response.transaction_states.into_iter();
            listed.extend(states.map(|transaction| TransactionListing {
                transactional_id: transaction.transactional_id.to_string(),
                producer_id: transaction.producer_id,
                state: transaction.transaction_state.to_string(),
            }));
        }
        listed.sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        Ok(listed)
    }

    /// Shows the last or open transaction of a `transactional.id`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] with `TRANSACTIONAL_ID_NOT_FOUND` when there is none.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_transaction(
        &self,
        transactional_id: &str,
    ) -> Result<TransactionDescription, Error> {
        let operation = "DescribeTransactions";
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![transactional_id.into()],
        };
        let code = |response: &DescribeTransactionsResponse| {
            let state = response.transaction_states.first();
            state.map_or(ErrorCode::None, |state| state.error_code)
        };
        let of = Coordinated::Transaction(transactional_id);
        let (node, response) = self
            .coordinator_of(operation, of, request, i16::MAX, code)
            .await?;
        let missing = || Error::Corrupt("no transaction in the answer".to_owned());
        let described = response.transaction_states.into_iter().next();
        let described = described.ok_or_else(missing)?;
        check(operation, described.error_code, None)?;
        Ok(describe(node, described))
    }

    /// Shows the producers that have written to a partition lately.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] when there is no such partition.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_producers(
        &self,
        partition: &TopicPartition,
    ) -> Result<Vec<ProducerState>, Error> {
        let operation = "DescribeProducers";
        let request = DescribeProducersRequest {
            topics: vec![DescribeProducersTopic {
                name: (&*partition.topic).into(),
                partition_indexes: vec![partition.partition],
            }],
        };
        let code = |response: &DescribeProducersResponse| {
            let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let partition = partitions.next();
            partition.map_or(ErrorCode::None, |partition| partition.error_code)
        };
        let response = self.leader(operation, partition, request, code).await?;
        let partitions = response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let missing = || Error::Corrupt("no partition in the answer".to_owned());
        let described = partitions.into_iter().next().ok_or_else(missing)?;
        let message = described.error_message.as_deref();
        check(operation, described.error_code, message)?;
        let producer = |producer: ottla_protocol::message::ProducerState| ProducerState {
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            last_sequence: (producer.last_sequence >= 0).then_some(producer.last_sequence),
            last_timestamp: (producer.last_timestamp >= 0).then_some(producer.last_timestamp),
            coordinator_epoch: (producer.coordinator_epoch >= 0)
                .then_some(producer.coordinator_epoch),
            transaction_start_offset: (producer.current_txn_start_offset >= 0)
                .then_some(producer.current_txn_start_offset),
        };
        Ok(described
            .active_producers
            .into_iter()
            .map(producer)
            .collect())
    }

    /// Aborts the open transaction of a producer in one partition, which nobody will end any more:
    /// readers of committed records go on behind it. The coordinator is not asked; a transaction
    /// that it still knows ends by itself, and aborting it here can lose what it wrote.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Invalid`] for a producer whose epoch is none;
    /// [`Error::Refused`] when the partition does not exist or the producer has moved on.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the transaction aborted.
    pub async fn abort_transaction(
        &self,
        partition: &TopicPartition,
        producer: &ProducerState,
    ) -> Result<(), Error> {
        let operation = "WriteTxnMarkers";
        let producer_epoch = i16::try_from(producer.producer_epoch)
            .map_err(|_| Error::Invalid("the producer has no epoch".to_owned()))?;
        let request = WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: producer.producer_id,
                producer_epoch,
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic {
                    name: (&*partition.topic).into(),
                    partition_indexes: vec![partition.partition],
                }],
                coordinator_epoch: producer.coordinator_epoch.unwrap_or(0),
                transaction_version: 0,
            }],
        };
        let code = |response: &WriteTxnMarkersResponse| {
            let topics = response.markers.iter().flat_map(|marker| &marker.topics);
            let mut partitions = topics.flat_map(|topic| &topic.partitions);
            let missing = ErrorCode::UnknownServerError;
            partitions
                .next()
                .map_or(missing, |partition| partition.error_code)
        };
        let response = self.leader(operation, partition, request, code).await?;
        check(operation, code(&response), None)
    }
}

fn describe(coordinator: i32, transaction: DescribedTransaction) -> TransactionDescription {
    let mut partitions = Vec::new();
    for topic in transaction.topics {
        let numbers = topic.partitions.into_iter();
        partitions.extend(numbers.map(|number| TopicPartition::new(&*topic.topic, number)));
    }
    partitions.sort();
    let timeout = u64::try_from(transaction.transaction_timeout_ms).unwrap_or_default();
    let start = transaction.transaction_start_time_ms;
    TransactionDescription {
        coordinator,
        state: transaction.transaction_state.to_string(),
        producer_id: transaction.producer_id,
        producer_epoch: transaction.producer_epoch,
        timeout: Duration::from_millis(timeout),
        start_timestamp: (start >= 0).then_some(start),
        partitions,
    }
}
