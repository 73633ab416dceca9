//! A client of a cluster whose brokers are not those that it was told of when it connected.

use std::io;

use ottla_client::Client;
use ottla_client::admin::NewTopic;
use ottla_client::transport::{BoxFuture, Endpoint, InProcess, Link, Transport};
use ottla_protocol::message::{MetadataResponse, MetadataResponseBroker, Request, Response};

use super::faulty::{Fate, Faulty};
use super::{World, assigned};

/// Where nobody listens any more.
const GONE: u16 = 1;

struct Network(InProcess);

impl Transport for Network {
    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Link>> {
        if endpoint.port == GONE {
            let refused = io::ErrorKind::ConnectionRefused;
            return Box::pin(std::future::ready(Err(refused.into())));
        }
        self.0.connect(endpoint)
    }
}

/// A client that knows of one broker when it has connected, and that one is gone.
async fn outdated(world: &World) -> Client {
    let mut is_first = true;
    let faulty = Faulty::new(world.broker.in_process(), move |request| {
        if !matches!(request, Request::Metadata(_)) || !std::mem::take(&mut is_first) {
            return Fate::Pass;
        }
        Fate::Answer(Response::Metadata(MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 99,
                host: "gone".into(),
                port: i32::from(GONE),
                rack: None,
            }],
            controller_id: 99,
            ..MetadataResponse::default()
        }))
    });
    let client = Client::builder().bootstrap_servers("broker:2").seed(2);
    let client = client.transport(Network(InProcess::new(faulty)));
    client.connect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_broker_that_there_is_now_is_asked_for_its_groups() {
    let world = World::new(1).await;
    let mut member = world.start().await;
    assigned(&mut member).await;
    let admin = outdated(&world).await.admin();
    assert_eq!(admin.list_groups().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_controller_is_asked_for_anew_when_it_cannot_be_reached() {
    let world = World::new(1).await;
    let admin = outdated(&world).await.admin();
    let outcomes = admin.create_topics([NewTopic::new("u")]).await.unwrap();
    assert!(outcomes["u"].is_ok(), "{outcomes:?}");
}
