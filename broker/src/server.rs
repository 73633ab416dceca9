//! The TCP listener: accepts connections within limits and gives each its task.
//!
//! Shell.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, InputBudget};
use crate::core::Core;

/// Pause after a failure to accept, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the listener needs to run.
pub(crate) struct Server {
    pub(crate) core: Arc<Core>,
    pub(crate) listener: TcpListener,
    /// The connections' tasks; whoever stops the broker waits for them.
    pub(crate) tasks: TaskTracker,
    /// Ends everything at once.
    pub(crate) stop: CancellationToken,
}

/// Open connections by address.
#[derive(Default)]
struct Census(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// A place among the connections, given up on drop.
struct Seat {
    census: Arc<Census>,
    address: IpAddr,
}

impl Census {
    fn take(self: &Arc<Self>, address: IpAddr, max: usize, max_per_address: usize) -> Option<Seat> {
        let mut counts = self.0.lock();
        let here = counts.per_address.get(&address).copied().unwrap_or(0);
        if counts.total >= max || here >= max_per_address {
            return None;
        }
        counts.total += 1;
        counts.per_address.insert(address, here + 1);
        Some(Seat {
            census: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock();
        counts.total -= 1;
        if let Some(here) = counts.per_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.per_address.remove(&self.address);
            }
        }
    }
}

impl Server {
    /// Accepts until the broker drains or stops.
    pub(crate) async fn run(self) {
        let input_budget = InputBudget::new(self.core.config.queued_max_request_bytes);
        let census = Arc::new(Census::default());
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.core.draining.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &census, &input_budget),
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        census: &Arc<Census>,
        input_budget: &InputBudget,
    ) {
        let config = self.core.live_config.get();
        let address = peer.ip();
        let seat = census.take(
            address,
            config.max_connections,
            config.max_connections_per_ip,
        );
        let Some(seat) = seat else {
            tracing::warn!(%peer, "connection refused: too many connections");
            return;
        };
        let serve = connection::serve(Arc::clone(&self.core), stream, peer, input_budget.clone());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let _seat = seat;
            // A fault of ours while serving one connection must not reach the others.
            let serve = std::panic::AssertUnwindSafe(serve).catch_unwind();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                result = serve => if result.is_err() {
                    tracing::error!(%peer, "connection ended by an internal error");
                },
            }
        });
    }
}
