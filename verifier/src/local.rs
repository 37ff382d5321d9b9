//! Local mode of a verifier (`init --local`): it is registered automatically, by a registrar whose key signs this one
//! registration and is then destroyed.

use std::{path::Path, sync::Arc};

use carnet_core::{
    Problem, day,
    did::{Did, DidDocument, Resolve, SelfContainedResolver},
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    time::CLOCK_SKEW,
    trust::registration::{Registration, RegistrationRequest},
};
use carnet_fetch::local::LocalRegistrar;
use carnet_service::{config::StartError, disk, keys, local::LocalOptions, time};
use rand_core::OsRng;
use serde_json::{Map, Value};

use crate::registration::{REGISTRATION_FILE, RegistrationArgs};

/// Display name of the registrar.
const REGISTRAR_NAME: &str = "Trial register of this machine";
/// Validity of the registration, in days.
const VALIDITY_DAYS: i64 = 365;

/// Returns the registration data of a verifier in local mode. Nothing in it can be mistaken for a real organisation.
/// Without `uses`, it is registered for all templates.
pub(crate) fn local_registration_args(local: LocalOptions, uses: Vec<String>, any_bounds: bool) -> RegistrationArgs {
    let site = format!("https://localhost:{}", local.port);
    RegistrationArgs {
        // Of no country (user-assigned in ISO 3166-1).
        country: "XX".to_owned(),
        privacy_policy: format!("{site}/privacy"),
        support: format!("{site}/erasure"),
        authority: "None: a trial on this machine".to_owned(),
        authority_uri: Some(format!("{site}/complaints")),
        authority_email: None,
        legal_identifier: None,
        all_uses: uses.is_empty(),
        uses,
        any_bounds,
    }
}

/// Registers the verifier with a new registrar key, which is then destroyed, and writes the registration to the data
/// directory. Returns DID and name of the registrar.
///
/// # Errors
/// The request is not the verifier's own; the registration cannot be written.
pub(crate) fn register_locally(
    data: &Path,
    did: &Did,
    request: &Map<String, Value>,
) -> Result<LocalRegistrar, StartError> {
    let refused = |what: String| {
        StartError::new(
            format!("The verifier is set up in {}, and could not be registered: {what}.", data.display()),
            "Remove the directory that init has just made, and run init again.",
        )
    };
    let own = OwnDidResolver(Arc::new(keys::own_document(data, did)?));
    let signed = || -> Result<(Did, Map<String, Value>), Problem> {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let registrar = Did::did_key(&key.public_key());
        let kid = registrar.with_fragment(registrar.method_specific_id())?;
        let now = time::now();
        let request = RegistrationRequest::verify(request, now, CLOCK_SKEW, &own)?;
        let from = now.start_of_day();
        let until = from.plus(VALIDITY_DAYS.saturating_mul(day::SECONDS));
        Ok((registrar, Registration::issue(&request, &kid, &key, from, until)?))
    };
    let (registrar, registration) = signed().map_err(|problem| refused(problem.to_string()))?;
    let text = format!("{:#}\n", Value::Object(registration));
    disk::write_new(&data.join(REGISTRATION_FILE), text.as_bytes(), 0o644)
        .map_err(|error| refused(error.to_string()))?;
    Ok(LocalRegistrar { did: registrar.to_string(), name: REGISTRAR_NAME.to_owned() })
}

/// Resolver of the verifier's own DID, which is not published yet, and of did:key and did:jwk.
struct OwnDidResolver(Arc<DidDocument>);

impl Resolve for OwnDidResolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if self.0.did() == did { Ok(self.0.clone()) } else { SelfContainedResolver.resolve(did) }
    }
}
