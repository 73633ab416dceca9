//! A broker and a client of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottla_broker::Broker;
use ottla_broker::config::BrokerConfig;
use ottla_client::admin::NewTopic;
use ottla_client::config::GroupProtocol;
use ottla_client::{Client, ClientBuilder, Producer};
use ottla_tests::apache_kafka;

/// Members of the consumer protocol hear soon what there is for them to do.
const QUICK_HEARTBEATS: [(&str, &str); 2] = [
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "100"),
];

static NAMES: AtomicU32 = AtomicU32::new(0);

/// Which program of tests this is.
const PROGRAM: &str = env!("CARGO_CRATE_NAME");

/// What a test needs: a client, and ways to more of them.
pub struct Stage {
    /// A client of the broker.
    pub client: Client,
    /// Where it is.
    pub place: Place,
}

/// Where the broker is.
pub enum Place {
    /// Here, and there is no socket.
    InProcess(Broker),
    /// At this address.
    Address {
        bootstrap: String,
        /// This test's own, unless the broker is foreign.
        _broker: Option<Broker>,
    },
}

/// Runs tests, each a function of the protocol that groups have, with both protocols.
macro_rules! with_each_protocol {
    (#[$test:meta] $($name:ident),+ $(,)?) => {
        mod classic {
            $(
                #[$test]
                async fn $name() {
                    super::$name(ottla_client::config::GroupProtocol::Classic).await;
                }
            )+
        }

        mod consumer {
            $(
                #[$test]
                async fn $name() {
                    super::$name(ottla_client::config::GroupProtocol::Consumer).await;
                }
            )+
        }
    };
}

pub(crate) use with_each_protocol;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks again until the answer is yes: Apache Kafka shows what an administrator has changed a moment after it has
/// said that it is changed.
pub async fn eventually(what: &str, ask: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if ask().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

impl Stage {
    /// A stage with a broker of its own where the broker is Ottla. `None` where there is none: Apache Kafka is not
    /// installed.
    pub async fn new() -> Option<Self> {
        Self::of(GroupProtocol::Classic).await
    }

    /// A stage whose client makes members of this protocol.
    pub async fn of(protocol: GroupProtocol) -> Option<Self> {
        let config = || BrokerConfig::from_entries(QUICK_HEARTBEATS).unwrap();
        let place = match PROGRAM {
            "client_in_process" => {
                let builder = Broker::builder().config(config());
                Place::InProcess(builder.ephemeral().start().await.unwrap())
            }
            "client_apache_kafka" => Place::address(apache_kafka::bootstrap()?.to_owned(), None),
            _ => match std::env::var("OTTLA_BOOTSTRAP") {
                Ok(bootstrap) => Place::address(bootstrap, None),
                Err(_) => {
                    let builder = Broker::builder().config(config()).listen("127.0.0.1:0");
                    let broker = builder.ephemeral().start().await.unwrap();
                    let address = broker.local_addr().unwrap().to_string();
                    Place::address(address, Some(broker))
                }
            },
        };
        Some(Self {
            client: with_protocol(place.client(), protocol)
                .connect()
                .await
                .unwrap(),
            place,
        })
    }

    /// A builder of another client of the same broker.
    pub fn client(&self) -> ClientBuilder {
        self.place.client()
    }

    /// A name that no other test of this run, or of one before, has.
    pub fn name(&self, prefix: &str) -> String {
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{}-{number}", std::process::id())
    }

    /// A topic.
    pub async fn topic(&self, partitions: i32) -> String {
        let name = self.name("topic");
        self.create(NewTopic::new(&name).partitions(partitions))
            .await;
        name
    }

    /// A topic of one partition that takes batches of at most `max` bytes.
    pub async fn topic_up_to(&self, max: usize) -> String {
        let name = self.name("small");
        let topic = NewTopic::new(&name).partitions(1);
        self.create(topic.config("max.message.bytes", max.to_string()))
            .await;
        name
    }

    /// Creates a topic, and waits until the broker knows it.
    pub async fn create(&self, topic: NewTopic) {
        let name = topic.name.clone();
        let admin = self.client.admin();
        let outcomes = admin.create_topics([topic]).await.unwrap();
        outcomes[&name].as_ref().unwrap();
        eventually("the topic is known", async || {
            let described = admin.describe_topics([&name]).await.unwrap();
            described[&name].is_ok()
        })
        .await;
    }

    /// A producer with the default settings.
    pub async fn producer(&self) -> Producer {
        self.client.producer().build().await.unwrap()
    }
}

/// A client whose consumers are members of this protocol.
pub fn with_protocol(client: ClientBuilder, protocol: GroupProtocol) -> ClientBuilder {
    let name = match protocol {
        GroupProtocol::Classic => "classic",
        GroupProtocol::Consumer => "consumer",
    };
    client.properties([("group.protocol", name)]).unwrap()
}

impl Place {
    fn address(bootstrap: String, broker: Option<Broker>) -> Self {
        Self::Address {
            bootstrap,
            _broker: broker,
        }
    }

    fn client(&self) -> ClientBuilder {
        match self {
            Self::InProcess(broker) => Client::builder().in_process(broker.in_process()),
            Self::Address { bootstrap, .. } => {
                Client::builder().bootstrap_servers(bootstrap.as_str())
            }
        }
    }
}
