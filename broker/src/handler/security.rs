//! Who may do what: access control lists (29 to 31), delegation tokens (38 to 41), SCRAM
//! credentials (50, 51). There is no authentication and no authorizer yet; the answers are those
//! of a Kafka that has none either.

use std::collections::BTreeMap;

use ottla_protocol::message::{
    AclCreationResult, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult, CreateAclsRequest, CreateAclsResponse,
    CreateDelegationTokenResponse, DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsResponse, DescribeDelegationTokenResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
    ExpireDelegationTokenResponse, RenewDelegationTokenResponse, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::topics::Refusal;

fn no_authorizer() -> StrBytes {
    StrBytes::from_static("No Authorizer is configured.")
}

pub(crate) fn describe_acls() -> Response {
    Response::DescribeAcls(DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled,
        error_message: Some(no_authorizer()),
        ..Default::default()
    })
}

pub(crate) fn create_acls(request: &CreateAclsRequest) -> Response {
    let refused = |_| AclCreationResult {
        error_code: ErrorCode::SecurityDisabled,
        error_message: Some(no_authorizer()),
    };
    Response::CreateAcls(CreateAclsResponse {
        results: request.creations.iter().map(refused).collect(),
        ..Default::default()
    })
}

pub(crate) fn delete_acls(request: &DeleteAclsRequest) -> Response {
    let refused = |_| DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled,
        error_message: Some(no_authorizer()),
        ..Default::default()
    };
    Response::DeleteAcls(DeleteAclsResponse {
        filter_results: request.filters.iter().map(refused).collect(),
        ..Default::default()
    })
}

/// Tokens are for clients that have proven who they are; without authentication there is none.
const NO_TOKENS: ErrorCode = ErrorCode::DelegationTokenRequestNotAllowed;

pub(crate) fn create_token() -> Response {
    Response::CreateDelegationToken(CreateDelegationTokenResponse {
        error_code: NO_TOKENS,
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    })
}

pub(crate) fn renew_token() -> Response {
    Response::RenewDelegationToken(RenewDelegationTokenResponse {
        error_code: NO_TOKENS,
        expiry_timestamp_ms: -1,
        ..Default::default()
    })
}

pub(crate) fn expire_token() -> Response {
    Response::ExpireDelegationToken(ExpireDelegationTokenResponse {
        error_code: NO_TOKENS,
        expiry_timestamp_ms: -1,
        ..Default::default()
    })
}

pub(crate) fn describe_tokens() -> Response {
    Response::DescribeDelegationToken(DescribeDelegationTokenResponse {
        error_code: NO_TOKENS,
        ..Default::default()
    })
}

pub(crate) fn describe_credentials(request: DescribeUserScramCredentialsRequest) -> Response {
    let mut times: BTreeMap<StrBytes, usize> = BTreeMap::new();
    for user in request.users.into_iter().flatten() {
        *times.entry(user.name).or_default() += 1;
    }
    let result = |(user, times): (StrBytes, usize)| {
        let (error_code, why) = if times > 1 {
            let why = "The request names this user more than once.";
            (ErrorCode::DuplicateResource, why)
        } else {
            let why = "This user has no SCRAM credential.";
            (ErrorCode::ResourceNotFound, why)
        };
        DescribeUserScramCredentialsResult {
            user,
            error_code,
            error_message: Some(StrBytes::from_static(why)),
            ..Default::default()
        }
    };
    Response::DescribeUserScramCredentials(DescribeUserScramCredentialsResponse {
        results: times.into_iter().map(result).collect(),
        ..Default::default()
    })
}

/// Kafka's bounds of the iterations of a credential.
const MIN_ITERATIONS: i32 = 4_096;
const MAX_ITERATIONS: i32 = 16_384;

/// What can be wrong with a change is told as Kafka tells it. A sound change is refused: nobody
/// could log in with the credential.
pub(crate) fn alter_credentials(request: AlterUserScramCredentialsRequest) -> Response {
    let mut outcomes: BTreeMap<StrBytes, Refusal> = BTreeMap::new();
    let deletions = request.deletions.into_iter().map(|wanted| {
        let absent = "There is no such credential.".to_owned();
        let sound = credential_of(&wanted.name, wanted.mechanism);
        let refusal = sound.err().unwrap_or((ErrorCode::ResourceNotFound, absent));
        (wanted.name, refusal)
    });
    let upsertions = request.upsertions.into_iter().map(|wanted| {
        let sound = credential_of(&wanted.name, wanted.mechanism)
            .and_then(|()| iterations(wanted.iterations));
        let refusal = sound.err().unwrap_or_else(no_scram);
        (wanted.name, refusal)
    });
    for (user, refusal) in deletions.chain(upsertions) {
        outcomes
            .entry(user)
            .and_modify(|first| {
                let why = "The request names this user more than once.".to_owned();
                *first = (ErrorCode::DuplicateResource, why);
            })
            .or_insert(refusal);
    }
    let result = |(user, (error_code, why))| AlterUserScramCredentialsResult {
        user,
        error_code,
        error_message: Some(StrBytes::from(why)),
    };
    Response::AlterUserScramCredentials(AlterUserScramCredentialsResponse {
        results: outcomes.into_iter().map(result).collect(),
        ..Default::default()
    })
}

fn no_scram() -> Refusal {
    (
        ErrorCode::UnsupportedSaslMechanism,
        "Ottla has no authentication yet: nobody could log in with a SCRAM credential.".to_owned(),
    )
}

fn credential_of(user: &str, mechanism: i8) -> Result<(), Refusal> {
    if user.is_empty() {
        let why = "The name of the user is empty.".to_owned();
        return Err((ErrorCode::UnacceptableCredential, why));
    }
    if !(1..=2).contains(&mechanism) {
        let why = format!("SCRAM mechanism {mechanism} is unknown.");
        return Err((ErrorCode::UnsupportedSaslMechanism, why));
    }
    Ok(())
}

fn iterations(count: i32) -> Result<(), Refusal> {
    if (MIN_ITERATIONS..=MAX_ITERATIONS).contains(&count) {
        return Ok(());
    }
    let why = format!("Iterations must be between {MIN_ITERATIONS} and {MAX_ITERATIONS}.");
    Err((ErrorCode::UnacceptableCredential, why))
}
