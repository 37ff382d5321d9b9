//! One copy of a credential: its content and its signature, in each format.

use carnet_core::{
    Problem,
    credential::CONTEXT_V2,
    did::{Did, Purpose},
    keys::PublicKey,
    secure::{
        data_integrity::{self, Cryptosuite, ProofOptions, eddsa_jcs::EddsaJcs2022},
        sd_jwt::{self, ClaimPath, IssueOptions, OrderedClaim},
    },
    time::Timestamp,
};
use carnet_spec::CredentialType;
use rand_core::OsRng;
use serde_json::{Map, Value, json};

use crate::{format::Format, issuer::Issuer, store::status::Place};

/// Digests in each `_sd` array come in multiples of this: how many claims there are shows only roughly.
const DECOYS_TO_MULTIPLE_OF: usize = 4;

/// What all copies of a batch share.
pub(crate) struct Content<'a> {
    pub(crate) credential_type: &'a CredentialType,
    pub(crate) claims: &'a Map<String, Value>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

/// What a holder may withhold, and of what of it thresholds can be proved.
struct Hidden<'a> {
    disclosable: &'a [ClaimPath],
    ordered: &'a [OrderedClaim],
}

impl<S> Issuer<S> {
    /// Makes one copy for one key; its status stands at `place`.
    ///
    /// # Errors
    /// proof_generation and what the format's own rules refuse.
    pub(crate) fn secure(
        &self,
        format: Format,
        content: &Content<'_>,
        holder: &PublicKey,
        place: Place,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let status = self.status_member(format, place);
        match format {
            Format::VcSdJwt => {
                let payload = self.document(content, holder, status);
                let hidden = Hidden {
                    disclosable: &content.credential_type.disclosable,
                    ordered: &content.credential_type.ordered,
                };
                self.sd_jwt("vc+sd-jwt", &payload, hidden, holder)
            }
            Format::DcSdJwt => {
                let payload = self.sd_jwt_vc_payload(content, status);
                let hidden = Hidden {
                    disclosable: &content.credential_type.disclosable_in_sd_jwt_vc(),
                    ordered: &content.credential_type.ordered_in_sd_jwt_vc(),
                };
                self.sd_jwt("dc+sd-jwt", &payload, hidden, holder)
            }
            Format::DiVcJcs => self.data_integrity(&EddsaJcs2022, &self.document(content, holder, status), now),
            Format::LdpVc => {
                #[cfg(feature = "jsonld")]
                return self.data_integrity(&self.rdfc, &self.document(content, holder, status), now);
                #[cfg(not(feature = "jsonld"))]
                Err(Problem::new(carnet_core::Code::CryptosuiteUnknown, "built without the feature `jsonld`"))
            }
        }
    }

    /// The document of VCDM 2.0. It has no id, and no subject id but the copy's own key.
    fn document(
        &self,
        content: &Content<'_>,
        holder: &PublicKey,
        status: Option<(String, Value)>,
    ) -> Map<String, Value> {
        let mut subject = Map::new();
        subject.insert("id".to_owned(), json!(Did::jwk(holder).as_str()));
        subject.extend(content.claims.iter().map(|(name, value)| (name.clone(), value.clone())));
        [
            ("@context", json!([CONTEXT_V2, content.credential_type.context_url])),
            ("type", json!(["VerifiableCredential", content.credential_type.name])),
            ("issuer", json!(self.did.as_str())),
            ("validFrom", json!(content.valid_from.to_string())),
            ("validUntil", json!(content.valid_until.to_string())),
            ("credentialSubject", Value::Object(subject)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(status)
        .collect()
    }

    /// The payload of an SD-JWT VC: the claims stand at the top.
    fn sd_jwt_vc_payload(&self, content: &Content<'_>, status: Option<(String, Value)>) -> Map<String, Value> {
        let mut payload = content.claims.clone();
        for (name, value) in [
            ("iss", json!(self.did.as_str())),
            ("vct", json!(content.credential_type.vct)),
            ("nbf", json!(content.valid_from.unix())),
            ("exp", json!(content.valid_until.unix())),
        ] {
            payload.insert(name.to_owned(), value);
        }
        payload.extend(status);
        payload
    }

    fn sd_jwt(
        &self,
        typ: &str,
        payload: &Map<String, Value>,
        hidden: Hidden<'_>,
        holder: &PublicKey,
    ) -> Result<String, Problem> {
        let options = IssueOptions {
            typ,
            kid: &self.kid,
            disclosable: hidden.disclosable,
            ordered: hidden.ordered,
            holder: Some(holder),
            decoys_to_multiple_of: DECOYS_TO_MULTIPLE_OF,
        };
        sd_jwt::issue(payload, &options, self.signer.as_ref(), &mut OsRng)
    }

    fn data_integrity(
        &self,
        suite: &dyn Cryptosuite,
        document: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let options = ProofOptions {
            verification_method: &self.kid,
            purpose: Purpose::AssertionMethod,
            // The day is enough, and the same for all who were issued that day.
            created: Some(now.start_of_day()),
            expires: None,
            challenge: None,
            domain: None,
        };
        let secured = data_integrity::secure(document, suite, &options, self.signer.as_ref())?;
        Ok(Value::Object(secured).to_string())
    }
}
