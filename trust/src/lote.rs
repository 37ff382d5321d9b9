//! Import of lists of trusted entities (LoTE, ETSI TS 119 602 v1.1.1, JSON binding), as far as trust lists have
//! counterparts.
//!
//! A LoTE identifies parties by certificates and services by URIs; a trust list uses DIDs and credential types. The
//! operator states the mapping on the command line. An entry without a counterpart is refused by name. The certificate
//! that signed the list ([`signature`]) authenticates its publisher, not the operator's mapping; so the imported source
//! must be reviewed by an operator before a list can be created from it.

mod binding;
mod certificate;
mod signature;

use std::collections::BTreeSet;

use carnet_core::{
    did::Did,
    json,
    keys::PublicKey,
    time::Timestamp,
    trust::list::{Accreditation, TrustListEntry},
};
use clap::Args;
use serde_json::Value;

pub(crate) use self::signature::{RequiredSigner, SignerArgs};
use self::{
    binding::{
        EncodedCertificate, EntityIdentity, LoteFile, SchemeInformation, TrustedEntity, TrustedService, preferred_text,
    },
    certificate::{Certificate, CertificateFingerprint},
    signature::VerifiedLote,
};
use crate::{error::CommandError, source::TrustListSource};

/// Service statuses of the only profile that has any (Annex H, public sector bodies that issue attestations).
const NOTIFIED: &str = "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/notified";
const WITHDRAWN: &str = "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/withdrawn";

/// Facts that the operator supplies because the list does not state them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EntityMapping {
    /// Services of this ServiceTypeIdentifier issue credentials of that type; may be given more than once.
    #[arg(long = "type", value_name = "URI=TYPE", value_parser = parse_pair)]
    type_by_service: Vec<(String, String)>,
    /// Services of this ServiceTypeIdentifier register relying parties.
    #[arg(long = "registrar", value_name = "URI")]
    registrars: Vec<String>,
    /// Omit services of this ServiceTypeIdentifier.
    #[arg(long = "ignore", value_name = "URI")]
    ignored: Vec<String>,
    /// The DID of the entity with this name, if the list has only certificates for it. Instead of the name, the SHA-256
    /// of one of its certificates may be given.
    #[arg(long = "did", value_name = "NAME=DID", value_parser = parse_pair)]
    did_by_entity: Vec<(String, String)>,
    /// Omit the entity with this name, or with this SHA-256 of one of its certificates.
    #[arg(long = "without", value_name = "NAME")]
    omitted_entities: Vec<String>,
    /// The countries to which the accreditations are limited; by default the list's SchemeTerritory, if it is a
    /// country.
    #[arg(long = "country", value_name = "CC", value_parser = crate::commands::parse_country)]
    countries: Vec<String>,
}

/// Splits a text at the last `=`: URIs and names may contain one, types and DIDs do not.
fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left.to_owned(), right.to_owned())),
        _ => Err("it must have the form LEFT=RIGHT".to_owned()),
    }
}

fn refused(what: impl Into<String>) -> CommandError {
    CommandError::new("lote_unsupported", what, "enter this part by hand, or import a list without it")
}

/// Verifies a LoTE as `signer` requires, and converts it to a trust list source with notes for the review.
pub(crate) fn import(
    bytes: &[u8],
    signer: RequiredSigner,
    mapping: &EntityMapping,
    now: Timestamp,
) -> Result<TrustListSource, CommandError> {
    let VerifiedLote { payload, verification_note: vouched } = signature::read_lote(bytes, signer, now)?;
    // The error names the member that is unknown, missing or of a wrong type.
    let LoteFile { lote, .. } = json::deserialize_typed(Value::Object(payload))
        .map_err(|error| refused(format!("The list is refused: {error}")))?;
    let scheme = lote.list_and_scheme_information;
    if scheme.version != 1 {
        return Err(refused(format!("LoTEVersionIdentifier is {}; only 1 is supported", scheme.version)));
    }
    let issued = instant(&scheme.list_issue_date_time, "ListIssueDateTime")?;
    if issued > now {
        return Err(CommandError::new(
            "not_yet_valid",
            "The list's ListIssueDateTime is in the future",
            "check this machine's clock",
        ));
    }
    if now > instant(&scheme.next_update, "NextUpdate")? {
        return Err(CommandError::new("expired", "The list's NextUpdate has passed", "get the newest list"));
    }
    check_names(&lote.trusted_entities_list, mapping)?;
    let mut import = LoteImport {
        mapping,
        countries: countries(&scheme, mapping),
        issued,
        source: TrustListSource::default(),
        unmapped: BTreeSet::new(),
        unidentified: Vec::new(),
    };
    import.source.review_notes.push(format!(
        "list {} of {:?} ({}), issued {}: {vouched}",
        scheme.sequence,
        preferred_text(&scheme.scheme_operator_name).unwrap_or_default(),
        scheme.lote_type.as_deref().unwrap_or("no LoTEType"),
        issued
    ));
    if !scheme.pointers.is_empty() {
        let note = format!("pointers to other lists (PointersToOtherLoTE), not followed: {}", scheme.pointers.len());
        import.source.review_notes.push(note);
    }
    for entity in &lote.trusted_entities_list {
        import.import_entity(entity)?;
    }
    import.into_source()
}

fn instant(text: &str, what: &str) -> Result<Timestamp, CommandError> {
    Timestamp::parse(text).map_err(|_| refused(format!("{what} is not an instant")))
}

/// Returns the countries of the accreditations: those of the command line, or the list's territory. `EU` is no country,
/// and must not become an accreditation without a limit.
fn countries(scheme: &SchemeInformation, mapping: &EntityMapping) -> Vec<String> {
    let own = scheme.scheme_territory.iter().filter(|territory| *territory != "EU");
    if mapping.countries.is_empty() { own.cloned().collect() } else { mapping.countries.clone() }
}

/// Checks that each name on the command line identifies exactly one entity: a mistake would omit or include the wrong
/// party.
fn check_names(entities: &[TrustedEntity], mapping: &EntityMapping) -> Result<(), CommandError> {
    let given: Vec<&String> =
        mapping.did_by_entity.iter().map(|(given, _)| given).chain(&mapping.omitted_entities).collect();
    for (at, name) in given.iter().enumerate() {
        let why = if given.iter().take(at).any(|other| other == name) {
            "it is named twice"
        } else if entities.iter().any(|entity| entity.has_certificate(name)) {
            continue;
        } else {
            match entities.iter().filter(|entity| entity.name() == name.as_str()).count() {
                1 => continue,
                0 => "no entity of the list has this name or certificate",
                _ => "several entities of the list have this name; identify each by the SHA-256 of its certificate",
            }
        };
        return Err(CommandError::new("lote_unmapped", format!("{name:?}: {why}"), "correct --did or --without"));
    }
    Ok(())
}

struct LoteImport<'a> {
    mapping: &'a EntityMapping,
    countries: Vec<String>,
    issued: Timestamp,
    source: TrustListSource,
    /// ServiceTypeIdentifiers without a mapping.
    unmapped: BTreeSet<String>,
    /// Descriptions of the parties whose DID is unknown.
    unidentified: Vec<String>,
}

impl LoteImport<'_> {
    fn import_entity(&mut self, entity: &TrustedEntity) -> Result<(), CommandError> {
        let name = entity.name();
        if name.is_empty() {
            return Err(refused("An entity has no TEName"));
        }
        let mapping = self.mapping;
        let is_meant = |given: &String| given == name || entity.has_certificate(given);
        if mapping.omitted_entities.iter().any(is_meant) {
            self.add_review_note(name, "it was left out, as requested");
            return Ok(());
        }
        let did = mapping.did_by_entity.iter().find(|(given, _)| is_meant(given)).map(|(_, did)| did.as_str());
        for service in &entity.trusted_entity_services {
            self.import_service(name, did, service).map_err(|refusal| refusal.with_location(&format!("{name:?}")))?;
        }
        Ok(())
    }

    /// Returns the source. If information is missing, the error names all of it at once.
    fn into_source(self) -> Result<TrustListSource, CommandError> {
        let (mut what, mut hints) = (Vec::new(), Vec::new());
        let mut reason = "lote_identity";
        if !self.unidentified.is_empty() {
            what.push("These parties do not have exactly one DID:".to_owned());
            what.extend(self.unidentified.iter().map(|party| format!("- {party}")));
            hints.push(
                "look up the DID of each party, and give it with --did \"NAME=did:...\" or --did \"SHA256=did:...\", \
                 or leave the party out with --without NAME",
            );
        }
        if !self.unmapped.is_empty() {
            reason = "lote_unmapped";
            what.push("These service types have no defined meaning:".to_owned());
            what.extend(self.unmapped.iter().map(|kind| format!("- {kind:?}")));
            hints.push("map each with exactly one of --type URI=TYPE, --registrar URI and --ignore URI");
        }
        if self.countries.is_empty() {
            reason = "lote_unmapped";
            what.push("The list's SchemeTerritory is not a country".to_owned());
            hints.push("give the countries to which the accreditations are limited, with --country");
        }
        if what.is_empty() {
            return Ok(self.source);
        }
        what.push("No source was made: information is missing".to_owned());
        Err(CommandError::new(reason, what.join("\n"), hints.join("\nhint: ")))
    }

    fn import_service(
        &mut self,
        name: &str,
        given: Option<&str>,
        service: &TrustedService,
    ) -> Result<(), CommandError> {
        let information = &service.service_information;
        let kind = information.service_type_identifier.as_deref();
        let kind = kind.ok_or_else(|| refused("a service has no ServiceTypeIdentifier"))?;
        if self.mapping.ignored.iter().any(|ignored| ignored == kind) {
            return Ok(());
        }
        let types: Vec<String> =
            self.mapping.type_by_service.iter().filter(|(uri, _)| uri == kind).map(|(_, name)| name.clone()).collect();
        let registrar = self.mapping.registrars.iter().any(|uri| uri == kind);
        if types.is_empty() != registrar {
            self.unmapped.insert(kind.to_owned());
            // A missing DID is reported too, whatever the kind of service.
            return self.did_of_service(name, given, &information.service_digital_identity).map(drop);
        }
        match information.service_status.as_deref() {
            None | Some(NOTIFIED) => {}
            Some(WITHDRAWN) => {
                self.add_review_note(name, "a withdrawn service was left out");
                return Ok(());
            }
            Some(other) => return Err(refused(format!("the ServiceStatus {other:?} is unknown"))),
        }
        if !service.service_history.is_empty() {
            self.add_review_note(
                name,
                "the history of a service was left out: what it issued before StatusStartingTime is refused",
            );
        }
        let started = information.status_starting_time.as_deref();
        let from = started.map_or(Ok(self.issued), |text| instant(text, "StatusStartingTime"))?;
        let Some(did) = self.did_of_service(name, given, &information.service_digital_identity)? else { return Ok(()) };
        let accreditation = Accreditation {
            types,
            jurisdictions: Some(self.countries.clone()),
            max_level: None,
            epoch: None,
            from,
            until: None,
            withdrawal: None,
        };
        let entries = if registrar { &mut self.source.registrars } else { &mut self.source.issuers };
        let Some(entry) = entries.iter_mut().find(|entry| entry.id == did) else {
            entries.push(TrustListEntry { id: did, name: name.to_owned(), accreditations: vec![accreditation] });
            return Ok(());
        };
        entry.accreditations.push(accreditation);
        if entry.name != name {
            let note = format!("it has the same DID as {:?}, and shares an entry with it", entry.name);
            self.add_review_note(name, &note);
        }
        Ok(())
    }

    fn add_review_note(&mut self, name: &str, what: &str) {
        self.source.review_notes.push(format!("{name:?}: {what}"));
    }

    /// Returns the DID of a service: that of the command line, the only one among its OtherIds, or that of its only
    /// key. `None` if there is none, which is recorded.
    fn did_of_service(
        &mut self,
        name: &str,
        given: Option<&str>,
        identity: &EntityIdentity,
    ) -> Result<Option<String>, CommandError> {
        let others: Vec<Did> = identity.other_ids.iter().filter_map(|id| Did::parse(id).ok()).collect();
        if let Some(given) = given {
            let did = Did::parse(given).map_err(|problem| {
                CommandError::from_problem(&problem, &format!("{given:?} is not a DID"), "correct --did")
            })?;
            // A mistake must not credit the services of one party to another.
            if !others.is_empty() && !others.contains(&did) {
                let message = format!("The list's DID for {name:?} differs from {given:?}");
                return Err(CommandError::new("lote_identity", message, "omit --did for it, or correct it"));
            }
            let note = format!("its DID, {did}, is from the command line");
            if others.is_empty() && !self.source.review_notes.iter().any(|known| known.ends_with(&note)) {
                self.add_review_note(name, &note);
            }
            return Ok(Some(did.to_string()));
        }
        let why = match (others.as_slice(), identity.public_keys.as_slice()) {
            ([did], _) => return Ok(Some(did.to_string())),
            ([], [jwk]) => match PublicKey::from_jwk(jwk) {
                Ok(key) => return Ok(Some(Did::did_jwk(&key).to_string())),
                Err(_) => "a key of an unsupported kind",
            },
            ([], []) => "certificates or names only",
            _ => "more than one key or DID",
        };
        let certificate = |encoded: &EncodedCertificate| {
            let Some(der) = encoded.der() else { return "\n    a certificate that is not base64".to_owned() };
            let subject = Certificate::parse(&der).map(|certificate| format!(" of {:?}", certificate.subject));
            format!(
                "\n    certificate SHA-256 {}{}",
                CertificateFingerprint::from_der(&der),
                subject.unwrap_or_default()
            )
        };
        let certificates: String = identity.certificates.iter().map(certificate).collect();
        let party = format!("{name:?}, by {why}{certificates}");
        if !self.unidentified.contains(&party) {
            self.unidentified.push(party);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
