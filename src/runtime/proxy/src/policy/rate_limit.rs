//! Limits of requests per second: of all clients together, and of each identity.
//!
//! The generic cell rate algorithm with a burst of one second: one number for each limit, so that
//! workers share it without a lock.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::Meta;
use crate::{
    pb::inbound::{HttpLocalRateLimit, http_local_rate_limit::Limit},
    tls::PeerId,
};

/// Identities that are remembered; beyond them all share one limit.
const MAX_IDENTITIES: usize = 10_000;
/// What a limit is remembered for after its last request: after a second it is as good as new.
const FORGET: Duration = Duration::from_secs(60);

/// The rate limit of a server.
#[derive(Debug)]
pub struct RateLimit {
    config: Config,
    total: Option<Bucket>,
    started: Instant,
    by_identity: Mutex<FxHashMap<Option<PeerId>, Arc<Bucket>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Config {
    meta: Meta,
    total: Option<u32>,
    identity: Option<u32>,
    overrides: Vec<(Vec<String>, u32)>,
}

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Total,
    Identity,
}

/// One limit: the theoretical arrival time of the next request, in nanoseconds since the start.
#[derive(Debug)]
struct Bucket {
    per_second: u32,
    next_ns: AtomicU64,
}

const SECOND_NS: u64 = 1_000_000_000;

// === impl RateLimit ===

impl RateLimit {
    /// The limit of an `HttpLocalRateLimit`.
    pub fn from_wire(wire: &HttpLocalRateLimit) -> Self {
        let rate = |limit: &Limit| limit.requests_per_second;
        let config = Config {
            meta: Meta::from_optional(wire.metadata.as_ref()),
            total: wire.total.as_ref().map(rate),
            identity: wire.identity.as_ref().map(rate),
            overrides: wire
                .overrides
                .iter()
                .filter_map(|over| {
                    let clients = over.clients.as_ref()?.identities.iter();
                    Some((
                        clients.map(|id| id.name.clone()).collect(),
                        rate(over.limit.as_ref()?),
                    ))
                })
                .collect(),
        };
        Self {
            total: config.total.map(Bucket::new),
            config,
            started: Instant::now(),
            by_identity: Mutex::default(),
        }
    }

    /// The resource that it comes from.
    pub fn meta(&self) -> &Meta {
        &self.config.meta
    }

    /// Counts a request, or tells which limit it exceeds.
    pub fn check(&self, client: Option<&PeerId>) -> Result<(), Scope> {
        let now_ns = self.now_ns();
        if self.total.as_ref().is_some_and(|total| !total.take(now_ns)) {
            return Err(Scope::Total);
        }
        let over = client.and_then(|client| self.override_of(client));
        let Some(per_second) = over.or(self.config.identity) else {
            return Ok(());
        };
        let bucket = self.bucket(client, per_second, now_ns);
        if bucket.take(now_ns) {
            Ok(())
        } else {
            Err(Scope::Identity)
        }
    }

    fn override_of(&self, client: &PeerId) -> Option<u32> {
        let is_listed = |names: &Vec<String>| names.iter().any(|name| **name == *client.0);
        let found = self
            .config
            .overrides
            .iter()
            .find(|(names, _)| is_listed(names));
        found.map(|(_, per_second)| *per_second)
    }

    fn bucket(&self, client: Option<&PeerId>, per_second: u32, now_ns: u64) -> Arc<Bucket> {
        let mut buckets = self
            .by_identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_IDENTITIES {
            let forget_ns = u64::try_from(FORGET.as_nanos()).unwrap_or(u64::MAX);
            buckets.retain(|_, b| b.next_ns.load(Relaxed).saturating_add(forget_ns) > now_ns);
        }
        let known = buckets.len() < MAX_IDENTITIES || buckets.contains_key(&client.cloned());
        let key = client.filter(|_| known).cloned();
        buckets
            .entry(key)
            .or_insert_with(|| Arc::new(Bucket::new(per_second)))
            .clone()
    }

    fn now_ns(&self) -> u64 {
        // Never 0: a bucket that was never used is at 0 and must be in the past.
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX - SECOND_NS) + SECOND_NS
    }
}

impl PartialEq for RateLimit {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

// === impl Bucket ===

impl Bucket {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            next_ns: AtomicU64::new(0),
        }
    }

    /// Whether there was room for one more.
    fn take(&self, now_ns: u64) -> bool {
        if self.per_second == 0 {
            return false;
        }
        let interval = SECOND_NS / u64::from(self.per_second);
        let advance = |next: u64| {
            let next = next.max(now_ns.saturating_sub(SECOND_NS - interval));
            (next <= now_ns).then_some(next + interval)
        };
        self.next_ns.fetch_update(Relaxed, Relaxed, advance).is_ok()
    }
}

// === impl Scope ===

impl Scope {
    /// The value of the label `ratelimit_scope`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Identity => "identity",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::inbound::{Identity, http_local_rate_limit as wire};

    fn limit(total: Option<u32>, identity: Option<u32>, over: &[(&str, u32)]) -> RateLimit {
        let rate = |n| Limit {
            requests_per_second: n,
        };
        RateLimit::from_wire(&HttpLocalRateLimit {
            metadata: None,
            total: total.map(rate),
            identity: identity.map(rate),
            overrides: over
                .iter()
                .map(|(name, n)| wire::Override {
                    limit: Some(rate(*n)),
                    clients: Some(wire::r#override::ClientIdentities {
                        identities: vec![Identity {
                            name: (*name).to_owned(),
                        }],
                    }),
                })
                .collect(),
        })
    }

    fn id(name: &str) -> PeerId {
        PeerId(name.into())
    }

    fn allowed(limit: &RateLimit, client: Option<&PeerId>, tries: usize) -> usize {
        (0..tries).filter(|_| limit.check(client).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_of_requests_at_once_then_the_rate() {
        let limit = limit(Some(10), None, &[]);
        assert_eq!(allowed(&limit, None, 20), 10);
        assert_eq!(limit.check(None), Err(Scope::Total));
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(allowed(&limit, None, 20), 3);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(allowed(&limit, None, 20), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn each_identity_has_its_own_and_some_have_more() {
        let limit = limit(None, Some(2), &[("vip", 5)]);
        assert_eq!(allowed(&limit, Some(&id("a")), 9), 2);
        assert_eq!(allowed(&limit, Some(&id("b")), 9), 2);
        assert_eq!(allowed(&limit, None, 9), 2);
        assert_eq!(allowed(&limit, Some(&id("vip")), 9), 5);
        assert_eq!(limit.check(Some(&id("a"))), Err(Scope::Identity));
    }

    #[tokio::test(start_paused = true)]
    async fn identities_are_bounded() {
        let limit = limit(None, Some(1), &[]);
        for n in 0..MAX_IDENTITIES + 100 {
            let _ = limit.check(Some(&id(&n.to_string())));
        }
        assert!(limit.by_identity.lock().unwrap().len() <= MAX_IDENTITIES + 1);
    }
}
