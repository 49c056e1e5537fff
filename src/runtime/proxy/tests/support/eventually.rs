//! Waiting for what must come true, with a deadline.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// How long anything that must happen may take. Far more than it takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks again and again until `probe` answers with a value; panics with its last reason when the
/// deadline has passed.
pub async fn eventually<T, E: Debug>(
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match timeout(DEADLINE, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(reason)) if Instant::now() < deadline => {
                drop(reason);
                sleep(PAUSE).await;
            }
            Ok(Err(reason)) => panic!("{what}: not within {DEADLINE:?}: {reason:?}"),
            Err(_) => panic!("{what}: no answer within {DEADLINE:?}"),
        }
    }
}

/// Waits for a future that must end; panics when it does not in time.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}
