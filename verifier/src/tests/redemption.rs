//! Uses of vouchers over the wire: marked once, by the named redeemer, even with concurrent answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code,
    credential::CONTEXT_V2,
    did::Did,
    keys::{SecretKey, Signer as _},
    secure::{
        jose,
        sd_jwt::{IssueOptions, SdJwt, issue},
    },
};
use carnet_proto::verifier::v1::{CreateRequestRequest, RequestState, create_request_request::What};
use carnet_service::{keys::Keyring, time::now};
use rand_core::OsRng;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::world::{Asked, World, did, hours_ago, key, path, reason};
use crate::{
    config::IssuerEntry,
    redemption::{
        desks::{OtherDesk, OwnDesk, RedemptionConfig},
        export::DeskExport,
        reconciliation::{create_export, reconcile, write_off, written_off_desks},
    },
    retention::erase_expired,
    store::{MonthlyTotal, ReadUses as _, Store as _},
};

pub(super) const TYPE: &str = "EntitlementCredential";
const ID: &str = "q3Jm0dJ8Qn0Vb1xkT5yUO2sGf7LrWcZe9hPiNaXtMuE";
const CLAIMS: [&str; 4] = ["entitlementId", "service", "redeemer", "uses"];

async fn totals(world: &World) -> Vec<MonthlyTotal> {
    world.verifier.store.read().await.unwrap().totals().await.unwrap()
}

pub(super) async fn world() -> World {
    world_of(None).await
}

pub(super) async fn world_of(redemption: Option<RedemptionConfig>) -> World {
    World::with(|config| {
        for entry in &mut config.issuers {
            let IssuerEntry { types, .. } = entry;
            types.push(TYPE.to_owned());
        }
        config.redemption = redemption;
    })
    .await
}

pub(super) fn desk(offline_uses: u32) -> RedemptionConfig {
    RedemptionConfig { desk: "east".to_owned(), others: vec![other(&key(), "west")], offline_uses }
}

fn other(key: &SecretKey, name: &str) -> OtherDesk {
    OtherDesk { desk: name.to_owned(), key: key.public_key().to_multikey(), offline_uses: 5 }
}

pub(super) async fn ask(world: &World) -> Asked {
    let what = What::Template("museum-visit".to_owned());
    world.ask(CreateRequestRequest { what: Some(what), ..Default::default() }).await
}

/// Issues a copy of a voucher from before serials existed, with changed claims, all of them disclosed.
fn copy(world: &World, uses: u32, change: impl FnOnce(&mut Map<String, Value>)) -> SdJwt {
    let known = world.verifier.verification.catalogue.credential_type(TYPE).unwrap();
    let mut document = known.example.as_object().unwrap().clone();
    let today = now().start_of_day();
    document.insert("issuer".into(), did(&world.issuer).into());
    document.insert("validFrom".into(), today.plus(-86_400).to_string().into());
    document.insert("validUntil".into(), today.plus(86_400 * 30).to_string().into());
    document.insert("@context".into(), json!([CONTEXT_V2, known.former_versions[0].context_url]));
    let subject = document["credentialSubject"].as_object_mut().unwrap();
    subject.remove("serials");
    subject.insert("entitlementId".into(), ID.into());
    subject.insert("id".into(), did(&world.holder).into());
    subject.insert("redeemer".into(), world.verifier.identity.did.as_str().into());
    subject.insert("uses".into(), uses.into());
    change(subject);
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &format!("{}#0", did(&world.issuer)),
        disclosable: &known.disclosable_claims,
        holder_key: Some(&world.holder.public_key()),
        ordered_claims: &known.ordered_claims,
        decoys_to_multiple_of: 0,
        padded_arrays: &[],
    };
    let copy = SdJwt::parse(&issue(&document, &options, &world.issuer, &mut OsRng).unwrap()).unwrap();
    copy.select_claims(&CLAIMS.map(|claim| path(&["credentialSubject", claim]))).unwrap()
}

/// Signs the same copy as an issuer that writes a disclosure in another form than RFC 8785.
fn respelled(world: &World, copy: &SdJwt, from: &str, to: &str) -> SdJwt {
    let digest = |disclosure: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(disclosure));
    let text = copy.to_string();
    let plain =
        |disclosure: &&str| URL_SAFE_NO_PAD.decode(disclosure).is_ok_and(|text| text.ends_with(from.as_bytes()));
    let old = text.split('~').skip(1).find(plain).unwrap();
    let written = String::from_utf8(URL_SAFE_NO_PAD.decode(old).unwrap()).unwrap().replace(from, to);
    let new = URL_SAFE_NO_PAD.encode(written);
    let payload = Value::Object(copy.jws().payload().clone()).to_string().replace(&digest(old), &digest(&new));
    let payload: Value = serde_json::from_str(&payload).unwrap();
    let signed = jose::sign(copy.jws().header().clone(), payload.as_object().unwrap(), &world.issuer).unwrap();
    SdJwt::parse(&text.replace(copy.jws().as_str(), &signed).replace(old, &new)).unwrap()
}

#[tokio::test]
async fn a_number_of_uses_counts_however_it_is_written() {
    let world = world().await;
    for (form, reason) in [(",2]", ""), (",2.0]", ""), (",2e0]", "entitlement_used")] {
        let asked = ask(&world).await;
        let copy = respelled(&world, &copy(&world, 2, |_| {}), ",2]", form);
        let said = world.submit(&asked, world.bind(&copy, &asked)).await.unwrap();
        assert_eq!(said.reason, reason, "{form}");
    }
    // The type's schema does not allow a fraction as the number of uses.
    let asked = ask(&world).await;
    let copy = respelled(&world, &copy(&world, 2, |_| {}), ",2]", ",2.5]");
    World::refused(world.submit(&asked, world.bind(&copy, &asked)).await, "schema_violation");
}

fn answer(world: &World, asked: &Asked, uses: u32) -> String {
    world.bind(&copy(world, uses, |_| {}), asked)
}

/// Presents one more copy, and returns the verdict's reason, and the use and the total.
pub(super) async fn visit(world: &World, uses: u32) -> (String, Option<(u32, u32)>) {
    let asked = ask(world).await;
    let said = world.submit(&asked, answer(world, &asked, uses)).await.unwrap();
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    assert_eq!((said.accepted, &said.reason), (verdict.accepted, &verdict.reason));
    (verdict.reason, verdict.redemption.map(|used| (used.number, used.of)))
}

pub(super) async fn marks(world: &World) -> usize {
    create_export(&world.verifier.store, "east", now()).await.unwrap().marks.len()
}

#[tokio::test]
async fn each_use_counts_whichever_copy_shows_it_and_the_answer_says_which_it_is() {
    let world = world().await;
    for number in 1..=3 {
        let asked = ask(&world).await;
        let said = world.submit(&asked, answer(&world, &asked, 3)).await.unwrap();
        let check = said.checks.iter().find(|check| check.name == "redemption").unwrap();
        assert_eq!((said.accepted, check.detail.as_str()), (true, format!("use {number} of 3").as_str()));
        let redemption = world.result(&asked.id).await.verdict.unwrap().redemption.unwrap();
        assert_eq!((redemption.number, redemption.of), (number, 3));
        // The holder's receipt states it.
        let receipt: Value = serde_json::from_str(&said.receipt).unwrap();
        let redeemed = receipt.pointer("/credentialSubject/redeemed");
        assert_eq!(redeemed, Some(&json!({"query_id": "voucher", "number": number, "of": 3})));
    }
    assert_eq!(visit(&world, 3).await, ("entitlement_used".to_owned(), None));
    // A copy with more uses is used at most as often as it states, and another voucher has its own count.
    assert_eq!(visit(&world, 4).await, (String::new(), Some((4, 4))));
    let asked = ask(&world).await;
    let other =
        copy(&world, 1, |subject| drop(subject.insert("entitlementId".into(), "another-voucher-of-theirs".into())));
    World::accepted(world.submit(&asked, world.bind(&other, &asked)).await);
}

#[tokio::test]
async fn only_the_redeemer_that_is_named_marks_a_use() {
    let world = world().await;
    let asked = ask(&world).await;
    let other = copy(&world, 1, |subject| drop(subject.insert("redeemer".into(), did(&key()).into())));
    World::refused(world.submit(&asked, world.bind(&other, &asked)).await, "redeemer_other");
    let result = world.result(&asked.id).await;
    assert_eq!((result.state, marks(&world).await), (RequestState::Refused.into(), 0));
    assert!(result.verdict.unwrap().credentials.is_empty());
    World::accepted(world.submit(&asked, answer(&world, &asked, 1)).await);
    assert_eq!(marks(&world).await, 1);
}

#[tokio::test]
async fn an_answer_that_is_sent_again_counts_once() {
    let world = world().await;
    let asked = ask(&world).await;
    let text = answer(&world, &asked, 2);
    World::accepted(world.submit(&asked, text.clone()).await);
    assert_eq!(reason(world.submit(&asked, text).await), "NONCE_REPLAYED");
    assert_eq!(marks(&world).await, 1);
    // An invalid credential marks nothing.
    let asked = ask(&world).await;
    let stale = copy(&world, 2, |_| {}).bind_key("another-nonce", &asked.audience, now(), &world.holder).unwrap();
    World::refused(world.submit(&asked, stale).await, "challenge_mismatch");
    assert_eq!(marks(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_as_many_succeed_as_there_are_uses() {
    let world = Arc::new(world().await);
    for (uses, comers) in [(1, 2), (1, 8), (3, 8)] {
        let id = format!("voucher-{uses}-of-{comers}-at-once");
        let mut answers = Vec::new();
        for _ in 0..comers {
            let asked = ask(&world).await;
            let one = copy(&world, uses, |subject| drop(subject.insert("entitlementId".into(), json!(id))));
            answers.push((world.bind(&one, &asked), asked));
        }
        let tasks: Vec<_> = answers
            .into_iter()
            .map(|(text, asked)| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    let said = world.submit(&asked, text).await.unwrap();
                    (said.reason, world.result(&asked.id).await.verdict.unwrap().redemption.map(|used| used.number))
                })
            })
            .collect();
        let mut numbers = BTreeSet::new();
        let mut refused = 0;
        for task in tasks {
            match task.await.unwrap() {
                (reason, Some(number)) if reason.is_empty() => assert!(numbers.insert(number)),
                (reason, number) => {
                    assert_eq!((reason.as_str(), number), ("entitlement_used", None));
                    refused += 1;
                }
            }
        }
        assert_eq!((numbers, refused), ((1..=uses).collect(), comers - uses));
    }
}

#[tokio::test]
async fn the_id_is_nowhere_and_a_mark_is_gone_at_its_end() {
    let world = world().await;
    assert_eq!(visit(&world, 2).await.1, Some((1, 2)));
    for entry in std::fs::read_dir(world.dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(ID.len()).any(|window| window == ID.as_bytes()));
    }
    let end = now().start_of_day().plus(86_400 * 60);
    erase_expired(&world.verifier.store, end.plus(-1)).await.unwrap();
    assert_eq!(marks(&world).await, 1);
    erase_expired(&world.verifier.store, end).await.unwrap();
    assert_eq!(marks(&world).await, 0);
    // Numbers of marks are not reused.
    assert_eq!(visit(&world, 2).await.1, Some((1, 2)));
    assert_eq!(create_export(&world.verifier.store, "east", now()).await.unwrap().marks[0].0, 2);
}

/// DeskExport of a desk without marks.
fn empty(desk: &str) -> DeskExport {
    let (desk, made_at) = (desk.to_owned(), now());
    DeskExport {
        desk,
        number: 1,
        created_at: made_at,
        last_mark: 0,
        reconciled_mark: 0,
        imported_exports: BTreeMap::new(),
        marks: Vec::new(),
    }
}

#[tokio::test]
async fn a_desk_marks_a_bounded_number_between_reconciliations() {
    let world = world_of(Some(desk(2))).await;
    // Requested before the bound is reached, answered after.
    let asked = ask(&world).await;
    for number in [1, 2] {
        assert_eq!(visit(&world, 9).await.1, Some((number, 9)));
    }
    let said = world.submit(&asked, answer(&world, &asked, 9)).await.unwrap();
    assert_eq!((said.accepted, said.reason.as_str()), (false, "reconciliation_due"));
    assert!(!said.receipt.is_empty(), "what was shown is receipted all the same");
    let verdict = world.result(&asked.id).await.verdict.unwrap();
    assert_eq!((verdict.accepted, verdict.reason.as_str(), marks(&world).await), (false, "reconciliation_due", 2));
    // From then on no request is created; templates without uses continue to work.
    let create = async |template: &str| {
        let what = Some(What::Template(template.to_owned()));
        world.staff().create_request(CreateRequestRequest { what, ..Default::default() }).await
    };
    assert_eq!(reason(create("museum-visit").await), "RECONCILIATION_DUE");
    assert!(create("job-right-to-work").await.is_ok());
    let west_at = |number, made_at| DeskExport { number, created_at: made_at, ..empty("west") };
    let west = |number| west_at(number, now().plus(1));
    let take = async |exports: &[DeskExport]| {
        let others = ["west".to_owned()];
        reconcile(&world.verifier.store, "east", &others, exports, now()).await.unwrap()
    };
    // Without an export, or with one that is no newer, there is no contact.
    assert!(!take(&[]).await.is_complete);
    assert!(take(&[west(1)]).await.is_complete);
    World::accepted(world.submit(&asked, answer(&world, &asked, 9)).await);
    assert_eq!(visit(&world, 9).await.1, Some((4, 9)));
    assert!(!take(&[west(1)]).await.is_complete);
    assert_eq!(reason(create("museum-visit").await), "RECONCILIATION_DUE");
    // Nor with one made before the last reconciliation and held back until now.
    assert!(!take(&[west_at(2, hours_ago(1))]).await.is_complete);
    assert_eq!(reason(create("museum-visit").await), "RECONCILIATION_DUE");
    assert!(take(&[west(3)]).await.is_complete);
    assert_eq!(visit(&world, 9).await.1, Some((5, 9)));
}

#[tokio::test]
async fn desks_find_and_name_double_use_and_count_each_others_marks() {
    let (east, west) = (world_of(Some(desk(5))).await, world_of(Some(desk(5))).await);
    assert_eq!(visit(&east, 1).await.1, Some((1, 1)));
    assert_eq!(marks(&west).await, 0);
    // The same voucher at the other desk, which does not know of the uses yet. Only its mark matters here.
    let mut export = create_export(&east.verifier.store, "west", now()).await.unwrap();
    assert_eq!(export.marks.len(), 1);
    let others = ["west".to_owned()];
    let double =
        reconcile(&east.verifier.store, "east", &others, std::slice::from_ref(&export), now()).await.unwrap().overused;
    assert_eq!((double.len(), double[0].uses), (1, 1));
    let desks: Vec<&str> = double[0].marks.iter().map(|(desk, _)| desk.as_str()).collect();
    assert_eq!((desks, &double[0].entitlement[..]), (vec!["", "west"], &export.marks[0].1.entitlement[..]));
    // Imported again, it counts once.
    let again = reconcile(&east.verifier.store, "east", &others, std::slice::from_ref(&export), now()).await.unwrap();
    assert_eq!((again.overused[0].marks.len(), again.newer_exports.len()), (2, 0));
    // A different mark under the same number means two desks with one name.
    export.marks[0].1.uses = 2;
    assert!(reconcile(&east.verifier.store, "east", &others, std::slice::from_ref(&export), now()).await.is_err());
    // A desk that imports a mark first refuses the used-up voucher.
    export.marks[0].1.uses = 1;
    let from_east = DeskExport { desk: "east".to_owned(), ..export };
    let taken = reconcile(&west.verifier.store, "west", &["east".to_owned()], &[from_east], now()).await.unwrap();
    assert!(taken.is_complete && taken.overused.is_empty());
}

/// Creates a desk with this key, of the verifier's organisation.
fn signing(world: &World, key: SecretKey) -> OwnDesk {
    OwnDesk { organisation: world.verifier.identity.did.clone(), key: Keyring::from_signer(Box::new(key)) }
}

#[tokio::test]
async fn an_export_holds_as_its_desk_signed_it_and_no_other() {
    let world = world_of(Some(desk(5))).await;
    for _ in 0..3 {
        visit(&world, 9).await;
    }
    let (east, west) = (key(), key());
    let (own, other) = (east.public_key(), west.public_key());
    let did = &world.verifier.identity.did;
    let keys = |name: &str| match name {
        "east" => Some(own.clone()),
        "west" => Some(other.clone()),
        _ => None,
    };
    let export = create_export(&world.verifier.store, "east", now()).await.unwrap();
    assert_eq!((export.last_mark, export.reconciled_mark, export.unreconciled_uses()), (3, 0, 3));
    let east = signing(&world, east);
    let text = export.sign(&east).unwrap();
    assert_eq!(DeskExport::verify(&text, did, keys).unwrap(), export);
    assert!(!text.contains(ID));
    let line = text.lines().last().unwrap();
    let swapped = text.replace(" 9 ", " 8 ");
    for wrong in
        [text.replace(line, ""), format!("{text}{line}\n"), swapped, text.replacen("ey", "eY", 1), String::new()]
    {
        assert!(DeskExport::verify(&wrong, did, keys).is_err(), "{wrong}");
    }
    let code = |text: &str, did: &Did| DeskExport::verify(text, did, keys).unwrap_err().code;
    // The other desk signs as itself, not as this one; an unconfigured desk cannot sign at all.
    let west = signing(&world, west);
    assert_eq!(code(&export.sign(&west).unwrap(), did), Code::SignatureInvalid);
    assert!(DeskExport::verify(&empty("west").sign(&west).unwrap(), did, keys).is_ok());
    assert_eq!(code(&empty("west").sign(&east).unwrap(), did), Code::SignatureInvalid);
    assert_eq!(code(&empty("north").sign(&east).unwrap(), did), Code::MethodUnknown);
    // Nor can any other key, such as the one for holders, which every desk has.
    let shared = signing(&world, key());
    assert_eq!(code(&export.sign(&shared).unwrap(), did), Code::SignatureInvalid);
    assert_eq!(code(&text, &Did::parse("did:web:another.example").unwrap()), Code::IssuerMismatch);
}

#[tokio::test]
async fn a_desk_that_is_written_off_stalls_nobody_and_what_it_may_have_done_is_counted() {
    let world = world_of(Some(desk(2))).await;
    let store = &world.verifier.store;
    let others = ["west", "north"].map(str::to_owned);
    let take = async |exports: &[DeskExport]| reconcile(store, "east", &others, exports, now()).await;
    for number in [1, 2] {
        assert_eq!(visit(&world, 9).await.1, Some((number, 9)));
    }
    assert_eq!(visit_due(&world).await, "RECONCILIATION_DUE");
    // West had marked one use since its reconciliation, and had imported this desk's first of two exports.
    create_export(store, "east", now()).await.unwrap();
    create_export(store, "east", now()).await.unwrap();
    let west = DeskExport {
        last_mark: 4,
        reconciled_mark: 3,
        imported_exports: [("east".to_owned(), 1)].into(),
        ..empty("west")
    };
    assert!(!take(&[west]).await.unwrap().is_complete);
    let gone = write_off(store, "west", 5, now()).await.unwrap();
    // Four of its bound of five, and five more if it imported the second export and was reconciled by it.
    assert_eq!((gone.last_mark, gone.max_unseen_uses), (4, 9));
    // The first write-off counts, and a later bound changes nothing.
    assert_eq!(write_off(store, "west", 500, now().plus(60)).await.unwrap(), gone);
    assert_eq!(written_off_desks(store).await.unwrap(), [gone]);
    // North is enough to reconcile; exports in west's name are refused.
    assert!(take(&[DeskExport { number: 2, created_at: now().plus(1), ..empty("west") }]).await.is_err());
    assert!(take(&[DeskExport { created_at: now().plus(1), ..empty("north") }]).await.unwrap().is_complete);
    assert_eq!(visit(&world, 9).await.1, Some((3, 9)));
}

/// Returns the reason why no request is created.
async fn visit_due(world: &World) -> String {
    let what = Some(What::Template("museum-visit".to_owned()));
    reason(world.staff().create_request(CreateRequestRequest { what, ..Default::default() }).await)
}

#[tokio::test]
async fn totals_count_every_use_once_by_template_issuer_service_and_month() {
    let world = world().await;
    for _ in 0..3 {
        visit(&world, 3).await;
    }
    assert_eq!(visit(&world, 3).await.0, "entitlement_used");
    // Another service, by the same template.
    let asked = ask(&world).await;
    let other = copy(&world, 1, |subject| {
        subject.insert("entitlementId".into(), ID.chars().rev().collect::<String>().into());
        subject.insert("service".into(), "A swim".into());
    });
    assert!(world.submit(&asked, world.bind(&other, &asked)).await.unwrap().accepted);
    let example = &world.verifier.verification.catalogue.credential_type(TYPE).unwrap().example;
    let of_visits = example["credentialSubject"]["service"].as_str().unwrap();
    let month: String = now().to_string().chars().take(7).collect();
    let total = |service: &str, uses| MonthlyTotal {
        template: "museum-visit".to_owned(),
        issuer: did(&world.issuer),
        service: service.to_owned(),
        month: month.clone(),
        uses,
    };
    let mut expected = [total(of_visits, 3), total("A swim", 1)];
    expected.sort_by(|one, other| one.service.cmp(&other.service));
    assert_eq!(totals(&world).await, expected);
    // Totals outlive the marks.
    erase_expired(&world.verifier.store, now().plus(86_400 * 90)).await.unwrap();
    assert_eq!((marks(&world).await, totals(&world).await.len()), (0, 2));
}
