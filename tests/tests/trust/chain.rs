//! Succession of trust lists: by its proofs, its ancestors, its number, and its operators.

use super::*;

/// Spoils the proofs of these operators: each gets another one's value.
fn spoiled(list: &str, out: &str, operators: &[&String]) -> Result<()> {
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(list)?)?;
    let proofs = document.get_mut("proof").and_then(Value::as_array_mut).ok_or("the list has no proofs")?;
    let by = |proof: &Value, did: &str| text(proof, "verificationMethod").starts_with(did);
    let other = proofs.iter().find(|proof| !operators.iter().any(|did| by(proof, did))).ok_or("none is left")?;
    let value = other.get("proofValue").cloned().ok_or("a proof has no value")?;
    for proof in proofs.iter_mut().filter(|proof| operators.iter().any(|did| by(proof, did))) {
        proof.as_object_mut().ok_or("a proof is no object")?.insert("proofValue".to_owned(), value.clone());
    }
    std::fs::write(out, document.to_string())?;
    Ok(())
}

/// Decision of a verifier that knows no list, and what the wallet says of it.
fn taken(stage: &Stage, desk: &Desk<'_>, short: &str, list: &str, degree: &str) -> Result<((bool, String, u64), Said)> {
    let office = desk.verifier(short, list)?;
    let added = pin(stage, desk, list)?;
    Ok((admission(stage, &office, degree)?, added))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_fails_is_ignored_while_enough_hold() -> Result<()> {
    let stage = Stage::set(false).await?;
    let desk = Desk::open(&stage, "desk")?;
    desk.first("list-1", &[])?;
    desk.next("list-1", "list-2", &["a", "b", "c", "d"], &[])?;
    let degree = wallet_with_degree(&stage)?;
    let [_, _, c, d] = desk.operators() else { return Err("not four operators".into()) };
    // Three of four are left.
    let three = desk.path("three");
    spoiled(&desk.path("list-2"), &three, &[d])?;
    let (decision, added) = taken(&stage, &desk, "library", &three, &degree)?;
    assert_eq!(decision, expected(true, "accredited", 2));
    let failed = added.ok()?.json()?.pointer("/added/failed_proofs").cloned().unwrap_or_default();
    let operators: Vec<&Value> =
        failed.as_array().into_iter().flatten().filter_map(|one| one.get("operator")).collect();
    assert_eq!(operators, [&json!(d)], "{failed}");
    // Two, of whom three must sign.
    let two = desk.path("two");
    spoiled(&desk.path("list-2"), &two, &[c, d])?;
    let (decision, added) = taken(&stage, &desk, "archive", &two, &degree)?;
    assert_eq!(decision, expected(false, "trust_list_quorum", 0));
    assert_eq!((added.code, reason(&added)?), (1, "trust_list_quorum".to_owned()), "{added:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_descend_from_what_was_signed_is_not_signed() -> Result<()> {
    let stage = Stage::set(false).await?;
    let desk = Desk::open(&stage, "desk")?;
    desk.first("list-1", &[])?;
    // Operators b, c and d sign list 2, and a does not see it.
    desk.next("list-1", "list-2", &["b", "c", "d"], &[])?;
    desk.draft("list-1", "rival", &["--number", "3", "--days", "20"])?;
    let (rival, first) = (desk.path("rival.draft"), desk.path("list-1"));
    let sign = |operator: &str, out: &str| desk.sign(operator, &rival, Some(&first), &desk.path(out));
    let data = desk.path("b");
    let refused = desk.trust(&["sign", "--data", &data, &rival, "--previous", &first])?;
    assert_eq!((refused.code, reason(&refused)?), (1, "trust_list_conflict".to_owned()), "{refused:?}");
    assert!(sign("b", "rival.b").is_err());
    // The list that a signed is an ancestor of it, and of the list after list 2.
    sign("a", "rival.a")?;
    desk.next("list-2", "list-3", &["b", "c", "d"], &[])?;
    let descended = desk.sign("d", &desk.path("list-3.b"), Some(&desk.path("list-2")), &desk.path("list-3.d"));
    assert!(descended.is_ok(), "the same list once more: {descended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_numbers_is_refused_and_has_its_way_back() -> Result<()> {
    let stage = Stage::set(false).await?;
    let desk = Desk::open(&stage, "desk")?;
    desk.first("list-1", &[])?;
    desk.publish("list-1")?.ok()?;
    let degree = wallet_with_degree(&stage)?;
    let library = desk.verifier("library", &desk.published())?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1));
    pin(&stage, &desk, &desk.published())?.ok()?;
    // Each jumps by less than a thousand, and both together by more.
    desk.strike("list-1", "list-900", &["--number", "900"])?;
    desk.strike("list-900", "list-1800", &["--number", "1800"])?;
    copy(&desk.path("list-1800"), &desk.published())?;
    let library = library.restart()?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1));
    let refused = wallet(&stage, &["trust", "update"])?;
    assert_eq!((refused.code, reason(&refused)?), (1, "trust_list_jump".to_owned()), "{refused:?}");
    assert!(refused.stdout.contains("--accept DIGEST"), "{refused:?}");

    // Its operators say that it counts: both continue from it.
    let digest = text(&desk.trust(&["explain", &desk.path("list-1800")])?.ok()?.json()?, "digest");
    let data = library.service.data.display().to_string();
    programs::run("carnet-verifier", ["trust", "--data", &data, "--accept", &digest, "--json"], &[])?;
    let library = library.restart()?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1800));
    let updated = wallet(&stage, &["trust", "update", "--accept", &digest])?.ok()?.json()?;
    assert_eq!(updated.pointer("/updated/0/sequence"), Some(&json!(1800)), "{updated}");

    // Whoever saw the one between needed no word.
    copy(&desk.path("list-900"), &desk.published())?;
    let archive = desk.verifier("archive", &desk.published())?;
    assert_eq!(admission(&stage, &archive, &degree)?, expected(true, "accredited", 900));
    copy(&desk.path("list-1800"), &desk.published())?;
    let archive = archive.restart()?;
    assert_eq!(admission(&stage, &archive, &degree)?, expected(true, "accredited", 1800));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_change_in_band_and_those_who_missed_it_walk_the_history() -> Result<()> {
    let stage = Stage::set(false).await?;
    let (desk, others) = (Desk::open(&stage, "desk")?, Desk::open(&stage, "others")?);
    desk.first("list-1", &[])?;
    desk.publish("list-1")?.ok()?;
    let degree = wallet_with_degree(&stage)?;
    let library = desk.verifier("library", &desk.published())?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(true, "accredited", 1));
    pin(&stage, &desk, &desk.published())?.ok()?;

    // List 2 names the others, and both quorums sign it.
    let named: Vec<&str> = others.operators().iter().flat_map(|did| ["--new-operator", did.as_str()]).collect();
    let named = [named.as_slice(), &["--new-quorum", "3"]].concat();
    desk.next("list-1", "by-old", &["b", "c", "d"], &named)?;
    let (first, mut signed) = (desk.path("list-1"), desk.path("by-old"));
    for operator in ["a", "b", "c"] {
        let out = if operator == "c" { desk.path("list-2") } else { desk.path(&format!("by-{operator}")) };
        others.sign(operator, &signed, Some(&first), &out)?;
        signed = out;
    }
    // By the old quorum alone nobody is named.
    let half = desk.publish("by-old")?;
    assert_eq!((half.code, reason(&half)?), (1, "trust_list_quorum".to_owned()), "{half:?}");
    desk.publish("list-2")?.ok()?;

    // List 3 strikes the university off, signed by the new quorum; the old one's list 3 no longer counts.
    desk.draft("list-2", "list-3", &["--strike", &stage.university.did, "--on", &today()?, "--earlier", "fall"])?;
    let (second, mut signed) = (desk.path("list-2"), desk.path("list-3.draft"));
    for operator in ["a", "b", "c"] {
        let out = if operator == "c" { desk.path("list-3") } else { desk.path(&format!("list-3.{operator}")) };
        others.sign(operator, &signed, Some(&second), &out)?;
        signed = out;
    }
    desk.next("list-2", "theirs", &["b", "c", "d"], &["--days", "20"])?;
    let verify = |list: &str| desk.pinned(&["verify", &desk.path(list), "--list", LIST], &["list-2"]);
    let refused = verify("theirs")?;
    assert_eq!((refused.code, reason(&refused)?), (1, "trust_list_quorum".to_owned()), "{refused:?}");
    verify("list-3")?.ok()?;
    desk.publish_after("list-3", &["list-2"])?.ok()?;

    // Both missed list 2, and find it in the history beside list 3.
    let library = library.restart()?;
    assert_eq!(admission(&stage, &library, &degree)?, expected(false, "fallen", 3));
    let updated = wallet(&stage, &["trust", "update"])?.ok()?.json()?;
    assert_eq!(updated.pointer("/updated/0/sequence"), Some(&json!(3)), "{updated}");
    // Without it nothing leads from the operators who are pinned to those who signed.
    std::fs::remove_file(desk.path("site/history/002.json"))?;
    let archive = desk.verifier("archive", &desk.published())?;
    assert_eq!(admission(&stage, &archive, &degree)?, expected(false, "trust_list_quorum", 0));
    Ok(())
}
