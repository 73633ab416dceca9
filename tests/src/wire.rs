//! A small client that sees error codes: it sends one request at a time and waits for the answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use ottla_protocol::message::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, DeleteTopicsRequest, FetchPartition,
    FetchRequest, FetchTopic, PartitionProduceData, ProduceRequest, RequestMessage,
    TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, Batches, Limits};
use ottla_protocol::{ErrorCode, StrBytes, decode_response, encode_request};

use crate::deadline::{PATIENCE, now_ms};

const CREATE_TOPICS: i16 = 5;
const DELETE_TOPICS: i16 = 5;
const PRODUCE: i16 = 9;
const FETCH: i16 = 11;
/// Bytes asked for in one fetch.
const FETCH_BYTES: i32 = 4 << 20;

/// A connection to a broker.
pub struct Connection {
    stream: TcpStream,
    next_id: i32,
}

impl Connection {
    /// Connects to `host:port`.
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a broker that accepts");
        stream
            .set_nodelay(true)
            .expect("a socket that takes options");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket that takes options");
        Self { stream, next_id: 1 }
    }

    /// Sends a request and returns the answer; `None` when the broker closed the connection instead.
    pub fn try_call<R: RequestMessage>(&mut self, version: i16, request: R) -> Option<R::Response> {
        self.next_id += 1;
        let client_id = StrBytes::from_static("ottla-tests");
        let frame = encode_request(&request.into(), version, self.next_id, Some(&client_id))
            .expect("a request");
        self.stream.write_all(&frame.into_bytes()).ok()?;
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).ok()?;
        let len = usize::try_from(i32::from_be_bytes(prefix)).expect("a length");
        let mut frame = vec![0; len];
        self.stream.read_exact(&mut frame).ok()?;
        let (header, response) =
            decode_response(R::API_KEY, version, frame.into()).expect("an answer");
        assert_eq!(header.correlation_id, self.next_id);
        R::Response::try_from(response).ok()
    }

    fn call<R: RequestMessage>(&mut self, version: i16, request: R) -> R::Response {
        self.try_call(version, request)
            .expect("an answer, not the end of the connection")
    }

    /// Creates a topic.
    pub fn create_topic(&mut self, name: &str, partitions: i32) -> ErrorCode {
        self.create_topic_with(name, partitions, &[])
    }

    /// Creates a topic with settings of its own.
    pub fn create_topic_with(
        &mut self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> ErrorCode {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: StrBytes::from(*name),
            value: Some(StrBytes::from(*value)),
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: StrBytes::from(name),
                num_partitions: partitions,
                replication_factor: 1,
                configs: settings.iter().map(config).collect(),
                ..Default::default()
            }],
            timeout_ms: 30_000,
            ..Default::default()
        };
        self.call(CREATE_TOPICS, request).topics[0].error_code
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, name: &str) -> ErrorCode {
        let request = DeleteTopicsRequest {
            topic_names: vec![StrBytes::from(name)],
            timeout_ms: 30_000,
            ..Default::default()
        };
        self.call(DELETE_TOPICS, request).responses[0].error_code
    }

    /// Produces one record with acks=all and returns its offset.
    ///
    /// # Errors
    /// The error code of the partition.
    pub fn produce(&mut self, topic: &str, partition: i32, value: &[u8]) -> Result<i64, ErrorCode> {
        let mut builder = BatchBuilder::new(BatchOptions::default()).expect("a batch");
        builder
            .append(now_ms(), None, Some(value), &[])
            .expect("a record");
        let records = builder.build().expect("a batch");
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 5_000,
            topic_data: vec![TopicProduceData {
                name: StrBytes::from(topic),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Some(records),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = &self.call(PRODUCE, request).responses[0].partition_responses[0];
        if answer.error_code.is_error() {
            return Err(answer.error_code);
        }
        Ok(answer.base_offset)
    }

    /// The values of all records of a partition from offset `from`, without gaps.
    ///
    /// # Errors
    /// The error code of the partition.
    pub fn read_from(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<Vec<Bytes>, ErrorCode> {
        let mut values = Vec::new();
        loop {
            let next = from + i64::try_from(values.len()).expect("an offset");
            let request = FetchRequest {
                max_bytes: FETCH_BYTES,
                topics: vec![FetchTopic {
                    topic: StrBytes::from(topic),
                    partitions: vec![FetchPartition {
                        partition,
                        fetch_offset: next,
                        partition_max_bytes: FETCH_BYTES,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let mut response = self.call(FETCH, request);
            let data = response.responses.remove(0).partitions.remove(0);
            if data.error_code.is_error() {
                return Err(data.error_code);
            }
            let before = values.len();
            for batch in Batches::new(data.records.unwrap_or_default()) {
                let batch = batch.expect("whole batches");
                for record in batch.records(&Limits::default()).expect("a batch") {
                    let record = record.expect("a record");
                    let next = from + i64::try_from(values.len()).expect("an offset");
                    assert_eq!(record.offset, next, "the next offset");
                    values.push(record.value.expect("a value"));
                }
            }
            if values.len() == before {
                return Ok(values);
            }
        }
    }
}
