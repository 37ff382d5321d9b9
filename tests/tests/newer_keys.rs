//! Keys that are newer than a verifier's copy of the document, with the real programs: an issuer rotates its key and
//! signs its lists with the new one, and holders notice nothing.

use std::time::{Duration, Instant};

use carnet_core::{
    did::{Did, DidDocument, DidUrl, SelfContainedResolver},
    json::{self, Limits},
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::jose::{self, Jws},
    trust::{
        list::{Accreditation, TrustList, TrustListContents, TrustListEntry},
        registration::{Registration, RegistrationRequest},
    },
};
use carnet_proto::verifier::v1::SubmitPresentationResponse;
use carnet_tests::{
    Result,
    keys::Keys,
    stage::{Offered, Stage, residence_permit},
    visitor::{self, Copy},
};
use rand_core::OsRng;
use serde_json::{Map, Value};
use tonic::Status;
use tonic_types::StatusExt as _;

const PERMIT: &str = "ResidencePermitCredential";
/// Longest wait for the agency to learn something in the background. Here it fetches every second.
const PATIENCE: Duration = Duration::from_secs(60);

async fn collect(stage: &Stage) -> Result<(Offered, Copy)> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let copy = visitor::collect(&offered.uri, None, visitor::now()).await?;
    Ok((offered, copy))
}

/// An agency that looks at lists every second, and has the authority's document and lists by then.
async fn stage() -> Result<Stage> {
    let mut stage = Stage::set(false).await?;
    stage.agency = stage.agency.configured("[status]\nrefresh_seconds = 1\n")?;
    Ok(stage)
}

/// Presents a copy until the agency gives this answer, and another copy meanwhile, for which it must give one of
/// these answers.
async fn comes_to(stage: &Stage, copy: &Copy, expected: &str, other: (&Copy, &[Option<&str>])) -> Result<()> {
    let (other, allowed) = other;
    let start = Instant::now();
    loop {
        let beside = stage.refusal(other).await?;
        if !allowed.contains(&beside.as_deref()) {
            return Err(format!("the agency says {beside:?} of a copy that holds").into());
        }
        let now = stage.refusal(copy).await?;
        if now.as_deref() == Some(expected) {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err(
                format!("the agency says {now:?}, and {expected} was to come\n{}", stage.agency.service.log()).into()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Changes the authority's key: it signs everything from then on, lists included, with another one.
fn rotate(stage: &mut Stage, keys: &Keys, compromised: Option<&str>) -> Result<()> {
    stage.authority.service.kill()?;
    keys.run(&["rotate"])?.ok()?;
    if let Some(name) = compromised {
        keys.run(&["retire", name, "--compromised"])?.ok()?;
    }
    keys.publish(&stage.site, "authority")?;
    keys.run(&["activate", "--at-once"])?.ok()?;
    keys.publish(&stage.site, "authority")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_103_an_issuers_new_key_is_no_gap_and_costs_one_look_at_its_document() -> Result<()> {
    let mut stage = stage().await?;
    let keys = Keys::of(&stage.folder, &stage.authority.service.data)?;
    let ((_, kept), (second, withdrawn)) = (collect(&stage).await?, collect(&stage).await?);
    for copy in [&kept, &withdrawn] {
        assert_eq!(stage.refusal(copy).await?, None);
    }

    rotate(&mut stage, &keys, None)?;
    let before = stage.site.document_requests("authority");
    stage.authority.cut_power()?;
    // Facts that only the new lists have prove that they count.
    stage.authority.staff(&["status", "revoke", &second.id, "--yes", "--reason", "lost"])?.ok()?;
    comes_to(&stage, &withdrawn, "revoked", (&kept, &[None])).await?;
    assert_eq!(stage.site.document_requests("authority"), before + 1);
    let (_, new) = collect(&stage).await?;
    assert_eq!(stage.refusal(&new).await?, None);

    // An issuer causes one fetch in thirty seconds; an agency that has just started has not fetched yet.
    stage.agency.cut_power()?;
    assert_eq!(stage.refusal(&new).await?, None);
    // The key leaks: lists and copies by it no longer count at once, and those of the next one do.
    rotate(&mut stage, &keys, Some("key-2"))?;
    let before = stage.site.document_requests("authority");
    stage.authority.cut_power()?;
    let between = [None, Some("status_list_unavailable")];
    comes_to(&stage, &new, "key_invalid", (&kept, &between)).await?;
    let start = Instant::now();
    while stage.refusal(&kept).await?.is_some() {
        assert!(start.elapsed() < PATIENCE, "{}", stage.agency.service.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stage.site.document_requests("authority"), before + 1);
    Ok(())
}

/// The same copy under another key's name, signed with any key.
fn resigned(copy: &Copy, fragment: &str) -> Result<Copy> {
    let (jwt, disclosures) = copy.credential.split_once('~').ok_or("the copy is no SD-JWT")?;
    let jws = Jws::parse(jwt)?;
    let mut header = jws.header().clone();
    let kid = header.get("kid").and_then(Value::as_str).and_then(|kid| kid.split_once('#'));
    let kid = format!("{}#{fragment}", kid.ok_or("the copy has no kid")?.0);
    header.remove("alg");
    header.insert("kid".to_owned(), kid.into());
    let jwt = jose::sign(header, jws.payload(), &SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng))?;
    let key = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, copy.key.to_bytes().as_slice())?;
    Ok(Copy { credential: format!("{jwt}~{disclosures}"), key })
}

#[tokio::test(flavor = "multi_thread")]
async fn row_103_showing_a_copy_by_an_unknown_key_asks_its_issuer_nothing() -> Result<()> {
    let stage = stage().await?;
    let (_, copy) = collect(&stage).await?;
    assert_eq!(stage.refusal(&copy).await?, None);
    let (before, unknown) = (stage.site.document_requests("authority"), resigned(&copy, "key-9")?);
    let asked = visitor::read_request(&stage.request("job-right-to-work")?.1).await?;
    for _ in 0..5 {
        let answer = visitor::submit(&asked, visitor::present(&unknown, &asked, visitor::now())?).await;
        assert_eq!(visitor::refusal(&answer).as_deref(), Some("issuer_key_unknown"));
        assert_eq!(retry(&answer), Some(60));
    }
    // The request is as open as before, for a copy whose key is known.
    let answer = visitor::submit(&asked, visitor::present(&copy, &asked, visitor::now())?).await;
    assert_eq!((visitor::refusal(&answer), retry(&answer)), (None, None));
    assert_eq!(stage.site.document_requests("authority"), before);
    Ok(())
}

/// Returns the retry delay of an answer, in seconds.
fn retry(answer: &std::result::Result<SubmitPresentationResponse, Status>) -> Option<u64> {
    answer.as_ref().err()?.get_details_retry_info()?.retry_delay.map(|delay| delay.as_secs())
}

/// A party with a DID document on the stage's site, and two keys.
struct Party {
    name: &'static str,
    did: Did,
    keys: [SecretKey; 2],
}

impl Party {
    fn open(stage: &Stage, name: &'static str) -> Result<Self> {
        let keys = [(); 2].map(|()| SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng));
        Ok(Self { name, did: Did::parse(&stage.site.did(name))?, keys })
    }

    fn kid(&self, key: usize) -> Result<DidUrl> {
        Ok(self.did.with_fragment(&format!("key-{key}"))?)
    }

    /// Publishes a document with the first so many keys, the last of them revoked or not.
    fn publish(&self, stage: &Stage, keys: usize, revoked: bool) {
        let named: Vec<_> = self.keys.iter().take(keys).enumerate().collect();
        let named: Vec<_> = named.into_iter().map(|(at, key)| (format!("key-{at}"), key.public_key())).collect();
        let mut document = DidDocument::json_for_keys(&self.did, &named);
        let last =
            document.pointer_mut("/verificationMethod").and_then(Value::as_array_mut).and_then(|all| all.last_mut());
        if let Some(members) = last.filter(|_| revoked).and_then(Value::as_object_mut) {
            members.insert("revoked".to_owned(), "2026-01-01T00:00:00Z".into());
        }
        stage.site.publish(self.name, &document.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_103_a_wallet_looks_once_at_a_registrars_document_and_that_decides() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    let pin = offered.pin.clone().unwrap_or_default();
    stage.carnet(&["receive", &offered.uri, "--pin", &pin, "--yes"])?.ok()?;
    let registrar = Party::open(&stage, "register")?;
    stage.carnet(&["registrar", "add", registrar.did.as_str(), "--name", "Register on the web"])?.ok()?;
    let data = stage.agency.service.data.clone();
    let request = json::parse_object(&std::fs::read(data.join("registration-request.json"))?, Limits::DOCUMENT)?;
    let now = visitor::now();
    let request = RegistrationRequest::verify(&request, now, 60, &SelfContainedResolver)?;
    // Signing key, number of keys in the document, revocation of the last; the wallet's result.
    let cases = [
        (0, 1, false, None),
        (1, 1, false, Some("method_unknown")),
        (1, 2, false, None),
        (1, 2, true, Some("key_invalid")),
    ];
    for (key, keys, revoked, expected) in cases {
        let signer = registrar.keys.get(key).ok_or("there is no such key")?;
        let signed = Registration::issue(&request, &registrar.kid(key)?, signer, now, now.plus(30 * 86_400))?;
        std::fs::write(data.join("registration.json"), Value::Object(signed).to_string())?;
        registrar.publish(&stage, keys, revoked);
        stage.agency = stage.agency.restart()?;
        let looked = stage.site.document_requests(registrar.name);
        let consent = stage.carnet(&["present", &stage.request("work-permit-today")?.1])?.json()?;
        let registration = consent.get("registration").cloned().unwrap_or_default();
        let reason = registration.get("reason").and_then(Value::as_str);
        assert_eq!((reason, registration.get("registered")), (expected, Some(&expected.is_none().into())), "{consent}");
        assert_eq!(stage.site.document_requests(registrar.name), looked + 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_103_a_wallets_trust_list_is_judged_by_its_operators_documents_as_they_were_last() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    let operator = Party::open(&stage, "operator")?;
    let (list, file) = (Did::parse("did:web:trust.example")?, stage.folder.join("list.json").display().to_string());
    let held = || -> Result<bool> {
        let lists = stage.carnet(&["trust", "list"])?.ok()?.json()?;
        lists.pointer("/trust_lists/0/holds").and_then(Value::as_bool).ok_or_else(|| lists.to_string().into())
    };
    let put = |contents: &TrustListContents, key: usize| -> Result<Map<String, Value>> {
        let from = visitor::now().plus(-3_600);
        let draft = TrustList::draft(&list, contents, from, from.plus(30 * 86_400))?;
        let signer = operator.keys.get(key).ok_or("there is no such key")?;
        let signed = TrustList::sign(&draft, &operator.kid(key)?, signer, from)?;
        std::fs::write(&file, Value::Object(signed.clone()).to_string())?;
        Ok(signed)
    };
    let accreditation = Accreditation {
        types: vec![PERMIT.to_owned()],
        jurisdictions: None,
        max_level: None,
        epoch: None,
        from: visitor::now().plus(-86_400),
        until: None,
        withdrawal: None,
    };
    let entry = TrustListEntry {
        id: stage.authority.did.clone(),
        name: "Residency Authority".to_owned(),
        accreditations: vec![accreditation],
    };
    let first = TrustListContents::first_list(vec![entry], Vec::new());
    operator.publish(&stage, 1, false);
    let first = put(&first, 0)?;
    let did = operator.did.as_str();
    stage
        .carnet(&["trust", "add", "--list", &file, "--issuer", list.as_str(), "--operator", did, "--quorum", "1"])?
        .ok()?;
    assert!(held()?);
    // One by a key that the operator's document does not have changes nothing.
    put(&TrustList::preview(&first)?.next_contents(), 1)?;
    let too_few = |why: &str| -> Result<()> {
        let said = stage.carnet(&["trust", "update"])?.json()?;
        assert_eq!(reason(&said), Some("trust_list_quorum".to_owned()));
        // The operator and the fault of its proof are named.
        assert!(said.to_string().contains(why) && said.to_string().contains(did), "{said}");
        Ok(())
    };
    too_few("method_unknown")?;
    assert!(held()?);
    // Nor does a document that cannot be fetched.
    stage.site.publish(operator.name, "no document");
    assert!(reason(&stage.carnet(&["trust", "update"])?.json()?).is_some());
    assert!(held()?);
    // A verifier with the new key accepts the list by it.
    operator.publish(&stage, 2, false);
    stage.carnet(&["trust", "update"])?.ok()?;
    assert!(held()?);
    // A revoked key ends all that it signed, and not only later signatures.
    operator.publish(&stage, 2, true);
    too_few("key_invalid")?;
    assert!(!held()?);
    Ok(())
}

fn reason(said: &Value) -> Option<String> {
    said.pointer("/error/reason").and_then(Value::as_str).map(str::to_owned)
}
