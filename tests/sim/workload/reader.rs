//! A reader of one partition, from its start to its end.

use std::time::Duration;

use ottla_protocol::ErrorCode;
use tokio::time::sleep;

use crate::history::{Event, Place};
use crate::link::{EARLIEST, read};
use crate::world::{CACHED, World};

/// Reads `place` until all of it is there and read.
pub(crate) async fn follow(world: World, place: Place, committed: bool) {
    let mut link = world.link("reader");
    let topic = world.topic_id(place.topic);
    let (mut reader, mut position) = (world.number(), 0);
    let begin = |reader, offset| {
        world.history.add(Event::ReadFrom {
            reader,
            committed,
            place,
            offset,
        });
    };
    begin(reader, position);
    loop {
        let max_bytes = i32::try_from(200 + world.below(2000)).expect("a size");
        let fetched = link.fetch(
            topic,
            place.partition,
            position,
            committed,
            max_bytes,
            4_000,
        );
        match fetched.await {
            Ok(data) if data.error_code == ErrorCode::None => {
                let (found, next) = read(&data, position);
                for found in found {
                    let (offset, id) = (found.offset, found.id);
                    world.history.add(Event::Read { reader, offset, id });
                }
                let decided =
                    data.last_stable_offset < 0 || data.last_stable_offset == data.high_watermark;
                let at_end = next == data.high_watermark && decided;
                if at_end && position == next && world.is_complete(place.topic) {
                    return;
                }
                position = next;
                if world.chance(5) {
                    // As a new reader, from somewhere before.
                    (reader, position) = (world.number(), position / 2);
                    begin(reader, position);
                }
                world.pause(100).await;
            }
            Ok(data) if data.error_code == ErrorCode::OffsetOutOfRange => {
                let offset = position;
                world.history.add(Event::OutOfRange { reader, offset });
                let start = link.list_offset(place, EARLIEST).await.unwrap_or(position);
                (reader, position) = (world.number(), start);
                begin(reader, position);
            }
            // A crash may leave a log without the journal in a state that is not served.
            Ok(data)
                if data.error_code == ErrorCode::KafkaStorageError && place.topic == CACHED =>
            {
                if world.is_complete(place.topic) {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
            _ => sleep(Duration::from_millis(100)).await,
        }
    }
}
