//! Registration of this verifier as a relying party: the request, and the registration that a registrar signed
//! (spec/registration.md).

use std::path::{Path, PathBuf};

use carnet_core::{
    did::{Did, DidUrl, SelfContainedResolver},
    input::without_bom,
    json::{self, Limits},
    keys::{SignatureAlgorithm, Signer as _},
    query::Query,
    spelling::nearest_name,
    text::quoted,
    time::CLOCK_SKEW,
    trust::registration::{
        CredentialTypeMeta, ExpectedRegistration, IntendedUse, ReceiptKey, RegisteredClaim, RegisteredCredential,
        Registration, RegistrationRequest, RelyingParty, SupervisoryAuthority,
    },
};
use carnet_service::{config::StartError, disk, keys::KeyState, time::now};
use carnet_spec::Catalogue;
use serde_json::{Map, Value};

use crate::{identity::OwnIdentity, openid::formats};

/// File name of the registration in the data directory.
pub(crate) const REGISTRATION_FILE: &str = "registration.json";

/// Details that the operator states about itself.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("contact").required(true).multiple(true).args(["authority_uri", "authority_email"]))]
#[command(group = clap::ArgGroup::new("asked").required(true).multiple(true).args(["uses", "all_uses"]))]
pub(crate) struct RegistrationArgs {
    /// Your country, two letters.
    #[arg(long)]
    pub(crate) country: String,
    /// Your privacy policy, an https URL.
    #[arg(long)]
    pub(crate) privacy_policy: String,
    /// Contact for erasure requests: an https URL or mailto:ADDRESS.
    #[arg(long)]
    pub(crate) support: String,
    /// Your data protection authority.
    #[arg(long)]
    pub(crate) authority: String,
    /// https URL of the data protection authority's page for complaints.
    #[arg(long)]
    pub(crate) authority_uri: Option<String>,
    /// Its email address.
    #[arg(long)]
    pub(crate) authority_email: Option<String>,
    /// Your legal identifier, such as VATPT-501617582.
    #[arg(long)]
    pub(crate) legal_identifier: Option<String>,
    /// A request template that you use; may be repeated. You are registered for these only.
    #[arg(long = "use", value_name = "TEMPLATE")]
    pub(crate) uses: Vec<String>,
    /// Register for any bounds, not only for those of the templates, such as today-18y. Many bounds narrow a hidden
    /// value down; the registrar is shown that any are allowed. Older wallets may refuse a registration without this.
    #[arg(long)]
    pub(crate) any_bounds: bool,
    /// Register for every template of the catalogue.
    #[arg(long, conflicts_with = "uses")]
    pub(crate) all_uses: bool,
}

fn refused(what: String, hint: &str) -> StartError {
    StartError::new(format!("{what}. Nothing was changed."), hint)
}

/// Appends the registered credentials of a template in the alternative formats that OpenID4VP requests offer, with the
/// same bounds. Otherwise a wallet would warn that a registered verifier requests more than it is registered for.
fn with_alternative_formats(
    mut registered: Vec<RegisteredCredential>,
    query: &Query,
    catalogue: &Catalogue,
) -> Vec<RegisteredCredential> {
    let alternatives = formats::alternative_queries(query, catalogue);
    let pairs = query.credentials.iter().zip(&registered);
    let others = pairs.filter_map(|(asked, known)| {
        let other = alternatives.get(&asked.id)?;
        // An alternative has the same claims, in the same order, at other paths.
        let claims = known.claims.iter().zip(&other.claims);
        Some(RegisteredCredential {
            format: Some(other.format.clone()),
            meta: CredentialTypeMeta { type_values: Vec::new(), vct_values: other.vct_values.clone() },
            claims: claims
                .map(|(known, other)| RegisteredClaim { path: other.path.clone(), ..known.clone() })
                .collect(),
        })
    });
    let others: Vec<_> = others.collect();
    registered.extend(others);
    registered
}

/// Creates a registration request for exactly the claims of the chosen templates, signed with this verifier's key.
///
/// # Errors
/// A template is not in the catalogue, a text is invalid, or the key is not an Ed25519 key.
pub(crate) fn create_registration_request(
    identity: &OwnIdentity,
    about: &RegistrationArgs,
    catalogue: &Catalogue,
) -> Result<Map<String, Value>, StartError> {
    require_known_templates(&about.uses, catalogue)?;
    let mut intended_uses = Vec::new();
    for template in catalogue.templates().filter(|template| about.all_uses || about.uses.contains(&template.id)) {
        let query =
            template.query_at(now()).map_err(|problem| refused(problem.to_string(), "Correct the template."))?;
        intended_uses.push(IntendedUse {
            id: template.id.clone(),
            purpose: template.purpose.clone(),
            legal_basis: template.legal_basis.clone(),
            retention_days: template.retention_days,
            credentials: with_alternative_formats(
                if about.any_bounds {
                    RegisteredCredential::from_query(&query.0)
                } else {
                    template.restrict_bounds(RegisteredCredential::from_query(&query.0))
                },
                &query.0,
                catalogue,
            ),
        });
    }
    let relying_party = RelyingParty {
        id: identity.did.to_string(),
        name: identity.name.clone(),
        legal_identifier: about.legal_identifier.clone(),
        country: about.country.clone(),
        registry_uri: None,
        privacy_policy: about.privacy_policy.clone(),
        support_uri: about.support.clone(),
        supervisory_authority: SupervisoryAuthority {
            name: about.authority.clone(),
            email: about.authority_email.clone(),
            uri: about.authority_uri.clone(),
        },
        intended_uses,
        receipt_keys: receipt_keys(identity),
    };
    let signed = DidUrl::parse(&identity.kid)
        .and_then(|kid| RegistrationRequest::sign(&relying_party, &kid, &identity.keyring, now()));
    signed.map_err(|problem| {
        refused(
            format!("The registration request cannot be created: {problem}"),
            "Correct your details; a registration needs an Ed25519 key.",
        )
    })
}

/// Returns the keys that may sign receipts: the active one, and, for a published DID, an Ed25519 key in the state
/// `Next`.
fn receipt_keys(identity: &OwnIdentity) -> Vec<ReceiptKey> {
    let active = DidUrl::parse(&identity.kid).ok().map(|kid| ReceiptKey::new(&kid, &identity.keyring.public_key()));
    let next = identity
        .keyring
        .keys()
        .iter()
        .filter(|key| key.state() == KeyState::Next && identity.did.has_published_document());
    let next = next.filter(|key| key.public_key().algorithm() == SignatureAlgorithm::EdDsa);
    let next = next
        .filter_map(|key| Some(ReceiptKey::new(&identity.did.with_fragment(key.fragment()).ok()?, key.public_key())));
    active.into_iter().chain(next).collect()
}

/// Returns whether wallets will accept receipts signed with the active key under the registration: it lists the key, or
/// lists no receipt keys at all.
pub(crate) fn permits_receipt_key(registration: &Map<String, Value>, identity: &OwnIdentity) -> bool {
    let keys = registration.get("credentialSubject").and_then(|subject| subject.get("receipt_keys"));
    let Some(keys) = keys.and_then(Value::as_array) else { return true };
    let active = identity.keyring.public_key().to_multikey();
    keys.iter().any(|key| {
        key.get("id").and_then(Value::as_str) == Some(&identity.kid)
            && key.get("publicKeyMultibase").and_then(Value::as_str) == Some(&active)
    })
}

/// Refuses unknown ids of request templates.
///
/// # Errors
/// One of them is not in the catalogue.
pub(crate) fn require_known_templates(uses: &[String], catalogue: &Catalogue) -> Result<(), StartError> {
    let Some(id) = uses.iter().find(|id| catalogue.template(id).is_none()) else { return Ok(()) };
    let names = || catalogue.templates().map(|known| known.id.as_str());
    let meant = nearest_name(id, names()).map(|known| format!("Do you mean {known}? ")).unwrap_or_default();
    let all = names().collect::<Vec<_>>().join(", ");
    Err(refused(format!("There is no request template {}", quoted(id)), &format!("{meant}The catalogue has: {all}.")))
}

/// Verifies a registration signed by a registrar, and copies it to the data directory. It is included in every request
/// after the next start. The registrar must have a did:key or did:jwk; wallets decide if they accept it.
///
/// # Errors
/// It is unreadable, another verifier's, not valid now, or cannot be written.
pub(crate) fn install_registration(data: &Path, did: &str, file: &Path) -> Result<Registration, StartError> {
    let bytes = disk::read_user_file(file).map_err(|error| {
        refused(format!("{} cannot be read: {error}", file.display()), "Check the path.").input_missing()
    })?;
    let registration = json::parse_object(&bytes, Limits::DOCUMENT).and_then(|document| {
        // Wallets decide which registrars they accept; here the signature must be that of its issuer.
        let expected = ExpectedRegistration {
            verifier: did,
            is_trusted_registrar: &|issuer| is_self_contained(issuer),
            now: now(),
            skew: CLOCK_SKEW,
        };
        Registration::verify(&document, &expected, &SelfContainedResolver)
    });
    let registration = registration.map_err(|problem| {
        refused(
            format!("{} is not a registration of {did}: {problem}", file.display()),
            "Have a registrar sign this verifier's own request.",
        )
    })?;
    let path = data.join(REGISTRATION_FILE);
    disk::replace_file(&path, &bytes, 0o644)
        .map_err(|error| refused(format!("{} cannot be written: {error}", path.display()), "Check the directory."))?;
    Ok(registration)
}

fn is_self_contained(issuer: &str) -> bool {
    Did::parse(issuer).is_ok_and(|did| did.is_self_contained())
}

/// Returns the installed registration, without verifying it; `None`, with a warning in the log, if there is none.
///
/// # Errors
/// The file is unreadable or not a JSON object.
pub(crate) fn installed_registration(data: &Path) -> Result<Option<Map<String, Value>>, StartError> {
    let path: PathBuf = data.join(REGISTRATION_FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::warn!("this verifier is not registered: wallets will warn their owners about each claim");
            return Ok(None);
        }
        Err(error) => return Err(refused(format!("{} cannot be read: {error}", path.display()), "Check the file.")),
    };
    json::parse_object(without_bom(&bytes), Limits::DOCUMENT).map(Some).map_err(|problem| {
        refused(format!("{} is damaged: {problem}", path.display()), "Install the registration again.")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        about: RegistrationArgs,
    }

    #[test]
    fn the_operator_chooses_what_it_is_registered_for() {
        let read = |chosen: &[&str]| {
            let said = "x --country PT --privacy-policy a --support b --authority c --authority-uri d";
            Line::try_parse_from(said.split(' ').chain(chosen.iter().copied())).map(|line| line.about)
        };
        assert!(read(&[]).is_err() && read(&["--all-uses", "--use", "museum-visit"]).is_err());
        assert_eq!(read(&["--use", "a", "--use", "b"]).unwrap().uses, ["a", "b"]);
        assert!(read(&["--all-uses"]).unwrap().all_uses);
    }

    #[test]
    fn a_template_that_is_mistyped_is_named_with_the_nearest() {
        let catalogue = Catalogue::embedded().unwrap();
        let named = |id: &str| require_known_templates(&[id.to_owned()], &catalogue);
        assert!(named("museum-visit").is_ok());
        let refused = named("museum-visits").unwrap_err();
        assert!(refused.message.contains("\"museum-visits\""), "{refused}");
        assert!(refused.hint.starts_with("Do you mean museum-visit? The catalogue has: "), "{refused}");
        assert!(named("x").unwrap_err().hint.starts_with("The catalogue has: "));
    }
}
