//! A broker and a client of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottla_broker::Broker;
use ottla_client::admin::NewTopic;
use ottla_client::{Client, Producer};

static NAMES: AtomicU32 = AtomicU32::new(0);

/// A broker of this test's own, unless a foreign one is named.
pub struct Stage {
    _broker: Option<Broker>,
    pub client: Client,
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Stage {
    pub async fn new() -> Self {
        let (broker, bootstrap) = match std::env::var("OTTLA_BOOTSTRAP") {
            Ok(bootstrap) => (None, bootstrap),
            Err(_) => {
                let builder = Broker::builder().listen("127.0.0.1:0").ephemeral();
                let broker = builder.start().await.unwrap();
                let address = broker.local_addr().unwrap().to_string();
                (Some(broker), address)
            }
        };
        let client = Client::builder().bootstrap_servers(bootstrap.as_str());
        let client = client.connect().await.unwrap();
        Self {
            _broker: broker,
            client,
        }
    }

    /// A name that no other test of this run, or of one before, has.
    pub fn name(&self, prefix: &str) -> String {
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{}-{number}", std::process::id())
    }

    pub async fn topic(&self, partitions: i32) -> String {
        let name = self.name("topic");
        let topic = NewTopic::new(&name).partitions(partitions);
        let outcomes = self.client.admin().create_topics([topic]).await.unwrap();
        outcomes[&name].as_ref().unwrap();
        name
    }

    pub async fn producer(&self) -> Producer {
        self.client.producer().build().await.unwrap()
    }
}
