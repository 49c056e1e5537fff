//! The end of the process, in order: a signal that reaches every connection, and a way to wait
//! until the last of them is done.

use tokio::sync::{mpsc, watch};

/// Tells everyone to finish, and waits for it.
#[derive(Debug)]
pub struct Signal {
    draining: watch::Sender<bool>,
    alive: mpsc::Receiver<()>,
}

/// Held by whatever must finish before the process may end.
#[derive(Clone, Debug)]
pub struct Watch {
    draining: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

/// Makes watches without being one: for listeners, which need not finish.
#[derive(Clone, Debug)]
pub struct Source {
    draining: watch::Receiver<bool>,
    alive: mpsc::WeakSender<()>,
}

/// A signal and the first of its watches.
pub fn channel() -> (Signal, Watch) {
    let draining = watch::Sender::new(false);
    let (sender, alive) = mpsc::channel(1);
    let watch = Watch {
        draining: draining.subscribe(),
        alive: sender,
    };
    (Signal { draining, alive }, watch)
}

// === impl Signal ===

impl Signal {
    /// Asks all watches to finish and returns once all are dropped.
    pub async fn drain(mut self) {
        self.draining.send_replace(true);
        // Nothing is ever sent: `None` comes when the last sender is gone.
        while self.alive.recv().await.is_some() {}
    }
}

// === impl Watch ===

impl Watch {
    /// Whether the signal was given.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Returns once the signal is given (or its owner is gone).
    pub async fn draining(&mut self) {
        let _ = self.draining.wait_for(|draining| *draining).await;
    }

    /// For whoever only hands watches out.
    pub fn source(&self) -> Source {
        Source {
            draining: self.draining.clone(),
            alive: self.alive.downgrade(),
        }
    }
}

// === impl Source ===

impl Source {
    /// A new watch; `None` once all others are dropped.
    pub fn watch(&self) -> Option<Watch> {
        Some(Watch {
            draining: self.draining.clone(),
            alive: self.alive.upgrade()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_the_last_watch() {
        let (signal, watch) = channel();
        let mut other = watch.clone();
        assert!(!watch.is_draining());
        let drained = tokio::spawn(signal.drain());
        other.draining().await;
        assert!(watch.is_draining());
        drop(watch);
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
        drop(other);
        drained.await.unwrap();
    }
}
