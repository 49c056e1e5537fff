//! The decision itself. Pure: facts and policy in, the permission or the refusal out.

use std::net::IpAddr;

use super::{Authentication, Authorization, Meta, ServerPolicy};
use crate::tls::PeerId;

/// What is known of the client of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub ip: IpAddr,
    pub tls: ClientTls,
}

/// How the client came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientTls {
    /// Without mesh TLS.
    None,
    /// TLS that is not ours to terminate.
    Opaque,
    /// Mesh TLS without a certificate.
    Anonymous,
    Identity(PeerId),
}

/// No authorization of the server holds for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who} is not authorized by {server}{}", .route.as_ref().map(|r| format!(", {r}")).unwrap_or_default())]
pub struct Denied {
    pub who: String,
    pub server: Meta,
    pub route: Option<Meta>,
}

/// The first authorization that holds for the client, and its place.
pub fn authorize_index<'a>(
    authorizations: &'a [Authorization],
    client: &Client,
) -> Option<(usize, &'a Authorization)> {
    authorizations
        .iter()
        .enumerate()
        .find(|(_, authorization)| authorization.permits(client))
}

/// The first authorization that holds for the client.
pub fn authorize<'a>(
    authorizations: &'a [Authorization],
    client: &Client,
) -> Option<&'a Authorization> {
    authorizations
        .iter()
        .find(|authorization| authorization.permits(client))
}

// === impl Authorization ===

impl Authorization {
    /// Whether both the network and the authentication fit.
    pub fn permits(&self, client: &Client) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(client.ip))
            && self.authentication.permits(&client.tls)
    }
}

impl Authentication {
    fn permits(&self, tls: &ClientTls) -> bool {
        match (self, tls) {
            (Self::None, _) | (Self::Tls, ClientTls::Anonymous | ClientTls::Identity(_)) => true,
            (Self::Identities { names, suffixes }, ClientTls::Identity(id)) => {
                names.iter().any(|name| **name == *id.0)
                    || suffixes.iter().any(|suffix| id.has_suffix(suffix))
            }
            _ => false,
        }
    }
}

// === impl ServerPolicy ===

impl ServerPolicy {
    /// Judges a connection.
    pub fn authorize_connection(&self, client: &Client) -> Result<&Authorization, Box<Denied>> {
        authorize(&self.authorizations, client).ok_or_else(|| {
            let who = client.to_string();
            Box::new(Denied {
                who,
                server: self.meta.clone(),
                route: None,
            })
        })
    }
}

// === impl Client ===

impl Client {
    /// The verified identity, if any.
    pub fn id(&self) -> Option<&PeerId> {
        match &self.tls {
            ClientTls::Identity(id) => Some(id),
            ClientTls::None | ClientTls::Opaque | ClientTls::Anonymous => None,
        }
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tls {
            ClientTls::Identity(id) => write!(f, "{id}"),
            ClientTls::Anonymous => write!(f, "an unidentified TLS client"),
            ClientTls::None | ClientTls::Opaque => write!(f, "an unauthenticated client"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{addr::IpNet, config::DefaultPolicy, policy::Network};

    fn client(ip: &str, tls: ClientTls) -> Client {
        Client {
            ip: ip.parse().unwrap(),
            tls,
        }
    }

    fn id(name: &str) -> ClientTls {
        ClientTls::Identity(PeerId(name.into()))
    }

    fn default(policy: DefaultPolicy) -> ServerPolicy {
        let cluster: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        ServerPolicy::from_default(policy, 80, &cluster, false, Duration::from_secs(10))
    }

    #[test]
    fn defaults_allow_whom_they_say() {
        use DefaultPolicy as P;
        let inside = || client("10.1.1.1", ClientTls::None);
        let outside = || client("192.0.2.1", ClientTls::None);
        let meshed = || client("192.0.2.1", id("web.x"));
        let meshed_inside = || client("10.1.1.1", id("web.x"));
        let anonymous = || client("10.1.1.1", ClientTls::Anonymous);
        let cases = [
            (P::Deny, [false, false, false, false, false]),
            (P::AllUnauthenticated, [true, true, true, true, true]),
            (P::Audit, [true, true, true, true, true]),
            (P::AllAuthenticated, [false, false, true, true, false]),
            (P::ClusterUnauthenticated, [true, false, false, true, true]),
            (P::ClusterAuthenticated, [false, false, false, true, false]),
        ];
        for (policy, expected) in cases {
            let server = default(policy);
            let clients = [inside(), outside(), meshed(), meshed_inside(), anonymous()];
            let got = clients.map(|c| server.authorize_connection(&c).is_ok());
            assert_eq!(got, expected, "{policy:?}");
        }
    }

    #[test]
    fn exceptions_and_identities_narrow() {
        let authorization = Authorization {
            networks: vec![Network {
                net: "10.0.0.0/8".parse().unwrap(),
                except: vec!["10.9.0.0/16".parse().unwrap()],
            }],
            authentication: Authentication::Identities {
                names: vec!["web.ns".to_owned()],
                suffixes: vec![".trusted.local".to_owned()],
            },
            meta: Meta::default_of("x"),
        };
        assert!(authorization.permits(&client("10.1.0.1", id("web.ns"))));
        assert!(authorization.permits(&client("10.1.0.1", id("a.trusted.local"))));
        assert!(!authorization.permits(&client("10.1.0.1", id(".trusted.local"))));
        assert!(!authorization.permits(&client("10.1.0.1", id("nottrusted.local"))));
        assert!(!authorization.permits(&client("10.9.0.1", id("web.ns"))));
        assert!(!authorization.permits(&client("10.1.0.1", ClientTls::None)));
        assert!(!authorization.permits(&client("10.1.0.1", ClientTls::Anonymous)));
    }

    #[test]
    fn a_refusal_names_the_policy() {
        let server = default(DefaultPolicy::AllAuthenticated);
        let denied = server
            .authorize_connection(&client("10.0.0.1", ClientTls::None))
            .unwrap_err();
        assert_eq!(
            denied.to_string(),
            "an unauthenticated client is not authorized by default all-authenticated"
        );
    }
}
