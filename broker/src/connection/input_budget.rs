//! The bytes of requests that all connections together may hold.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// See the module. Its copies share the bytes.
///
/// A frame takes its share step by step as it arrives, so several could each hold a part and wait
/// for the rest of all others. One of those at a time has the turn: it goes on beyond the bound,
/// until its request is answered. So the bound is exceeded by one frame at the most, as Kafka's is.
#[derive(Debug, Clone)]
pub(crate) struct InputBudget {
    bytes: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// What a frame has of the budget. Dropping it gives it back.
#[derive(Debug, Default)]
pub(super) struct Share {
    bytes: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

impl InputBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes: Arc::new(Semaphore::new(bytes)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits until the frame may have so many bytes more.
    ///
    /// # Cancel safety
    /// Dropping it takes nothing but the place among those that wait.
    pub(super) async fn extend(&self, share: &mut Share, bytes: u32) -> Result<(), AcquireError> {
        if share.turn.is_some() {
            return Ok(());
        }
        let more = Arc::clone(&self.bytes).acquire_many_owned(bytes);
        let turn = Arc::clone(&self.turn).acquire_owned();
        tokio::select! {
            biased;
            more = more => {
                let more = more?;
                match &mut share.bytes {
                    Some(held) => held.merge(more),
                    None => share.bytes = Some(more),
                }
            }
            // Who holds nothing keeps nobody waiting.
            turn = turn, if share.bytes.is_some() => share.turn = Some(turn?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn frames_that_wait_for_each_other_arrive_one_after_the_other() {
        let budget = InputBudget::new(3);
        let mut shares: [Share; 3] = Default::default();
        for share in &mut shares {
            budget.extend(share, 1).await.unwrap();
        }
        let [first, second, _third] = &mut shares;
        for _ in 0..3 {
            budget.extend(first, 1).await.unwrap();
        }
        assert!(budget.extend(second, 1).now_or_never().is_none());
        *first = Share::default();
        budget.extend(second, 1).await.unwrap();
    }

    #[tokio::test]
    async fn a_frame_that_holds_nothing_waits_for_its_bytes() {
        let budget = InputBudget::new(1);
        let (mut large, mut small) = (Share::default(), Share::default());
        budget.extend(&mut large, 1).await.unwrap();
        assert!(budget.extend(&mut small, 1).now_or_never().is_none());
        drop(large);
        budget.extend(&mut small, 1).await.unwrap();
    }
}
