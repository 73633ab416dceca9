//! Kafka's error codes as far as groups answer with them.

/// The error of a reply, named as Kafka names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub(crate) enum GroupError {
    /// 0: no error.
    #[default]
    None,
    /// −1: the broker could not do it and the request is not to blame.
    UnknownServerError,
    /// 12: the metadata of a committed offset is too long.
    OffsetMetadataTooLarge,
    /// 22: the generation is not the group's current one.
    IllegalGeneration,
    /// 23: no protocol in common with the group, or another protocol type.
    InconsistentGroupProtocol,
    /// 24: the group id is empty or too long.
    InvalidGroupId,
    /// 25: no such member; it must join again.
    UnknownMemberId,
    /// 26: the session timeout is not within the limits.
    InvalidSessionTimeout,
    /// 27: the member must join again.
    RebalanceInProgress,
    /// 28: the offsets of the request are too many to be written as one.
    InvalidCommitOffsetSize,
    /// 35: the request must be made in a newer version.
    UnsupportedVersion,
    /// 42: the request exceeds a limit on its parts.
    InvalidRequest,
    /// 44: the broker holds as many groups or offsets as it may.
    PolicyViolation,
    /// 68: the group has members.
    NonEmptyGroup,
    /// 69: no such group.
    GroupIdNotFound,
    /// 79: join again with the member id of this reply.
    MemberIdRequired,
    /// 81: the group is full.
    GroupMaxSizeReached,
    /// 82: another member took over the instance id.
    FencedInstanceId,
    /// 86: a member is subscribed to the topic.
    GroupSubscribedToTopic,
    /// 88: an offset is committed in a transaction that has not ended.
    UnstableOffsetCommit,
    /// 110: the member's epoch is not the one that the coordinator knows; it must join again.
    FencedMemberEpoch,
    /// 111: another member has the instance id.
    UnreleasedInstanceId,
    /// 112: there is no such assignor here.
    UnsupportedAssignor,
    /// 113: the member's epoch has passed; the request may be made again at the present one.
    StaleMemberEpoch,
    /// 128: the pattern is not a regular expression.
    InvalidRegularExpression,
}

impl GroupError {
    /// The code on the wire.
    #[must_use]
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::UnknownServerError => -1,
            Self::OffsetMetadataTooLarge => 12,
            Self::IllegalGeneration => 22,
            Self::InconsistentGroupProtocol => 23,
            Self::InvalidGroupId => 24,
            Self::UnknownMemberId => 25,
            Self::InvalidSessionTimeout => 26,
            Self::RebalanceInProgress => 27,
            Self::InvalidCommitOffsetSize => 28,
            Self::UnsupportedVersion => 35,
            Self::InvalidRequest => 42,
            Self::PolicyViolation => 44,
            Self::NonEmptyGroup => 68,
            Self::GroupIdNotFound => 69,
            Self::MemberIdRequired => 79,
            Self::GroupMaxSizeReached => 81,
            Self::FencedInstanceId => 82,
            Self::GroupSubscribedToTopic => 86,
            Self::UnstableOffsetCommit => 88,
            Self::FencedMemberEpoch => 110,
            Self::UnreleasedInstanceId => 111,
            Self::UnsupportedAssignor => 112,
            Self::StaleMemberEpoch => 113,
            Self::InvalidRegularExpression => 128,
        }
    }
}
