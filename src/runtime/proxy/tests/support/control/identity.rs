//! Certificates for whoever has the right token.

use std::{sync::Arc, time::SystemTime};

use tonic::{Request, Response, Status};

use super::{Shared, caller};
use crate::support::pb::identity::{CertifyRequest, CertifyResponse, identity_server::Identity};

/// Serves `Identity`.
pub(super) struct IdentityApi(pub(super) Arc<Shared>);

/// The token that proves an identity to this authority.
pub fn token_of(identity: &str) -> String {
    format!("token of {identity}")
}

#[tonic::async_trait]
impl Identity for IdentityApi {
    async fn certify(
        &self,
        request: Request<CertifyRequest>,
    ) -> Result<Response<CertifyResponse>, Status> {
        let peer = caller(&request);
        let CertifyRequest {
            identity,
            token,
            certificate_signing_request,
        } = request.into_inner();
        self.0.record(format!("Certify {identity}"), &peer);
        if token != token_of(&identity).as_bytes() {
            return Err(Status::permission_denied("the token is of another"));
        }
        let lifetime = self.0.certificate_lifetime();
        let authority = &self.0.authority;
        let leaf = authority
            .sign_request(&identity, &certificate_signing_request, lifetime)
            .map_err(Status::invalid_argument)?;
        Ok(Response::new(CertifyResponse {
            leaf_certificate: leaf.to_vec(),
            intermediate_certificates: vec![authority.intermediate().to_vec()],
            valid_until: Some((SystemTime::now() + lifetime).into()),
        }))
    }
}
