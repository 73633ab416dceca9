//! InitProducerId (key 22): an id for an idempotent producer, id and epoch for a transactional one.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{InitProducerIdRequest, InitProducerIdResponse, Response};

use super::transactions::{ask, fenced_as};
use crate::core::Core;
use crate::service::Context;
use crate::transaction::{Event, InitRequest, Reply};

/// The first version that knows `PRODUCER_FENCED`.
const FIRST_FENCED_VERSION: i16 = 4;

pub(crate) fn init_producer_id(
    core: &Arc<Core>,
    context: &Context,
    request: InitProducerIdRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    let api_version = context.api_version;
    let transactional = request.transactional_id.as_ref().map(|id| {
        let request = InitRequest {
            transactional_id: Arc::from(&**id),
            timeout_ms: request.transaction_timeout_ms,
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
        };
        ask(&core, |token| Event::Init(token, request))
    });
    async move {
        let given = match transactional {
            Some(reply) => match reply.await {
                Ok(Reply::Producer {
                    producer_id,
                    producer_epoch,
                }) => Ok((producer_id, producer_epoch)),
                Ok(_) => Err(ErrorCode::UnknownServerError),
                Err(code) => Err(fenced_as(code, api_version >= FIRST_FENCED_VERSION)),
            },
            None => match core.producer_ids.next(&core.catalog).await {
                Ok(producer_id) => Ok((producer_id, 0)),
                Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
            },
        };
        Response::InitProducerId(match given {
            Ok((producer_id, producer_epoch)) => InitProducerIdResponse {
                producer_id,
                producer_epoch,
                ..Default::default()
            },
            Err(error_code) => InitProducerIdResponse {
                error_code,
                producer_epoch: -1,
                ..Default::default()
            },
        })
    }
}
