//! Uses by serial: each once, in any copy, and two uses of one voucher cannot be linked.

use std::collections::BTreeSet;

use carnet_core::{
    format::CredentialFormat,
    keys::Signer as _,
    secure::sd_jwt::{IssueOptions, SdJwt, issue},
};
use carnet_service::time::now;
use rand_core::OsRng;
use serde_json::{Value, json};

use super::{
    redemption::{TYPE, ask, marks, world},
    world::{Asked, World, did, path},
};
use crate::{redemption::reconciliation::create_export, store::Store as _};

const SERIALS: [&str; 3] = ["q3Jm0dJ8Qn0Vb1xkT5yUOw", "2sGf7LrWcZe9hPiNaXtMuA", "b7Yt0Kq1Zr5LwVx9cTgJpQ"];

/// Issues a copy of the voucher that shows these of its serials.
fn copy(world: &World, shown: &[&str]) -> SdJwt {
    let known = world.verifier.verification.catalogue.credential_type(TYPE).unwrap();
    let mut document = known.example.as_object().unwrap().clone();
    let today = now().start_of_day();
    document.insert("issuer".into(), did(&world.issuer).into());
    document.insert("validFrom".into(), today.plus(-86_400).to_string().into());
    document.insert("validUntil".into(), today.plus(86_400 * 30).to_string().into());
    let subject = document["credentialSubject"].as_object_mut().unwrap();
    subject.insert("id".into(), did(&world.holder).into());
    subject.insert("redeemer".into(), world.verifier.identity.did.as_str().into());
    subject.insert("serials".into(), json!(SERIALS));
    let padded = known.serials.as_ref().unwrap().padded_array(CredentialFormat::VcSdJwt);
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &format!("{}#0", did(&world.issuer)),
        disclosable: &known.disclosable_claims,
        holder_key: Some(&world.holder.public_key()),
        ordered_claims: &known.ordered_claims,
        decoys_to_multiple_of: 4,
        padded_arrays: &[padded],
    };
    let whole = SdJwt::parse(&issue(&document, &options, &world.issuer, &mut OsRng).unwrap()).unwrap();
    let in_copy =
        whole.resolve_disclosures().unwrap().payload["credentialSubject"]["serials"].as_array().unwrap().clone();
    let place = |serial: &&str| {
        let at = in_copy.iter().position(|known| known == serial).unwrap();
        let array = path(&["credentialSubject", "serials"]);
        array.into_iter().chain([carnet_core::secure::sd_jwt::Step::Index(at)]).collect()
    };
    let claims = ["service", "redeemer"].map(|claim| path(&["credentialSubject", claim]));
    whole.select_claims(&shown.iter().map(place).chain(claims).collect::<Vec<_>>()).unwrap()
}

async fn visit(world: &World, shown: &[&str]) -> (Asked, carnet_proto::verifier::v1::SubmitPresentationResponse) {
    let asked = ask(world).await;
    let said = world.submit(&asked, world.bind(&copy(world, shown), &asked)).await.unwrap();
    (asked, said)
}

#[tokio::test]
async fn each_serial_is_used_once_whichever_copy_shows_it() {
    let world = world().await;
    for serial in SERIALS {
        let (asked, said) = visit(&world, &[serial]).await;
        let check = said.checks.iter().find(|check| check.name == "redemption").unwrap();
        assert_eq!((said.accepted, check.detail.as_str()), (true, "one use, by its serial"));
        let redemption = world.result(&asked.id).await.verdict.unwrap().redemption.unwrap();
        assert_eq!((redemption.number, redemption.of), (0, 0));
        let receipt: Value = serde_json::from_str(&said.receipt).unwrap();
        assert_eq!(receipt.pointer("/credentialSubject/redeemed"), Some(&json!({"query_id": "voucher"})));
    }
    for serial in SERIALS {
        let (_, said) = visit(&world, &[serial]).await;
        assert_eq!((said.accepted, said.reason.as_str()), (false, "entitlement_used"));
    }
    assert_eq!(marks(&world).await, 3);
}

#[tokio::test]
async fn several_serials_or_none_mark_nothing() {
    let world = world().await;
    let (_, said) = visit(&world, &SERIALS[..2]).await;
    assert_eq!((said.accepted, said.reason.as_str()), (false, "serials_several"));
    let (_, said) = visit(&world, &[]).await;
    assert_eq!((said.accepted, said.reason.as_str(), marks(&world).await), (false, "query_unmet", 0));
    // It used up none of them.
    assert!(visit(&world, &SERIALS[..1]).await.1.accepted);
}

/// About two uses of one voucher the store keeps nothing that only they share, and no serial.
#[tokio::test]
async fn two_uses_of_one_voucher_are_kept_as_those_of_two_vouchers() {
    let world = world().await;
    for serial in SERIALS {
        assert!(visit(&world, &[serial]).await.1.accepted);
    }
    let export = create_export(&world.verifier.store, "east", now()).await.unwrap();
    let digests: BTreeSet<_> = export.marks.iter().map(|(_, mark)| mark.entitlement).collect();
    let kept: BTreeSet<_> = export.marks.iter().map(|(_, mark)| (mark.uses, mark.erase_at)).collect();
    assert_eq!((digests.len(), kept.len()), (3, 1));
    world.verifier.store.purge_log().await;
    for entry in std::fs::read_dir(world.dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for serial in SERIALS {
            assert!(!bytes.windows(serial.len()).any(|window| window == serial.as_bytes()));
        }
    }
}
