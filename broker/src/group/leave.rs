//! LeaveGroup: members go because they, or an administrator, say so. Pure.

use super::classic::Group;
use super::groups::Groups;
use super::step::Step;
use super::{
    GroupError, LeaveReply, LeaveRequest, LeavingMember, LeftMember, Reason, Reply, Token,
};

/// From this version on there may be several members and each has an error of its own.
const BATCHED_SINCE: i16 = 3;

pub(super) fn handle(
    groups: &mut Groups,
    token: Token,
    request: LeaveRequest,
    step: &mut Step<'_>,
) {
    let reply = if request.group_id.is_empty() {
        LeaveReply {
            error: GroupError::InvalidGroupId,
            members: Vec::new(),
        }
    } else {
        let api_version = request.api_version;
        let members = leave(groups, request, step);
        let only = members
            .first()
            .map(|member| member.error)
            .unwrap_or_default();
        let error = if api_version < BATCHED_SINCE {
            only
        } else {
            GroupError::None
        };
        LeaveReply { error, members }
    };
    step.reply(token, Reply::Leave(reply));
}

fn leave(groups: &mut Groups, request: LeaveRequest, step: &mut Step<'_>) -> Vec<LeftMember> {
    let LeaveRequest {
        group_id, members, ..
    } = request;
    let errors = groups.with(&group_id, |group| {
        if group.consumer.is_some() {
            return group.leave_consumer_members(&members, step);
        }
        let mut was_member = false;
        let mut leave_one = |member| match group.leave(member, step) {
            Ok(left) => {
                was_member |= left;
                GroupError::None
            }
            Err(error) => error,
        };
        let errors: Vec<GroupError> = members.iter().map(&mut leave_one).collect();
        if was_member {
            group.after_removal(Reason::MemberLeft, step);
        } else {
            group.maybe_complete_join(step);
        }
        errors
    });
    let errors = errors.unwrap_or_else(|| vec![GroupError::UnknownMemberId; members.len()]);
    members
        .into_iter()
        .zip(errors)
        .map(|(member, error)| LeftMember {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error,
        })
        .collect()
}

impl Group {
    /// True if a member left and not just an id handed out.
    fn leave(&mut self, leaving: &LeavingMember, step: &mut Step<'_>) -> Result<bool, GroupError> {
        let instance = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            let member_id = instance
                .and_then(|instance| self.static_members.get(instance))
                .cloned()
                .ok_or(GroupError::UnknownMemberId)?;
            return Ok(self.remove(&member_id, step));
        }
        if !self.pending_join.contains_key(&leaving.member_id) {
            self.validate_member(&leaving.member_id, instance)?;
        }
        Ok(self.remove(&leaving.member_id, step))
    }
}
