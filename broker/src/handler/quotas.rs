//! DescribeClientQuotas (key 48) and AlterClientQuotas (49): no client has a quota, and none can
//! be given one, because none would be enforced.

use std::collections::HashSet;

use ottla_protocol::message::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, QuotaAlteration, QuotaAlterationResult, QuotaComponent,
    QuotaEntity, QuotaOperation, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::topics::Refusal;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

/// What can be limited of a user or client; the numbers may have a fraction or not.
const CLIENT_QUOTAS: [(&str, bool); 4] = [
    ("producer_byte_rate", false),
    ("consumer_byte_rate", false),
    ("request_percentage", true),
    ("controller_mutation_rate", true),
];

/// What can be limited of an address.
const IP_QUOTAS: [(&str, bool); 1] = [("connection_creation_rate", false)];

pub(crate) fn describe(request: &DescribeClientQuotasRequest) -> Response {
    Response::DescribeClientQuotas(match filter(&request.components) {
        Ok(()) => DescribeClientQuotasResponse {
            entries: Some(Vec::new()),
            ..Default::default()
        },
        Err((error_code, why)) => DescribeClientQuotasResponse {
            error_code,
            error_message: Some(StrBytes::from(why)),
            ..Default::default()
        },
    })
}

fn filter(components: &[QuotaComponent]) -> Result<(), Refusal> {
    let invalid = |why: String| Err((ErrorCode::InvalidRequest, why));
    let mut types = HashSet::new();
    for component in components {
        let kind = &*component.entity_type;
        if kind.is_empty() {
            return invalid("The type of an entity is empty.".to_owned());
        }
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let why = format!("Entities of type {kind} have no quotas.");
            return Err((ErrorCode::UnsupportedVersion, why));
        }
        if !types.insert(kind) {
            return invalid(format!("The filter names {kind} more than once."));
        }
        let named = component.match_name.is_some();
        match component.match_type {
            EXACT if !named => return invalid("An exact match needs a name.".to_owned()),
            DEFAULT | ANY if named => {
                return invalid("Only an exact match has a name.".to_owned());
            }
            EXACT | DEFAULT | ANY => {}
            other => return invalid(format!("Match type {other} is unknown.")),
        }
    }
    if types.contains(IP) && types.len() > 1 {
        return invalid("An address is an entity by itself.".to_owned());
    }
    Ok(())
}

pub(crate) fn alter(request: AlterClientQuotasRequest) -> Response {
    let mut seen: Vec<Vec<QuotaEntity>> = Vec::new();
    let mut entries = Vec::with_capacity(request.entries.len());
    for alteration in request.entries {
        let mut entity = alteration.entity.clone();
        entity.sort_by(|a, b| a.entity_type.cmp(&b.entity_type));
        let outcome = if seen.contains(&entity) {
            let why = "The request names this entity more than once.".to_owned();
            Err((ErrorCode::InvalidRequest, why))
        } else {
            alter_one(&alteration, request.validate_only)
        };
        seen.push(entity);
        let (error_code, error_message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err((code, why)) => (code, Some(StrBytes::from(why))),
        };
        entries.push(QuotaAlterationResult {
            error_code,
            error_message,
            entity: alteration.entity,
        });
    }
    Response::AlterClientQuotas(AlterClientQuotasResponse {
        entries,
        ..Default::default()
    })
}

/// What is wrong with a change is told as Kafka tells it. To take away what nobody has is granted.
fn alter_one(alteration: &QuotaAlteration, validate_only: bool) -> Result<(), Refusal> {
    let quotas = quotas_of(&alteration.entity)?;
    let mut keys = HashSet::new();
    for operation in &alteration.ops {
        if !keys.insert(&operation.key) {
            let why = format!("The request names {} more than once.", operation.key);
            return Err((ErrorCode::InvalidRequest, why));
        }
        if !operation.remove {
            limit(operation, quotas)?;
        }
    }
    if validate_only || alteration.ops.iter().all(|operation| operation.remove) {
        return Ok(());
    }
    let why = "Ottla does not enforce quotas yet, and sets none that it would not enforce.";
    Err((ErrorCode::UnsupportedVersion, why.to_owned()))
}

fn quotas_of(entity: &[QuotaEntity]) -> Result<&'static [(&'static str, bool)], Refusal> {
    let invalid = |why: String| Err((ErrorCode::InvalidRequest, why));
    if entity.is_empty() {
        return invalid("The entity has no parts.".to_owned());
    }
    let mut types = HashSet::new();
    for part in entity {
        let kind = &*part.entity_type;
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            return invalid(format!("Entities of type {kind} have no quotas."));
        }
        if !types.insert(kind) {
            return invalid(format!("The entity has more than one {kind}."));
        }
        if part.entity_name.as_deref() == Some("") {
            return invalid(format!("The name of the {kind} is empty."));
        }
    }
    if !types.contains(IP) {
        return Ok(&CLIENT_QUOTAS);
    }
    if types.len() > 1 {
        return invalid("An address is an entity by itself.".to_owned());
    }
    let mut addresses = entity.iter().filter_map(|part| part.entity_name.as_deref());
    match addresses.find(|address| address.parse::<std::net::IpAddr>().is_err()) {
        None => Ok(&IP_QUOTAS),
        Some(address) => invalid(format!("{address} is not an IP address.")),
    }
}

fn limit(operation: &QuotaOperation, quotas: &[(&str, bool)]) -> Result<(), Refusal> {
    let invalid = |why: String| Err((ErrorCode::InvalidRequest, why));
    let key = &*operation.key;
    let Some((_, may_have_fraction)) = quotas.iter().find(|(name, _)| *name == key) else {
        return invalid(format!("{key} is no quota of such an entity."));
    };
    let is_positive = operation.value > 0.0;
    if !is_positive {
        return invalid(format!("{key} must be greater than 0."));
    }
    if !may_have_fraction && operation.value.fract() > 1e-6 {
        return invalid(format!("{key} must be a whole number."));
    }
    Ok(())
}
