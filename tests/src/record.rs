//! The records that clients exchange: made from a topic's name and an index, compared byte by byte. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Just below `max.message.bytes` (1 MiB and 12 bytes) with the overhead of a batch and of a codec that fails.
pub const BIG: usize = 1_000_000;

/// Bytes that travel as base64 in JSON; `None` is Kafka's null, which is not the empty string.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Option<Vec<u8>>);

/// A record as a producer is asked to send it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record {
    pub partition: i32,
    pub key: Bytes,
    pub value: Bytes,
    pub headers: Vec<(String, Bytes)>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// A record as a consumer got it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Consumed {
    pub offset: i64,
    #[serde(flatten)]
    pub record: Record,
}

/// A line for a program that produces: acknowledgements name the index.
#[derive(Serialize)]
pub struct Numbered<'a> {
    pub index: u64,
    #[serde(flatten)]
    pub record: &'a Record,
}

/// What the records of a topic are made of, by what the clients at both ends can express.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub partitions: i32,
    /// Headers whose value is null.
    pub null_header_values: bool,
    /// Records whose key and value are both null.
    pub empty_records: bool,
    /// One record of nearly the greatest size, for each partition.
    pub big: bool,
    /// The timestamps lie up to a second after this.
    pub timestamp: i64,
}

impl Shape {
    /// What every client can express, in one partition and in the year 1970.
    pub const PLAIN: Self = Self {
        partitions: 1,
        null_header_values: false,
        empty_records: false,
        big: false,
        timestamp: 0,
    };

    /// The first `count` records of `topic`, spread over its partitions.
    pub fn records(&self, topic: &str, count: usize) -> Vec<Record> {
        (0..count).map(|index| self.record(topic, index)).collect()
    }

    /// The record of `topic` with this index: the same one in every run but for `timestamp`.
    pub fn record(&self, topic: &str, index: usize) -> Record {
        let index = u64::try_from(index).expect("an index of 64 bits");
        let mut random = Random::new(topic, index);
        let partitions = u64::try_from(self.partitions).expect("a number of partitions");
        let round = index / partitions;
        let key = match round % 4 {
            0 => Bytes(None),
            1 => Bytes(Some(Vec::new())),
            2 => Bytes::from(format!("key-{index}").as_str()),
            _ => Bytes(Some(random.bytes(1 + index % 40))),
        };
        let value = match round % 7 {
            0 => Bytes(Some(random.bytes(1))),
            1 if self.empty_records || key.0.is_some() => Bytes(None),
            1 | 2 => Bytes(Some(Vec::new())),
            3 if self.big => Bytes(Some(random.bytes(BIG as u64))),
            3 | 4 => Bytes::from(format!("{{\"index\":{index},\"topic\":\"{topic}\"}}").as_str()),
            5 => Bytes::from("all work and no play, ".repeat(400).as_str()),
            _ => Bytes(Some(random.bytes(index % 3000))),
        };
        let headers = match round % 3 {
            0 => Vec::new(),
            1 => vec![("trace".to_string(), Bytes(Some(random.bytes(16))))],
            _ => {
                let last = if self.null_header_values {
                    None
                } else {
                    Some(vec![0, 255, 10])
                };
                vec![
                    ("größe".to_string(), Bytes::from("ü")),
                    ("twice".to_string(), Bytes::from("first")),
                    ("twice".to_string(), Bytes::from("second")),
                    ("empty".to_string(), Bytes(Some(Vec::new()))),
                    ("last".to_string(), Bytes(last)),
                ]
            }
        };
        let partition = i32::try_from(index % partitions).expect("a partition");
        // Neither constant nor rising within a partition.
        let late = i64::try_from(random.next() % 1000).expect("less than a second");
        Record {
            partition,
            key,
            value,
            headers,
            timestamp: self.timestamp + late,
        }
    }
}

/// The records of each partition in their order, as a ledger to hold against what was read.
#[derive(Clone, Debug, Default)]
pub struct Log(BTreeMap<i32, Vec<Record>>);

impl Log {
    /// A log of records that were sent in this order.
    pub fn of(records: &[Record]) -> Self {
        let mut log = Self::default();
        log.extend(records);
        log
    }

    /// Appends records.
    pub fn extend(&mut self, records: &[Record]) {
        for record in records {
            self.0
                .entry(record.partition)
                .or_default()
                .push(record.clone());
        }
    }

    /// Fails unless `consumed` is exactly this log: every record once, in order, at offsets from 0 without gaps.
    pub fn expect(&self, who: &str, consumed: &[Consumed]) {
        let mut read: BTreeMap<i32, Vec<&Consumed>> = BTreeMap::new();
        for record in consumed {
            read.entry(record.record.partition)
                .or_default()
                .push(record);
        }
        let partitions: Vec<_> = read.keys().collect();
        assert_eq!(
            partitions,
            self.0.keys().collect::<Vec<_>>(),
            "partitions that {who} read"
        );
        for (partition, sent) in &self.0 {
            let read = &read[partition];
            for (position, (sent, read)) in sent.iter().zip(read).enumerate() {
                let place = format!("{who}, partition {partition}, record {position}");
                assert_eq!(
                    usize::try_from(read.offset),
                    Ok(position),
                    "{place}: offset"
                );
                assert_eq!(read.record, *sent, "{place}");
            }
            assert_eq!(
                read.len(),
                sent.len(),
                "records that {who} read of partition {partition}"
            );
        }
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(Some(text.as_bytes().to_vec()))
    }
}

impl std::fmt::Debug for Bytes {
    /// Short enough for a message about a record of a million bytes; the checksum tells long values apart.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => formatter.write_str("null"),
            Some(bytes) if bytes.len() <= 64 => write!(formatter, "b\"{}\"", bytes.escape_ascii()),
            Some(bytes) => write!(
                formatter,
                "b\"{}\"... of {} bytes, FNV {:016x}",
                bytes[..32].escape_ascii(),
                bytes.len(),
                fnv(bytes)
            ),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .as_ref()
            .map(|bytes| STANDARD.encode(bytes))
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let bytes = text.map(|text| STANDARD.decode(text)).transpose();
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Bytes that no codec can make smaller, the same for the same topic and index (SplitMix64).
struct Random(u64);

impl Random {
    fn new(topic: &str, index: u64) -> Self {
        Self(fnv(topic.as_bytes()) ^ index)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        let count = usize::try_from(count).expect("a length in memory");
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words
            .take(count.div_ceil(8))
            .flatten()
            .take(count)
            .collect()
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
