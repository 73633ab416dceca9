use crate::stage::{Place, Stage, eventually};

#[tokio::test]
async fn clients_of_one_broker_see_the_same_topics() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let other = stage.client().client_id("other").connect().await.unwrap();
    let topic = stage.topic(1).await;
    let admin = other.admin();
    eventually("the topic is listed", async || {
        admin.list_topics(false).await.unwrap().contains(&topic)
    })
    .await;
}

#[tokio::test]
async fn a_bootstrap_server_that_cannot_be_reached_is_passed_over() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let Place::Address { bootstrap, .. } = &stage.place else {
        return;
    };
    // Nothing listens on port 1. The order in which the servers are tried is random.
    for _ in 0..4 {
        let servers = format!("127.0.0.1:1,{bootstrap}");
        let client = stage.client().bootstrap_servers(servers);
        client.connect().await.unwrap();
    }
}
