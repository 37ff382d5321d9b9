use carnet_core::{
    Code,
    did::DidUrl,
    format::CredentialFormat,
    keys::{Algorithm, SecretKey, Signer as _},
    trust::list::{Accreditation, EarlierCredentials, TrustListContents as Said, Withdrawal},
};
use rand_core::OsRng;

use super::*;
use crate::{
    introduction::{
        Unregistered, VerifierIdentity, registrar,
        tests::{Authority, both, introduce},
    },
    request::tests::{Asker, NOW},
    store::{CredentialCopy, HolderKey, WalletContents, contents::default_low_water},
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
    Said::first(issuers, registrars)
}

impl Desk {
    fn open() -> Self {
        Self([(); 3].map(|()| SecretKey::generate(Algorithm::EdDsa, &mut OsRng)))
    }

    /// Signs a list issued an hour ago and valid for two days.
    fn list(&self, said: &Said) -> Map<String, Value> {
        let from = NOW.plus(-3_600);
        let draft = TrustList::draft(&Did::parse(LIST).unwrap(), said, from, from.plus(2 * DAY)).unwrap();
        self.0[..2].iter().fold(draft, |list, key| {
            let kid = DidUrl::parse(&format!("{}#0", Did::jwk(&key.public_key()))).unwrap();
            TrustList::sign(&list, &kid, key, from).unwrap()
        })
    }

    fn pinned(&self, document: Map<String, Value>) -> PinnedList {
        PinnedList {
            issuer: LIST.to_owned(),
            operators: self.0.iter().map(|key| Did::jwk(&key.public_key()).to_string()).collect(),
            quorum: 2,
            least: None,
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
        contents.trust.seen.insert(LIST.to_owned(), held.seen());
        contents.trust.lists = vec![pinned];
    }
}

fn read(asker: &Asker, contents: &WalletContents, now: Timestamp) -> VerifierIdentity {
    VerifierIdentity::read(&asker.request().unwrap(), contents, now, &SelfContained)
}

const UNTRUSTED: Option<Unregistered> = Some(Unregistered::Refused(Code::RegistrarUntrusted));

#[test]
fn a_registrar_of_the_list_counts_as_pinned() {
    let (desk, authority, mut asker) = (Desk::open(), Authority::new(), Asker::new());
    let mut contents = WalletContents::new(12);
    let registration = authority.register(&asker, both(), 30);
    introduce(&mut asker, &registration);
    desk.pin(&mut contents, &said(Vec::new()));
    assert_eq!(read(&asker, &contents, NOW).unregistered(), UNTRUSTED);
    desk.pin(&mut contents, &said(vec![entry(authority.did.as_str(), accreditation(&[]))]));
    let known = read(&asker, &contents, NOW);
    assert_eq!((known.registrar_name(), known.unregistered()), ("Register of the Land", None));
    let listing = known.registrar_decision().unwrap().json();
    assert_eq!(
        (&listing["rule"], &listing["list"], &listing["sequence"]),
        (&json!("accredited"), &json!(LIST), &json!(1))
    );
    let lists = ValidTrustLists::of(&contents.trust, NOW);
    assert_eq!(registrar(&asker.request().unwrap(), &contents, &lists).unwrap().did, authority.did.to_string());
    // The owner's pin takes precedence and needs no list.
    authority.pin(&mut contents);
    let own = read(&asker, &contents, NOW);
    assert_eq!((own.registrar_name(), own.registrar_decision().is_none()), ("Registrar of Example", true));
    contents.trust = WalletTrust::default();
    assert_eq!(read(&asker, &contents, NOW).unregistered(), None);
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
    assert_eq!(read(&asker, &germany, NOW).unregistered(), None);
    let france = with(&|held| held.jurisdictions = Some(vec!["FR".to_owned()]));
    let refused = read(&asker, &france, NOW);
    assert_eq!(
        (refused.unregistered(), refused.registrar_decision().unwrap().json()["rule"].clone()),
        (UNTRUSTED, "outside_jurisdiction".into())
    );
    let struck = |from: i64, earlier_credentials| {
        with(&move |held| {
            held.withdrawal = Some(Withdrawal { withdrawn_from: NOW.plus(from), earlier_credentials, reason: None });
        })
    };
    let stand = |from| read(&asker, &struck(from, EarlierCredentials::Stand), NOW).unregistered();
    assert_eq!((stand(-DAY + 1), stand(-DAY)), (None, UNTRUSTED));
    assert_eq!(read(&asker, &struck(-60, EarlierCredentials::Fall), NOW).unregistered(), UNTRUSTED);
    // An expired list is ignored.
    let until = TrustList::preview(&germany.trust.lists[0].document).unwrap().valid_until;
    asker.payload["exp"] = serde_json::json!(until.plus(3_600).unix());
    assert_eq!(read(&asker, &germany, until.plus(60)).unregistered(), None);
    assert_eq!(read(&asker, &germany, until.plus(61)).unregistered(), UNTRUSTED);
}

#[test]
fn row_70_an_older_list_is_refused_for_ever() {
    let desk = Desk::open();
    let first = desk.list(&said(Vec::new()));
    let pinned = desk.pinned(first.clone());
    let preview = TrustList::preview(&first).unwrap();
    let second = desk.list(&preview.successor());
    let held = pinned.verify(&second, Some(&preview.seen()), None, NOW).unwrap();
    let refused = pinned.verify(&first, Some(&held.seen()), None, NOW).unwrap_err();
    assert_eq!(refused.code, Code::TrustListRollback);
    // Unless the owner names that very list.
    pinned.verify(&first, Some(&held.seen()), Some(&preview.digest), NOW).unwrap();
    let refused = pinned.verify(&first, Some(&held.seen()), Some(held.digest()), NOW).unwrap_err();
    assert_eq!(refused.code, Code::TrustListRollback);
    // A new user who starts with the least number published by the operators is not shown an older list either.
    let beginner = PinnedList { least: Some(2), ..pinned.clone() };
    beginner.verify(&second, None, None, NOW).unwrap();
    assert_eq!(beginner.verify(&first, None, None, NOW).unwrap_err().code, Code::TrustListRollback);
    // Nor by somebody who puts it into the wallet's own store.
    let trust = WalletTrust { lists: vec![pinned], seen: [(LIST.to_owned(), held.seen())].into() };
    assert!(
        ValidTrustLists::of(&trust, NOW).why(&AccreditationQuestion::issue(UNI, "QualificationCredential")).is_none()
    );
    // With fewer operators than pinned it is invalid.
    let mut alone = second.clone();
    alone["proof"].as_array_mut().unwrap().truncate(1);
    assert_eq!(desk.pinned(first).verify(&alone, None, None, NOW).unwrap_err().code, Code::TrustListQuorum);
}

#[test]
fn a_wallet_that_had_a_timestamp_needs_a_fresh_one() {
    let (desk, mut contents) = (Desk::open(), WalletContents::new(12));
    let stamps = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
    let signer = Did::jwk(&stamps.public_key());
    let kid = signer.with_fragment("0").unwrap();
    desk.pin(&mut contents, &Said { timestamp_signers: vec![signer.to_string()], ..said(Vec::new()) });
    let rule = |contents: &WalletContents, now: Timestamp| {
        let lists = ValidTrustLists::of(&contents.trust, now);
        let question = AccreditationQuestion {
            level: Some(6),
            issued: Some(NOW.plus(-DAY)),
            ..AccreditationQuestion::issue(UNI, "QualificationCredential")
        };
        lists.why(&question).map(|(_, why)| why.rule.as_str())
    };
    assert_eq!(rule(&contents, NOW.plus(DAY)), Some("accredited"));
    let pinned = contents.trust.lists[0].clone();
    let preview = TrustList::preview(&pinned.document).unwrap();
    let stamp = ListTimestamp::sign(&preview, (NOW.plus(-60), NOW.plus(3_600)), &kid, &stamps).unwrap();
    let stamped = PinnedList { timestamp: Some(stamp), ..pinned.clone() };
    let held = stamped.verify(&stamped.document, contents.trust.seen.get(LIST), None, NOW).unwrap();
    contents.trust.seen.insert(LIST.to_owned(), held.seen());
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
        let key = HolderKey::draw();
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
            low_water: default_low_water(),
            serials: None,
        }
    };
    assert!(of_received(&contents.trust, &credential(7), &catalogue, NOW).is_null());
    desk.pin(&mut contents, &said(Vec::new()));
    let rule = |held: &HeldCredential, now| of_received(&contents.trust, held, &catalogue, now)["rule"].clone();
    assert_eq!(rule(&credential(7), NOW), "accredited");
    assert_eq!(rule(&credential(8), NOW), "above_level");
    let stranger = HeldCredential { issuer: "did:web:other.example".to_owned(), ..credential(7) };
    assert_eq!(rule(&stranger, NOW), "not_listed");
    assert_eq!(rule(&credential(7), NOW.plus(3 * DAY)), "no_trust_list");
}
