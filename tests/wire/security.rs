//! What a broker without authentication, authorizer and quotas says about them, and the
//! operations that are open to everyone.

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    AclCreation, AlterClientQuotasRequest, AlterUserScramCredentialsRequest, CreateAclsRequest,
    CreateDelegationTokenRequest, DeleteAclsFilter, DeleteAclsRequest, DescribeAclsRequest,
    DescribeClientQuotasRequest, DescribeClusterRequest, DescribeDelegationTokenRequest,
    DescribeUserScramCredentialsRequest, ExpireDelegationTokenRequest, MetadataRequest,
    QuotaAlteration, QuotaComponent, QuotaEntity, QuotaOperation, RenewDelegationTokenRequest,
    ScramCredentialDeletion, ScramCredentialUpsertion, ScramUser,
};

use crate::support::{Client, Server, text, versions};

#[tokio::test]
async fn without_an_authorizer_there_are_no_access_control_lists() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for version in versions::<DescribeAclsRequest>() {
        let described = client.call(version, DescribeAclsRequest::default()).await;
        assert_eq!(described.error_code, ErrorCode::SecurityDisabled);
        let request = CreateAclsRequest {
            creations: vec![AclCreation::default(); 2],
        };
        let created = client.call(version, request).await.results;
        assert_eq!(created.len(), 2);
        assert_eq!(created[1].error_code, ErrorCode::SecurityDisabled);
        let request = DeleteAclsRequest {
            filters: vec![DeleteAclsFilter::default(); 2],
        };
        let deleted = client.call(version, request).await.filter_results;
        assert_eq!(deleted.len(), 2);
        assert_eq!(deleted[1].error_code, ErrorCode::SecurityDisabled);
    }
}

#[tokio::test]
async fn without_authentication_there_are_no_delegation_tokens() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let none = ErrorCode::DelegationTokenRequestNotAllowed;
    for version in versions::<CreateDelegationTokenRequest>() {
        let request = CreateDelegationTokenRequest::default();
        assert_eq!(client.call(version, request).await.error_code, none);
        let request = DescribeDelegationTokenRequest::default();
        assert_eq!(client.call(version, request).await.error_code, none);
    }
    for version in versions::<RenewDelegationTokenRequest>() {
        let request = RenewDelegationTokenRequest::default();
        assert_eq!(client.call(version, request).await.error_code, none);
        let request = ExpireDelegationTokenRequest::default();
        assert_eq!(client.call(version, request).await.error_code, none);
    }
}

#[tokio::test]
async fn nobody_has_a_scram_credential() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let all = DescribeUserScramCredentialsRequest { users: None };
    let described = client.call(0, all).await;
    assert_eq!(described.error_code, ErrorCode::None);
    assert_eq!(described.results, []);
    let users = ["twice", "once", "twice"].map(|name| ScramUser { name: text(name) });
    let some = DescribeUserScramCredentialsRequest {
        users: Some(users.into()),
    };
    let results = client.call(0, some).await.results;
    let codes: Vec<_> = results.iter().map(|r| (&*r.user, r.error_code)).collect();
    let absent = ("once", ErrorCode::ResourceNotFound);
    assert_eq!(codes, [absent, ("twice", ErrorCode::DuplicateResource)]);
}

#[tokio::test]
async fn a_scram_credential_is_refused_for_what_is_wrong_with_it_or_else_as_such() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let set = |name, mechanism, iterations| ScramCredentialUpsertion {
        name: text(name),
        mechanism,
        iterations,
        salt: Bytes::from_static(b"salt"),
        salted_password: Bytes::from_static(b"password"),
    };
    let delete = |name| ScramCredentialDeletion {
        name: text(name),
        mechanism: 1,
    };
    let request = AlterUserScramCredentialsRequest {
        deletions: vec![delete("absent"), delete("twice")],
        upsertions: vec![
            set("", 1, 4_096),
            set("few", 1, 4_095),
            set("many", 2, 16_385),
            set("sound", 2, 4_096),
            set("strange", 3, 4_096),
            set("twice", 1, 4_096),
        ],
    };
    let results = client.call(0, request).await.results;
    let codes: Vec<_> = results.iter().map(|r| (&*r.user, r.error_code)).collect();
    let unacceptable = ErrorCode::UnacceptableCredential;
    let unsupported = ErrorCode::UnsupportedSaslMechanism;
    assert_eq!(
        codes,
        [
            ("", unacceptable),
            ("absent", ErrorCode::ResourceNotFound),
            ("few", unacceptable),
            ("many", unacceptable),
            ("sound", unsupported),
            ("strange", unsupported),
            ("twice", ErrorCode::DuplicateResource),
        ]
    );
}

fn part(entity_type: &str, entity_name: Option<&str>) -> QuotaEntity {
    QuotaEntity {
        entity_type: text(entity_type),
        entity_name: entity_name.map(text),
    }
}

fn limit(key: &str, value: f64) -> QuotaOperation {
    QuotaOperation {
        key: text(key),
        value,
        remove: false,
    }
}

async fn alter(
    client: &mut Client,
    entity: Vec<QuotaEntity>,
    ops: Vec<QuotaOperation>,
    validate_only: bool,
) -> ErrorCode {
    let mut codes = Vec::new();
    for version in versions::<AlterClientQuotasRequest>() {
        let request = AlterClientQuotasRequest {
            entries: vec![QuotaAlteration {
                entity: entity.clone(),
                ops: ops.clone(),
            }],
            validate_only,
        };
        let answer = client.call(version, request).await.entries.remove(0);
        assert_eq!(answer.entity, entity);
        codes.push(answer.error_code);
    }
    codes.dedup();
    assert_eq!(codes.len(), 1);
    codes.remove(0)
}

#[tokio::test]
async fn a_quota_is_refused_because_it_would_not_be_enforced() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let user = || vec![part("user", Some("a")), part("client-id", None)];
    let bytes = || vec![limit("producer_byte_rate", 10.0)];
    let code = alter(&mut client, user(), bytes(), false).await;
    assert_eq!(code, ErrorCode::UnsupportedVersion);
    let code = alter(&mut client, user(), bytes(), true).await;
    assert_eq!(code, ErrorCode::None, "it is well formed");
    let removal = QuotaOperation {
        remove: true,
        ..limit("producer_byte_rate", 0.0)
    };
    let code = alter(&mut client, user(), vec![removal], false).await;
    assert_eq!(code, ErrorCode::None, "there is none");
}

#[tokio::test]
async fn malformed_quotas_are_invalid_requests() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let user = || part("user", Some("a"));
    let address = || part("ip", Some("127.0.0.1"));
    let bytes = || vec![limit("producer_byte_rate", 10.0)];
    let connections = || vec![limit("connection_creation_rate", 1.0)];
    let cases = [
        (vec![], bytes()),
        (vec![user(), user()], bytes()),
        (vec![part("planet", None)], bytes()),
        (vec![user(), address()], connections()),
        (vec![address()], bytes()),
        (vec![part("ip", Some("nowhere at all"))], connections()),
        (vec![user()], connections()),
        (vec![user()], vec![limit("producer_byte_rate", 0.0)]),
        (vec![user()], vec![limit("producer_byte_rate", f64::NAN)]),
        (vec![user()], vec![limit("producer_byte_rate", 1.5)]),
        (vec![user()], [bytes(), bytes()].concat()),
    ];
    for (entity, ops) in cases {
        let what = format!("{entity:?} {ops:?}");
        let code = alter(&mut client, entity, ops, true).await;
        assert_eq!(code, ErrorCode::InvalidRequest, "{what}");
    }
}

#[tokio::test]
async fn no_client_has_a_quota() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let component = |kind: &str, match_type, name: Option<&str>| QuotaComponent {
        entity_type: text(kind),
        match_type,
        match_name: name.map(text),
    };
    let invalid = ErrorCode::InvalidRequest;
    let cases = [
        (vec![], ErrorCode::None),
        (vec![component("user", 0, Some("a"))], ErrorCode::None),
        (
            vec![component("planet", 2, None)],
            ErrorCode::UnsupportedVersion,
        ),
        (vec![component("", 2, None)], invalid),
        (vec![component("user", 0, None)], invalid),
        (vec![component("user", 1, Some("a"))], invalid),
        (vec![component("user", 3, None)], invalid),
        (vec![component("user", 2, None); 2], invalid),
        (
            vec![component("user", 2, None), component("ip", 2, None)],
            invalid,
        ),
    ];
    for version in versions::<DescribeClientQuotasRequest>() {
        for (components, code) in &cases {
            let request = DescribeClientQuotasRequest {
                components: components.clone(),
                strict: false,
            };
            let described = client.call(version, request).await;
            assert_eq!(described.error_code, *code, "{components:?}");
            let none = (*code == ErrorCode::None).then(Vec::new);
            assert_eq!(described.entries, none);
        }
    }
}

/// The bits of these operations.
fn operations(codes: &[i32]) -> i32 {
    codes.iter().map(|code| 1 << code).sum()
}

#[tokio::test]
async fn without_an_authorizer_every_operation_is_open_to_who_asks() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let of_cluster = operations(&[5, 7, 8, 9, 10, 11, 12]);
    let of_topic = operations(&[3, 4, 5, 6, 7, 8, 10, 11]);
    for asked in [false, true] {
        let told = |operations| if asked { operations } else { i32::MIN };
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: asked,
            ..Default::default()
        };
        let cluster = client.call(1, request).await;
        assert_eq!(cluster.cluster_authorized_operations, told(of_cluster));
        let request = MetadataRequest {
            topics: None,
            include_cluster_authorized_operations: asked,
            include_topic_authorized_operations: asked,
            ..Default::default()
        };
        let metadata = client.call(9, request).await;
        assert_eq!(metadata.cluster_authorized_operations, told(of_cluster));
        let topic = &metadata.topics[0];
        assert_eq!(topic.topic_authorized_operations, told(of_topic));
    }
}
