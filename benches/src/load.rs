//! Requests over many partitions at once, without a client that would choose batches of its own.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use ottla_protocol::message::{
    FetchPartition, FetchRequest, FetchTopic, PartitionProduceData, ProduceRequest, Request,
    TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions};
use ottla_protocol::{ApiKey, Response, decode_response, encode_request};

/// The versions that are spoken: the last ones with topic names.
const PRODUCE: i16 = 9;
const FETCH: i16 = 12;

/// Requests under way in [`write_steadily`], as clients have them.
const PIPELINE: usize = 5;

/// Most bytes of a request of [`write_steadily`].
const REQUEST_BYTES: usize = 1 << 20;

/// A connection that can have many requests under way.
struct Pipe(TcpStream);

impl Pipe {
    fn open(broker: &str) -> Result<Self> {
        let stream = TcpStream::connect(broker)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self(stream))
    }

    fn send(&mut self, request: Request, version: i16) -> Result<()> {
        let frame = encode_request(&request, version, 1, None)?;
        Ok(self.0.write_all(&frame.into_bytes())?)
    }

    fn receive(&mut self, api: ApiKey, version: i16) -> Result<Response> {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix)?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(prefix))?];
        self.0.read_exact(&mut frame)?;
        Ok(decode_response(api, version, frame.into())?.1)
    }

    fn receive_produced(&mut self) -> Result<()> {
        let Response::Produce(response) = self.receive(ApiKey::Produce, PRODUCE)? else {
            anyhow::bail!("not an answer to Produce");
        };
        let partitions = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        for partition in partitions {
            ensure!(
                !partition.error_code.is_error(),
                "{:?}",
                partition.error_code
            );
        }
        Ok(())
    }
}

/// A batch of one record of this size.
fn batch(size: usize) -> Result<Bytes> {
    let options = BatchOptions {
        max_size: size + 1024,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    builder.append(
        i64::try_from(now.as_millis())?,
        None,
        Some(&vec![7; size]),
        &[],
    )?;
    Ok(builder.build()?)
}

fn produce(topic: &str, partitions: impl Iterator<Item = u64>, records: &Bytes) -> Result<Request> {
    let partition_data = partitions.map(|index| {
        Ok(PartitionProduceData {
            index: i32::try_from(index)?,
            records: Some(records.clone()),
        })
    });
    let topic_data = TopicProduceData {
        name: topic.into(),
        partition_data: partition_data.collect::<Result<_>>()?,
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 60_000,
        topic_data: vec![topic_data],
        ..Default::default()
    };
    Ok(request.into())
}

/// Writes one record to each partition with one request.
///
/// # Errors
/// When one is refused.
pub fn write_to_all(broker: &str, topic: &str, partitions: u64, size: usize) -> Result<()> {
    let mut pipe = Pipe::open(broker)?;
    pipe.send(produce(topic, 0..partitions, &batch(size)?)?, PRODUCE)?;
    pipe.receive_produced()
}

/// Reads at least `size` bytes from the start of each partition with one request.
///
/// # Errors
/// When one is refused or has less.
pub fn read_all(broker: &str, topic: &str, partitions: u64, size: usize) -> Result<()> {
    let wanted = (0..partitions).map(|index| {
        Ok(FetchPartition {
            partition: i32::try_from(index)?,
            partition_max_bytes: i32::try_from(size + 512)?,
            ..Default::default()
        })
    });
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: wanted.collect::<Result<_>>()?,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut pipe = Pipe::open(broker)?;
    pipe.send(request.into(), FETCH)?;
    let Response::Fetch(response) = pipe.receive(ApiKey::Fetch, FETCH)? else {
        anyhow::bail!("not an answer to Fetch");
    };
    let topic = response.responses.first().context("no topic")?;
    for partition in &topic.partitions {
        ensure!(
            !partition.error_code.is_error(),
            "{:?}",
            partition.error_code
        );
        let bytes = partition.records.as_ref().map_or(0, Bytes::len);
        ensure!(
            bytes >= size,
            "{bytes} bytes in {}",
            partition.partition_index
        );
    }
    Ok(())
}

/// Writes batches of `size` bytes to all partitions in turn for a while, some requests at a time.
/// Answers the bytes and the time.
///
/// # Errors
/// When one is refused.
pub fn write_steadily(
    broker: &str,
    topic: &str,
    partitions: u64,
    size: usize,
    time: Duration,
) -> Result<(u64, Duration)> {
    let start = Instant::now();
    let bytes = write_while(broker, topic, partitions, size, |_| start.elapsed() < time)?;
    Ok((bytes, start.elapsed()))
}

/// Writes batches of `size` bytes to all partitions in turn until there are `total` bytes.
///
/// # Errors
/// When one is refused.
pub fn write_bytes(
    broker: &str,
    topic: &str,
    partitions: u64,
    size: usize,
    total: u64,
) -> Result<()> {
    write_while(broker, topic, partitions, size, |bytes| bytes < total).map(drop)
}

fn write_while(
    broker: &str,
    topic: &str,
    partitions: u64,
    size: usize,
    go_on: impl Fn(u64) -> bool,
) -> Result<u64> {
    let batch = batch(size)?;
    let each = u64::try_from((REQUEST_BYTES / size).max(1))?.min(partitions);
    let mut pipe = Pipe::open(broker)?;
    let mut under_way = VecDeque::new();
    let (mut next, mut bytes) = (0, 0);
    loop {
        let more = go_on(bytes);
        if !more && under_way.is_empty() {
            return Ok(bytes);
        }
        if more && under_way.len() < PIPELINE {
            let turn = (next..next + each).map(|index| index % partitions);
            pipe.send(produce(topic, turn, &batch)?, PRODUCE)?;
            next = (next + each) % partitions;
            under_way.push_back(each * size as u64);
        } else {
            pipe.receive_produced()?;
            bytes += under_way.pop_front().unwrap_or(0);
        }
    }
}
