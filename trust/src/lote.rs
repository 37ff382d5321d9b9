//! Importing lists of trusted entities (LoTE, ETSI TS 119 602 v1.1.1, JSON binding) as far as Carnet can say the same.
//!
//! A LoTE names parties by certificates and kinds of service by URIs; a trust list names DIDs and types of credentials. Which
//! is which only the operator knows, so it is said on the command line. What has no counterpart here, or is not known, is
//! refused by name; nothing is guessed. The signature (JAdES) is not looked at, so that a source stays in review until an
//! operator has vouched for it.

use std::collections::BTreeMap;

use carnet_core::{
    did::Did,
    json::{self, Limits},
    keys::PublicKey,
    time::Timestamp,
    trust::list::{Accreditation, Entry},
};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::{refusal::Refusal, source::Source};

/// The statuses of the one profile that has any (Annex H, public sector bodies that issue attestations).
const NOTIFIED: &str = "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/notified";
const WITHDRAWN: &str = "http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/withdrawn";

/// What the operator knows and the list does not say.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Mapping {
    /// A service of this ServiceTypeIdentifier issues credentials of that type; may be given more than once.
    #[arg(long = "type", value_name = "URI=TYPE", value_parser = pair)]
    types: Vec<(String, String)>,
    /// A service of this ServiceTypeIdentifier registers askers.
    #[arg(long = "registrar", value_name = "URI")]
    registrars: Vec<String>,
    /// Leave services of this ServiceTypeIdentifier out.
    #[arg(long = "ignore", value_name = "URI")]
    ignored: Vec<String>,
    /// The DID of the entity with this name, where the list has only certificates for it.
    #[arg(long = "did", value_name = "NAME=DID", value_parser = pair)]
    dids: Vec<(String, String)>,
    /// The countries that the accreditations are limited to; by default the list's SchemeTerritory, if it is a country.
    #[arg(long = "country", value_name = "CC")]
    countries: Vec<String>,
}

/// From the last `=`: URIs and names may have one, types and DIDs have none.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() => Ok((left.to_owned(), right.to_owned())),
        _ => Err("it has not the form LEFT=RIGHT".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    #[serde(rename = "LoTE")]
    lote: Lote,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Lote {
    list_and_scheme_information: Scheme,
    #[serde(default)]
    trusted_entities_list: Vec<Entity>,
}

/// What is read of the scheme, and what is for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Scheme {
    #[serde(rename = "LoTEVersionIdentifier")]
    version: u64,
    #[serde(rename = "LoTESequenceNumber")]
    sequence: u64,
    scheme_operator_name: Vec<Text>,
    scheme_territory: Option<String>,
    list_issue_date_time: String,
    next_update: String,
    #[serde(rename = "LoTEType")]
    lote_type: Option<String>,
    #[serde(rename = "SchemeOperatorAddress")]
    _address: Option<Value>,
    #[serde(rename = "SchemeName")]
    _name: Option<Value>,
    #[serde(rename = "SchemeInformationURI")]
    _information: Option<Value>,
    #[serde(rename = "StatusDeterminationApproach")]
    _approach: Option<Value>,
    #[serde(rename = "SchemeTypeCommunityRules")]
    _rules: Option<Value>,
    #[serde(rename = "PolicyOrLegalNotice")]
    _policy: Option<Value>,
    #[serde(rename = "HistoricalInformationPeriod")]
    _history: Option<Value>,
    #[serde(rename = "DistributionPoints")]
    _points: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    lang: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Entity {
    trusted_entity_information: Information,
    trusted_entity_services: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Information {
    #[serde(rename = "TEName")]
    name: Vec<Text>,
    #[serde(rename = "TETradeName")]
    _trade_name: Option<Value>,
    #[serde(rename = "TEAddress")]
    _address: Option<Value>,
    #[serde(rename = "TEInformationURI")]
    _information: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Service {
    service_information: ServiceInformation,
    #[serde(default)]
    service_history: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ServiceInformation {
    service_type_identifier: Option<String>,
    service_digital_identity: Identity,
    service_status: Option<String>,
    status_starting_time: Option<String>,
    #[serde(rename = "ServiceName")]
    _name: Option<Value>,
    #[serde(rename = "SchemeServiceDefinitionURI")]
    _scheme_definition: Option<Value>,
    #[serde(rename = "ServiceSupplyPoints")]
    _points: Option<Value>,
    #[serde(rename = "ServiceDefinitionURI")]
    _definition: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "X509Certificates", default)]
    _certificates: Vec<Value>,
    #[serde(rename = "X509SubjectNames", default)]
    _subjects: Vec<Value>,
    #[serde(rename = "X509SKIs", default)]
    _skis: Vec<Value>,
    #[serde(rename = "PublicKeyValues", default)]
    keys: Vec<Value>,
    #[serde(rename = "OtherIds", default)]
    others: Vec<String>,
}

fn refused(what: impl Into<String>) -> Refusal {
    Refusal::new("lote_unsupported", what, "take over by hand what this part says, or import a list without it")
}

/// Makes a source of a list, to be reviewed.
pub(crate) fn import(bytes: &[u8], mapping: &Mapping, now: Timestamp) -> Result<Source, Refusal> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| *first != b'{') {
        return Err(Refusal::new(
            "lote_unsupported",
            "This is no JSON object; a signed list (JAdES) is not read",
            "verify its signature with a program of your own, and import the payload",
        ));
    }
    let value = json::parse(bytes, Limits::LIST)
        .map_err(|problem| Refusal::of(&problem, "The file is not acceptable JSON", "get it again"))?;
    // What serde says names the member that is not known here or is missing.
    let File { lote, .. } =
        serde_json::from_value(value).map_err(|error| refused(format!("The list is refused: {error}")))?;
    let scheme = lote.list_and_scheme_information;
    if scheme.version != 1 {
        return Err(refused(format!("LoTEVersionIdentifier is {}, and only 1 is known", scheme.version)));
    }
    let issued = instant(&scheme.list_issue_date_time, "ListIssueDateTime")?;
    if now > instant(&scheme.next_update, "NextUpdate")? {
        return Err(Refusal::new("expired", "The list's NextUpdate has passed", "get the newest list"));
    }
    let mut import = Import { mapping, countries: countries(&scheme, mapping)?, issued, source: Source::default() };
    import.source.review.push(format!(
        "list {} of {:?} ({}), issued {}: nobody has verified its signature",
        scheme.sequence,
        name(&scheme.scheme_operator_name).unwrap_or_default(),
        scheme.lote_type.as_deref().unwrap_or("no LoTEType"),
        issued
    ));
    for entity in &lote.trusted_entities_list {
        import.entity(entity)?;
    }
    Ok(import.source)
}

fn instant(text: &str, what: &str) -> Result<Timestamp, Refusal> {
    Timestamp::parse(text).map_err(|_| refused(format!("{what} is not an instant")))
}

/// The English text, else the first.
fn name(texts: &[Text]) -> Option<&str> {
    texts.iter().find(|text| text.lang == "en").or(texts.first()).map(|text| text.value.as_str())
}

/// `EU` is no country: without a limit that the operator names, the list would be taken for one without limits.
fn countries(scheme: &Scheme, mapping: &Mapping) -> Result<Vec<String>, Refusal> {
    if !mapping.countries.is_empty() {
        return Ok(mapping.countries.clone());
    }
    match scheme.scheme_territory.as_deref() {
        Some(country) if country != "EU" => Ok(vec![country.to_owned()]),
        _ => Err(Refusal::new(
            "lote_unsupported",
            "The list's SchemeTerritory is no country",
            "name the countries that the accreditations are limited to, with --country",
        )),
    }
}

struct Import<'a> {
    mapping: &'a Mapping,
    countries: Vec<String>,
    issued: Timestamp,
    source: Source,
}

impl Import<'_> {
    fn entity(&mut self, entity: &Entity) -> Result<(), Refusal> {
        let name = name(&entity.trusted_entity_information.name).ok_or_else(|| refused("An entity has no TEName"))?;
        for service in &entity.trusted_entity_services {
            self.service(name, service).map_err(|refusal| refusal.at(&format!("{name:?}")))?;
        }
        Ok(())
    }

    fn service(&mut self, name: &str, service: &Service) -> Result<(), Refusal> {
        let information = &service.service_information;
        let kind = information.service_type_identifier.as_deref();
        let kind = kind.ok_or_else(|| refused("a service has no ServiceTypeIdentifier"))?;
        if self.mapping.ignored.iter().any(|ignored| ignored == kind) {
            return Ok(());
        }
        let types: Vec<String> =
            self.mapping.types.iter().filter(|(uri, _)| uri == kind).map(|(_, name)| name.clone()).collect();
        let registrar = self.mapping.registrars.iter().any(|uri| uri == kind);
        if types.is_empty() != registrar {
            let hint = "say what it stands for, with exactly one of --type URI=TYPE, --registrar URI and --ignore URI";
            return Err(Refusal::new(
                "lote_unmapped",
                format!("the service type {kind:?} has no one meaning here"),
                hint,
            ));
        }
        match information.service_status.as_deref() {
            None | Some(NOTIFIED) => {}
            Some(WITHDRAWN) => {
                self.note(name, "a withdrawn service was left out");
                return Ok(());
            }
            Some(other) => return Err(refused(format!("the ServiceStatus {other:?} is not known"))),
        }
        if !service.service_history.is_empty() {
            self.note(
                name,
                "the history of a service was left out: what it issued before StatusStartingTime is refused",
            );
        }
        let started = information.status_starting_time.as_deref();
        let from = started.map_or(Ok(self.issued), |text| instant(text, "StatusStartingTime"))?;
        let did = self.did(name, &information.service_digital_identity)?;
        let accreditation = Accreditation {
            types,
            jurisdictions: Some(self.countries.clone()),
            max_level: None,
            from,
            until: None,
            withdrawal: None,
        };
        let entries = if registrar { &mut self.source.registrars } else { &mut self.source.issuers };
        match entries.iter_mut().find(|entry| entry.id == did) {
            Some(entry) => entry.accreditations.push(accreditation),
            None => entries.push(Entry { id: did, name: name.to_owned(), accreditations: vec![accreditation] }),
        }
        Ok(())
    }

    fn note(&mut self, name: &str, what: &str) {
        self.source.review.push(format!("{name:?}: {what}"));
    }

    /// The one DID of a service: that of the command line, one among its OtherIds, or that of its one key.
    fn did(&self, name: &str, identity: &Identity) -> Result<String, Refusal> {
        let given: BTreeMap<&str, &str> =
            self.mapping.dids.iter().map(|(name, did)| (name.as_str(), did.as_str())).collect();
        if let Some(did) = given.get(name) {
            return Did::parse(did)
                .map(|did| did.to_string())
                .map_err(|problem| Refusal::of(&problem, &format!("{did:?} is no DID"), "correct --did"));
        }
        let others: Vec<Did> = identity.others.iter().filter_map(|id| Did::parse(id).ok()).collect();
        match (others.as_slice(), identity.keys.as_slice()) {
            ([did], _) => Ok(did.to_string()),
            ([], [jwk]) => PublicKey::from_jwk(jwk)
                .map(|key| Did::jwk(&key).to_string())
                .map_err(|problem| Refusal::of(&problem, "its key is of a kind that is not accepted", "leave it out")),
            _ => Err(Refusal::new(
                "lote_identity",
                "it is named by certificates, or by more than one key or DID, and here a party has one DID",
                format!("look it up, and name it with --did {:?}", format!("{name}=did:...")),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
