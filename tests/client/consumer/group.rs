use super::{PATIENCE, earliest, group, numbers, produce, values};
use crate::stage::Stage;

#[tokio::test]
async fn a_member_goes_on_where_the_group_has_committed() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..100).await;
    let builder = || {
        stage
            .client
            .consumer(format!("{topic}-group"))
            .with(earliest)
    };
    let mut first = builder().subscribe([topic.as_str()]).build().await.unwrap();
    assert_eq!(values(&mut first, 100).await, numbers(0..100));
    first.commit().await.unwrap();
    first.close(PATIENCE).await.unwrap();
    produce(&stage, &topic, 0, 100..200).await;
    let mut second = builder().subscribe([topic.as_str()]).build().await.unwrap();
    assert_eq!(values(&mut second, 100).await, numbers(100..200));
}

#[tokio::test]
async fn a_member_shows_who_it_is_to_its_group() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let mut consumer = group(&stage)
        .subscribe([topic.as_str()])
        .build()
        .await
        .unwrap();
    let before = consumer.group_metadata().unwrap();
    assert_eq!((before.generation_id, before.member_id.as_str()), (-1, ""));
    super::assigned(&mut consumer).await;
    let after = consumer.group_metadata().unwrap();
    assert!(after.generation_id > 0 && !after.member_id.is_empty());
}
