//! A reader without a client behind it: asks for the next bytes and throws them away.
//!
//! It runs as a process of its own, so that it can be pinned, and looks at nothing but the offsets
//! that it needs to ask on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use bytes::{Buf as _, Bytes};
use ottla_protocol::message::{FetchPartition, FetchRequest, FetchTopic};
use ottla_protocol::record::Batches;
use ottla_protocol::{ApiKey, Response, decode_response, encode_request};
use serde::{Deserialize, Serialize};

use crate::process::{CLIENT_CORE, pinned, run};
use crate::tool::Measured;

/// The Fetch version that is spoken: the last one with topic names.
const FETCH: i16 = 12;

/// Bytes asked for at a time.
const FETCH_BYTES: i32 = 8 << 20;

/// What the process prints.
#[derive(Serialize, Deserialize)]
struct Report {
    records: i64,
    seconds: f64,
}

/// Starts the process and waits for its end.
///
/// # Errors
/// When it fails.
pub fn measure(broker: &str, topic: &str, bytes: u64) -> Result<Measured> {
    let mut command = pinned(CLIENT_CORE, &std::env::current_exe()?);
    command.args(["raw-read", broker, topic, &bytes.to_string()]);
    let finished = run(command)?;
    let report: Report = serde_json::from_str(finished.output.trim())?;
    Ok(Measured {
        records: u64::try_from(report.records)?,
        seconds: report.seconds,
        cpu: finished.cpu,
        latency: None,
    })
}

/// The body of that process: reads `bytes` of partition 0, from the beginning again at the end.
///
/// # Errors
/// When the broker does not answer.
pub fn read(broker: &str, topic: &str, bytes: u64) -> Result<String> {
    let mut stream = TcpStream::connect(broker)?;
    stream.set_nodelay(true)?;
    let (mut offset, mut records, mut total) = (0, 0, 0);
    let mut frame = Vec::new();
    let start = Instant::now();
    while total < bytes {
        stream.write_all(&request(topic, offset)?)?;
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix)?;
        frame.resize(usize::try_from(u32::from_be_bytes(prefix))?, 0);
        stream.read_exact(&mut frame)?;
        total += frame.len() as u64;
        let whole = Bytes::from(std::mem::take(&mut frame));
        let next = end_of(&whole)?;
        match next {
            Some(next) => {
                records += next - offset;
                offset = next;
            }
            None => {
                ensure!(offset > 0, "{topic} is empty");
                offset = 0;
            }
        }
        frame = Vec::from(whole);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(serde_json::to_string(&Report { records, seconds })?)
}

fn request(topic: &str, offset: i64) -> Result<Vec<u8>> {
    let request = FetchRequest {
        max_bytes: FETCH_BYTES,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: FETCH_BYTES,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let frame = encode_request(&request.into(), FETCH, 1, None)?;
    Ok(frame.into_bytes().to_vec())
}

/// The offset behind the last batch of an answer.
fn end_of(frame: &Bytes) -> Result<Option<i64>> {
    let (_, response) = decode_response(ApiKey::Fetch, FETCH, frame.clone())?;
    let Response::Fetch(response) = response else {
        anyhow::bail!("not an answer to Fetch");
    };
    let topic = response.responses.first().context("no topic")?;
    let partition = topic.partitions.first().context("no partition")?;
    ensure!(
        !partition.error_code.is_error(),
        "{:?}",
        partition.error_code
    );
    let records = partition.records.clone().unwrap_or_default();
    if !records.has_remaining() {
        return Ok(None);
    }
    let last = Batches::new(records).map_while(Result::ok).last();
    Ok(last.map(|batch| batch.header().next_offset()))
}
