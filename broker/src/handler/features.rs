//! UpdateFeatures (key 57): the levels of features are what the program serves.

use ottla_protocol::message::{
    FeatureUpdate, Response, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::api_versions::FEATURES;
use crate::service::Context;

/// The first version with one outcome for all features.
const FIRST_SINGLE_OUTCOME: i16 = 2;

/// The first version that says which kind of change is meant.
const FIRST_UPGRADE_TYPE: i16 = 1;

const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;

pub(crate) fn update(context: &Context, request: UpdateFeaturesRequest) -> Response {
    let api_version = context.api_version;
    let outcomes: Vec<(StrBytes, Result<(), String>)> = request
        .feature_updates
        .into_iter()
        .map(|update| {
            let outcome = check(&update, api_version);
            (update.feature, outcome)
        })
        .collect();
    let refusal = outcomes
        .iter()
        .find_map(|(_, outcome)| outcome.clone().err());
    if api_version >= FIRST_SINGLE_OUTCOME {
        let (error_code, error_message) = answer(refusal.map_or(Ok(()), Err));
        return Response::UpdateFeatures(UpdateFeaturesResponse {
            error_code,
            error_message,
            ..Default::default()
        });
    }
    let result = |(feature, outcome)| {
        let (error_code, error_message) = answer(outcome);
        UpdatableFeatureResult {
            feature,
            error_code,
            error_message,
        }
    };
    Response::UpdateFeatures(UpdateFeaturesResponse {
        results: outcomes.into_iter().map(result).collect(),
        ..Default::default()
    })
}

fn answer(outcome: Result<(), String>) -> (ErrorCode, Option<StrBytes>) {
    match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(why) => (ErrorCode::InvalidUpdateVersion, Some(StrBytes::from(why))),
    }
}

fn check(update: &FeatureUpdate, api_version: i16) -> Result<(), String> {
    let (name, level) = (&update.feature, update.max_version_level);
    let Some(feature) = FEATURES.iter().find(|feature| feature.name == &**name) else {
        return Err(format!("There is no feature {name}."));
    };
    let has_type = api_version >= FIRST_UPGRADE_TYPE;
    if has_type && !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&update.upgrade_type) {
        let upgrade_type = update.upgrade_type;
        return Err(format!("A change of type {upgrade_type} is unknown."));
    }
    if level == feature.level {
        return Ok(());
    }
    Err(format!(
        "The level of {name} is always {} in Ottla; it cannot be {level}.",
        feature.level
    ))
}
