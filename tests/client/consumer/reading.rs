use ottla_client::TopicPartition;

use super::{earliest, numbers, produce, values};
use crate::stage::Stage;

#[tokio::test]
async fn an_assigned_partition_is_read_in_order() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..1000).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let reader = stage.client.reader().with(earliest).assign([partition]);
    let mut consumer = reader.build().await.unwrap();
    assert_eq!(values(&mut consumer, 1000).await, numbers(0..1000));
}
