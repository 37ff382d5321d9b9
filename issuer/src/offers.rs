//! Creation, listing and cancellation of offers by staff, and offers by reference for wallets. [`crate::redemption`]
//! implements the exchange of an offer's code for an access token.

use carnet_core::{day, epoch::Epoch, format::CredentialFormat, json, text, time::Timestamp};
use carnet_openid::vci::offer::{CredentialOffer, OfferLink, PreAuthorizedGrant, TxCode};
use carnet_spec::CredentialType;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    checks::{MAX_ID_BYTES, check_change_ids, check_id},
    claims::{fill_random_claims, refuse_invisible_characters, unique_claims},
    error::Error,
    format::{alternative_format, configuration_id, require_supported_format},
    issuer::Issuer,
    secrets::{self, HashPurpose},
    store::{
        PageSlice, RowPage, Store, StoreTx, StoredClaims,
        offers::{NewOffer, OfferFilter, OfferRecord, OfferRows as _, OfferState, OfferWithClaims, UniqueClaim},
    },
    warnings::{self, OfferTerms},
};

/// Path prefix of an offer by reference, below the public URL; the offer's code follows.
pub(crate) const OFFERS_PATH: &str = "/openid/offers";
/// Maximum size of an offer's claims, in bytes of canonical JSON.
const MAX_CLAIMS_BYTES: usize = 131_072;
/// Maximum time during which an offer can be redeemed, in seconds: a year.
const MAX_TTL_SECONDS: u32 = 31_536_000;

/// Staff's request for a new offer.
#[derive(Debug)]
pub(crate) struct OfferRequest {
    pub(crate) request_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) claims: ReceivedClaims,
    pub(crate) with_pin: bool,
    /// Time during which the offer can be redeemed, in seconds; 0: the configured default.
    pub(crate) ttl_seconds: u32,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) valid_until: Option<Timestamp>,
    /// `true` if the copies are issued only after staff have released the offer.
    pub(crate) deferred: bool,
    /// Reference chosen by staff; empty: none.
    pub(crate) reference: String,
    /// Name of the staff member who creates it.
    pub(crate) created_by: String,
}

/// Claims received from staff; `Debug` does not print them.
pub(crate) struct ReceivedClaims(pub(crate) Map<String, Value>);

impl std::fmt::Debug for ReceivedClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceivedClaims(redacted)")
    }
}

/// Offer that was checked and is not stored yet.
pub(crate) struct PreparedOffer {
    pub(crate) new: NewOffer,
    /// Names of the generated claims.
    pub(crate) drawn: Vec<String>,
    /// Warnings about input that may be a mistake.
    pub(crate) warnings: Vec<String>,
}

/// Result of creating an offer. For a repeated request, it has the offer of the first call, without links and PIN.
pub(crate) struct CreatedOffer {
    pub(crate) offer: OfferRecord,
    /// Links to the offer; `None` for a repeated request.
    pub(crate) links: Option<OfferLinks>,
    /// PIN; `None` if the offer has none, or for a repeated request.
    pub(crate) pin: Option<Zeroizing<String>>,
    /// Warnings about input that may be a mistake, and about problems with the published documents.
    pub(crate) warnings: Vec<String>,
}

/// Links to a new offer. Both contain its code, so they are secret.
pub(crate) struct OfferLinks {
    /// Code of the offer, which both links contain.
    pub(crate) code: Zeroizing<String>,
    /// Link that contains the offer, for all wallets, including Carnet's.
    pub(crate) by_value: Zeroizing<String>,
    /// Shorter link that contains only the offer's URL (`credential_offer_uri`), for OpenID4VCI wallets. The offer at
    /// that URL includes both SD-JWT formats.
    pub(crate) by_reference: Zeroizing<String>,
}

impl<S: Store> Issuer<S> {
    /// Creates an offer, with random values for generated claims that are absent. The same request_id with the same
    /// content returns the same offer, without its secrets.
    ///
    /// # Errors
    /// As [`Self::prepare_offer`]; [`Error::RequestIdReused`]; [`Error::ClaimNotUnique`]; store errors.
    pub(crate) async fn create_offer(&self, request: OfferRequest) -> Result<CreatedOffer, Error> {
        let code = secrets::random_secret();
        let pin = request.with_pin.then(secrets::random_pin);
        let PreparedOffer { new, drawn, mut warnings } =
            self.prepare_offer(request, &code, pin.as_deref().map(String::as_str))?;
        warnings.extend(self.publication_faults.problems());
        let mut tx = self.store.begin("create_offer").await?;
        let (offer, is_new) = insert_once(&mut tx, &new, &drawn).await?;
        tx.commit().await?;
        if !is_new {
            return Ok(CreatedOffer { offer, links: None, pin: None, warnings });
        }
        tracing::info!(offer_id = offer.offer_id, credential_type = offer.credential_type, "offer created");
        let links = self.offer_links(&offer, code, pin.is_some());
        Ok(CreatedOffer { offer, links: Some(links), pin, warnings })
    }

    /// Checks a request for an offer, and returns the offer to be stored under these secrets. Stores nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::ClaimsInvalid`] for the content; [`Error::FormatUnavailable`].
    pub(crate) fn prepare_offer(
        &self,
        request: OfferRequest,
        code: &str,
        pin: Option<&str>,
    ) -> Result<PreparedOffer, Error> {
        check_id("request_id", &request.request_id)?;
        check_reference(&request.reference)?;
        let credential_type = self.credential_type(&request.credential_type)?;
        require_supported_format(request.format, self.signer.algorithm(), &self.suites)?;
        if !credential_type.can_be_issued_as(request.format) {
            let why = "the format shows all serials at once; choose vc+sd-jwt or dc+sd-jwt. Nothing was stored";
            return Err(Error::invalid("format", why));
        }
        if request.ttl_seconds > MAX_TTL_SECONDS {
            return Err(Error::invalid("offer_ttl_seconds", "an offer may wait for a year at most"));
        }
        let CheckedClaims { canonical, drawn, unique } = check_claims(credential_type, &request.claims.0)?;
        let now = self.now();
        let epoch = self.validity_epoch(&credential_type.name);
        let ttl = if request.ttl_seconds == 0 { self.settings.offer_ttl_seconds } else { request.ttl_seconds };
        let expires_at = now.plus(i64::from(ttl));
        let (valid_from, valid_until) =
            validity_period(&request, credential_type.validity_days, epoch, (now, expires_at))?;
        let effective = OfferTerms {
            reference: &request.reference,
            valid_from,
            valid_until,
            requested_until: request.valid_until,
            epoch,
            now,
        };
        let warnings = warnings::offer_warnings(credential_type, &request.claims.0, &effective);
        let terms = canonical_terms(&request);
        let new = NewOffer {
            offer_id: secrets::random_id(),
            request_id: request.request_id,
            terms,
            credential_type: credential_type.name.clone(),
            format: request.format,
            claims: StoredClaims(canonical),
            unique_claims: unique,
            valid_from,
            valid_until,
            code_hash: code_digest(code),
            pin_hash: pin.map(|pin| pin_digest(code, pin)),
            deferred: request.deferred,
            created_at: now,
            expires_at,
            reference: request.reference,
            created_by: request.created_by,
        };
        Ok(PreparedOffer { new, drawn, warnings })
    }

    /// Returns the links of an offer with this code.
    pub(crate) fn offer_links(&self, offer: &OfferRecord, code: Zeroizing<String>, with_pin: bool) -> OfferLinks {
        let by_value = OfferLink::Value(self.credential_offer(offer, &code, with_pin)).to_link();
        let by_reference = OfferLink::Reference(format!("{}{OFFERS_PATH}/{}", self.issuer_url, code.as_str()));
        OfferLinks { code, by_value, by_reference: by_reference.to_link() }
    }

    /// Cancels an open or redeemed offer, and erases its claims. A cancelled offer is returned unchanged.
    ///
    /// # Errors
    /// [`Error::Invalid`] for malformed ids; [`Error::NotFound`]; [`Error::WrongState`] if it is collected, expired or
    /// locked; store errors.
    pub(crate) async fn cancel_offer(&self, offer_id: &str, request_id: &str) -> Result<OfferRecord, Error> {
        check_change_ids(offer_id, request_id)?;
        let mut tx = self.store.begin("cancel_offer").await?;
        let offer = tx.offer(offer_id).await?.ok_or(Error::NotFound { what: "offer" })?.offer;
        match offer.state {
            OfferState::Cancelled => {
                tx.commit().await?;
                return Ok(offer);
            }
            OfferState::Open | OfferState::Redeemed => {}
            state @ (OfferState::Collected | OfferState::Expired | OfferState::Locked) => {
                return Err(Error::WrongState { state: state.as_str(), verb: "cancelled" });
            }
        }
        tx.close_offer(offer_id, OfferState::Cancelled).await?;
        tx.commit().await?;
        self.store.purge_erased_data().await;
        Ok(OfferRecord { state: OfferState::Cancelled, ..offer })
    }

    /// Returns the offers that match a filter, newest first. Expired data is erased first, so that no expired offer is
    /// listed as open.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn list_offers(
        &self,
        filter: &OfferFilter,
        slice: PageSlice,
    ) -> Result<RowPage<OfferRecord>, Error> {
        self.erase_expired(self.now()).await?;
        Ok(self.store.read().await?.offers(filter, slice).await?)
    }

    /// Records the unique claims of uncollected offers that an older version created. Two offers with the same value
    /// cause a warning in the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for unreadable claims; store errors.
    pub(crate) async fn record_unique_claims(&self) -> Result<(), Error> {
        for credential_type in self.catalogue.types().filter(|known| !known.generated_claims.is_empty()) {
            let offers = self.store.read().await?.offers_with_unrecorded_claims(&credential_type.name).await?;
            for (offer_id, StoredClaims(text)) in offers {
                let claims = json::parse_object(text.as_bytes(), json::Limits::DOCUMENT);
                let claims = claims.map_err(|_| Error::Corrupt("offers.claims"))?;
                let unique = unique_claims(&claims, &credential_type.generated_claims);
                let mut tx = self.store.begin("keep_unique_claims").await?;
                if tx.insert_unique_claims(&offer_id, &unique).await?.is_none() {
                    tx.commit().await?;
                } else {
                    tracing::warn!(offer_id, "another offer has the same number: cancel one of them");
                }
            }
        }
        Ok(())
    }

    /// Returns the open offer of a code, in all formats from which the holder may choose (OpenID4VCI 1.0 section
    /// 4.1.3).
    ///
    /// # Errors
    /// [`Error::OfferUnknown`], also for an offer that was redeemed, closed or has expired; store errors.
    pub(crate) async fn offer_by_code(&self, code: &str) -> Result<CredentialOffer, Error> {
        if code.is_empty() || code.len() > MAX_ID_BYTES {
            return Err(Error::OfferUnknown);
        }
        let code_hash = code_digest(code);
        let access = self.store.read().await?.offer_by_code(&code_hash).await?.ok_or(Error::OfferUnknown)?;
        let offer = access.offer;
        if offer.state != OfferState::Open || offer.expires_at <= self.now() {
            return Err(Error::OfferUnknown);
        }
        let mut message = self.credential_offer(&offer, code, access.pin_hash.is_some());
        let other = alternative_format(offer.format).map(|format| configuration_id(&offer.credential_type, format));
        message.configuration_ids.extend(other);
        // Carnet's own wallet reads offers by value alone.
        Ok(CredentialOffer { valid_until: None, ..message })
    }

    /// Builds the credential offer object (OpenID4VCI 1.0 section 4.1.1) in the offered format.
    fn credential_offer(&self, offer: &OfferRecord, code: &str, with_pin: bool) -> CredentialOffer {
        let pin = TxCode { length: u64::try_from(secrets::PIN_DIGITS).ok(), ..TxCode::default() };
        CredentialOffer {
            credential_issuer: self.issuer_url.clone(),
            configuration_ids: vec![configuration_id(&offer.credential_type, offer.format)],
            pre_authorized: Some(PreAuthorizedGrant {
                code: code.into(),
                tx_code: with_pin.then_some(pin),
                authorization_server: None,
            }),
            // With it, a wallet can check the end of the copies (spec/protocol.md 3.28).
            valid_until: Some(offer.valid_until),
        }
    }
}

/// Claims of a request that were checked against their type.
struct CheckedClaims {
    /// Canonical JSON, with computed and generated claims.
    canonical: Zeroizing<String>,
    /// Names of the claims that were generated.
    drawn: Vec<String>,
    unique: Vec<UniqueClaim>,
}

/// Checks claims against their type, and adds the computed and generated ones.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ClaimsInvalid`]
fn check_claims(credential_type: &CredentialType, given: &Map<String, Value>) -> Result<CheckedClaims, Error> {
    let refused = |problem: carnet_core::Problem| Error::Invalid {
        reason: "CLAIMS_INVALID",
        field: "claims".to_owned(),
        description: problem.to_string(),
    };
    refuse_invisible_characters(given)?;
    let faults = credential_type.claim_errors(given);
    if !faults.is_empty() {
        return Err(Error::ClaimsInvalid(faults));
    }
    let mut claims = credential_type.add_computed_claims(given).map_err(refused)?;
    let drawn = fill_random_claims(credential_type, &mut claims);
    credential_type.validate_claims(&claims).map_err(refused)?;
    let unique = unique_claims(&claims, &credential_type.generated_claims);
    let claims = Value::Object(claims);
    let canonical = Zeroizing::new(
        String::from_utf8(json::canonicalize(&claims).map_err(refused)?)
            .map_err(|_| Error::invalid("claims", "not UTF-8"))?,
    );
    if canonical.len() > MAX_CLAIMS_BYTES {
        return Err(Error::invalid("claims", format!("more than {MAX_CLAIMS_BYTES} bytes of JSON")));
    }
    Ok(CheckedClaims { canonical, drawn, unique })
}

/// Inserts an offer, once for each request_id. Returns `true` with a new offer, and `false` with one that an earlier
/// call with the same content stored. `drawn`: names of the generated claims, which are not compared.
///
/// # Errors
/// [`Error::RequestIdReused`], after which the transaction is unchanged; [`Error::ClaimNotUnique`] and store errors,
/// after which it must be dropped.
pub(crate) async fn insert_once<T: StoreTx>(
    tx: &mut T,
    new: &NewOffer,
    drawn: &[String],
) -> Result<(OfferRecord, bool), Error> {
    if let Some(OfferWithClaims { offer, terms, claims, .. }) = tx.offer_by_request(&new.request_id).await? {
        // After the claims are erased, nothing is left to compare them with. This is intended: claims could be guessed
        // from a digest.
        let same = terms == new.terms && claims.is_none_or(|known| same_claims(&known.0, &new.claims.0, drawn));
        return if same { Ok((offer, false)) } else { Err(Error::RequestIdReused { what: "an offer" }) };
    }
    tx.insert_offer(new).await?;
    if let Some(claim) = tx.insert_unique_claims(&new.offer_id, &new.unique_claims).await? {
        return Err(Error::ClaimNotUnique { claim });
    }
    let stored = tx.offer(&new.offer_id).await?.ok_or(Error::Corrupt("offers"))?;
    Ok((stored.offer, true))
}

/// Returns the stored hash of an offer's code.
pub(crate) fn code_digest(code: &str) -> secrets::Sha256Hash {
    secrets::purpose_hash(HashPurpose::Code, &[code.as_bytes()])
}

/// Returns the stored hash of a PIN, which depends on the offer's code as well.
pub(crate) fn pin_digest(code: &str, pin: &str) -> secrets::Sha256Hash {
    secrets::purpose_hash(HashPurpose::Pin, &[code.as_bytes(), pin.as_bytes()])
}

/// Returns whether two claims texts are equal apart from the claims named in `drawn`, which differ with each call.
fn same_claims(known: &str, now: &str, drawn: &[String]) -> bool {
    if drawn.is_empty() {
        return secrets::equal_in_constant_time(known.as_bytes(), now.as_bytes());
    }
    let without = |text: &str| {
        let mut claims = json::parse_object(text.as_bytes(), json::Limits::DOCUMENT).ok()?;
        claims.retain(|name, _| !drawn.contains(name));
        Some(claims)
    };
    without(known).zip(without(now)).is_some_and(|(known, now)| known == now)
}

/// Returns start and end of the credential's validity: the requested or default dates, rounded down to the epoch, so
/// that they are the same for many holders. The offer can be redeemed from `now` until `expires_at`.
///
/// # Errors
/// [`Error::Invalid`]: a date is out of range, the end is not after the start, a later start is not the start of an
/// epoch, or rounding would leave no validity, or less than the offer's.
fn validity_period(
    request: &OfferRequest,
    default_days: u32,
    epoch: Epoch,
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<(Timestamp, Timestamp), Error> {
    let today = now.start_of_day();
    let from = request.valid_from.unwrap_or(today);
    let default = || from.max(today).plus(i64::from(default_days).saturating_mul(day::SECONDS));
    // A past end is allowed on request: for records of former validity.
    let until = request.valid_until.unwrap_or_else(default);
    for (field, at) in [("valid_from", from), ("valid_until", until)] {
        if carnet_core::time::Timestamp::parse(&at.to_string()).is_err() {
            return Err(Error::invalid(field, "outside the range of dates"));
        }
    }
    if until <= from {
        let (first, last) = (day::format_start(from), day::format_end(until));
        let description = format!("the last day, {last}, is before the first one, {first}. Nothing was stored");
        return Err(Error::invalid("valid_until", description));
    }
    // Rounding down would move the start before the requested day.
    if from > today && !epoch.is_start(from) {
        let (before, after) = (day::format_start(epoch.start(from)), day::format_start(epoch.next_start(from)));
        let description = format!(
            "a later start must be the start of a {epoch}, so that the date identifies nobody. Nothing was stored; \
             give {before} or {after}, or issue it on its first day"
        );
        return Err(Error::invalid("valid_from", description));
    }
    let first = if until > now { from.max(today) } else { from };
    let (start, end) = epoch.round_validity(first, until, now).ok_or_else(|| {
        let least = day::format_end(epoch.next_start(first.max(now)));
        let description = format!(
            "rounded down to the beginning of a {epoch}, so that the date identifies nobody, it would end before it \
             begins. Nothing was stored; give {least} or a later day, or configure a shorter epoch for this type \
             (cohorts.epochs)"
        );
        Error::invalid("valid_until", description)
    })?;
    // An end that was asked for as it is, or has passed, is the registrar's decision.
    if until > now && end != until && end < expires_at {
        let least = if epoch.is_start(expires_at) { expires_at } else { epoch.next_start(expires_at) };
        let (last, least) = (day::format_end(end), day::format_end(least));
        let description = format!(
            "rounded down to the beginning of a {epoch}, so that the date identifies nobody, the last day is {last}, \
             and the offer can be redeemed until {expires_at}, after that. Nothing was stored; give {least} or a later \
             day, a shorter redemption time (offer_ttl_seconds, --ttl), or configure a shorter epoch for this type \
             (cohorts.epochs)"
        );
        return Err(Error::invalid("valid_until", description));
    }
    Ok((start, end))
}

/// Returns a request without its claims as JSON text, to detect a request_id that is reused with other content.
fn canonical_terms(request: &OfferRequest) -> String {
    let mut terms = vec![
        json!(request.credential_type),
        json!(request.format.as_str()),
        json!(request.with_pin),
        json!(request.ttl_seconds),
        json!(request.valid_from.map(Timestamp::unix)),
        json!(request.valid_until.map(Timestamp::unix)),
        json!(request.deferred),
    ];
    // Offers from before references existed have none in their terms.
    terms.extend((!request.reference.is_empty()).then(|| json!(request.reference)));
    Value::Array(terms).to_string()
}

/// Refuses a reference that is longer than 128 bytes, has white space around it, or contains control or invisible
/// characters. An empty one is allowed.
fn check_reference(reference: &str) -> Result<(), Error> {
    let is_plain = !reference.chars().any(char::is_control) && text::invisible_characters(reference).next().is_none();
    if reference.len() <= MAX_ID_BYTES && is_plain && reference.trim() == reference {
        return Ok(());
    }
    let description = format!(
        "must be at most {MAX_ID_BYTES} bytes of visible text on one line, without spaces around it. Nothing was stored"
    );
    Err(Error::invalid("reference", description))
}
