//! Pure. Settings of clients, producers and consumers: typed, with Kafka's names and the Java
//! client's defaults.
//!
//! Every setting is declared once, below; builders, properties and `explain` derive from it.

mod error;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::time::Duration;

use ottla_protocol::record::Compression;

pub use error::ConfigError;
use table::settings;
pub(crate) use value::Value;
pub use value::{
    Acks, AssignmentStrategy, AutoOffsetReset, GroupProtocol, IsolationLevel, KeyHash, List,
    SecurityProtocol,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

settings! {
    /// What all parts of a client have in common.
    pub struct ClientConfig {
        /// Where to ask first, as `host:port`; the rest of the cluster is learned from there.
        bootstrap_servers: List<String> = List(Vec::new()), "bootstrap.servers";
        /// The name that the client gives itself.
        client_id: String = "ottla-client".to_owned(), "client.id";
        /// How long one broker may take to answer one request.
        request_timeout: Duration = ms(30_000), "request.timeout.ms";
        /// How long a call may take with all its attempts, unless it has a limit of its own.
        default_api_timeout: Duration = ms(60_000), "default.api.timeout.ms";
        /// Pause before the first repetition of a request. It doubles each time.
        retry_backoff: Duration = ms(100), "retry.backoff.ms";
        /// The longest pause before a repetition.
        retry_backoff_max: Duration = ms(1_000), "retry.backoff.max.ms";
        /// Pause before a broker is connected to again. It doubles each time.
        reconnect_backoff: Duration = ms(50), "reconnect.backoff.ms";
        /// The longest pause before a broker is connected to again.
        reconnect_backoff_max: Duration = ms(1_000), "reconnect.backoff.max.ms";
        /// How old metadata may become before it is asked for again.
        metadata_max_age: Duration = ms(300_000), "metadata.max.age.ms";
        /// How long a connection may be idle before it is closed.
        connections_max_idle: Duration = ms(540_000), "connections.max.idle.ms";
        /// How long a connection may take to be made.
        connection_setup_timeout: Duration = ms(10_000), "socket.connection.setup.timeout.ms";
        /// The longest answer that is read, in bytes.
        receive_max_bytes: usize = 128 << 20, "receive.message.max.bytes";
        /// How bytes on connections are protected.
        security_protocol: SecurityProtocol = SecurityProtocol::Plaintext, "security.protocol";
    }
}

settings! {
    /// How records are written.
    pub struct ProducerConfig {
        /// Who must have a record before it counts as written.
        acks: Acks = Acks::All, "acks";
        /// Whether a record is written once and in order even when requests are repeated.
        enable_idempotence: bool = true, "enable.idempotence";
        /// How long a batch waits for more records.
        linger: Duration = ms(5), "linger.ms";
        /// Bytes of records, before compression, at which a batch is closed.
        batch_size: usize = 16_384, "batch.size";
        /// Bytes of records that may wait for their acknowledgement.
        buffer_memory: usize = 32 << 20, "buffer.memory";
        /// The codec of batches.
        compression: Compression = Compression::None, "compression.type";
        /// Level of gzip, 1 to 9; nothing for its default.
        gzip_level: Option<i32> = None, "compression.gzip.level";
        /// Level of lz4. The encoder has one level and ignores it.
        lz4_level: Option<i32> = None, "compression.lz4.level";
        /// Level of zstd, -7 to 22; nothing for its default.
        zstd_level: Option<i32> = None, "compression.zstd.level";
        /// How long `enqueue` may wait for metadata and for room in the buffer.
        max_block: Duration = ms(60_000), "max.block.ms";
        /// Bytes of a request, and of the largest record.
        max_request_size: usize = 1 << 20, "max.request.size";
        /// How long a record may take from being queued to being acknowledged.
        delivery_timeout: Duration = ms(120_000), "delivery.timeout.ms";
        /// How long one broker may take to answer one request.
        request_timeout: Duration = ms(30_000), "request.timeout.ms";
        /// Produce requests under way to one broker.
        max_in_flight: usize = 5, "max.in.flight.requests.per.connection";
        /// How often a batch is sent again; `delivery.timeout.ms` is the better bound.
        retries: u32 = i32::MAX.unsigned_abs(), "retries";
        /// The name under which the producer writes transactions; none to write without. A later
        /// producer of the same name fences this one.
        transactional_id: Option<String> = None, "transactional.id";
        /// How long a transaction may stay open before the broker aborts it.
        transaction_timeout: Duration = ms(60_000), "transaction.timeout.ms";
        /// How keys become partitions.
        key_hash: KeyHash = KeyHash::Murmur2, "partitioner.key.hash";
        /// Whether records with keys are spread like those without.
        ignore_keys: bool = false, "partitioner.ignore.keys";
        /// Whether records without keys prefer partitions whose queues are short (KIP-794).
        adaptive_partitioning: bool = true, "partitioner.adaptive.partitioning.enable";
    }
}

settings! {
    /// How records are read.
    pub struct ConsumerConfig {
        /// The group; none to read without one.
        group_id: Option<String> = None, "group.id";
        /// The static identity of the member (KIP-345).
        group_instance_id: Option<String> = None, "group.instance.id";
        /// How the members of the group come to their partitions.
        group_protocol: GroupProtocol = GroupProtocol::Classic, "group.protocol";
        /// How the broker divides partitions with the consumer protocol: `uniform`, `range`, or
        /// what else it has; none for its default.
        group_remote_assignor: Option<String> = None, "group.remote.assignor";
        /// Without a heartbeat for this long the member is taken for dead. With the consumer
        /// protocol the broker decides, by its `group.consumer.session.timeout.ms`.
        session_timeout: Duration = ms(45_000), "session.timeout.ms";
        /// Time between heartbeats. With the consumer protocol the broker decides, by its
        /// `group.consumer.heartbeat.interval.ms`.
        heartbeat_interval: Duration = ms(3_000), "heartbeat.interval.ms";
        /// How long delivered records may be without progress before the member leaves. Also how
        /// long members have to join again in a rebalance.
        max_poll_interval: Duration = ms(300_000), "max.poll.interval.ms";
        /// The longest that `extend_poll_interval` allows at once.
        max_poll_extension: Duration = ms(3_600_000), "consumer.max.poll.extension.ms";
        /// Records in one event.
        max_poll_records: usize = 500, "max.poll.records";
        /// Bytes that a broker waits for before it answers a fetch.
        fetch_min_bytes: i32 = 1, "fetch.min.bytes";
        /// Bytes of one answer to a fetch.
        fetch_max_bytes: usize = 50 << 20, "fetch.max.bytes";
        /// How long a broker waits for `fetch.min.bytes`.
        fetch_max_wait: Duration = ms(500), "fetch.max.wait.ms";
        /// Bytes of one partition in an answer to a fetch, and ahead of the application.
        max_partition_fetch_bytes: usize = 1 << 20, "max.partition.fetch.bytes";
        /// Bytes fetched and not yet given back by the application, over all partitions, with what
        /// they were decompressed to. Half of it is for what is fetched; no batch may decompress
        /// to more than the other half.
        buffer_memory: usize = 64 << 20, "consumer.buffer.memory";
        /// Whether acknowledged offsets are committed in the background.
        enable_auto_commit: bool = true, "enable.auto.commit";
        /// Time between such commits.
        auto_commit_interval: Duration = ms(5_000), "auto.commit.interval.ms";
        /// Where to start without a valid offset.
        auto_offset_reset: AutoOffsetReset = AutoOffsetReset::Latest, "auto.offset.reset";
        /// Which records are seen.
        isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted, "isolation.level";
        /// How the leader of a classic group divides partitions, best first.
        assignment_strategy: List<AssignmentStrategy> =
            List(vec![AssignmentStrategy::Range, AssignmentStrategy::CooperativeSticky]),
            "partition.assignment.strategy";
        /// Whether the checksums of batches are verified.
        check_crcs: bool = true, "check.crcs";
        /// The rack that the consumer is in.
        client_rack: String = String::new(), "client.rack";
        /// Whether subscribing may create a topic.
        allow_auto_create_topics: bool = true, "allow.auto.create.topics";
        /// Whether a pattern leaves out the broker's own topics.
        exclude_internal_topics: bool = true, "exclude.internal.topics";
    }
}

/// Settings that people bring along from Java, and what to do about them.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "key.serializer",
        "keys are bytes; serialise before you send",
    ),
    (
        "value.serializer",
        "values are bytes; serialise before you send",
    ),
    (
        "key.deserializer",
        "keys are bytes; read them where you use them",
    ),
    (
        "value.deserializer",
        "values are bytes; read them where you use them",
    ),
    ("interceptor.classes", "add interceptors with the builder"),
    (
        "partitioner.class",
        "choose partitioner.key.hash or give records a partition",
    ),
    ("sasl.mechanism", "only PLAINTEXT is implemented"),
    ("sasl.jaas.config", "only PLAINTEXT is implemented"),
];

impl ClientConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for server in &self.bootstrap_servers.0 {
            server
                .parse::<crate::transport::Endpoint>()
                .map_err(|expected| ConfigError::Value {
                    name: "bootstrap.servers",
                    value: server.clone(),
                    expected,
                })?;
        }
        Ok(())
    }
}

impl ProducerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let conflict = |text: &str| Err(ConfigError::Conflict(text.to_owned()));
        if self.enable_idempotence && self.acks != Acks::All {
            return conflict("enable.idempotence needs acks=all");
        }
        if self.enable_idempotence && self.max_in_flight > 5 {
            return conflict(
                "enable.idempotence needs max.in.flight.requests.per.connection of at most 5",
            );
        }
        if self.transactional_id.is_some() && !self.enable_idempotence {
            return conflict("transactional.id needs enable.idempotence=true");
        }
        if self.transactional_id.as_deref() == Some("") {
            return conflict("transactional.id must not be empty");
        }
        if self.max_in_flight == 0 {
            return conflict("max.in.flight.requests.per.connection must be at least 1");
        }
        if self.delivery_timeout < self.linger + self.request_timeout {
            return conflict(
                "delivery.timeout.ms must be at least linger.ms plus request.timeout.ms",
            );
        }
        Ok(())
    }

    /// The level of the codec in use.
    pub(crate) fn level(&self) -> Option<i32> {
        match self.compression {
            Compression::Gzip => self.gzip_level,
            Compression::Zstd => self.zstd_level,
            Compression::Lz4 => self.lz4_level,
            Compression::None | Compression::Snappy => None,
        }
    }
}

impl ConsumerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let conflict = |text: &str| Err(ConfigError::Conflict(text.to_owned()));
        if self.heartbeat_interval >= self.session_timeout {
            return conflict("heartbeat.interval.ms must be below session.timeout.ms");
        }
        self.validate_protocol()?;
        if self.max_poll_records == 0 {
            return conflict("max.poll.records must be at least 1");
        }
        if self.assignment_strategy.0.is_empty() {
            return conflict("partition.assignment.strategy must name a strategy");
        }
        if self.buffer_memory < self.max_partition_fetch_bytes {
            return conflict("consumer.buffer.memory must be at least max.partition.fetch.bytes");
        }
        Ok(())
    }

    /// Settings of the one protocol have no place beside the other.
    fn validate_protocol(&self) -> Result<(), ConfigError> {
        let default = Self::default();
        let misplaced = match self.group_protocol {
            GroupProtocol::Classic => {
                [(self.group_remote_assignor.is_some()).then_some("group.remote.assignor")].to_vec()
            }
            GroupProtocol::Consumer => vec![
                (self.session_timeout != default.session_timeout).then_some("session.timeout.ms"),
                (self.heartbeat_interval != default.heartbeat_interval)
                    .then_some("heartbeat.interval.ms"),
                (self.assignment_strategy != default.assignment_strategy)
                    .then_some("partition.assignment.strategy"),
            ],
        };
        match misplaced.into_iter().flatten().next() {
            Some(name) => Err(ConfigError::Conflict(format!(
                "{name} cannot be set with group.protocol={}",
                self.group_protocol.show()
            ))),
            None => Ok(()),
        }
    }
}

/// All settings together, as a properties file for Java has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Settings {
    pub(crate) client: ClientConfig,
    pub(crate) producer: ProducerConfig,
    pub(crate) consumer: ConsumerConfig,
}

impl Settings {
    /// Sets one setting wherever it has a meaning.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let known = [
            self.client.set_property(name, value)?,
            self.producer.set_property(name, value)?,
            self.consumer.set_property(name, value)?,
        ];
        if known.contains(&true) {
            return Ok(());
        }
        let names = [
            ClientConfig::NAMES,
            ProducerConfig::NAMES,
            ConsumerConfig::NAMES,
        ];
        Err(unknown(name, names.into_iter().flatten().copied()))
    }
}

/// The error for a name that is none of `names`.
pub(crate) fn unknown(name: &str, names: impl Iterator<Item = &'static str>) -> ConfigError {
    if let Some((_, reason)) = UNSUPPORTED.iter().find(|(known, _)| *known == name) {
        return ConfigError::Unsupported {
            name: name.to_owned(),
            reason,
        };
    }
    let nearest = names
        .map(|known| (strsim::osa_distance(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .map(|(_, known)| known);
    ConfigError::Unknown {
        name: name.to_owned(),
        nearest,
    }
}

pub(crate) fn parse<T: Value>(name: &'static str, value: &str) -> Result<T, ConfigError> {
    T::parse(value.trim()).map_err(|expected| ConfigError::Value {
        name,
        value: value.to_owned(),
        expected,
    })
}
