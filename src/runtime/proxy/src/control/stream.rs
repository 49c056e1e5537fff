//! Response streams from the control plane that are opened again for as long as someone listens.

use std::{future::Future, time::Duration};

use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::{backoff::Backoff, config::BackoffConfig, config::StreamLimits, rng::Rng};

/// What a subscriber does with a stream.
pub trait Subscriber {
    /// The messages.
    type Item;

    /// Opens a stream.
    fn open(
        &mut self,
    ) -> impl Future<Output = Result<tonic::Response<Streaming<Self::Item>>, Status>> + Send;
    /// A stream was opened: what comes next is a new snapshot.
    fn opened(&mut self) {}
    /// A message came.
    fn message(&mut self, item: Self::Item);
    /// When `settle` is to be called unless a message comes before.
    fn deadline(&self) -> Option<Instant> {
        None
    }
    /// The deadline passed.
    fn settle(&mut self) {}
    /// The control plane could not be reached, or the stream broke.
    fn lost(&mut self) {}
    /// The control plane says that this does not exist or is no valid question. Returns whether to
    /// give up.
    fn refused(&mut self, status: &Status) -> bool;
}

/// Why a stream ended.
enum End {
    Status(Status),
    /// Its time was over, in good order.
    Limit,
}

/// Follows streams until the subscriber gives up. Run it beside a future that ends it when nobody
/// listens any more.
pub async fn follow<S: Subscriber>(
    subscriber: &mut S,
    what: &str,
    backoff: BackoffConfig,
    limits: StreamLimits,
) {
    let rng = Rng::from_entropy();
    let mut backoff = Backoff::new(backoff);
    loop {
        let mut got_any = false;
        let end = match subscriber.open().await {
            Ok(response) => {
                subscriber.opened();
                read(subscriber, response.into_inner(), limits, &mut got_any).await
            }
            Err(status) => End::Status(status),
        };
        if got_any {
            backoff.reset();
        }
        match end {
            End::Limit => {}
            End::Status(status) if is_refusal(&status) => {
                tracing::debug!(what, %status, "refused by the control plane");
                if subscriber.refused(&status) {
                    return;
                }
                tokio::time::sleep(backoff.next(&rng)).await;
            }
            End::Status(status) => {
                subscriber.lost();
                let wait = backoff.next(&rng);
                tracing::info!(
                    code = "MESH_PROXY_CONTROL_LOST",
                    what,
                    status = status.message(),
                    retry_ms = wait.as_millis(),
                    "lost the control plane; going on with what is known",
                );
                tokio::time::sleep(wait).await;
            }
        }
    }
}

fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::Unimplemented
    )
}

async fn read<S: Subscriber>(
    subscriber: &mut S,
    mut stream: Streaming<S::Item>,
    limits: StreamLimits,
    got_any: &mut bool,
) -> End {
    const NEVER: Duration = Duration::from_secs(86_400 * 365);
    let lifetime = Instant::now() + limits.lifetime.unwrap_or(NEVER);
    let mut quiet = limits
        .initial
        .or(limits.idle)
        .map(|wait| Instant::now() + wait);
    loop {
        let settle = subscriber.deadline();
        tokio::select! {
            item = stream.message() => match item {
                Ok(Some(item)) => {
                    *got_any = true;
                    quiet = limits.idle.map(|idle| Instant::now() + idle);
                    subscriber.message(item);
                }
                Ok(None) => return End::Status(Status::unavailable("the stream ended")),
                Err(status) => return End::Status(status),
            },
            () = sleep_until(settle) => subscriber.settle(),
            () = sleep_until(quiet) => {
                if !*got_any {
                    return End::Status(Status::deadline_exceeded("no first message"));
                }
                return End::Limit;
            }
            () = tokio::time::sleep_until(lifetime) => return End::Limit,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
