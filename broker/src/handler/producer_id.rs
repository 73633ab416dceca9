//! InitProducerId (key 22): an id for an idempotent producer.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{InitProducerIdRequest, InitProducerIdResponse, Response};

use crate::core::Core;

pub(crate) fn init_producer_id(
    core: &Arc<Core>,
    request: InitProducerIdRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    async move {
        let refused = |error_code| InitProducerIdResponse {
            error_code,
            producer_epoch: -1,
            ..Default::default()
        };
        Response::InitProducerId(if request.transactional_id.is_some() {
            // FindCoordinator has told the client that there is no transaction coordinator.
            refused(ErrorCode::InvalidRequest)
        } else {
            match core.producer_ids.next(&core.catalog).await {
                Ok(producer_id) => InitProducerIdResponse {
                    producer_id,
                    ..Default::default()
                },
                Err(_) => refused(ErrorCode::CoordinatorNotAvailable),
            }
        })
    }
}
