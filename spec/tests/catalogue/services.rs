//! Procedures: complete in every language, and held to the catalogue.

use std::fs;

use super::*;

const BANK: &str = "id = \"bank-account\"\n[title]\nen = \"A bank account\"\n[about]\nen = \"To open one.\"\n";
const NEED: &str =
    "[[needs]]\ntypes = [\"ResidencePermitCredential\"]\nrequests = [\"job-right-to-work\"]\nwhy.en = \"W.\"\n";

/// Loads a folder with these files in `services/`.
fn load(files: &[(&str, &str)]) -> Result<Catalogue, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("services")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join("services").join(name), text).unwrap();
    }
    Catalogue::load(dir.path()).map_err(|error| error.to_string())
}

#[test]
fn every_procedure_is_complete_in_every_language() {
    let catalogue = catalogue();
    let ids: Vec<&str> = catalogue.procedures().map(|procedure| procedure.id.as_str()).collect();
    let expected = [
        "bank-account",
        "benefits",
        "clean-air-zone",
        "health-insurance",
        "job",
        "language-course",
        "qualification-recognition",
        "register-address",
        "renting",
        "university-admission",
        "volunteering",
    ];
    assert_eq!(ids, expected);
    for procedure in catalogue.procedures() {
        assert!(!procedure.is_example && procedure.place.is_empty(), "{} is true everywhere", procedure.id);
        let texts = [&procedure.title, &procedure.purpose].into_iter().chain(&procedure.other_requirements);
        let texts = texts.chain(procedure.needs.iter().map(|need| &need.reason));
        let stated = [&procedure.office, &procedure.cost, &procedure.duration];
        for texts in texts.chain(stated.into_iter().filter(|texts| !texts.is_empty())) {
            let languages: BTreeSet<&str> = texts.keys().map(String::as_str).collect();
            assert_eq!(languages, BTreeSet::from(LANGUAGES), "{}", procedure.id);
        }
        // A cost or a time without the text that it is from would be made up.
        for texts in [&procedure.cost, &procedure.duration].into_iter().filter(|texts| !texts.is_empty()) {
            assert!(texts.values().all(|text| text.contains('(')), "{} names no source", procedure.id);
        }
    }
}

#[test]
fn the_example_is_complete_in_every_language() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/catalogue");
    let catalogue = Catalogue::load(example.as_ref()).unwrap();
    let template = catalogue.template("clean-air-zone").unwrap();
    let procedure = catalogue.procedure("clean-air-zone").unwrap();
    let texts = [&template.title, &template.purpose, &template.legal_basis, &template.retention];
    let texts = texts.into_iter().chain([&procedure.title, &procedure.purpose, &procedure.place, &procedure.office]);
    let texts = texts.chain([&procedure.cost, &procedure.duration]).chain(&procedure.other_requirements);
    for texts in texts.chain(procedure.needs.iter().map(|need| &need.reason)) {
        let languages: BTreeSet<&str> = texts.keys().map(String::as_str).collect();
        assert_eq!(languages, BTreeSet::from(LANGUAGES), "{texts:?}");
    }
}

#[test]
fn every_type_says_where_it_comes_from() {
    for known in catalogue().types() {
        let sources: BTreeSet<Option<String>> =
            LANGUAGES.iter().map(|language| known.display_texts(language).how_to_obtain.clone()).collect();
        assert!(sources.iter().all(Option::is_some) && sources.len() == LANGUAGES.len(), "{}", known.name);
    }
}

#[test]
fn a_municipality_replaces_a_procedure_and_adds_its_own() {
    let before = catalogue().procedures().count();
    let own = BANK.replace("A bank account", "An account in Example Town");
    let sports = BANK.replace("bank-account", "sports-club");
    let catalogue = load(&[("bank.toml", &format!("{own}{NEED}")), ("sports.toml", &sports)]).unwrap();
    assert_eq!(catalogue.procedures().count(), before + 1);
    let bank = catalogue.procedure("bank-account").unwrap();
    assert_eq!((bank.title["en"].as_str(), bank.needs.len()), ("An account in Example Town", 1));
    let (template, query) = catalogue.request_for_type(&bank.needs[0], "ResidencePermitCredential").unwrap();
    assert_eq!((template.id.as_str(), query.id.as_str()), ("job-right-to-work", "residence"));
    assert!(catalogue.request_for_type(&bank.needs[0], "QualificationCredential").is_none());
}

#[test]
fn what_is_wrong_with_a_procedure_is_said() {
    load(&[("a.toml", &format!("{BANK}{NEED}"))]).unwrap();
    for (from, to, says) in [
        ("bank-account", "Bank account", "small letters"),
        ("en = \"A bank account\"", "de = \"Ein Konto\"", "\"title\" has no English text"),
        ("why.en", "why.de", "\"why\" has no English text"),
        ("[\"ResidencePermitCredential\"]", "[]", "names no type"),
        ("\"ResidencePermitCredential\"", "\"ResidencePermitCredentail\"", "the nearest is ResidencePermitCredential"),
        ("job-right-to-work", "job-right", "is not in the catalogue"),
        ("job-right-to-work", "museum-visit", "asks for none of the types"),
        (
            "[\"ResidencePermitCredential\"]",
            "[\"ResidencePermitCredential\", \"VoucherCredential\"]",
            "none of the requests asks for the type \"VoucherCredential\"",
        ),
        ("[title]", "price = 3\n[title]", "unknown field"),
    ] {
        let text = format!("{BANK}{NEED}");
        assert!(text.contains(from));
        let message = load(&[("a.toml", &text.replacen(from, to, 1))]).unwrap_err();
        assert!(message.contains(says) && message.contains("a.toml"), "{message}");
    }
    let twice = load(&[("a.toml", BANK), ("b.toml", BANK)]).unwrap_err();
    assert!(twice.contains("another procedure has its id") && twice.contains("b.toml"), "{twice}");
}
