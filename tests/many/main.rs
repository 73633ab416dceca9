//! Many brokers in one process, one after the other, leave nothing behind. A program of its own, with one test: what
//! it counts is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed"
)]

use std::path::Path;

use ottla_broker::Broker;
use ottla_client::{Client, ProducerRecord};

/// What a process has.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    threads: usize,
    descriptors: usize,
    tasks: usize,
}

fn held() -> Held {
    let count = |directory| std::fs::read_dir(directory).unwrap().count();
    Held {
        threads: count("/proc/self/task"),
        descriptors: count("/proc/self/fd"),
        tasks: tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
    }
}

/// Starts a broker, writes a record to it over each way in, and drops it.
async fn life(data_dir: Option<&Path>) {
    let builder = Broker::builder().listen("127.0.0.1:0");
    let builder = match data_dir {
        Some(data_dir) => builder.data_dir(data_dir),
        None => builder.ephemeral(),
    };
    let broker = builder.start().await.unwrap();
    let address = broker.local_addr().unwrap().to_string();
    for builder in [
        Client::builder().in_process(broker.in_process()),
        Client::builder().bootstrap_servers(address),
    ] {
        let client = builder.connect().await.unwrap();
        let producer = client.producer().build().await.unwrap();
        let record = ProducerRecord::new("orders").value("x");
        producer.send(record).await.unwrap();
    }
}

/// Lets the tasks that have been told to end do so.
async fn settle() {
    for _ in 0..100_000 {
        if held().tasks == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Bytes on the heap that what `work` does leaves there.
fn left_on_heap(runtime: &tokio::runtime::Runtime, lives: usize) -> i64 {
    allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..lives {
                life(None).await;
                settle().await;
            }
        });
    })
    .bytes_current
}

#[test]
fn brokers_that_are_dropped_leave_no_memory_tasks_threads_or_descriptors() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut directories = Vec::new();
    let mut durable = async || {
        let directory = tempfile::tempdir().unwrap();
        life(Some(directory.path())).await;
        directories.push(directory);
        settle().await;
    };
    // What a process needs only once, it gets now.
    runtime.block_on(async {
        life(None).await;
        durable().await;
    });
    let before = runtime.block_on(async { held() });
    runtime.block_on(async {
        for _ in 0..10 {
            durable().await;
        }
    });
    left_on_heap(&runtime, 20);
    let left = left_on_heap(&runtime, 100);
    assert!(left < 16 << 10, "100 brokers left {left} bytes");
    assert_eq!(runtime.block_on(async { held() }), before);
}
