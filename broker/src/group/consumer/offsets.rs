//! Who may commit and fetch offsets of a consumer group. Pure.

use super::ConsumerGroup;
use super::member::MemberValue;
use crate::group::topics::TopicImage;
use crate::group::{CommitOffsetsRequest, GroupError};

/// The first OffsetCommit version that tells members of a stale epoch.
const MEMBER_EPOCH_SINCE: i16 = 9;

impl ConsumerGroup {
    /// Members commit at their epoch, or at an earlier one what they have had since then (KIP-1251): the
    /// answer that told the new epoch may be on its way. Others commit only while there are no members.
    pub(in crate::group) fn validate_commit(
        &self,
        request: &CommitOffsetsRequest,
        in_transaction: bool,
        topics: &TopicImage,
    ) -> Result<(), GroupError> {
        let epoch = request.generation_id;
        if epoch < 0 && self.is_empty() {
            return Ok(());
        }
        let value = self.value(&request.member_id);
        let value = value.ok_or(GroupError::UnknownMemberId)?;
        let knows_epochs = in_transaction || request.api_version >= MEMBER_EPOCH_SINCE;
        if !value.is_classic() && !knows_epochs {
            return Err(GroupError::UnsupportedVersion);
        }
        match self.validate_epoch(&request.member_id, epoch) {
            Err(GroupError::StaleMemberEpoch) if has_all_since(value, request, topics) => Ok(()),
            // Producers know generations only.
            Err(GroupError::StaleMemberEpoch) if in_transaction => {
                Err(GroupError::IllegalGeneration)
            }
            result => result,
        }
    }

    /// That a member fetches at its epoch; who does not say that it is one may always.
    pub(in crate::group) fn validate_fetch(
        &self,
        member_id: Option<&str>,
        member_epoch: i32,
    ) -> Result<(), GroupError> {
        match member_id {
            None if member_epoch < 0 => Ok(()),
            member_id => self.validate_epoch(member_id.unwrap_or_default(), member_epoch),
        }
    }

    fn validate_epoch(&self, member_id: &str, epoch: i32) -> Result<(), GroupError> {
        let value = self.value(member_id).ok_or(GroupError::UnknownMemberId)?;
        // A static member that is away is at a negative epoch, at which nobody asks.
        if value.member_epoch == epoch && epoch >= 0 {
            Ok(())
        } else if value.is_classic() {
            Err(GroupError::IllegalGeneration)
        } else {
            Err(GroupError::StaleMemberEpoch)
        }
    }
}

/// Whether the epoch of a commit is an earlier one of the member, and it has had all that it commits since
/// then.
fn has_all_since(value: &MemberValue, request: &CommitOffsetsRequest, topics: &TopicImage) -> bool {
    let epoch = request.generation_id;
    epoch < value.member_epoch
        && request.topics.iter().all(|topic| {
            topics.get(&topic.name).is_some_and(|known| {
                let mut partitions = topic.partitions.iter();
                partitions.all(|of| value.has_since(&known.id, of.partition_index, epoch))
            })
        })
}
