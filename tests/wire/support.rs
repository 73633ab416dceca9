//! A broker on a free port, a client that sees frames, and the requests that most tests need.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use ottla_broker::Broker;
use ottla_broker::config::BrokerConfig;
use ottla_protocol::message::{
    ApiVersionsRequest, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    DeleteTopicsRequest, FetchPartition, FetchRequest, FetchResponse, FetchTopic, MetadataRequest,
    MetadataRequestTopic, PartitionData, PartitionProduceData, PartitionProduceResponse,
    ProduceRequest, RequestMessage, TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, Batches};
use ottla_protocol::{ErrorCode, StrBytes, decode_response, encode_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

/// After this long an answer is not coming. Longer than any wait that a test asks for, so that
/// with a paused clock the broker's timers come first.
const PATIENCE: Duration = Duration::from_secs(120);

/// 2024-01-01T00:00:00Z, which is also when the clock of a seeded broker starts.
pub(crate) const NOW_MS: i64 = 1_704_067_200_000;

/// A running broker without files.
pub(crate) struct Server {
    broker: Broker,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let config = BrokerConfig::from_entries(settings.iter().copied()).unwrap();
        let builder = Broker::builder()
            .config(config)
            .seed(1)
            .listen("127.0.0.1:0");
        Self {
            broker: builder.start().await.unwrap(),
        }
    }

    /// One that keeps its log in `dir`.
    pub(crate) async fn on(dir: &std::path::Path) -> Self {
        let builder = Broker::builder().seed(1).listen("127.0.0.1:0");
        Self {
            broker: builder.data_dir(dir).start().await.unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.broker.local_addr().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// That the broker still accepts connections and answers on them.
    pub(crate) async fn assert_alive(&self) {
        let response = self
            .connect()
            .await
            .call(0, ApiVersionsRequest::default())
            .await;
        assert_eq!(response.error_code, ErrorCode::None);
    }
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    next_id: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            next_id: 100,
        }
    }

    /// Sends a request and returns its correlation id.
    pub(crate) async fn send<R: RequestMessage>(&mut self, version: i16, request: R) -> i32 {
        self.next_id += 1;
        let id = self.next_id;
        let client_id = StrBytes::from_static("wire");
        let frame = encode_request(&request.into(), version, id, Some(&client_id)).unwrap();
        self.send_bytes(&frame.into_bytes()).await;
        id
    }

    /// The answer to the request with correlation id `id`, which must be next.
    pub(crate) async fn receive<R: RequestMessage>(
        &mut self,
        version: i16,
        id: i32,
    ) -> R::Response {
        let frame = self.frame().await.expect("the connection was closed");
        let (header, response) = decode_response(R::API_KEY, version, frame).unwrap();
        assert_eq!(header.correlation_id, id);
        R::Response::try_from(response).unwrap()
    }

    pub(crate) async fn call<R: RequestMessage>(
        &mut self,
        version: i16,
        request: R,
    ) -> R::Response {
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }

    /// Sends bytes as they are. A connection that the broker has closed takes them too.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends bytes behind their length.
    pub(crate) async fn send_frame(&mut self, bytes: &[u8]) {
        let mut frame = i32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(bytes);
        self.send_bytes(&frame).await;
    }

    /// The next frame without its length, or `None` when the broker has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let mut prefix = [0; 4];
        self.fill(&mut prefix).await?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
        self.fill(&mut frame)
            .await
            .expect("the connection was closed within a frame");
        Some(frame.into())
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        timeout(PATIENCE, self.stream.read_exact(buffer))
            .await
            .expect("no answer")
            .ok()?;
        Some(())
    }

    /// That the broker ends the connection without another word.
    pub(crate) async fn assert_closed(&mut self) {
        assert_eq!(self.frame().await, None);
    }

    /// Tells the broker that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }
}

/// All versions of the API that have an encoding.
pub(crate) fn versions<R: RequestMessage>() -> RangeInclusive<i16> {
    R::API_KEY.api().versions()
}

/// A text field.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from(text)
}

/// One batch with a record per value, as a producer sends it.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_with(BatchOptions::default(), values)
}

pub(crate) fn batch_with(options: BatchOptions, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        max_size: 64 << 20,
        ..options
    })
    .unwrap();
    for value in values {
        builder
            .append(NOW_MS, Some(b"key"), Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder.build().unwrap()
}

/// A topic with its id.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) name: StrBytes,
    pub(crate) id: Uuid,
}

pub(crate) fn creatable(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic {
        name: text(name),
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    }
}

impl Client {
    pub(crate) async fn create_topic(&mut self, name: &str, partitions: i32) -> Topic {
        self.create_topic_with(name, partitions, &[]).await
    }

    pub(crate) async fn create_topic_with(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Topic {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: text(name),
            value: Some(text(value)),
        };
        let configs = configs.iter().map(config).collect();
        let topics = vec![CreatableTopic {
            configs,
            ..creatable(name, partitions)
        }];
        let request = CreateTopicsRequest {
            topics,
            ..Default::default()
        };
        let response = self.call(7, request).await;
        assert_eq!(response.topics[0].error_code, ErrorCode::None);
        Topic {
            name: text(name),
            id: response.topics[0].topic_id,
        }
    }

    /// A topic that is there.
    pub(crate) async fn find_topic(&mut self, name: &str) -> Topic {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(text(name)),
                ..Default::default()
            }]),
            ..Default::default()
        };
        let response = self.call(12, request).await;
        assert_eq!(response.topics[0].error_code, ErrorCode::None);
        Topic {
            name: text(name),
            id: response.topics[0].topic_id,
        }
    }

    pub(crate) async fn delete_topic(&mut self, name: &str) {
        let request = DeleteTopicsRequest {
            topic_names: vec![text(name)],
            ..Default::default()
        };
        let response = self.call(5, request).await;
        assert_eq!(response.responses[0].error_code, ErrorCode::None);
    }

    /// Produces to partition 0 and returns the outcome.
    pub(crate) async fn produce(
        &mut self,
        version: i16,
        topic: &Topic,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let request = produce_request(topic, Some(records));
        let mut response = self.call(version, request).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetches from partition 0 and returns what was read.
    pub(crate) async fn fetch(
        &mut self,
        version: i16,
        topic: &Topic,
        offset: i64,
    ) -> PartitionData {
        only_partition(self.call(version, fetch_request(topic, offset)).await)
    }
}

/// What was fetched from the one partition that was asked for.
pub(crate) fn only_partition(mut response: FetchResponse) -> PartitionData {
    assert_eq!(response.error_code, ErrorCode::None);
    response.responses.remove(0).partitions.remove(0)
}

/// A request with records for partition 0, acks -1.
pub(crate) fn produce_request(topic: &Topic, records: Option<Bytes>) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.name.clone(),
            topic_id: topic.id,
            partition_data: vec![PartitionProduceData { index: 0, records }],
        }],
        ..Default::default()
    }
}

/// A request for partition 0 that does not wait.
pub(crate) fn fetch_request(topic: &Topic, offset: i64) -> FetchRequest {
    FetchRequest {
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: vec![fetch_partition(0, offset)],
        }],
        ..Default::default()
    }
}

pub(crate) fn fetch_partition(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    }
}

/// The offsets and values of all records in `records`.
pub(crate) fn values(records: Option<Bytes>) -> Vec<(i64, String)> {
    let limits = ottla_protocol::record::Limits::default();
    Batches::new(records.unwrap_or_default())
        .flat_map(|batch| batch.unwrap().records(&limits).unwrap())
        .map(|record| {
            let record = record.unwrap();
            (
                record.offset,
                String::from_utf8(record.value.unwrap().to_vec()).unwrap(),
            )
        })
        .collect()
}

/// The base offset of every batch in `records`.
pub(crate) fn base_offsets(records: Option<Bytes>) -> Vec<i64> {
    let batches = Batches::new(records.unwrap_or_default());
    batches
        .map(|batch| batch.unwrap().header().base_offset)
        .collect()
}

/// The bytes of a request header.
pub(crate) fn header(api_key: i16, api_version: i16, id: i32, flexible: bool) -> Vec<u8> {
    let mut bytes = api_key.to_be_bytes().to_vec();
    bytes.extend(api_version.to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend((-1_i16).to_be_bytes());
    if flexible {
        bytes.push(0);
    }
    bytes
}
