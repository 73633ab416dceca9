//! What all requests share: topics, coordinators, settings, clock.

use std::sync::{Arc, OnceLock};

use ottla_storage::store::Store;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, CatalogEvent, CatalogReply, PRODUCER_ID_BLOCK};
use crate::config::{BrokerConfig, Endpoint};
use crate::env::Env;
use crate::fetch_session::FetchSessions;
use crate::group::GroupCoordinator;
use crate::live_config::LiveConfig;
use crate::machine::{Driver, Unavailable};
use crate::memory_budget::MemoryBudget;
use crate::service::Context;
use crate::topics::Topics;
use crate::transaction::TransactionCoordinator;

/// The broker behind all its transports.
pub(crate) struct Core {
    /// What the broker was started with. Settings that clients can change are in `live_config`.
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) live_config: Arc<LiveConfig>,
    pub(crate) env: Env,
    pub(crate) store: Arc<Store>,
    /// The log is in memory: nothing waits for a disk.
    pub(crate) ephemeral: bool,
    pub(crate) topics: Arc<Topics>,
    pub(crate) catalog: Arc<Driver<Catalog>>,
    pub(crate) groups: Arc<Driver<GroupCoordinator>>,
    pub(crate) transactions: Arc<Driver<TransactionCoordinator>>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) fetch_sessions: Mutex<FetchSessions>,
    /// For what is decompressed to validate it.
    pub(crate) validation: MemoryBudget,
    /// For what is decompressed to find a record by its time. Apart from validation, which must
    /// not wait for a disk.
    pub(crate) lookups: MemoryBudget,
    /// Cancelled when the broker begins to stop: long waits end.
    pub(crate) draining: CancellationToken,
    /// What clients are told to connect to, once known. A broker that listens on all addresses
    /// of the machine has none: it tells each client the address that the client came by.
    pub(crate) advertised: OnceLock<Endpoint>,
}

impl Core {
    /// Where the client of this request reaches the broker.
    pub(crate) fn endpoint(&self, context: &Context) -> Endpoint {
        match (self.advertised.get(), context.local) {
            (Some(advertised), _) => advertised.clone(),
            (None, Some(local)) => Endpoint {
                host: local.ip().to_string(),
                port: local.port(),
            },
            (None, None) => Endpoint {
                host: "localhost".to_owned(),
                port: 0,
            },
        }
    }

    /// Runs work that may wait for the disk. Without real files it runs in place, so that an
    /// ephemeral broker needs no thread.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        if self.ephemeral {
            return Ok(work());
        }
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Unavailable)
    }
}

/// Hands out producer ids from blocks that the catalog reserves.
#[derive(Default)]
pub(crate) struct ProducerIds(Mutex<std::ops::Range<i64>>);

impl ProducerIds {
    /// An id that no producer of this data directory has had.
    ///
    /// # Cancel safety
    /// Dropping it may waste a block of ids, nothing else.
    pub(crate) async fn next(&self, catalog: &Arc<Driver<Catalog>>) -> Result<i64, Unavailable> {
        loop {
            if let Some(id) = self.0.lock().next() {
                return Ok(id);
            }
            let reply = catalog.call(CatalogEvent::ReserveProducerIds).await?;
            if let CatalogReply::ProducerIds(first) = reply {
                *self.0.lock() = first..first.saturating_add(PRODUCER_ID_BLOCK);
            }
        }
    }
}
