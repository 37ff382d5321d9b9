//! Digests of related resources (VCDM 2.0 section 5.3).

use super::*;

const URL: &str = "https://a.example/resource.json";

fn check(resource: Value) -> Result<(), Problem> {
    let mut document = object(credential());
    document.insert("relatedResource".to_owned(), resource);
    check_credential(&document, Stage::Unsecured)?;
    check_related_resources(&document, &[KnownResource::new(URL, b"{}\n")])
}

#[test]
fn a_digest_is_compared_with_the_resource() {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use sha2::{Digest as _, Sha256, Sha384};

    let sri = |content: &[u8]| format!("sha384-{}", STANDARD.encode(Sha384::digest(content)));
    let multihash = |content: &[u8]| [&[0x12, 32][..], &Sha256::digest(content)].concat();
    let base64url = |bytes: &[u8]| format!("u{}", URL_SAFE_NO_PAD.encode(bytes));
    let base58 = |bytes: &[u8]| format!("z{}", bs58::encode(bytes).into_string());
    let right: &[u8] = b"{}\n";
    let wrong: &[u8] = b"{ }\n";
    for (digest, is_right) in [(right, true), (wrong, false)] {
        let resources = [
            json!({"id": URL, "digestSRI": sri(digest)}),
            json!({"id": URL, "digestSRI": format!("sha256-AAAA {}", sri(digest))}),
            json!({"id": URL, "digestMultibase": base64url(&multihash(digest))}),
            json!({"id": URL, "digestMultibase": base58(&multihash(digest))}),
            json!({"id": URL, "digestMultibase": base64url(&Sha256::digest(digest))}),
            json!({"id": URL, "digestSRI": sri(right), "digestMultibase": base64url(&multihash(digest))}),
        ];
        for resource in resources {
            let result = check(json!([resource]));
            assert_eq!(result.is_ok(), is_right, "{resource}");
            if let Err(problem) = result {
                assert_eq!(problem.code, Code::MalformedValue);
            }
        }
    }
    // A multihash of another function or length has no digest of the resource in it.
    assert!(
        check(json!({"id": URL, "digestMultibase": base64url(&[&[0x13, 32][..], &Sha256::digest(right)].concat())}))
            .is_err()
    );
    // An unknown resource cannot be compared.
    check(json!({"id": "https://a.example/other", "digestSRI": sri(wrong)})).unwrap();
}

#[test]
fn the_base_context_is_known_in_its_published_versions() {
    let digest = |sri: &str, multibase: &str| {
        let mut document = object(credential());
        let resource = json!({"id": CONTEXT_V2, "digestSRI": sri, "digestMultibase": multibase});
        document.insert("relatedResource".to_owned(), json!([resource]));
        check_related_resources(&document, &KnownResource::published())
    };
    let recommendation = (
        "sha384-l/HrjlBCNWyAX91hr6LFV2Y3heB5Tcr6IeE4/Tje8YyzYBM8IhqjHWiWpr8+ZbYU",
        "uWZVc7WaX1h4D8rJVb-vlMIqxaEKEb1tYbX8fet7JJzQ",
    );
    let draft = (
        "sha384-NSOcNpmdIVUxIJGvGUoe22FjTWrXiaXlsZ8q6912LdnR3KraQO2n75Ica4wK4Qeg",
        "uJKGMkOmFbVJhEfKTduMC2XCyvRAYLjOVmZWwIH1wQ7k",
    );
    digest(recommendation.0, recommendation.1).unwrap();
    digest(draft.0, draft.1).unwrap();
    // Digests of two versions are those of no version.
    assert_eq!(code(digest(recommendation.0, draft.1)), Code::MalformedValue);
    assert_eq!(code(digest("sha384-AAAA", recommendation.1)), Code::MalformedValue);
}
