//! One client at a time, in a process of its own, against a broker that runs already.
//!
//!   clients produce CLIENT BOOTSTRAP TOPIC CODEC SIZE COUNT
//!   clients consume CLIENT BOOTSTRAP TOPIC COUNT
//!
//! CLIENT is ottla, librdkafka or krafka. Prints one line: records per second, and seconds of CPU
//! per million records, both of this process alone. Every record is waited for: a producer learns
//! the outcome of each, a consumer sees each value. (`run` adds librdkafka's own program in C.)

mod krafka_client;
mod librdkafka;
mod ottla;

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Settings that all clients share.
const LINGER: Duration = Duration::from_millis(5);
const PARTITIONS: i32 = 6;
/// Records whose outcome is waited for at once.
const OUTSTANDING: usize = 100_000;

/// What to produce.
struct Load {
    bootstrap: String,
    topic: String,
    codec: String,
    batch_size: usize,
    values: Vec<Vec<u8>>,
    count: usize,
}

/// Values of `size` bytes that a codec makes about half as large.
fn values(size: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = || {
        let mut text = Vec::with_capacity(size + 32);
        while text.len() < size {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.extend(format!("\"item\":\"{:08x}\",", state >> 32).bytes());
        }
        text.truncate(size);
        text
    };
    (0..1000).map(|_| value()).collect()
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let batch_size = std::env::var("BATCH_SIZE")
        .ok()
        .and_then(|size| size.parse().ok());
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (start, cpu) = (Instant::now(), ProcessTime::now());
    let count: usize = match arguments.as_slice() {
        ["produce", client, bootstrap, topic, codec, size, count] => {
            let load = Load {
                bootstrap: (*bootstrap).to_owned(),
                topic: (*topic).to_owned(),
                codec: (*codec).to_owned(),
                batch_size: batch_size.unwrap_or(128 << 10),
                values: values(size.parse()?),
                count: count.parse()?,
            };
            match *client {
                "ottla" => threads.block_on(ottla::produce(&load))?,
                "librdkafka" => librdkafka::produce(&load)?,
                "krafka" => threads.block_on(krafka_client::produce(&load))?,
                other => return Err(format!("no client {other}").into()),
            }
            load.count
        }
        ["consume", client, bootstrap, topic, count] => {
            let count = count.parse()?;
            let bytes = match *client {
                "ottla" => threads.block_on(ottla::consume(bootstrap, topic, count))?,
                "librdkafka" => librdkafka::consume(bootstrap, topic, count)?,
                "krafka" => threads.block_on(krafka_client::consume(bootstrap, topic, count))?,
                other => return Err(format!("no client {other}").into()),
            };
            std::hint::black_box(bytes);
            count
        }
        ["create", bootstrap, topic] => {
            return threads.block_on(ottla::create(bootstrap, topic));
        }
        _ => return Err("see the head of src/main.rs".into()),
    };
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    let count = count as f64;
    println!("{:.0} {:.3}", count / wall, cpu * 1e6 / count);
    Ok(())
}
