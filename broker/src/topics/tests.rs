use std::collections::BTreeMap;
use std::path::Path;

use ottla_storage::config::LogConfig;
use ottla_storage::disk::MemoryDisk;
use ottla_storage::store::{JournalOptions, StoreOptions};

use super::*;
use crate::config::BrokerConfig;

fn store() -> Arc<Store> {
    let options = StoreOptions {
        config: Arc::new(|_| LogConfig::default()),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: JournalOptions::default(),
        threads: false,
        repair: false,
    };
    Arc::new(Store::open(Arc::new(MemoryDisk::new()), Path::new("/"), options).unwrap())
}

#[test]
fn a_topic_never_serves_the_log_of_a_namesake_whose_deletion_failed() {
    let store = store();
    let (old, new) = (Uuid::from_u128(10), Uuid::from_u128(11));
    let left_behind = LogIdentity {
        topic: "t".to_owned(),
        topic_id: old,
        partition: 0,
    };
    store.create_log(left_behind, LogConfig::default()).unwrap();

    let config = Arc::new(LiveConfig::new(Arc::new(BrokerConfig::default())));
    let topics = Topics::new(Arc::clone(&store), config);
    topics.ensure(&TopicEntry {
        name: "t".to_owned(),
        id: new,
        partitions: 1,
        overrides: BTreeMap::new(),
    });

    let topic = topics.by_name("t").unwrap();
    let log = topic.partition(0).unwrap().log();
    assert_eq!(log.identity().topic_id, new);
    assert_eq!(store.log("t", 0).unwrap().identity().topic_id, new);
}
