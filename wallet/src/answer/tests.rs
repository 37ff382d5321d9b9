use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Rng,
    format::CredentialFormat,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _},
    secure::{
        data_integrity::{ProofOptions, add_proof, to_canonical_text},
        jose,
        sd_jwt::{self, IssueOptions},
    },
    status::freshness,
};
use carnet_spec::Catalogue;
use rand_core::OsRng;
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::store::{HeldCredential, HolderKey, thresholds::CommitmentPositions, vouchers::VoucherSerials};

#[cfg(test)]
mod clear;
#[cfg(test)]
mod least;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod vouchers;
#[cfg(test)]
mod whose;

pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const TYPE: &str = "QualificationCredential";

/// Issuer with its own did:jwk.
pub struct Issuer {
    pub key: SecretKey,
    pub did: Did,
    pub catalogue: Catalogue,
    /// Type that it issues.
    pub type_name: &'static str,
    /// Fragment of its key's DID URL.
    pub fragment: &'static str,
    /// `created` time of its Data Integrity proofs.
    pub created: Option<Timestamp>,
}

impl Issuer {
    pub fn new() -> Self {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let did = Did::did_jwk(&key.public_key());
        let (catalogue, created) = (Catalogue::embedded().unwrap(), Some(NOW.start_of_day()));
        Self { key, did, catalogue, type_name: TYPE, fragment: "0", created }
    }

    pub fn method(&self) -> String {
        format!("{}#{}", self.did, self.fragment)
    }

    /// Issues one copy of the catalogue's example, valid for a year from [`NOW`].
    pub fn copy(&self, format: CredentialFormat, holder: &PublicKey) -> String {
        self.copy_with(format, holder, |_| {})
    }

    /// Issues a copy whose payload `change` edits before signing.
    pub fn copy_with(
        &self,
        format: CredentialFormat,
        holder: &PublicKey,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> String {
        self.copy_drawn(format, holder, change, &mut OsRng)
    }

    /// Issues a changed copy with salts and decoys from `rng`.
    pub fn copy_drawn(
        &self,
        format: CredentialFormat,
        holder: &PublicKey,
        change: impl FnOnce(&mut Map<String, Value>),
        rng: Rng<'_>,
    ) -> String {
        let known = self.catalogue.credential_type(self.type_name).unwrap();
        let mut document = known.example.clone();
        document["issuer"] = json!(self.did.as_str());
        document["validFrom"] = json!(NOW.start_of_day().to_string());
        document["validUntil"] = json!(NOW.plus(365 * 86_400).start_of_day().to_string());
        document["credentialSubject"]["id"] = json!(Did::did_jwk(holder).as_str());
        let (mut payload, disclosable, ordered) = match format {
            CredentialFormat::DcSdJwt => {
                let mut flat = known.example_claims();
                flat.insert("iss".to_owned(), json!(self.did.as_str()));
                flat.insert("vct".to_owned(), json!(known.vct));
                flat.insert("nbf".to_owned(), json!(NOW.start_of_day().unix()));
                flat.insert("exp".to_owned(), json!(NOW.plus(365 * 86_400).start_of_day().unix()));
                (flat, known.disclosable_in_sd_jwt_vc(), known.ordered_in_sd_jwt_vc())
            }
            _ => {
                (document.as_object().unwrap().clone(), known.disclosable_claims.clone(), known.ordered_claims.clone())
            }
        };
        change(&mut payload);
        if !format.is_sd_jwt() {
            let options = ProofOptions {
                verification_method: &self.method(),
                purpose: carnet_core::did::VerificationRelationship::AssertionMethod,
                created: self.created,
                expires: None,
                challenge: None,
                domain: None,
            };
            let suites = crate::issuance::supported_suites(&self.catalogue).unwrap();
            let suite = suites.for_signing(format, self.key.algorithm()).unwrap();
            return to_canonical_text(&add_proof(&payload, suite, &options, &self.key).unwrap()).unwrap();
        }
        let padded: Vec<_> = known.serials.iter().map(|serials| serials.padded_array(format)).collect();
        let options = IssueOptions {
            typ: format.as_str(),
            kid: &self.method(),
            disclosable: &disclosable,
            ordered_claims: &ordered,
            holder_key: Some(holder),
            decoys_to_multiple_of: known.copy_profile.decoys_to_multiple_of,
            padded_arrays: &padded,
        };
        sd_jwt::issue(&payload, &options, &self.key, rng).unwrap()
    }

    /// Signs a freshness statement for one day from `since`; `mark` edits its header and payload before signing.
    pub fn vouch(
        &self,
        digest: &[u8],
        since: i64,
        mark: impl FnOnce(&mut Map<String, Value>, &mut Map<String, Value>),
    ) -> String {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut header = object(json!({"typ": freshness::TYP, "kid": self.method()}));
        let copy = URL_SAFE_NO_PAD.encode(digest);
        let mut payload = object(json!({"copy": copy, "iat": since, "exp": since.saturating_add(86_400)}));
        mark(&mut header, &mut payload);
        jose::sign(header, &payload, &self.key).unwrap()
    }

    /// Locates the commitments of a copy, as the wallet does on receipt.
    pub fn commitments(&self, format: CredentialFormat, credential: &str) -> Vec<CommitmentPositions> {
        let known = self.catalogue.credential_type(self.type_name).unwrap();
        let ordered = match format {
            CredentialFormat::DcSdJwt => known.ordered_in_sd_jwt_vc(),
            CredentialFormat::VcSdJwt => known.ordered_claims.clone(),
            _ => return Vec::new(),
        };
        let positions = SdJwt::parse(credential).unwrap().verify_commitments(&ordered).unwrap();
        positions.into_iter().map(CommitmentPositions::from).collect()
    }

    /// Builds a wallet credential with this number of copies.
    pub fn held(&self, id: &str, format: CredentialFormat, copies: usize) -> HeldCredential {
        let known = self.catalogue.credential_type(self.type_name).unwrap();
        let copy = |_| {
            let key = HolderKey::generate();
            let credential = self.copy(format, &key.decode().unwrap().public_key());
            let commitments = self.commitments(format, &credential);
            CredentialCopy { commitments, ..CredentialCopy::new(credential, key) }
        };
        let serials = known.serials.as_ref().map(|_| VoucherSerials::new(3));
        HeldCredential {
            id: id.to_owned(),
            type_name: self.type_name.to_owned(),
            format,
            issuer: self.did.to_string(),
            issuer_name: "University of Example".to_owned(),
            received_at: NOW,
            valid_from: Some(NOW.plus(-86_400)),
            valid_until: Some(NOW.plus(86_400)),
            epoch: None,
            copies: (0..copies).map(copy).collect(),
            endpoint: None,
            refill_threshold: 3,
            display: Default::default(),
            serials,
        }
    }
}

pub fn query(format: CredentialFormat, claims: Value) -> Query {
    let meta = if format == CredentialFormat::DcSdJwt {
        json!({"vct_values": ["urn:carnet:type:qualification:1"]})
    } else {
        json!({"type_values": [[TYPE]]})
    };
    Query::parse(&json!({"credentials": [{"id": "q", "format": format, "meta": meta, "claims": claims}]})).unwrap()
}

fn parts_of(
    contents: &WalletContents,
    query: &Query,
    asker: &str,
    only: &[usize],
) -> Result<Vec<PlannedPresentation>, Problem> {
    let bounds = AnswerConstraints {
        client_id: asker,
        now: NOW,
        allowed_credentials: only,
        withheld: &[],
        proof_only_claims: &[],
    };
    Ok(super::answer_query(contents, &Catalogue::embedded().unwrap(), query, &bounds)?.presentations)
}

fn subject(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"path": ["credentialSubject", name]})).collect()
}

fn names(part: &PlannedPresentation) -> Vec<&str> {
    part.disclosed.iter().map(|claim| claim.name.as_str()).collect()
}

#[test]
fn a_hidden_date_that_the_end_gives_away_does_not_stay_hidden() {
    use carnet_core::epoch::Epoch;
    let issuer = Issuer::new();
    // The credential expires in one day.
    for (days, epoch, given_away) in [
        (20, None, true),
        (-20, Some(Epoch::Month), true),
        (40, None, false),
        (20, Some(Epoch::Week), false),
        (40, Some(Epoch::Quarter), true),
    ] {
        let mut held = HeldCredential { epoch, ..issuer.held("aaaa", CredentialFormat::VcSdJwt, 1) };
        let holder = held.copies[0].key.decode().unwrap().public_key();
        let date = carnet_core::day::format_start(NOW.plus(days * 86_400).start_of_day());
        let change = |payload: &mut Map<String, Value>| payload["credentialSubject"]["awardingDate"] = json!(date);
        held.copies[0].credential = issuer.copy_with(CredentialFormat::VcSdJwt, &holder, change).into();
        let mut contents = WalletContents::new(12);
        contents.credentials.push(held);
        let part = parts_of(&contents, &query(CredentialFormat::VcSdJwt, subject(&["title"])), "asker", &[])
            .unwrap()
            .remove(0);
        let names: &[&str] = if given_away { &["awardingDate"] } else { &[] };
        assert_eq!(part.revealed_dates, names, "{days} {epoch:?}");
        assert_eq!(part.hidden.iter().any(|name| name == "awardingDate"), !given_away);
        assert!(part.hidden.iter().any(|name| name == "dateOfBirth"));
        // A disclosed claim is not listed as given away.
        let shown = query(CredentialFormat::VcSdJwt, subject(&["title", "awardingDate"]));
        assert!(parts_of(&contents, &shown, "asker", &[]).unwrap().remove(0).revealed_dates.is_empty());
    }
}

#[test]
fn a_hidden_date_that_the_beginning_gives_away_does_not_stay_hidden() {
    use carnet_core::{epoch::Epoch, time::Timestamp};
    let issuer = Issuer::new();
    let at = |day: &str| Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap();
    for (awarded, epoch, given_away) in [
        ("2026-11-10", Some(Epoch::Month), true),
        ("2026-11-10", None, true),
        ("2026-11-10", Some(Epoch::Week), false),
        ("2026-10-10", Some(Epoch::Month), false),
        ("2026-10-10", Some(Epoch::Quarter), true),
        ("2020-11-10", Some(Epoch::Month), false),
    ] {
        let (valid_from, valid_until) = (Some(at("2026-11-01")), Some(at("2028-11-01")));
        let held = issuer.held("aaaa", CredentialFormat::VcSdJwt, 1);
        let mut held = HeldCredential { epoch, valid_from, valid_until, ..held };
        let holder = held.copies[0].key.decode().unwrap().public_key();
        let change = |payload: &mut Map<String, Value>| payload["credentialSubject"]["awardingDate"] = json!(awarded);
        held.copies[0].credential = issuer.copy_with(CredentialFormat::VcSdJwt, &holder, change).into();
        let mut contents = WalletContents::new(12);
        contents.credentials.push(held);
        let asked = query(CredentialFormat::VcSdJwt, subject(&["title"]));
        let part = parts_of(&contents, &asked, "asker", &[]).unwrap().remove(0);
        let names: &[&str] = if given_away { &["awardingDate"] } else { &[] };
        assert_eq!(part.given_away_by_start, names, "{awarded} {epoch:?}");
        assert!(part.revealed_dates.is_empty());
        assert_eq!(part.hidden.iter().any(|name| name == "awardingDate"), !given_away);
    }
}

#[test]
fn what_is_asked_goes_and_the_rest_stays() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 2));
    let query = query(CredentialFormat::VcSdJwt, subject(&["title", "eqfLevel"]));
    let parts = parts_of(&contents, &query, "asker", &[]).unwrap();
    assert_eq!(names(&parts[0]), ["eqfLevel", "title"]);
    assert!(parts[0].hidden.contains(&"grade".to_owned()) && parts[0].hidden.contains(&"familyName".to_owned()));
    assert_eq!(parts[0].hidden.len() + 2, issuer.catalogue.credential_type(TYPE).unwrap().example_claims().len());
    let bound = parts[0].bind(&contents.credentials[0].copies[0], None, "nonce", "asker", NOW).unwrap();
    let sent = SdJwt::parse(&bound).unwrap();
    assert!(sent.has_key_binding());
    let sent = sent.resolve_disclosures().unwrap().payload;
    let seen: Vec<_> = payload_claims(&sent, CredentialFormat::VcSdJwt)
        .into_iter()
        .filter(|(_, value)| **value != json!([]))
        .collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn an_sd_jwt_vc_is_shown_claim_by_claim() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::DcSdJwt, 1));
    let parts =
        parts_of(&contents, &query(CredentialFormat::DcSdJwt, json!([{"path": ["title"]}])), "asker", &[]).unwrap();
    assert_eq!(names(&parts[0]), ["title"]);
    assert!(!parts[0].is_whole);
}

#[test]
fn part_of_a_claim_goes_and_is_called_a_part() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 1));
    let claims = json!([{"path": ["credentialSubject", "learningOutcomes", 1, "title"]}]);
    let parts = parts_of(&contents, &query(CredentialFormat::VcSdJwt, claims), "asker", &[]).unwrap();
    assert_eq!(names(&parts[0]), ["learningOutcomes"]);
    assert!(parts[0].disclosed[0].is_partial);
    assert!(!parts[0].disclosed[0].value.to_string().contains("Plans and gives"));
}

#[test]
fn a_data_integrity_credential_goes_as_a_whole_and_says_so() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::DiVcJcs, 1));
    let parts = parts_of(&contents, &query(CredentialFormat::DiVcJcs, subject(&["title"])), "asker", &[]).unwrap();
    assert!(parts[0].is_whole && parts[0].hidden.is_empty());
    assert!(names(&parts[0]).contains(&"grade"));
    let bound = parts[0].bind(&contents.credentials[0].copies[0], None, "nonce", "asker", NOW).unwrap();
    let presentation: Value = serde_json::from_str(&bound).unwrap();
    assert_eq!(presentation["proof"]["challenge"], "nonce");
    assert_eq!(presentation["proof"]["domain"], "asker");
}

#[test]
fn the_copy_that_this_asker_knows_goes_first_then_a_fresh_one_then_the_least_seen() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 3));
    let query = query(CredentialFormat::VcSdJwt, subject(&["title"]));
    let mut used = |seen: [&[&str]; 3]| {
        for (copy, seen) in contents.credentials[0].copies.iter_mut().zip(seen) {
            copy.presented_to = seen.iter().map(|&name| name.to_owned()).collect();
        }
        let parts = parts_of(&contents, &query, "me", &[]).unwrap();
        (parts[0].copy, parts[0].earlier_verifiers.clone())
    };
    assert_eq!(used([&["x"], &["me"], &[]]), (1, EarlierVerifiers::SameVerifier));
    assert_eq!(used([&["x"], &["x", "me"], &[]]), (2, EarlierVerifiers::Unused));
    assert_eq!(used([&["x"], &["me"], &["y"]]), (1, EarlierVerifiers::SameVerifier));
    assert_eq!(used([&["x", "y"], &["x", "z"], &["y"]]), (2, EarlierVerifiers::Others(vec!["y".to_owned()])));
}

#[test]
fn a_credential_with_fresh_copies_goes_before_a_newer_one_without() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 1));
    contents.credentials.push(issuer.held("bbbb", CredentialFormat::VcSdJwt, 1));
    contents.credentials[1].received_at = NOW.plus(10);
    let query = query(CredentialFormat::VcSdJwt, subject(&["title"]));
    let chosen =
        |contents: &WalletContents, only: &[usize]| parts_of(contents, &query, "me", only).unwrap()[0].credential;
    assert_eq!(chosen(&contents, &[]), 1);
    assert_eq!(chosen(&contents, &[0]), 0);
    contents.credentials[1].copies[0].presented_to.push("x".to_owned());
    assert_eq!(chosen(&contents, &[]), 0);
}

#[test]
fn what_has_expired_or_is_missing_is_not_an_answer() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 1));
    let good = query(CredentialFormat::VcSdJwt, subject(&["title"]));
    assert!(parts_of(&contents, &good, "me", &[]).is_ok());
    let unmet = |contents: &WalletContents, query: &Query| parts_of(contents, query, "me", &[]).unwrap_err().code;
    assert_eq!(unmet(&contents, &query(CredentialFormat::VcSdJwt, subject(&["title", "shoeSize"]))), Code::QueryUnmet);
    assert_eq!(unmet(&contents, &query(CredentialFormat::DiVcJcs, subject(&["title"]))), Code::QueryUnmet);
    contents.credentials[0].valid_until = Some(NOW.plus(-1));
    assert_eq!(unmet(&contents, &good), Code::QueryUnmet);
}

#[test]
fn whatever_goes_is_listed_except_issuer_kind_and_dates() {
    let issuer = Issuer::new();
    for (format, names) in
        [(CredentialFormat::VcSdJwt, ["sub", "id", "proof"]), (CredentialFormat::DcSdJwt, ["sub", "id", "status"])]
    {
        let mut contents = WalletContents::new(12);
        contents.credentials.push(issuer.held("aaaa", format, 1));
        let title =
            if format == CredentialFormat::DcSdJwt { json!([{"path": ["title"]}]) } else { subject(&["title"]) };
        let listed = |contents: &WalletContents| {
            let parts = parts_of(contents, &query(format, title.clone()), "asker", &[]).unwrap();
            parts[0].disclosed.iter().map(|claim| claim.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(listed(&contents), ["title"], "{format}");
        let copy = &mut contents.credentials[0].copies[0];
        let holder = copy.key.decode().unwrap().public_key();
        copy.credential = issuer
            .copy_with(format, &holder, |payload| {
                for name in names {
                    payload.insert(name.to_owned(), json!({"id": "urn:uuid:6c3b", "type": "Person"}));
                }
            })
            .into();
        let listed = listed(&contents);
        assert!(names.iter().all(|name| listed.iter().any(|listed| listed == name)), "{format}: {listed:?}");
    }
}

#[test]
fn where_the_status_stands_is_no_claim_and_what_poses_as_it_is_one() {
    let issuer = Issuer::new();
    let entry = json!({
        "type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "7",
        "statusListCredential": "https://a.example/status/revocation/0",
    });
    let mut marked = entry.clone();
    marked["owner"] = json!("urn:uuid:6c3b");
    let message = carnet_core::status::message::StatusMessages::new(&["the card was lost".to_owned()]).unwrap();
    let message = message.status_entry("https://a.example/status/message/0".to_owned(), 7);
    let message_with = |pointer: &str, value: Value| {
        let mut changed = message.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        json!([entry.clone(), changed])
    };
    let mut explained = entry.clone();
    explained["statusMessage"] = message["statusMessage"].clone();
    let mut referring = message.clone();
    referring["statusReference"] = json!("https://a.example/6c3b");
    let mut short = message.clone();
    short["statusMessage"].as_array_mut().unwrap().pop();
    let mut unsized_ = message.clone();
    unsized_.as_object_mut().unwrap().remove("statusSize");
    let token = |more: bool| {
        let mut status = json!({"status_list": {"idx": 7, "uri": "https://a.example/status/token/0"}});
        if more {
            status["owner"] = json!(7);
        }
        status
    };
    for (format, name, status, listed) in [
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([entry.clone(), message.clone()]), false),
        (CredentialFormat::VcSdJwt, "credentialStatus", message_with("/statusListIndex", json!("8")), false),
        (
            CredentialFormat::VcSdJwt,
            "credentialStatus",
            message_with("/statusMessage/2/message", json!("a newer one exists")),
            false,
        ),
        (
            CredentialFormat::VcSdJwt,
            "credentialStatus",
            message_with("/statusMessage/2/message", json!("x".repeat(81))),
            true,
        ),
        (
            CredentialFormat::VcSdJwt,
            "credentialStatus",
            message_with("/statusMessage/0/message", json!("urn:uuid:6c3b")),
            true,
        ),
        (
            CredentialFormat::VcSdJwt,
            "credentialStatus",
            message_with("/statusMessage/2", json!({"status": "0x2", "message": "a", "b": 1})),
            true,
        ),
        (CredentialFormat::VcSdJwt, "credentialStatus", message_with("/statusSize", json!(8)), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", message_with("/statusPurpose", json!("revocation")), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([short]), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([unsized_]), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([referring]), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([explained]), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([entry.clone(), entry.clone()]), false),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!([marked]), true),
        (CredentialFormat::VcSdJwt, "credentialStatus", json!({"type": "Person"}), true),
        (CredentialFormat::DcSdJwt, "status", token(false), false),
        (CredentialFormat::DcSdJwt, "status", token(true), true),
        (CredentialFormat::DcSdJwt, "credentialStatus", token(false), true),
    ] {
        let mut contents = WalletContents::new(12);
        contents.credentials.push(issuer.held("aaaa", format, 1));
        let copy = &mut contents.credentials[0].copies[0];
        let holder = copy.key.decode().unwrap().public_key();
        copy.credential = issuer
            .copy_with(format, &holder, |payload| {
                payload.insert(name.to_owned(), status.clone());
            })
            .into();
        let title =
            if format == CredentialFormat::DcSdJwt { json!([{"path": ["title"]}]) } else { subject(&["title"]) };
        let parts = parts_of(&contents, &query(format, title), "asker", &[]).unwrap();
        assert_eq!(parts[0].disclosed.iter().any(|claim| claim.name == name), listed, "{format} {status}");
    }
}

#[test]
fn an_approval_is_of_this_request_and_this_answer() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 2));
    let approved = |contents: &WalletContents, object: &str, names: &[&str]| {
        let parts = parts_of(contents, &query(CredentialFormat::VcSdJwt, subject(names)), "me", &[]).unwrap();
        approval_digest(object, &parts, contents).unwrap()
    };
    let seen = approved(&contents, "a.b.c", &["title", "eqfLevel"]);
    assert_eq!(seen.len(), 43);
    // The result does not depend on the copy or on the order of the claims.
    contents.credentials[0].copies[0].presented_to.push("x".to_owned());
    assert_eq!(approved(&contents, "a.b.c", &["eqfLevel", "title"]), seen);
    assert_ne!(approved(&contents, "a.b.d", &["title", "eqfLevel"]), seen);
    assert_ne!(approved(&contents, "a.b.c", &["title", "eqfLevel", "grade"]), seen);
    // A second credential that answers the same request.
    contents.credentials.push(issuer.held("bbbb", CredentialFormat::VcSdJwt, 1));
    contents.credentials[1].received_at = NOW.plus(10);
    assert_ne!(approved(&contents, "a.b.c", &["title", "eqfLevel"]), seen);
}

#[test]
fn the_digest_is_the_one_that_is_documented() {
    let issuer = Issuer::new();
    let mut contents = WalletContents::new(12);
    contents.credentials.push(issuer.held("aaaa", CredentialFormat::VcSdJwt, 1));
    let parts =
        parts_of(&contents, &query(CredentialFormat::VcSdJwt, subject(&["title", "eqfLevel"])), "me", &[]).unwrap();
    let text = r#"a.b.c[["q","aaaa","vc+sd-jwt",["credentialSubject.eqfLevel","credentialSubject.title"]]]"#;
    assert_eq!(approval_digest("a.b.c", &parts, &contents).unwrap(), URL_SAFE_NO_PAD.encode(Sha256::digest(text)));
    assert_eq!(approval_digest("a.b.c", &[], &contents).unwrap(), URL_SAFE_NO_PAD.encode(Sha256::digest("a.b.c[]")));
}

#[test]
fn commitments_that_stay_hidden_are_neither_shown_nor_hidden_claims() {
    let issuer = Issuer::new();
    for format in [CredentialFormat::VcSdJwt, CredentialFormat::DcSdJwt] {
        let mut contents = WalletContents::new(12);
        contents.credentials.push(issuer.held("aaaa", format, 1));
        let path = |name: &str| {
            if format == CredentialFormat::DcSdJwt { json!([name]) } else { json!(["credentialSubject", name]) }
        };
        let ask =
            |path: Value| parts_of(&contents, &query(format, json!([{"path": path}])), "asker", &[]).unwrap().remove(0);
        let part = ask(path("title"));
        let copy = SdJwt::parse(&contents.credentials[0].copies[0].credential.text())
            .unwrap()
            .resolve_disclosures()
            .unwrap()
            .payload;
        assert!(payload_claims(&copy, format).iter().any(|(name, _)| name == "eqfLevelAtLeast"), "{format}");
        assert_eq!(names(&part), ["title"], "{format}");
        assert!(part.hidden.iter().all(|name| !is_commitments_name(name)), "{format}: {:?}", part.hidden);
        // Commitments are never disclosed directly: their number reveals the value.
        for step in [json!(0), json!(null)] {
            let mut one = path("eqfLevelAtLeast");
            one.as_array_mut().unwrap().push(step);
            let asked = query(format, json!([{"path": one}]));
            assert_eq!(parts_of(&contents, &asked, "asker", &[]).unwrap_err().code, Code::QueryUnmet, "{format}");
        }
    }
}
