//! JSON binding of TS 119 602 v1.1.1. Fields with a leading underscore are accepted and ignored. An unknown member is
//! refused by name.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::certificate::CertificateFingerprint;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoteFile {
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    #[serde(rename = "LoTE")]
    pub(super) lote: Lote,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Lote {
    pub(super) list_and_scheme_information: SchemeInformation,
    #[serde(default)]
    pub(super) trusted_entities_list: Vec<TrustedEntity>,
}

/// Scheme information. Fields with a leading underscore are for people, and ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct SchemeInformation {
    #[serde(rename = "LoTEVersionIdentifier")]
    pub(super) version: u64,
    #[serde(rename = "LoTESequenceNumber")]
    pub(super) sequence: u64,
    pub(super) scheme_operator_name: Vec<LocalizedText>,
    pub(super) scheme_territory: Option<String>,
    pub(super) list_issue_date_time: String,
    pub(super) next_update: String,
    #[serde(rename = "LoTEType")]
    pub(super) lote_type: Option<String>,
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
    /// Pointers to other lists, which are not followed. Every list of the EU has one to itself.
    #[serde(rename = "PointersToOtherLoTE", default)]
    pub(super) pointers: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalizedText {
    pub(super) lang: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TrustedEntity {
    pub(super) trusted_entity_information: EntityInformation,
    pub(super) trusted_entity_services: Vec<TrustedService>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntityInformation {
    #[serde(rename = "TEName")]
    pub(super) name: Vec<LocalizedText>,
    #[serde(rename = "TETradeName")]
    _trade_name: Option<Value>,
    #[serde(rename = "TEAddress")]
    _address: Option<Value>,
    #[serde(rename = "TEInformationURI")]
    _information: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TrustedService {
    pub(super) service_information: ServiceInformation,
    #[serde(default)]
    pub(super) service_history: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ServiceInformation {
    pub(super) service_type_identifier: Option<String>,
    pub(super) service_digital_identity: EntityIdentity,
    pub(super) service_status: Option<String>,
    pub(super) status_starting_time: Option<String>,
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
pub(super) struct EntityIdentity {
    #[serde(rename = "X509Certificates", default)]
    pub(super) certificates: Vec<EncodedCertificate>,
    #[serde(rename = "X509SubjectNames", default)]
    _subjects: Vec<Value>,
    #[serde(rename = "X509SKIs", default)]
    _skis: Vec<Value>,
    #[serde(rename = "PublicKeyValues", default)]
    pub(super) public_keys: Vec<Value>,
    #[serde(rename = "OtherIds", default)]
    pub(super) other_ids: Vec<String>,
}

/// Certificate, as base64 of its DER.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EncodedCertificate {
    pub(super) val: String,
    #[serde(rename = "encoding")]
    _encoding: Option<Value>,
    #[serde(rename = "specRef")]
    _specification: Option<Value>,
}

impl EncodedCertificate {
    /// Returns the DER; `None` if the text is empty or not base64.
    pub(super) fn der(&self) -> Option<Vec<u8>> {
        let text: String = self.val.split_ascii_whitespace().collect();
        STANDARD.decode(text).ok().filter(|der| !der.is_empty())
    }
}

/// Returns the English text, or else the first; `None` if there is none.
pub(super) fn preferred_text(texts: &[LocalizedText]) -> Option<&str> {
    texts.iter().find(|text| text.lang == "en").or(texts.first()).map(|text| text.value.as_str())
}

impl TrustedEntity {
    /// Returns the English name, or else the first; empty if there is none.
    pub(super) fn name(&self) -> &str {
        preferred_text(&self.trusted_entity_information.name).unwrap_or_default()
    }

    /// Returns whether one of its services has the certificate with this SHA-256 fingerprint, in hexadecimal.
    pub(super) fn has_certificate<'a>(&'a self, fingerprint: &str) -> bool {
        let certificates =
            |service: &'a TrustedService| &service.service_information.service_digital_identity.certificates;
        CertificateFingerprint::parse(fingerprint).is_ok_and(|named| {
            let mut own = self.trusted_entity_services.iter().flat_map(certificates);
            own.any(|own| own.der().is_some_and(|der| CertificateFingerprint::from_der(&der) == named))
        })
    }
}
