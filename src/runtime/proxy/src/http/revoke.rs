//! The end of what policy has come to forbid, in the middle of it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Reaches all requests that were let in by one permission.
#[derive(Debug, Default)]
pub struct Revocation {
    revoked: Cell<bool>,
    /// Of requests that wait; vacant places are used again.
    wakers: RefCell<Vec<Option<Waker>>>,
}

/// One request's share.
#[derive(Debug)]
pub struct Guard {
    revocation: Rc<Revocation>,
    place: Option<usize>,
}

// === impl Revocation ===

impl Revocation {
    /// Nothing is revoked.
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    /// Ends all requests, and those to come.
    pub fn revoke(&self) {
        self.revoked.set(true);
        let wakers = std::mem::take(&mut *self.wakers.borrow_mut());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// For one request.
    pub fn guard(self: &Rc<Self>) -> Guard {
        Guard {
            revocation: self.clone(),
            place: None,
        }
    }
}

// === impl Guard ===

impl Guard {
    /// Ready once the permission is revoked.
    pub fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.revocation.revoked.get() {
            return Poll::Ready(());
        }
        let mut wakers = self.revocation.wakers.borrow_mut();
        let place = *self.place.get_or_insert_with(|| {
            let vacant = wakers.iter().position(Option::is_none);
            vacant.unwrap_or_else(|| {
                wakers.push(None);
                wakers.len() - 1
            })
        });
        match wakers.get_mut(place) {
            Some(Some(waker)) if waker.will_wake(cx.waker()) => {}
            Some(slot) => *slot = Some(cx.waker().clone()),
            None => {}
        }
        Poll::Pending
    }

    /// Returns once the permission is revoked.
    pub async fn revoked(&mut self) {
        std::future::poll_fn(|cx| self.poll_revoked(cx)).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(place) = self.place
            && let Some(slot) = self.revocation.wakers.borrow_mut().get_mut(place)
        {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_guards_learn_of_it_and_places_are_used_again() {
        let revocation = Revocation::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut guards: Vec<_> = (0..3).map(|_| revocation.guard()).collect();
        for guard in &mut guards {
            assert!(guard.poll_revoked(&mut cx).is_pending());
        }
        guards.remove(1);
        let mut another = revocation.guard();
        assert!(another.poll_revoked(&mut cx).is_pending());
        assert_eq!(revocation.wakers.borrow().len(), 3);
        revocation.revoke();
        another.revoked().await;
        for guard in &mut guards {
            assert!(guard.poll_revoked(&mut cx).is_ready());
        }
        revocation.guard().revoked().await;
    }
}
