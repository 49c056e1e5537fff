//! Endpoints of a service, from `Destination.Get`.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::{sync::watch, time::Instant};
use tonic::{Status, Streaming, transport::Channel};

use super::{Known, stream};
use crate::{
    addr,
    config::ControlConfig,
    metrics::{LabelSet, Labels},
    pb::destination::{
        AddrSet, GetDestination, Update, WeightedAddr, WeightedAddrSet,
        destination_client::DestinationClient, protocol_hint, update,
    },
    tls::ServerTls,
};

/// A reconnected stream repeats what exists, in any number of messages and without an end mark.
/// Whatever it has not repeated after this much silence is gone.
const SETTLE: Duration = Duration::from_millis(500);

/// The endpoints of a service now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub by_addr: FxHashMap<SocketAddr, Arc<EndpointMeta>>,
}

/// All that is known of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointMeta {
    pub addr: SocketAddr,
    /// 10,000 is one.
    pub weight: u32,
    pub tls: EndpointTls,
    pub hint: Hint,
    /// The peer proxy's inbound port, if it takes connections with a transport header.
    pub transport_port: Option<u16>,
    pub authority_override: Option<String>,
    /// The `dst_*` labels.
    pub labels: LabelSet,
}

/// Whether an endpoint is to be spoken to with mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointTls {
    /// No identity is known.
    None,
    Identity(ServerTls),
    /// An identity is meant that we do not understand: nothing can be sent there safely.
    Invalid,
}

/// What the peer's proxy understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    Unknown,
    /// HTTP/1 may travel in HTTP/2.
    H2,
    /// Neither side may look into the bytes.
    Opaque,
}

struct Subscriber {
    client: DestinationClient<Channel>,
    request: GetDestination,
    sender: watch::Sender<Known<Endpoints>>,
    /// Known from a stream before, not yet repeated by this one.
    stale: FxHashSet<SocketAddr>,
    settle_at: Option<Instant>,
}

/// Keeps `sender` at the endpoints of `path` until nobody listens.
pub(super) async fn follow(
    client: DestinationClient<Channel>,
    config: Arc<ControlConfig>,
    path: String,
    sender: watch::Sender<Known<Endpoints>>,
) {
    let request = GetDestination {
        scheme: "k8s".to_owned(),
        path: path.clone(),
        context_token: config.destination_context.clone(),
    };
    let closed = sender.clone();
    let mut subscriber = Subscriber {
        client,
        request,
        sender,
        stale: FxHashSet::default(),
        settle_at: None,
    };
    tokio::select! {
        () = closed.closed() => {}
        () = stream::follow(&mut subscriber, &path, config.connect.backoff, config.stream) => {}
    }
}

// === impl Subscriber ===

impl Subscriber {
    fn add(&mut self, set: &WeightedAddrSet) {
        let added: Vec<_> = set
            .addrs
            .iter()
            .filter_map(|wire| EndpointMeta::from_wire(wire, &set.metric_labels))
            .collect();
        for meta in &added {
            self.stale.remove(&meta.addr);
        }
        if !self.stale.is_empty() {
            self.settle_at = Some(Instant::now() + SETTLE);
        }
        self.update(|endpoints| {
            endpoints
                .by_addr
                .extend(added.into_iter().map(|meta| (meta.addr, Arc::new(meta))));
        });
    }

    fn remove(&mut self, set: &AddrSet) {
        let gone: Vec<_> = set
            .addrs
            .iter()
            .filter_map(|a| addr::from_wire(a).ok())
            .collect();
        self.forget(gone);
    }

    fn forget(&mut self, gone: impl IntoIterator<Item = SocketAddr>) {
        self.update(|endpoints| {
            for addr in gone {
                endpoints.by_addr.remove(&addr);
            }
        });
    }

    /// Changes the snapshot; it is copied only while a reader still holds the last one.
    fn update(&self, change: impl FnOnce(&mut Endpoints)) {
        self.sender.send_modify(|known| {
            if let Known::Is(endpoints) = known {
                change(Arc::make_mut(endpoints));
            } else {
                let mut endpoints = Endpoints::default();
                change(&mut endpoints);
                *known = Known::Is(Arc::new(endpoints));
            }
        });
    }
}

impl stream::Subscriber for Subscriber {
    type Item = Update;

    async fn open(&mut self) -> Result<tonic::Response<Streaming<Update>>, Status> {
        self.client.get(self.request.clone()).await
    }

    fn opened(&mut self) {
        self.settle_at = None;
        if let Known::Is(endpoints) = &*self.sender.borrow() {
            self.stale = endpoints.by_addr.keys().copied().collect();
        }
    }

    fn message(&mut self, update: Update) {
        match update.update {
            Some(update::Update::Add(set)) => self.add(&set),
            Some(update::Update::Remove(set)) => self.remove(&set),
            Some(update::Update::NoEndpoints(none)) => {
                self.stale.clear();
                self.settle_at = None;
                self.sender.send_replace(if none.exists {
                    Known::Is(Arc::default())
                } else {
                    Known::Absent
                });
            }
            None => tracing::debug!(path = self.request.path, "an update of an unknown kind"),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.settle_at
    }

    fn settle(&mut self) {
        self.settle_at = None;
        let gone = std::mem::take(&mut self.stale);
        tracing::debug!(
            path = self.request.path,
            gone = gone.len(),
            "endpoints left meanwhile"
        );
        self.forget(gone);
    }

    fn lost(&mut self) {
        Known::lose(&self.sender);
    }

    fn refused(&mut self, _status: &Status) -> bool {
        self.sender.send_replace(Known::Absent);
        false
    }
}

// === impl EndpointMeta ===

impl EndpointMeta {
    /// An address of which nothing else is known.
    pub fn bare(addr: SocketAddr) -> Self {
        Self {
            addr,
            weight: 10_000,
            tls: EndpointTls::None,
            hint: Hint::Unknown,
            transport_port: None,
            authority_override: None,
            labels: "".into(),
        }
    }

    /// The endpoint of a `WeightedAddr`; `None` without a usable address.
    pub fn from_wire(
        wire: &WeightedAddr,
        set_labels: &std::collections::HashMap<String, String>,
    ) -> Option<Self> {
        let addr = addr::from_wire(wire.addr.as_ref()?).ok()?;
        let hint = wire.protocol_hint.as_ref();
        let sorted: BTreeMap<_, _> = set_labels.iter().chain(&wire.metric_labels).collect();
        let labels = sorted
            .into_iter()
            .fold(Labels::new(), |labels, (key, value)| {
                labels.with(&format!("dst_{key}"), value)
            });
        Some(Self {
            addr,
            weight: wire.weight,
            tls: match &wire.tls_identity {
                None => EndpointTls::None,
                Some(identity) => ServerTls::from_wire(identity)
                    .map_or(EndpointTls::Invalid, EndpointTls::Identity),
            },
            hint: match hint.and_then(|hint| hint.protocol.as_ref()) {
                None => Hint::Unknown,
                Some(protocol_hint::Protocol::H2(_)) => Hint::H2,
                Some(protocol_hint::Protocol::Opaque(_)) => Hint::Opaque,
            },
            transport_port: hint
                .and_then(|hint| hint.opaque_transport.as_ref())
                .and_then(|transport| u16::try_from(transport.inbound_port).ok())
                .filter(|port| *port != 0),
            authority_override: wire
                .authority_override
                .as_ref()
                .map(|o| o.authority_override.clone())
                .filter(|authority| !authority.is_empty()),
            labels: labels.finish(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{stream::Subscriber as _, *};
    use crate::pb::destination::{NoEndpoints, TlsIdentity};

    fn subscriber() -> (Subscriber, watch::Receiver<Known<Endpoints>>) {
        let (sender, receiver) = watch::channel(Known::Pending);
        let channel = tonic::transport::Endpoint::from_static("http://unused.test").connect_lazy();
        let subscriber = Subscriber {
            client: DestinationClient::new(channel),
            request: GetDestination::default(),
            sender,
            stale: FxHashSet::default(),
            settle_at: None,
        };
        (subscriber, receiver)
    }

    fn weighted(addr: &str) -> WeightedAddr {
        WeightedAddr {
            addr: Some(addr::to_wire(addr.parse().unwrap())),
            ..Default::default()
        }
    }

    fn add(addrs: &[&str]) -> Update {
        let addrs = addrs.iter().map(|a| weighted(a)).collect();
        let set = WeightedAddrSet {
            addrs,
            ..Default::default()
        };
        Update {
            update: Some(update::Update::Add(set)),
        }
    }

    fn known(receiver: &watch::Receiver<Known<Endpoints>>) -> Vec<String> {
        let Known::Is(endpoints) = &*receiver.borrow() else {
            return Vec::new();
        };
        let mut addrs: Vec<_> = endpoints.by_addr.keys().map(ToString::to_string).collect();
        addrs.sort_unstable();
        addrs
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_stream_replaces_the_old_snapshot_without_a_gap() {
        let (mut s, receiver) = subscriber();
        s.opened();
        s.message(add(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]));
        assert_eq!(s.deadline(), None);

        s.opened();
        assert_eq!(
            known(&receiver).len(),
            3,
            "a reconnect alone forgets nothing"
        );
        s.message(add(&["10.0.0.1:80"]));
        assert_eq!(known(&receiver).len(), 3, "more of the snapshot may follow");
        assert!(s.deadline().is_some());
        s.message(add(&["10.0.0.4:80"]));
        s.settle();
        assert_eq!(known(&receiver), ["10.0.0.1:80", "10.0.0.4:80"]);
        assert_eq!(s.deadline(), None);
    }

    #[tokio::test]
    async fn no_endpoints_and_no_service_differ() {
        let (mut s, receiver) = subscriber();
        s.message(add(&["10.0.0.1:80"]));
        let none = |exists| Update {
            update: Some(update::Update::NoEndpoints(NoEndpoints { exists })),
        };
        s.message(none(true));
        assert!(matches!(&*receiver.borrow(), Known::Is(e) if e.by_addr.is_empty()));
        s.message(none(false));
        assert!(matches!(&*receiver.borrow(), Known::Absent));
    }

    #[test]
    fn an_identity_that_is_not_understood_is_never_plaintext() {
        let wire = WeightedAddr {
            tls_identity: Some(TlsIdentity::default()),
            ..weighted("10.0.0.1:80")
        };
        let meta = EndpointMeta::from_wire(&wire, &Default::default()).unwrap();
        assert_eq!(meta.tls, EndpointTls::Invalid);
    }

    #[test]
    fn labels_of_the_set_and_of_the_address_are_joined() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let wire = WeightedAddr {
            metric_labels: labels(&[("pod", "web-1")]),
            ..weighted("10.0.0.1:80")
        };
        let meta = EndpointMeta::from_wire(&wire, &labels(&[("service", "web")])).unwrap();
        assert_eq!(&*meta.labels, r#"dst_pod="web-1",dst_service="web""#);
    }
}
