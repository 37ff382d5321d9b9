//! Publication of a status list: the same statuses in several signed formats.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    BitOrder, ListValidity, MAX_LIST_BYTES, StatusList, StatusPurpose, StatusState, bitstring, cwt,
    list::CompressionFormat, message, packed::CompressedStatusList, token,
};
use crate::{
    Code, Problem,
    did::{DidUrl, VerificationRelationship as KeyPurpose},
    format::CredentialFormat,
    keys::Signer,
    secure::data_integrity::{self, Cryptosuites, ProofOptions},
    time::Timestamp,
};

/// Media type of a status list credential (VCDM 2.0 section 6.1.1).
pub const CREDENTIAL_MEDIA_TYPE: &str = "application/vc";

/// Format in which a status list is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListFormat {
    /// `BitstringStatusListCredential` with the purpose `revocation`.
    Revocation,
    /// `BitstringStatusListCredential` with the purpose `suspension`.
    Suspension,
    /// Status list token with both states, in two bits per entry.
    Token,
    /// `BitstringStatusListCredential` with the purpose `message`, in four bits per entry; only for lists with
    /// messages.
    Message,
}

impl ListFormat {
    /// Formats of a list without messages.
    pub const ALL: [Self; 3] = [Self::Revocation, Self::Suspension, Self::Token];
    /// Formats of a list with messages.
    pub const WITH_MESSAGES: [Self; 4] = [Self::Revocation, Self::Suspension, Self::Token, Self::Message];

    /// Returns the name of the format, as in the URLs of lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
            Self::Token => "token",
            Self::Message => "message",
        }
    }

    /// Returns the media type for HTTP.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Revocation | Self::Suspension | Self::Message => CREDENTIAL_MEDIA_TYPE,
            Self::Token => token::MEDIA_TYPE,
        }
    }
}

/// Parameters for signing one format of a status list.
#[derive(Debug, Clone, Copy)]
pub struct PublicationParameters<'a> {
    /// DID URL of the signing key; its DID is the issuer.
    pub kid: &'a DidUrl,
    /// URL at which the list is published.
    pub url: &'a str,
    /// Time of issue.
    pub now: Timestamp,
    /// Time from issue to expiry, in seconds.
    pub lifetime_seconds: i64,
    /// Time to live after a fetch, in seconds.
    pub ttl: i64,
}

impl PublicationParameters<'_> {
    fn list_validity(&self) -> ListValidity {
        ListValidity {
            issued_at: self.now,
            expires_at: Some(self.now.plus(self.lifetime_seconds)),
            ttl: Some(self.ttl),
        }
    }

    fn token_parameters(&self) -> token::TokenListParameters {
        token::TokenListParameters {
            kid: self.kid.to_string(),
            uri: self.url.to_owned(),
            validity: self.list_validity(),
        }
    }
}

/// Maximum number of entries of a list with messages: [`MAX_LIST_BYTES`] at four bits per entry.
pub const MAX_ENTRIES_WITH_MESSAGES: u64 = MAX_LIST_BYTES as u64 * 2;

/// Status list with all of its published formats, kept compressed while entries change.
#[derive(Debug)]
pub struct UnsignedStatusList {
    revocation: CompressedStatusList,
    suspension: CompressedStatusList,
    token: CompressedStatusList,
    message: Option<CompressedStatusList>,
}

impl UnsignedStatusList {
    /// Creates a list in which every entry is valid.
    ///
    /// # Errors
    /// Those of [`StatusList::new`].
    pub fn new(entries: u64) -> Result<Self, Problem> {
        let bits = || StatusList::new(entries, 1, BitOrder::MostSignificantFirst);
        Ok(Self {
            revocation: CompressedStatusList::new(bits()?, CompressionFormat::Gzip),
            suspension: CompressedStatusList::new(bits()?, CompressionFormat::Gzip),
            token: CompressedStatusList::new(
                StatusList::new(entries, 2, BitOrder::LeastSignificantFirst)?,
                CompressionFormat::Zlib,
            ),
            message: None,
        })
    }

    /// Creates a list in which every entry is valid and has the message 0. Carnet's issuer does not publish messages,
    /// since equal messages would link the copies of a credential in public (spec/status.md 3.10).
    ///
    /// # Errors
    /// Those of [`StatusList::new`]; the maximum is [`MAX_ENTRIES_WITH_MESSAGES`] entries.
    pub fn with_messages(entries: u64) -> Result<Self, Problem> {
        let list = StatusList::new(entries, message::ENTRY_BITS, BitOrder::MostSignificantFirst)?;
        Ok(Self { message: Some(CompressedStatusList::new(list, CompressionFormat::Gzip)), ..Self::new(entries)? })
    }

    /// Returns the formats in which this list can be signed.
    #[must_use]
    pub const fn formats(&self) -> &'static [ListFormat] {
        if self.message.is_some() { &ListFormat::WITH_MESSAGES } else { &ListFormat::ALL }
    }

    /// Returns the state of an entry.
    ///
    /// # Errors
    /// `status_index`: the index is beyond the end of the list.
    pub fn state(&self, index: u64) -> Result<StatusState, Problem> {
        Ok(match self.token.list().value(index)? {
            token::VALID => StatusState::Valid,
            token::SUSPENDED => StatusState::Suspended,
            // An unknown value counts as revoked.
            _ => StatusState::Revoked,
        })
    }

    /// Sets the state of an entry, and returns the formats whose content changed.
    ///
    /// # Errors
    /// `status_index`: the index is beyond the end of the list.
    pub fn set_state(&mut self, index: u64, state: StatusState) -> Result<Vec<ListFormat>, Problem> {
        let value = match state {
            StatusState::Valid => token::VALID,
            StatusState::Suspended => token::SUSPENDED,
            StatusState::Revoked => token::INVALID,
        };
        let changed = [
            (ListFormat::Revocation, self.revocation.set_value(index, u8::from(state == StatusState::Revoked))?),
            // Also for revoked entries: a verifier with the new list in this format and an older one in the other must
            // not take them for valid.
            (ListFormat::Suspension, self.suspension.set_value(index, u8::from(state != StatusState::Valid))?),
            (ListFormat::Token, self.token.set_value(index, value)?),
        ];
        Ok(changed.into_iter().filter_map(|(form, changed)| changed.then_some(form)).collect())
    }

    /// Sets the message number of an entry, whatever its state; returns whether it changed.
    ///
    /// # Errors
    /// `status_index`: the index is beyond the end of the list; `status_list_invalid`: the number does not fit in four
    /// bits; `status_purpose`: the list has no messages.
    pub fn set_message(&mut self, index: u64, number: u8) -> Result<bool, Problem> {
        self.message.as_mut().ok_or(Code::StatusPurpose)?.set_value(index, number)
    }

    /// Creates and signs the list in one format: a status list credential as JSON text, or a status list token (JWT).
    ///
    /// # Errors
    /// `proof_generation`; `status_purpose`: the list does not have this format; `algorithm_mismatch`: no cryptosuite
    /// supports the signing key; `algorithm_forbidden`: a status list token with a P-384 key.
    pub fn sign(
        &mut self,
        form: ListFormat,
        terms: &PublicationParameters<'_>,
        suites: &Cryptosuites,
        signer: &dyn Signer,
    ) -> Result<String, Problem> {
        let (packed, purpose) = match form {
            ListFormat::Revocation => (&mut self.revocation, StatusPurpose::Revocation),
            ListFormat::Suspension => (&mut self.suspension, StatusPurpose::Suspension),
            ListFormat::Message => (self.message.as_mut().ok_or(Code::StatusPurpose)?, StatusPurpose::Message),
            ListFormat::Token => {
                let (bits, lst) = (self.token.list().entry_bits(), URL_SAFE_NO_PAD.encode(self.token.compress()?));
                return token::issue_compressed(bits, &lst, &terms.token_parameters(), signer);
            }
        };
        let encoded = format!("u{}", URL_SAFE_NO_PAD.encode(packed.compress()?));
        let issuer = terms.kid.did().to_string();
        let published = bitstring::BitstringListParameters {
            issuer,
            url: terms.url.to_owned(),
            purpose,
            validity: terms.list_validity(),
        };
        let document = published.document_with_encoded_list(encoded);
        let kid = terms.kid.to_string();
        let options = ProofOptions {
            verification_method: &kid,
            purpose: KeyPurpose::AssertionMethod,
            created: Some(terms.now),
            expires: None,
            challenge: None,
            domain: None,
        };
        let suite = suites.for_signing(CredentialFormat::DiVcJcs, signer.algorithm()).ok_or(Code::AlgorithmMismatch)?;
        data_integrity::add_proof(&document, suite, &options, signer).map(|secured| Value::Object(secured).to_string())
    }

    /// Creates and signs the status list token in CBOR (CWT).
    ///
    /// # Errors
    /// `proof_generation`; `algorithm_forbidden` for a P-384 key.
    pub fn sign_cwt(&mut self, terms: &PublicationParameters<'_>, signer: &dyn Signer) -> Result<Vec<u8>, Problem> {
        let bits = self.token.list().entry_bits();
        cwt::issue_compressed(bits, &self.token.compress()?, &terms.token_parameters(), signer)
    }
}

#[cfg(test)]
// Tests are a caller of core's, and a caller has randomness.
#[allow(clippy::disallowed_types)]
mod tests {
    use rand_core::OsRng;

    use super::*;
    use crate::{
        Code,
        did::Did,
        keys::{SecretKey, SignatureAlgorithm},
        status::MIN_ENTRIES,
    };

    fn decoded(text: &str) -> StatusList {
        let document: Value = serde_json::from_str(text).unwrap();
        bitstring::decode_list(document["credentialSubject"]["encodedList"].as_str().unwrap(), 1).unwrap()
    }

    fn all(
        publication: &mut UnsignedStatusList,
        key: &SecretKey,
        now: Timestamp,
    ) -> (StatusList, StatusList, StatusList) {
        let kid = DidUrl::parse(&format!("{}#0", Did::did_jwk(&key.public_key()))).unwrap();
        let mut sign = |form: ListFormat| {
            let url = format!("https://issuer.example/status/{}/0", form.as_str());
            let terms = PublicationParameters { kid: &kid, url: &url, now, lifetime_seconds: 86_400, ttl: 300 };
            publication.sign(form, &terms, &Cryptosuites::jcs(), key).unwrap()
        };
        let token = token::StatusListToken::parse(&sign(ListFormat::Token)).unwrap();
        assert_eq!(token.kid(), kid.to_string());
        let (token, freshness) =
            token.verify(&key.public_key(), "https://issuer.example/status/token/0", now, 0).unwrap();
        assert_eq!(
            (freshness.issued_at, freshness.expires_at, freshness.ttl),
            (now, Some(now.plus(86_400)), Some(300))
        );
        (decoded(&sign(ListFormat::Revocation)), decoded(&sign(ListFormat::Suspension)), token)
    }

    #[test]
    fn the_three_forms_say_the_same() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let now = Timestamp::from_unix(1_795_348_800);
        let mut publication = UnsignedStatusList::new(MIN_ENTRIES).unwrap();
        assert_eq!(
            publication.set_state(5, StatusState::Suspended).unwrap(),
            [ListFormat::Suspension, ListFormat::Token]
        );
        assert_eq!(publication.set_state(5, StatusState::Suspended).unwrap(), []);
        assert_eq!(
            publication.set_state(7, StatusState::Suspended).unwrap(),
            [ListFormat::Suspension, ListFormat::Token]
        );
        assert_eq!(
            publication.set_state(7, StatusState::Revoked).unwrap(),
            [ListFormat::Revocation, ListFormat::Token]
        );
        assert_eq!(publication.set_state(8, StatusState::Revoked).unwrap(), ListFormat::ALL);
        assert_eq!(
            publication.set_state(9, StatusState::Suspended).unwrap(),
            [ListFormat::Suspension, ListFormat::Token]
        );
        assert_eq!(publication.set_state(9, StatusState::Valid).unwrap(), [ListFormat::Suspension, ListFormat::Token]);
        assert_eq!(publication.set_state(MIN_ENTRIES, StatusState::Revoked).unwrap_err().code, Code::StatusIndex);
        let (revocation, suspension, token) = all(&mut publication, &key, now);
        for index in 0..MIN_ENTRIES {
            let state = publication.state(index).unwrap();
            let bits =
                (revocation.value(index).unwrap(), suspension.value(index).unwrap(), token.value(index).unwrap());
            let expected = match index {
                5 => (StatusState::Suspended, (0, 1, token::SUSPENDED)),
                7 | 8 => (StatusState::Revoked, (1, 1, token::INVALID)),
                _ => (StatusState::Valid, (0, 0, token::VALID)),
            };
            assert_eq!((state, bits), expected, "{index}");
        }
    }

    /// Forms are fetched one by one, so that a reader may have one from before a change and another from after it.
    #[test]
    fn no_mixture_of_forms_makes_a_revoked_entry_valid() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let now = Timestamp::from_unix(1_795_348_800);
        let mut publication = UnsignedStatusList::new(MIN_ENTRIES).unwrap();
        publication.set_state(5, StatusState::Suspended).unwrap();
        let before = all(&mut publication, &key, now);
        publication.set_state(5, StatusState::Revoked).unwrap();
        let after = all(&mut publication, &key, now);
        for (revocation, suspension) in [(&before.0, &after.1), (&after.0, &before.1)] {
            assert_ne!(revocation.value(5).unwrap() | suspension.value(5).unwrap(), 0);
            // The twin.
            assert_eq!(revocation.value(6).unwrap() | suspension.value(6).unwrap(), 0);
        }
    }

    #[test]
    fn a_list_of_ten_million_is_published() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let mut publication = UnsignedStatusList::new(10_000_000).unwrap();
        publication.set_state(9_999_999, StatusState::Revoked).unwrap();
        let (revocation, _, token) = all(&mut publication, &key, Timestamp::from_unix(1_795_348_800));
        assert_eq!((revocation.value(9_999_999).unwrap(), token.value(9_999_999).unwrap()), (1, token::INVALID));
        assert_eq!((revocation.value(9_999_998).unwrap(), token.value(9_999_998).unwrap()), (0, token::VALID));
    }

    #[test]
    fn messages_are_a_form_of_their_own_that_no_state_touches() {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let kid = DidUrl::parse(&format!("{}#0", Did::did_jwk(&key.public_key()))).unwrap();
        let terms = PublicationParameters {
            kid: &kid,
            url: "https://issuer.example/status/message/0",
            now: Timestamp::from_unix(1_795_348_800),
            lifetime_seconds: 86_400,
            ttl: 300,
        };
        let mut publication = UnsignedStatusList::with_messages(MIN_ENTRIES).unwrap();
        assert_eq!(publication.formats(), ListFormat::WITH_MESSAGES);
        assert!(publication.set_message(5, 15).unwrap() && !publication.set_message(5, 15).unwrap());
        publication.set_message(6, 1).unwrap();
        assert_eq!(publication.set_state(5, StatusState::Revoked).unwrap(), ListFormat::ALL);
        assert_eq!(publication.set_message(5, 16).unwrap_err().code, Code::StatusListInvalid);
        assert_eq!(publication.set_message(MIN_ENTRIES, 1).unwrap_err().code, Code::StatusIndex);
        let document: Value =
            serde_json::from_str(&publication.sign(ListFormat::Message, &terms, &Cryptosuites::jcs(), &key).unwrap())
                .unwrap();
        let subject = document["credentialSubject"].as_object().unwrap();
        assert_eq!(subject["statusPurpose"], "message");
        // Only the credentials state the number of bits (section 2.1).
        assert!(!subject.contains_key("statusSize"));
        let list = bitstring::decode_list(subject["encodedList"].as_str().unwrap(), 4).unwrap();
        let set: Vec<(u64, u8)> =
            (0..MIN_ENTRIES).map(|index| (index, list.value(index).unwrap())).filter(|(_, value)| *value > 0).collect();
        assert_eq!(set, [(5, 15), (6, 1)]);
        // A list without them has no such form.
        let mut without = UnsignedStatusList::new(MIN_ENTRIES).unwrap();
        assert_eq!(without.formats(), ListFormat::ALL);
        assert_eq!(without.set_message(5, 1).unwrap_err().code, Code::StatusPurpose);
        assert_eq!(
            without.sign(ListFormat::Message, &terms, &Cryptosuites::jcs(), &key).unwrap_err().code,
            Code::StatusPurpose
        );
        assert!(UnsignedStatusList::with_messages(MAX_ENTRIES_WITH_MESSAGES).is_ok());
        assert!(UnsignedStatusList::with_messages(MAX_ENTRIES_WITH_MESSAGES + 1).is_err());
    }
}
