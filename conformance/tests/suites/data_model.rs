//! vc-data-model-2.0, by section of VCDM 2.0.

use serde_json::{Value, json};

use crate::client::{EXAMPLES, Server, V2, minimal, with};

const PROFILES: [&str; 2] = ["eddsa-rdfc-2022", "eddsa-jcs-2022"];

/// Issues each of the first documents and verifies the result, and is refused each of the others.
#[track_caller]
fn judge(server: &Server, good: &[Value], bad: &[Value]) {
    for profile in PROFILES {
        for document in good {
            let issued = server.issue(profile, document);
            server.verifies(profile, &issued);
        }
        for document in bad {
            let response = server.try_issue(profile, document);
            assert_eq!(response.status, 400, "{profile} issued {document}");
        }
    }
}

/// Returns variants of the small credential, each with another value of a member; `None` removes it.
fn variants(member: &str, values: impl IntoIterator<Item = Value>) -> Vec<Value> {
    values.into_iter().map(|value| with(&minimal(), member, Some(value))).collect()
}

#[test]
fn section_4_3_contexts() {
    let server = Server::start();
    let good =
        variants("@context", [json!([V2]), json!([V2, EXAMPLES]), json!([V2, {"term": "https://example.com/term"}])]);
    let bad = variants(
        "@context",
        [
            json!([]),
            json!([EXAMPLES, V2]),
            json!([EXAMPLES]),
            json!([V2, 1]),
            json!([V2, "https ://not-a-url/"]),
            json!([V2, "https://unknown.example/v1"]),
        ],
    );
    judge(&server, &good, &bad);
    judge(&server, &[], &[with(&minimal(), "@context", None)]);
    let issued = server.issue("eddsa-rdfc-2022", &good[1]);
    assert_eq!(issued["@context"], json!([V2, EXAMPLES]));
}

#[test]
fn section_4_4_identifiers() {
    let server = Server::start();
    let good = variants(
        "id",
        [
            json!("did:example:1"),
            json!("https://example.com/1"),
            json!("urn:uuid:86294362-4254-4f36-854f-3952fe42555d"),
        ],
    );
    let bad = variants("id", [json!(null), json!([]), json!(["did:example:1"]), json!("not a url"), json!(1)]);
    judge(&server, &good, &bad);
    let subject = |id: Value| json!({"id": id, "name": "Alice"});
    let good = variants("credentialSubject", [subject(json!("did:example:1")), json!({"name": "Alice"})]);
    let bad = variants(
        "credentialSubject",
        [subject(json!(["did:example:1"])), subject(json!(null)), subject(json!("no url"))],
    );
    judge(&server, &good, &bad);
}

#[test]
fn section_4_5_types() {
    let server = Server::start();
    let typed =
        |contexts: Value, types: Value| with(&with(&minimal(), "@context", Some(contexts)), "type", Some(types));
    let inline = |url: &str| json!([V2, {"MyType": url}]);
    judge(
        &server,
        &[
            typed(json!([V2, EXAMPLES]), json!(["VerifiableCredential", "ExampleDegreeCredential"])),
            typed(json!([V2, EXAMPLES]), json!(["ExampleDegreeCredential", "VerifiableCredential"])),
            typed(inline("https://example.com/MyType"), json!(["VerifiableCredential", "MyType"])),
            typed(json!([V2]), json!(["VerifiableCredential", "https://example.com/MyType"])),
        ],
        &[
            with(&minimal(), "type", None),
            typed(json!([V2, EXAMPLES]), json!(["ExampleDegreeCredential"])),
            typed(json!([V2]), json!([])),
        ],
    );
    for (member, entry) in [
        ("credentialStatus", json!({"id": "https://example.com/status/1"})),
        ("termsOfUse", json!({"id": "https://example.com/terms/1"})),
        ("evidence", json!({"id": "https://example.com/evidence/1"})),
        ("refreshService", json!({"id": "https://example.com/refresh/1"})),
        ("credentialSchema", json!({"id": "https://example.com/schema/1"})),
    ] {
        judge(&server, &[], &variants(member, [entry]));
    }
}

#[test]
fn section_4_6_names_and_descriptions() {
    let server = Server::start();
    let english = json!({"@value": "A name", "@language": "en"});
    let arabic = json!({"@value": "اسم", "@language": "ar", "@direction": "rtl"});
    let extra = json!({"@value": "A name", "@language": "en", "url": "https://example.com"});
    for member in ["name", "description"] {
        let good = variants(member, [json!("A name"), english.clone(), arabic.clone(), json!([english, arabic])]);
        let bad = variants(member, [extra.clone(), json!([english, extra])]);
        judge(&server, &good, &bad);
        let issuer = |value: &Value| json!({"id": "did:example:issuer", member: value});
        let document = with(&minimal(), "issuer", Some(issuer(&english)));
        for profile in PROFILES {
            server.issue(profile, &document);
            let response = server.try_issue(profile, &with(&minimal(), "issuer", Some(issuer(&extra))));
            assert_eq!(response.status, 400, "{profile} {member}");
        }
    }
}

#[test]
fn section_4_8_subjects() {
    let server = Server::start();
    let good = variants("credentialSubject", [json!({"name": "Alice"}), json!([{"name": "Alice"}, {"name": "Bob"}])]);
    let bad = variants("credentialSubject", [json!({}), json!([]), json!([{"name": "Alice"}, {}])]);
    judge(&server, &good, &bad);
}

#[test]
fn section_4_9_validity() {
    let server = Server::start();
    for member in ["validFrom", "validUntil"] {
        let good = variants(
            member,
            [json!("2026-01-01T00:00:00Z"), json!("2026-01-01T00:00:00.123Z"), json!("2026-01-01T00:00:00-06:00")],
        );
        let bad = variants(
            member,
            [json!("2026-01-01"), json!("2026-01-01T00:00:00"), json!("yesterday"), json!(1), json!(null)],
        );
        judge(&server, &good, &bad);
    }
    let period = |from: &str, until: &str| {
        with(&with(&minimal(), "validFrom", Some(json!(from))), "validUntil", Some(json!(until)))
    };
    judge(
        &server,
        &[
            period("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            period("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            with(&minimal(), "validFrom", Some(json!("2999-01-01T00:00:00Z"))),
        ],
        &[period("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z")],
    );
}

#[test]
fn section_4_11_schemas() {
    let server = Server::start();
    let schema = json!({"id": "https://example.com/schema.json", "type": "JsonSchema"});
    let good = variants("credentialSchema", [schema.clone(), json!([schema, schema])]);
    let bad = variants(
        "credentialSchema",
        [with(&schema, "id", None), with(&schema, "type", None), with(&schema, "id", Some(json!("no url")))],
    );
    judge(&server, &good, &bad);
}

#[test]
fn section_5_2_contexts_do_not_redefine_protected_terms() {
    let server = Server::start();
    let inline = |contexts: Value| with(&minimal(), "@context", Some(contexts));
    let protected = json!({"@protected": true, "term": "https://example.com/term"});
    judge(
        &server,
        &[
            inline(json!([V2, {"another": "https://example.com/another"}])),
            inline(json!([V2, protected, {"another": "https://example.com/another"}])),
        ],
        &[
            inline(json!([V2, {"VerifiableCredential": "https://example.com/Other"}])),
            inline(json!([V2, protected, {"term": "https://example.com/other"}])),
        ],
    );
    for profile in PROFILES {
        let undefined = with(&minimal(), "undefinedTerm", Some(json!("x")));
        assert_eq!(server.try_issue(profile, &undefined).status, 400, "{profile}");
    }
}

#[test]
fn section_5_3_related_resources() {
    let server = Server::start();
    // SHA-256 of the context of VCDM 2.0.
    let right = "sha256-WZVc7WaXIb3j8rJVVf65McqxaEKEb1sVhvfWE3qt7JI=";
    let digest = "sha256-WZVc7WaX1h4Nvyt2VVv+twjrFoQoRvWxWG9/hzet7JI=";
    let resource = |id: Value, digest: Value| json!({"id": id, "digestSRI": digest});
    let unknown = resource(json!("https://example.com/picture.png"), json!(digest));
    let good = variants("relatedResource", [unknown.clone(), json!([unknown])]);
    let bad = variants(
        "relatedResource",
        [
            json!(["https://example.com/picture.png"]),
            with(&unknown, "id", None),
            with(&unknown, "digestSRI", None),
            json!([unknown, unknown]),
            resource(json!(V2), json!(right)),
        ],
    );
    judge(&server, &good, &bad);
}

#[test]
fn sections_5_4_to_5_6_services_terms_and_evidence() {
    let server = Server::start();
    let context = json!([V2, EXAMPLES]);
    let of =
        |member: &str, value: Value| with(&with(&minimal(), "@context", Some(context.clone())), member, Some(value));
    let refresh = json!({"type": "VerifiableCredentialRefreshService2021", "id": "https://example.com/refresh"});
    let terms = json!({"type": "TrustFrameworkPolicy"});
    let evidence = json!({"id": "https://example.com/evidence/1", "type": ["DocumentVerification"]});
    judge(
        &server,
        &[
            of("refreshService", json!({"type": "https://example.com/Refresh", "id": "https://example.com/refresh"})),
            of(
                "termsOfUse",
                json!([{"type": "https://example.com/Terms"}, {"type": "https://example.com/Terms", "id": "urn:terms:1"}]),
            ),
            of(
                "evidence",
                json!([{"type": ["https://example.com/Evidence"]}, {"type": ["https://example.com/Evidence"]}]),
            ),
        ],
        &[
            of("refreshService", with(&refresh, "type", None)),
            of("termsOfUse", with(&with(&terms, "type", None), "id", Some(json!("urn:terms:1")))),
            of("evidence", with(&evidence, "type", None)),
        ],
    );
}

#[test]
fn section_1_3_what_is_no_credential_is_refused() {
    let server = Server::start();
    for profile in PROFILES {
        let issued = server.issue(profile, &minimal());
        server.refuses(profile, &with(&issued, "proof", None));
        server.refuses(profile, &json!({"type": ["NonconformingDocument"]}));
        let body = json!({"verifiablePresentation": {"type": ["NonconformingDocument"]}, "options": {}});
        assert_eq!(server.post(&format!("/{profile}/presentations/verify"), &body).status, 400);
    }
}
