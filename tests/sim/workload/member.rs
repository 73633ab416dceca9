//! A member of a classic group: it reads what it is given and commits how far it came.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::message::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
    LeaveGroupRequest, MemberIdentity, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic, SyncGroupRequest, SyncGroupRequestAssignment,
};
use ottla_protocol::{ErrorCode, StrBytes};
use tokio::time::sleep;

use crate::history::{Event, Place};
use crate::link::{Link, Lost, read};
use crate::workload::pump::fetch_offsets;
use crate::world::{GROUP, ORDERS, World};

const SESSION_MS: i32 = 6_000;

/// A partition that the member was given.
struct Assigned {
    place: Place,
    reader: u32,
    position: i64,
    committed: i64,
    at_end: bool,
}

struct Member {
    world: World,
    link: Link,
    member_id: StrBytes,
    generation: i32,
}

/// Takes part until everything is read and committed.
pub(crate) async fn take_part(world: World, name: &'static str) {
    let link = world.link(name).patient(Duration::from_secs(20));
    let mut member = Member {
        world,
        link,
        member_id: StrBytes::new(),
        generation: -1,
    };
    loop {
        match member.generation().await {
            Ok(true) => return,
            Ok(false) => {}
            // Whoever does not know what became of a commit must not commit again as the same.
            Err(Lost) => member.member_id = StrBytes::new(),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Member {
    /// Joins, and reads until the generation ends. True at the end of all.
    async fn generation(&mut self) -> Result<bool, Lost> {
        let joined = self.join().await?;
        match joined.error_code {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                self.member_id = joined.member_id;
                return Ok(false);
            }
            _ => {
                self.member_id = StrBytes::new();
                return Ok(false);
            }
        }
        self.member_id.clone_from(&joined.member_id);
        self.generation = joined.generation_id;
        let Some(partitions) = self.sync(&joined).await? else {
            return Ok(false);
        };
        self.world.history.add(Event::Joined {
            group: GROUP,
            generation: self.generation,
        });
        let mut assigned = Vec::new();
        for partition in partitions {
            let place = Place {
                topic: ORDERS,
                partition: partition.into(),
            };
            let position = fetch_offsets(&self.world, &mut self.link, GROUP, place, false).await?;
            let reader = self.world.number();
            self.world.history.add(Event::ReadFrom {
                reader,
                committed: false,
                place,
                offset: position,
            });
            assigned.push(Assigned {
                place,
                reader,
                position,
                committed: position,
                at_end: false,
            });
        }
        self.consume(assigned).await
    }

    async fn join(&mut self) -> Result<JoinGroupResponse, Lost> {
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: 10_000,
            member_id: self.member_id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.link.ask(request).await
    }

    /// The partitions that this member gets; the leader deals them out.
    async fn sync(&mut self, joined: &JoinGroupResponse) -> Result<Option<Bytes>, Lost> {
        let count = joined.members.len();
        let assignments = joined.members.iter().enumerate().map(|(at, member)| {
            let dealt = (0..2_u8).filter(|partition| usize::from(*partition) % count == at);
            SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: dealt.collect::<Vec<u8>>().into(),
            }
        });
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.collect(),
            ..Default::default()
        };
        let answer = self.link.ask(request).await?;
        Ok((answer.error_code == ErrorCode::None).then_some(answer.assignment))
    }

    async fn consume(&mut self, mut assigned: Vec<Assigned>) -> Result<bool, Lost> {
        loop {
            for at in &mut assigned {
                self.read(at).await?;
            }
            let stalled = self.world.chance(4) && !self.world.is_calm();
            if stalled {
                // Longer than the session: the commit below is one of the past.
                sleep(Duration::from_secs(15)).await;
            }
            for at in &mut assigned {
                if (at.position > at.committed || stalled) && !self.commit(at).await? {
                    return Ok(false);
                }
                at.committed = at.position;
            }
            if self.heartbeat().await? != ErrorCode::None {
                return Ok(false);
            }
            if assigned.iter().all(|at| at.at_end) && self.world.is_complete(ORDERS) {
                self.leave().await?;
                return Ok(true);
            }
            self.world.pause(600).await;
        }
    }

    async fn read(&mut self, assigned: &mut Assigned) -> Result<(), Lost> {
        let Place { topic, partition } = assigned.place;
        let id = self.world.topic_id(topic);
        let data = self
            .link
            .fetch(id, partition, assigned.position, false, 600, 500)
            .await?;
        let reader = assigned.reader;
        match data.error_code {
            ErrorCode::None => {
                let (found, next) = read(&data, assigned.position);
                for found in found {
                    let (offset, id) = (found.offset, found.id);
                    self.world.history.add(Event::Read { reader, offset, id });
                }
                assigned.position = next;
                assigned.at_end = next == data.high_watermark;
            }
            ErrorCode::OffsetOutOfRange => {
                let offset = assigned.position;
                self.world.history.add(Event::OutOfRange { reader, offset });
            }
            _ => {}
        }
        Ok(())
    }

    async fn commit(&mut self, assigned: &Assigned) -> Result<bool, Lost> {
        let place = assigned.place;
        let partition = OffsetCommitRequestPartition {
            partition_index: place.partition,
            committed_offset: assigned.position,
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.member_id.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: place.topic.into(),
                topic_id: self.world.topic_id(place.topic),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let asked = self.world.history.now();
        let answer = self.link.ask(request).await?;
        let code = answer.topics.first().ok_or(Lost)?.partitions.first();
        let code = code.ok_or(Lost)?.error_code;
        if code == ErrorCode::None {
            self.world.history.add(Event::Committed {
                group: GROUP,
                generation: self.generation,
                place,
                offset: assigned.position,
                asked,
            });
        }
        Ok(code == ErrorCode::None)
    }

    async fn heartbeat(&mut self) -> Result<ErrorCode, Lost> {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            ..Default::default()
        };
        Ok(self.link.ask(request).await?.error_code)
    }

    async fn leave(&mut self) -> Result<(), Lost> {
        let request = LeaveGroupRequest {
            group_id: GROUP.into(),
            members: vec![MemberIdentity {
                member_id: self.member_id.clone(),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.link.ask(request).await.map(drop)
    }
}
