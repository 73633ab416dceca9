//! The table: what is compared, and in which sizes.

use clap::ValueEnum;

use crate::broker::{Durability, System};

/// Who loads the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// `rdkafka_performance`.
    Librdkafka,
    /// Apache Kafka's own performance tools.
    Java,
    /// `ottla bench`, for latencies that count from the intended time of sending.
    Ottla,
    /// A reader that throws away what it reads, so that no client's CPU is the limit.
    Raw,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Sends as fast as it goes.
    Produce {
        /// Most bytes of a batch.
        batch: u32,
        /// Compresses.
        lz4: bool,
    },
    /// Sends [`rate`] records a second.
    Rate,
    /// Sends a record, waits until it is read, sends the next.
    EndToEnd,
    /// Reads from the beginning.
    Read,
    /// Reads from the beginning as a member of a group.
    GroupRead,
}

impl Work {
    /// Whether latencies are what is looked at.
    #[must_use]
    pub fn is_latency(self) -> bool {
        matches!(self, Self::Rate | Self::EndToEnd)
    }
}

/// A part of the table, measured in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// librdkafka writes and reads.
    Librdkafka,
    /// Java writes and reads.
    Java,
    /// Latencies: fixed rates, and one record at a time.
    Rate,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is called in results.
    pub name: &'static str,
    /// Where it belongs.
    pub part: Part,
    /// Who.
    pub client: Client,
    /// What.
    pub work: Work,
    /// Records; the second number is for Kafka where it syncs, which takes long. 0: not measured
    /// after a sync.
    pub records: (u64, u64),
    /// Bytes of a record's value.
    pub size: u64,
    /// Partitions of the topic.
    pub partitions: i32,
}

impl Row {
    /// Records in this mode.
    #[must_use]
    pub fn records(&self, system: System, durability: Durability) -> u64 {
        match (system, durability, self.records) {
            (_, Durability::PageCache, (records, _)) => records,
            (_, Durability::Fsync, (_, 0)) => 0,
            (System::Ottla, Durability::Fsync, (records, _)) if !self.work.is_latency() => records,
            (_, Durability::Fsync, (_, records)) => records,
        }
    }
}

const LARGE: Work = Work::Produce {
    batch: 1_000_000,
    lz4: false,
};
const LZ4: Work = Work::Produce {
    batch: 1_000_000,
    lz4: true,
};
const SMALL: Work = Work::Produce {
    batch: 16_384,
    lz4: false,
};

const fn row(
    name: &'static str,
    part: Part,
    client: Client,
    work: Work,
    records: (u64, u64),
    size: u64,
    partitions: i32,
) -> Row {
    Row {
        name,
        part,
        client,
        work,
        records,
        size,
        partitions,
    }
}

/// All rows.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("librdkafka write, 100 B, 1 partition", Part::Librdkafka, Client::Librdkafka, LARGE, (3_000_000, 1_500_000), 100, 1),
    row("librdkafka write, 1 KiB, 1 partition", Part::Librdkafka, Client::Librdkafka, LARGE, (600_000, 300_000), 1024, 1),
    row("librdkafka write, 1 KiB, 16 partitions", Part::Librdkafka, Client::Librdkafka, LARGE, (500_000, 200_000), 1024, 16),
    row("librdkafka write, 1 KiB, 1 partition, lz4", Part::Librdkafka, Client::Librdkafka, LZ4, (1_000_000, 600_000), 1024, 1),
    row("librdkafka write, 1 KiB, 1 partition, 16 KiB batches", Part::Librdkafka, Client::Librdkafka, SMALL, (200_000, 50_000), 1024, 1),
    row("librdkafka read, 100 B, 1 partition", Part::Librdkafka, Client::Librdkafka, Work::Read, (2_000_000, 0), 100, 1),
    row("librdkafka read, 1 KiB, 1 partition", Part::Librdkafka, Client::Librdkafka, Work::Read, (600_000, 0), 1024, 1),
    row("librdkafka read in a group, 1 KiB, 1 partition", Part::Librdkafka, Client::Librdkafka, Work::GroupRead, (600_000, 0), 1024, 1),
    row("raw read, 1 KiB, 1 partition", Part::Librdkafka, Client::Raw, Work::Read, (2_400_000, 0), 1024, 1),
    row("Java write, 100 B, 1 partition", Part::Java, Client::Java, JAVA, (1_000_000, 400_000), 100, 1),
    row("Java write, 1 KiB, 1 partition", Part::Java, Client::Java, JAVA, (250_000, 60_000), 1024, 1),
    row("Java write, 1 KiB, 16 partitions", Part::Java, Client::Java, JAVA, (300_000, 100_000), 1024, 16),
    row("Java read, 1 KiB, 1 partition", Part::Java, Client::Java, Work::Read, (300_000, 0), 1024, 1),
    row("Java, 1 KiB at a fixed rate", Part::Rate, Client::Java, Work::Rate, (160_000, 16_000), 1024, 1),
    row("Java, 1 KiB end to end, one at a time", Part::Rate, Client::Java, Work::EndToEnd, (3_000, 1_000), 1024, 1),
    row("ottla bench, 1 KiB at a fixed rate", Part::Rate, Client::Ottla, Work::Rate, (160_000, 16_000), 1024, 1),
];

/// The Java client's default batch.
const JAVA: Work = SMALL;

/// Records a second of the rows at a fixed rate.
#[must_use]
pub fn rate(durability: Durability) -> u64 {
    match durability {
        Durability::PageCache => 20_000,
        Durability::Fsync => 2_000,
    }
}
