//! Records are deleted from the beginning of a topic while it is written and read.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};

use crate::history::{Event, Place};
use crate::link::{LATEST, Link, Lost};
use crate::world::{TRIMMED, World};

const PLACE: Place = Place {
    topic: TRIMMED,
    partition: 0,
};

/// Deletes some of what there is, now and then, until all is written.
pub(crate) async fn trim(world: World) {
    let mut link = world.link("trim");
    while !world.is_complete(TRIMMED) {
        world.pause(1_500).await;
        if let Err(Lost) = delete_some(&world, &mut link).await {
            world.history.tell("records may be deleted");
        }
    }
}

async fn delete_some(world: &World, link: &mut Link) -> Result<(), Lost> {
    let end = link.list_offset(PLACE, LATEST).await?;
    let offset = i64::try_from(world.below(end.unsigned_abs() + 1)).expect("an offset");
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: TRIMMED.into(),
            partitions: vec![DeleteRecordsPartition {
                partition_index: PLACE.partition,
                offset,
            }],
        }],
        timeout_ms: 5_000,
    };
    let place = PLACE;
    world.history.add(Event::TrimAsked { place, offset });
    let answer = link.ask(request).await?;
    let topic = answer.topics.first().ok_or(Lost)?;
    let partition = topic.partitions.first().ok_or(Lost)?;
    if partition.error_code == ErrorCode::None {
        let offset = partition.low_watermark;
        world.history.add(Event::Trimmed { place, offset });
    }
    Ok(())
}
