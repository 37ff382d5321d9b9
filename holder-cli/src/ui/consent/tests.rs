use super::*;
use crate::{
    answer::tests::{Issuer, answer},
    request::tests::Asker,
    ui::messages::Language,
};

/// The screen with what differs from run to run replaced.
fn screen(language: Language, shown_to: &[&[&str]]) -> String {
    let asker = Asker::new();
    let request = asker.request().unwrap();
    let issuer = Issuer::new();
    let mut contents = Contents::new(12);
    contents.credentials.push(issuer.held("aaaa", "vc+sd-jwt", 1));
    for (copy, seen) in contents.credentials[0].copies.iter_mut().zip(shown_to) {
        copy.shown_to = seen.iter().map(|&name| name.replace("ASKER", &request.client_id)).collect();
    }
    let parts = answer(&contents, &request.query, &request.client_id).unwrap().parts;
    let catalogue = &issuer.catalogue;
    let endpoint = "https://a.example";
    let consent =
        Consent { request: &request, digest: "DIGEST", parts: &parts, endpoint, contents: &contents, catalogue };
    let ui = Ui::new(false, true, language);
    consent.text(&ui).replace(request.did.as_str(), "ASKER-DID").replace(issuer.did.as_str(), "ISSUER-DID")
}

/// The whole screen, word for word. To change it on purpose, run with UPDATE_SCREENS=1 and read the difference.
#[test]
fn the_screen_in_every_language() {
    for language in Language::ALL {
        let file = format!("{}/tests/screens/consent.{}.txt", env!("CARGO_MANIFEST_DIR"), language.tag());
        let screen = screen(language, &[]);
        if std::env::var_os("UPDATE_SCREENS").is_some() {
            std::fs::create_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
            std::fs::write(&file, &screen).unwrap();
        }
        assert_eq!(screen, std::fs::read_to_string(&file).unwrap(), "{file}");
    }
}

#[test]
fn nothing_from_outside_steers_the_terminal() {
    let screen = screen(Language::En, &[&["decentralized_identifier:did:web:evil.example\u{1b}[2J\u{202e}"]]);
    assert!(!screen.contains(['\u{1b}', '\u{202e}']));
    assert!(screen.contains("Job Agency[2J"));
}

#[test]
fn reuse_names_who_could_link() {
    let fresh = screen(Language::En, &[]);
    assert!(!fresh.contains("! "));
    assert!(screen(Language::En, &[&["ASKER"]]).contains("This asker has seen this copy before"));
    let others = screen(Language::En, &[&["decentralized_identifier:did:web:shop.example", "ASKER"]]);
    assert!(others.contains("    decentralized_identifier:did:web:shop.example\n"), "{others}");
}

#[test]
fn values_that_stay_are_not_on_the_screen() {
    let screen = screen(Language::En, &[]);
    assert!(screen.contains("+ Title: Bachelor of Science in Nursing"));
    assert!(screen.contains("- Family name\n") && !screen.contains("Haddad"));
}
