//! Pure. The types of settings and how they are written in properties.

use std::time::Duration;

use ottla_protocol::record::Compression;

/// A value that can be written in a properties file.
pub(crate) trait Value: Sized {
    /// Reads the value, or says what it should be.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value as it would be written.
    fn show(&self) -> String;
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| {
                    format!("expected an integer from {} to {}", <$ty>::MIN, <$ty>::MAX)
                })
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

numbers!(i32, u32, usize, u64);

impl Value for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("expected true or false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

/// Durations are written in milliseconds.
impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|ms| *ms <= i32::MAX.unsigned_abs().into())
            .map(Self::from_millis)
            .ok_or_else(|| format!("expected milliseconds from 0 to {}", i32::MAX))
    }

    fn show(&self) -> String {
        self.as_millis().to_string()
    }
}

/// Nothing is written as nothing.
impl<T: Value> Value for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        T::parse(text).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map(Value::show).unwrap_or_default()
    }
}

/// Values separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List<T>(pub Vec<T>);

impl<T: Value> Value for List<T> {
    fn parse(text: &str) -> Result<Self, String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts.map(T::parse).collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(Value::show).collect();
        parts.join(",")
    }
}

impl From<&str> for List<String> {
    fn from(text: &str) -> Self {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Self(parts.map(str::to_owned).collect())
    }
}

impl From<String> for List<String> {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T, const N: usize> From<[T; N]> for List<T> {
    fn from(values: [T; N]) -> Self {
        Self(values.into())
    }
}

/// Declares an enum of words.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl Value for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word $(| $alias)* => Ok(Self::$variant),)+
                    _ => Err(format!("expected one of {}", [$($word),+].join(", "))),
                }
            }

            fn show(&self) -> String {
                match self {
                    $(Self::$variant => $word.to_owned(),)+
                }
            }
        }
    )+};
}

words! {
    /// Who must have a record before it counts as written.
    pub enum Acks {
        /// No one: records are sent and forgotten, and their offsets are unknown.
        None = "0",
        /// The leader.
        Leader = "1",
        /// All in-sync replicas.
        All = "all" | "-1",
    }

    /// Which records a consumer sees.
    pub enum IsolationLevel {
        /// All of them.
        ReadUncommitted = "read_uncommitted",
        /// Those outside transactions and of committed transactions.
        ReadCommitted = "read_committed",
    }

    /// How a key becomes a partition.
    pub enum KeyHash {
        /// As Kafka's Java client: murmur2.
        Murmur2 = "murmur2",
        /// As librdkafka by default: CRC-32.
        Crc32 = "crc32",
    }

    /// How the members of a group come to their partitions.
    pub enum GroupProtocol {
        /// One of the members divides the partitions, and all members join anew when one comes or
        /// goes.
        Classic = "classic" | "CLASSIC",
        /// The broker divides the partitions, and only members whose partitions change do anything
        /// (KIP-848). Kafka has it from 4.0 on.
        Consumer = "consumer" | "CONSUMER",
    }

    /// How the leader of a group divides partitions among members.
    pub enum AssignmentStrategy {
        /// Contiguous ranges of each topic.
        Range = "range" | "org.apache.kafka.clients.consumer.RangeAssignor",
        /// One by one, over all topics.
        RoundRobin = "roundrobin" | "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        /// Balanced, and moves as little as it can. All members stop during a rebalance.
        Sticky = "sticky" | "org.apache.kafka.clients.consumer.StickyAssignor",
        /// Balanced, moves as little as it can, and members keep what does not move.
        CooperativeSticky = "cooperative-sticky"
            | "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    }

    /// How bytes on a connection are protected.
    pub enum SecurityProtocol {
        /// Not at all.
        Plaintext = "PLAINTEXT",
    }
}

/// Where a consumer starts without a committed offset, or when its offset is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AutoOffsetReset {
    /// At the oldest record.
    Earliest,
    /// At the next record to come.
    Latest,
    /// Nowhere: the consumer reports [`Error::NoOffset`](crate::Error::NoOffset).
    None,
    /// At the first record not older than this.
    ByDuration(Duration),
}

impl Value for AutoOffsetReset {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected earliest, latest, none or by_duration:<ISO 8601 duration>";
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            "none" => Ok(Self::None),
            _ => text
                .strip_prefix("by_duration:")
                .and_then(iso_duration)
                .map(Self::ByDuration)
                .ok_or_else(|| expected.to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Earliest => "earliest".to_owned(),
            Self::Latest => "latest".to_owned(),
            Self::None => "none".to_owned(),
            Self::ByDuration(age) => format!("by_duration:PT{}S", age.as_secs()),
        }
    }
}

/// Reads `PnDTnHnMnS`, the form that Kafka takes. Fractions of seconds are dropped.
fn iso_duration(text: &str) -> Option<Duration> {
    let (days, rest) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, rest)) => (days, rest),
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && rest.is_empty() {
        return None;
    }
    let mut seconds = 0_u64;
    if !days.is_empty() {
        seconds = days
            .strip_suffix('D')?
            .parse::<u64>()
            .ok()?
            .checked_mul(86_400)?;
    }
    let mut number = String::new();
    for c in rest.chars() {
        let unit = match c {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            'H' => 3600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        let whole = number.split('.').next()?.parse::<u64>().ok()?;
        seconds = seconds.checked_add(whole.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then(|| Duration::from_secs(seconds))
}

impl Value for Compression {
    fn parse(text: &str) -> Result<Self, String> {
        let all = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];
        all.into_iter()
            .find(|codec| codec.name() == text)
            .ok_or_else(|| "expected none, gzip, snappy, lz4 or zstd".to_owned())
    }

    fn show(&self) -> String {
        self.name().to_owned()
    }
}
