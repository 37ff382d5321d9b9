use carnet_core::{
    Code,
    did::DidUrl,
    format::CredentialFormat,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    trust::list::{Accreditation, EarlierCredentials, TrustListContents as Said, Withdrawal},
};
use rand_core::OsRng;

use super::*;
use crate::{
    request::tests::{Asker, NOW},
    store::{CredentialCopy, HolderKey, WalletContents, contents::default_low_water},
    verifier_identity::{
        UnregisteredReason, VerifierIdentity, known_registrar,
        tests::{Authority, both, introduce},
    },
};

const LIST: &str = "did:web:trust.example";
const UNI: &str = "did:web:uni.example";
const DAY: i64 = 86_400;

/// Three operators, of which two must sign.
struct Desk([SecretKey; 3]);

fn accreditation(types: &[&str]) -> Accreditation {
    Accreditation {
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        jurisdictions: None,
        max_level: None,
        epoch: None,
        from: NOW.plus(-365 * DAY),
        until: None,
        withdrawal: None,
    }
}

fn entry(id: &str, accreditation: Accreditation) -> TrustListEntry {
    TrustListEntry { id: id.to_owned(), name: "Register of the Land".to_owned(), accreditations: vec![accreditation] }
}

fn said(registrars: Vec<TrustListEntry>) -> Said {
    let issuers = vec![entry(UNI, Accreditation { max_level: Some(7), ..accreditation(&["QualificationCredential"]) })];
    Said::first_list(issuers, registrars)
}

impl Desk {
    fn open() -> Self {
        Self([(); 3].map(|()| SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)))
    }

    /// Signs a list issued an hour ago and valid for two days.
    fn list(&self, said: &Said) -> Map<String, Value> {
        let from = NOW.plus(-3_600);
        let draft = TrustList::draft(&Did::parse(LIST).unwrap(), said, from, from.plus(2 * DAY)).unwrap();
        self.0[..2].iter().fold(draft, |list, key| {
            let kid = DidUrl::parse(&format!("{}#0", Did::did_jwk(&key.public_key()))).unwrap();
            TrustList::sign(&list, &kid, key, from).unwrap()
        })
    }

    fn pinned(&self, document: Map<String, Value>) -> PinnedList {
        PinnedList {
            issuer: LIST.to_owned(),
            operators: self.0.iter().map(|key| Did::did_jwk(&key.public_key()).to_string()).collect(),
            quorum: 2,
            min_sequence: None,
            source: "/nowhere/trust-list.json".to_owned(),
            document,
            timestamp: None,
            operator_documents: Vec::new(),
        }
    }

    /// Pins a list, as `carnet trust add` does.
    fn pin(&self, contents: &mut WalletContents, said: &Said) {
        let pinned = self.pinned(self.list(said));
        let held = pinned.verify(&pinned.document, None, None, NOW).unwrap();
        contents.trust.accepted.insert(LIST.to_owned(), held.identity());
        contents.trust.lists = vec![pinned];
    }
}

fn read(asker: &Asker, contents: &WalletContents, now: Timestamp) -> VerifierIdentity {
    VerifierIdentity::from_request(&asker.request().unwrap(), contents, now, &SelfContainedResolver)
}

const UNTRUSTED: Option<UnregisteredReason> = Some(UnregisteredReason::Invalid(Code::RegistrarUntrusted));

#[test]
fn a_registrar_of_the_list_counts_as_pinned() {
    let (desk, authority, mut asker) = (Desk::open(), Authority::new(), Asker::new());
    let mut contents = WalletContents::new(12);
    let registration = authority.register(&asker, both(), 30);
    introduce(&mut asker, &registration);
    desk.pin(&mut contents, &said(Vec::new()));
    assert_eq!(read(&asker, &contents, NOW).unregistered_reason(), UNTRUSTED);
    desk.pin(&mut contents, &said(vec![entry(authority.did.as_str(), accreditation(&[]))]));
    let known = read(&asker, &contents, NOW);
    assert_eq!((known.registrar_name(), known.unregistered_reason()), ("Register of the Land", None));
    let listing = known.registrar_decision().unwrap().to_json();
    assert_eq!(
        (&listing["rule"], &listing["list"], &listing["sequence"]),
        (&json!("accredited"), &json!(LIST), &json!(1))
    );
    let lists = ValidTrustLists::from_wallet(&contents.trust, NOW);
    assert_eq!(known_registrar(&asker.request().unwrap(), &contents, &lists).unwrap().did, authority.did.to_string());
    // The owner's pin takes precedence and needs no list.
    authority.pin(&mut contents);
    let own = read(&asker, &contents, NOW);
    assert_eq!((own.registrar_name(), own.registrar_decision().is_none()), ("Registrar of Example", true));
    contents.trust = WalletTrust::default();
    assert_eq!(read(&asker, &contents, NOW).unregistered_reason(), None);
}

#[test]
fn a_registrar_is_one_only_as_far_as_the_list_says() {
    let (desk, authority, mut asker) = (Desk::open(), Authority::new(), Asker::new());
    let registration = authority.register(&asker, both(), 30);
    introduce(&mut asker, &registration);
    let with = |change: &dyn Fn(&mut Accreditation)| {
        let mut contents = WalletContents::new(12);
        let mut held = accreditation(&[]);
        change(&mut held);
        desk.pin(&mut contents, &said(vec![entry(authority.did.as_str(), held)]));
        contents
    };
    // The verifier is in Germany and was registered a day ago.
    let germany = with(&|held| held.jurisdictions = Some(vec!["DE".to_owned()]));
    assert_eq!(read(&asker, &germany, NOW).unregistered_reason(), None);
    let france = with(&|held| held.jurisdictions = Some(vec!["FR".to_owned()]));
    let refused = read(&asker, &france, NOW);
    assert_eq!(
        (refused.unregistered_reason(), refused.registrar_decision().unwrap().to_json()["rule"].clone()),
        (UNTRUSTED, "outside_jurisdiction".into())
    );
    let struck = |from: i64, earlier_credentials| {
        with(&move |held| {
            held.withdrawal = Some(Withdrawal { withdrawn_from: NOW.plus(from), earlier_credentials, reason: None });
        })
    };
    let stand = |from| read(&asker, &struck(from, EarlierCredentials::StayValid), NOW).unregistered_reason();
    assert_eq!((stand(-DAY + 1), stand(-DAY)), (None, UNTRUSTED));
    assert_eq!(read(&asker, &struck(-60, EarlierCredentials::BecomeInvalid), NOW).unregistered_reason(), UNTRUSTED);
    // An expired list is ignored.
    let until = TrustList::preview(&germany.trust.lists[0].document).unwrap().valid_until;
    asker.payload["exp"] = serde_json::json!(until.plus(3_600).unix());
    assert_eq!(read(&asker, &germany, until.plus(60)).unregistered_reason(), None);
    assert_eq!(read(&asker, &germany, until.plus(61)).unregistered_reason(), UNTRUSTED);
}

#[test]
fn row_70_an_older_list_is_refused_for_ever() {
    let desk = Desk::open();
    let first = desk.list(&said(Vec::new()));
    let pinned = desk.pinned(first.clone());
    let preview = TrustList::preview(&first).unwrap();
    let second = desk.list(&preview.next_contents());
    let held = pinned.verify(&second, Some(&preview.identity()), None, NOW).unwrap();
    let refused = pinned.verify(&first, Some(&held.identity()), None, NOW).unwrap_err();
    assert_eq!(refused.code, Code::TrustListRollback);
    // Unless the owner names that very list.
    pinned.verify(&first, Some(&held.identity()), Some(&preview.digest), NOW).unwrap();
    let refused = pinned.verify(&first, Some(&held.identity()), Some(held.digest()), NOW).unwrap_err();
    assert_eq!(refused.code, Code::TrustListRollback);
    // A new user who starts with the least number published by the operators is not shown an older list either.
    let beginner = PinnedList { min_sequence: Some(2), ..pinned.clone() };
    beginner.verify(&second, None, None, NOW).unwrap();
    assert_eq!(beginner.verify(&first, None, None, NOW).unwrap_err().code, Code::TrustListRollback);
    // Nor by somebody who puts it into the wallet's own store.
    let trust = WalletTrust { lists: vec![pinned], accepted: [(LIST.to_owned(), held.identity())].into() };
    assert!(
        ValidTrustLists::from_wallet(&trust, NOW)
            .decision(&AccreditationQuestion::for_issuance(UNI, "QualificationCredential"))
            .is_none()
    );
    // With fewer operators than pinned it is invalid.
    let mut alone = second.clone();
    alone["proof"].as_array_mut().unwrap().truncate(1);
    assert_eq!(desk.pinned(first).verify(&alone, None, None, NOW).unwrap_err().code, Code::TrustListQuorum);
}

#[test]
fn a_wallet_that_had_a_timestamp_needs_a_fresh_one() {
    let (desk, mut contents) = (Desk::open(), WalletContents::new(12));
    let stamps = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let signer = Did::did_jwk(&stamps.public_key());
    let kid = signer.with_fragment("0").unwrap();
    desk.pin(&mut contents, &Said { timestamp_signers: vec![signer.to_string()], ..said(Vec::new()) });
    let rule = |contents: &WalletContents, now: Timestamp| {
        let lists = ValidTrustLists::from_wallet(&contents.trust, now);
        let question = AccreditationQuestion {
            level: Some(6),
            issued_at: Some(NOW.plus(-DAY)),
            ..AccreditationQuestion::for_issuance(UNI, "QualificationCredential")
        };
        lists.decision(&question).map(|(_, why)| why.rule.as_str())
    };
    assert_eq!(rule(&contents, NOW.plus(DAY)), Some("accredited"));
    let pinned = contents.trust.lists[0].clone();
    let preview = TrustList::preview(&pinned.document).unwrap();
    let stamp = ListTimestamp::sign(&preview, (NOW.plus(-60), NOW.plus(3_600)), &kid, &stamps).unwrap();
    let stamped = PinnedList { timestamp: Some(stamp), ..pinned.clone() };
    let held = stamped.verify(&stamped.document, contents.trust.accepted.get(LIST), None, NOW).unwrap();
    contents.trust.accepted.insert(LIST.to_owned(), held.identity());
    contents.trust.lists = vec![stamped];
    assert_eq!((rule(&contents, NOW), rule(&contents, NOW.plus(3_661))), (Some("accredited"), Some("list_stale")));
    // The same holds if somebody removes it.
    contents.trust.lists = vec![pinned];
    assert_eq!(rule(&contents, NOW), Some("list_stale"));
}

#[test]
fn what_is_received_is_held_against_the_lists() {
    let catalogue = Catalogue::embedded().unwrap();
    let (desk, mut contents) = (Desk::open(), WalletContents::new(12));
    let credential = |level: u8| {
        let mut document = catalogue.credential_type("QualificationCredential").unwrap().example.clone();
        document["credentialSubject"]["eqfLevel"] = level.into();
        let key = HolderKey::generate();
        HeldCredential {
            id: "1".to_owned(),
            type_name: "QualificationCredential".to_owned(),
            format: CredentialFormat::DiVcJcs.to_owned(),
            issuer: UNI.to_owned(),
            issuer_name: "University".to_owned(),
            received_at: NOW,
            valid_from: Some(NOW.plus(-DAY)),
            valid_until: None,
            epoch: None,
            copies: vec![CredentialCopy::new(document.to_string(), key)],
            endpoint: None,
            refill_threshold: default_low_water(),
            display: Default::default(),
            serials: None,
        }
    };
    assert!(issuer_decision_json(&contents.trust, &credential(7), &catalogue, NOW).is_null());
    desk.pin(&mut contents, &said(Vec::new()));
    let rule =
        |held: &HeldCredential, now| issuer_decision_json(&contents.trust, held, &catalogue, now)["rule"].clone();
    assert_eq!(rule(&credential(7), NOW), "accredited");
    assert_eq!(rule(&credential(8), NOW), "above_level");
    let stranger = HeldCredential { issuer: "did:web:other.example".to_owned(), ..credential(7) };
    assert_eq!(rule(&stranger, NOW), "not_listed");
    assert_eq!(rule(&credential(7), NOW.plus(3 * DAY)), "no_trust_list");
}
