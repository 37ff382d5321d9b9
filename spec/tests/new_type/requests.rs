//! Request templates beside a new type.

use super::*;

#[test]
fn requests_are_held_to_the_catalogue() {
    for (from, to, says) in [
        ("cefrLevel", "grade", "has no claim"),
        ("urn:example:language:1", "urn:example:language:2", "not in the catalogue"),
        (",\"claims\":[{\"path\":[\"cefrLevel\"]}]", "", "names no claims"),
        ("\"id\":\"language\"", "\"id\":\"\"", "not a query"),
        ("id = \"integration-course\"", "id = \"other\"", "not the file's name"),
        ("en = \"To find the course that fits you.\"", "de = \"Um den passenden Kurs zu finden.\"", "[purpose] lacks"),
    ] {
        assert!(REQUEST.contains(from), "{from}");
        let message = refused("requests/integration-course.toml", &REQUEST.replace(from, to));
        assert!(message.contains(says), "{message}");
    }
    let dir = folder();
    write(dir.path(), "types/language/type.toml", &never_mandatory());
    for asked in ["[\"cefrLevel\"]", "[\"cefrLevel\"], \"carnet_at_least\": \"B1\""] {
        write(dir.path(), "requests/integration-course.toml", &REQUEST.replace("[\"cefrLevel\"]", asked));
        assert!(Catalogue::load(dir.path()).unwrap_err().to_string().contains("makes a claim a condition"), "{asked}");
    }
    let optional = REQUEST
        .replace(
            "{\"path\":[\"cefrLevel\"]}",
            "{\"id\":\"l\",\"path\":[\"cefrLevel\"]},{\"id\":\"n\",\"path\":[\"language\"]}",
        )
        .replace("}]}]}'", "}],\"claim_sets\":[[\"l\",\"n\"],[\"n\"]]}]}'");
    write(dir.path(), "requests/integration-course.toml", &optional);
    Catalogue::load(dir.path()).unwrap();
}

#[test]
fn thresholds_are_asked_of_claims_that_have_that_order() {
    let asking = |of: &str, bound: &str| {
        REQUEST.replace("{\"path\":[\"cefrLevel\"]}", &format!("{{\"path\":[\"{of}\"],{bound}}}"))
    };
    let load = |request: &str| {
        let dir = folder();
        write(dir.path(), "requests/integration-course.toml", request);
        Catalogue::load(dir.path()).map_err(|error| error.to_string())
    };
    load(&asking("cefrLevel", "\"carnet_at_least\":\"B1\"")).unwrap();
    for (of, bound) in [
        ("cefrLevel", "\"carnet_at_most\":\"B1\""),
        ("cefrLevel", "\"carnet_at_least\":3"),
        ("cefrLevel", "\"carnet_at_least\":\"today\""),
        ("cefrLevel", "\"carnet_at_least\":\"2027-01-01\""),
        ("language", "\"carnet_at_least\":\"B1\""),
    ] {
        assert!(load(&asking(of, bound)).unwrap_err().contains("proves no such threshold"), "{of} {bound}");
    }
    let whole = asking("cefrLevel", "\"carnet_at_least\":\"B1\"")
        .replace("dc+sd-jwt", "di_vc+jcs")
        .replace("\"vct_values\":[\"urn:example:language:1\"]", &format!("\"type_values\":[[\"{NAME}\"]]"))
        .replace("[\"cefrLevel\"]", "[\"credentialSubject\",\"cefrLevel\"]");
    assert!(load(&whole).unwrap_err().contains("proves no such threshold"), "the format hides nothing");
    load(&whole.replace(",\"carnet_at_least\":\"B1\"", "")).unwrap();
    for bound in ["today-18m", "today+10y", "today-126y", "2079-06-07"] {
        let message = load(&asking("cefrLevel", &format!("\"carnet_at_least\":\"{bound}\""))).unwrap_err();
        assert!(message.contains("is not a query on"), "{message}");
    }
    // Commitments are never asked for by themselves.
    assert!(load(&REQUEST.replace("[\"cefrLevel\"]", "[\"cefrLevelAtLeast\"]")).unwrap_err().contains("has no claim"));
}

#[test]
fn how_old_a_status_list_may_be_is_bounded() {
    let load = |seconds: &str| {
        let dir = folder();
        let text = format!("stale_status_seconds = {seconds}\n{REQUEST}");
        write(dir.path(), "requests/integration-course.toml", &text);
        let catalogue = Catalogue::load(dir.path());
        catalogue
            .map(|catalogue| catalogue.template("integration-course").map(|template| template.max_stale_status_seconds))
    };
    let by_default = Catalogue::load(folder().path()).unwrap();
    assert_eq!(by_default.template("integration-course").unwrap().max_stale_status_seconds, 0);
    assert_eq!(load("2592000").unwrap(), Some(2_592_000));
    for wrong in ["2592001", "-1", "1.5", "\"a day\""] {
        assert!(load(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_kept_is_asked_for_has_a_reason_and_an_end() {
    const KEEP: &str = r#"
[[keep]]
credential = "language"
path = "cefrLevel"
days = 3650
why = { en = "To show who was let in.", de = "Als Nachweis der Zulassung." }
"#;
    let load = |request: &str, type_toml: &str| {
        let dir = folder();
        write(dir.path(), "requests/integration-course.toml", request);
        write(dir.path(), "types/language/type.toml", type_toml);
        Catalogue::load(dir.path()).map_err(|error| error.to_string())
    };
    let whole = format!("{REQUEST}{KEEP}");
    let catalogue = load(&whole, &type_toml()).unwrap();
    let [kept] = catalogue.template("integration-course").unwrap().retained_claims.as_slice() else {
        panic!("one is kept")
    };
    assert_eq!((kept.query_id.as_str(), kept.retention_days, kept.purpose.len()), ("language", 3_650, 2));
    assert_eq!(path_to_text(&kept.path), "cefrLevel");
    assert!(load(REQUEST, &type_toml()).unwrap().template("integration-course").unwrap().retained_claims.is_empty());

    for (from, to, says) in [
        ("credential = \"language\"", "credential = \"other\"", "is not a claim whose value the query asks for"),
        ("path = \"cefrLevel\"", "path = \"skills\"", "is not a claim whose value the query asks for"),
        ("path = \"cefrLevel\"", "path = \"cefrLevel[\"", "is not a claim whose value the query asks for"),
        (
            "{\"path\":[\"cefrLevel\"]}",
            "{\"path\":[\"cefrLevel\"],\"carnet_at_least\":\"B1\"}",
            "is not a claim whose value the query asks for",
        ),
        ("days = 3650", "days = 3651", "retention that is not"),
        ("days = 3650", "days = 0", "retention that is not"),
        ("en = \"To show who was let in.\", ", "", "lacks a reason"),
    ] {
        assert!(whole.contains(from), "{from}");
        let message = load(&whole.replace(from, to), &type_toml()).unwrap_err();
        assert!(message.contains(says), "{message}");
    }
    assert!(load(&format!("{whole}{KEEP}"), &type_toml()).unwrap_err().contains("occurs twice"));
    // Not even where another claim set does without it.
    let optional = whole
        .replace(
            "{\"path\":[\"cefrLevel\"]}",
            "{\"id\":\"l\",\"path\":[\"cefrLevel\"]},{\"id\":\"n\",\"path\":[\"language\"]}",
        )
        .replace("}]}]}'", "}],\"claim_sets\":[[\"l\",\"n\"],[\"n\"]]}]}'");
    load(&optional, &type_toml()).unwrap();
    assert!(load(&optional, &never_mandatory()).unwrap_err().contains("keeps \"cefrLevel\""));
}

#[test]
fn a_use_is_counted_by_claims_that_are_asked_for_once() {
    let asked = |redeem: &str| format!("{REQUEST}[redeem]\n{redeem}\n");
    let of = |credential: &str, id: &str| {
        format!("credential = \"{credential}\"\nid = \"{id}\"\nredeemer = \"cefrLevel\"\nuses = \"cefrLevel\"")
    };
    let dir = folder();
    write(dir.path(), "requests/integration-course.toml", &asked(&of("language", "cefrLevel")));
    let catalogue = Catalogue::load(dir.path()).unwrap();
    assert!(catalogue.template("integration-course").unwrap().redemption.is_some());
    for (credential, id) in
        [("other", "cefrLevel"), ("language", "language"), ("language", "skills[]"), ("language", "")]
    {
        let message = refused("requests/integration-course.toml", &asked(&of(credential, id)));
        assert!(message.contains("[redeem]"), "{message}");
    }
    // The service by which totals are kept is asked for too, if one is named.
    for (service, holds) in [("cefrLevel", true), ("language", false)] {
        let text = asked(&format!("{}\nservice = \"{service}\"", of("language", "cefrLevel")));
        write(dir.path(), "requests/integration-course.toml", &text);
        assert_eq!(Catalogue::load(dir.path()).is_ok(), holds, "{service}");
    }
    let text = asked(&of("language", "cefrLevel"));
    let choices = [
        text.replace("\"meta\"", "\"multiple\":true,\"meta\""),
        text.replace("}]}'", "}],\"credential_sets\":[{\"options\":[[\"language\"]]}]}'"),
    ];
    for choice in choices {
        assert_ne!(choice, text);
        assert!(refused("requests/integration-course.toml", &choice).contains("[redeem]"));
    }
}

#[test]
fn row_97_a_template_for_several_credentials_says_whose_they_are() {
    const FILE: &str = "requests/integration-course.toml";
    let second = r#"},{"id":"second","format":"vc+sd-jwt","meta":{"type_values":[["PlacementTestCredential"]]},"claims":[{"path":["credentialSubject","cefrLevel"]}]}]}'"#;
    let two = REQUEST.replace("}]}'", second);
    let with = |text: &str, holder: &str| text.replace("retention_days", &format!("holder = {holder}\nretention_days"));
    assert!(refused(FILE, &two).contains("carnet_holder"));
    let dir = folder();
    for (holder, rule) in [
        (r#""any""#, json!("any")),
        (r#""key""#, json!("key")),
        (r#"{ claims = ["cefrLevel"] }"#, json!({"claims": [["cefrLevel"]]})),
    ] {
        write(dir.path(), FILE, &with(&two, holder));
        let catalogue = Catalogue::load(dir.path()).unwrap();
        let now = carnet_core::time::Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let (_, dcql) = catalogue.template("integration-course").unwrap().query_at(now).unwrap();
        assert_eq!(dcql["carnet_holder"], rule);
    }
    for holder in
        [r#""all""#, r#"{ claims = [] }"#, r#"{ claims = ["passed"] }"#, r#"{ claims = ["cefrLevel"], key = true }"#]
    {
        refused(FILE, &with(&two, holder));
    }
    assert!(
        refused(FILE, &REQUEST.replace("{\"credentials\"", "{\"carnet_holder\":\"any\",\"credentials\""))
            .contains("holder =")
    );
}

#[test]
fn row_98_a_template_for_several_of_a_kind_says_in_what_they_differ() {
    const FILE: &str = "requests/integration-course.toml";
    let several = REQUEST
        .replace("\"meta\"", "\"multiple\":true,\"meta\"")
        .replace("retention_days", "holder = \"any\"\nretention_days");
    assert!(refused(FILE, &several).contains("carnet_distinct"));
    let dir = folder();
    write(dir.path(), FILE, &several.replace("\"meta\"", "\"carnet_distinct\":[[\"cefrLevel\"]],\"meta\""));
    Catalogue::load(dir.path()).unwrap();
    refused(FILE, &several.replace("\"meta\"", "\"carnet_distinct\":[[\"language\"]],\"meta\""));
}
