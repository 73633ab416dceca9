//! Who a consumer is to its group.

/// Who a consumer is to its group at one moment: what a commit is checked against, also one
/// within a producer's transaction (KIP-447).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConsumerGroupMetadata {
    /// The group.
    pub group_id: String,
    /// The generation of a classic group, or the epoch of the member (KIP-848); -1 outside a
    /// group.
    pub generation_id: i32,
    /// The member; empty outside a group.
    pub member_id: String,
    /// The static identity of the member, if it has one (KIP-345).
    pub group_instance_id: Option<String>,
}

impl ConsumerGroupMetadata {
    /// A group seen from outside: commits are only taken while it has no members.
    #[must_use]
    pub fn new(group_id: impl Into<String>) -> Self {
        Self {
            group_id: group_id.into(),
            generation_id: -1,
            member_id: String::new(),
            group_instance_id: None,
        }
    }
}
