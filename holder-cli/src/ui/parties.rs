//! Names of parties on screens. A DID is shown only with `--details`, or if there is neither a name nor a web site.

use carnet_core::did::{Did, DidMethod, web, webvh};

use super::{Ui, sanitise::clean};

/// Returns the DID in a verifier's client id; `None` for other text.
pub(crate) fn did_of(client_id: &str) -> Option<&str> {
    client_id.strip_prefix("decentralized_identifier:")
}

/// Returns the web site that controls a DID: its host, and its path if it has one. A DID of another method has none.
pub(crate) fn site(did: &str) -> Option<String> {
    let did = Did::parse(did).ok()?;
    let url = match did.method() {
        DidMethod::Web => web::url(&did),
        DidMethod::WebVh => webvh::url(&did),
        _ => return None,
    };
    let url = url.ok()?;
    let (folder, _) = url.strip_prefix("https://")?.rsplit_once('/')?;
    Some(folder.strip_suffix("/.well-known").unwrap_or(folder).to_owned())
}

/// Describes an asker without a valid registration by its verified address: the site of its DID, or else the host of
/// its service. Its own name is added as such, if there is one.
pub(crate) fn unvouched(ui: &Ui, client_id: &str, endpoint: Option<&str>, own_name: &str) -> String {
    let did = did_of(client_id).unwrap_or(client_id);
    let host = |endpoint: &str| clean(endpoint.split_once("://").map_or(endpoint, |(_, host)| host));
    let host = site(did).or_else(|| endpoint.map(host)).unwrap_or_else(|| clean(did));
    let said = if own_name.is_empty() {
        ui.messages.with("asker-unvouched", &[("host", &host)])
    } else {
        ui.messages.with("asker-own-name", &[("host", &host), ("name", &clean(own_name))])
    };
    if ui.details { format!("{said} <{}>", clean(client_id)) } else { said }
}

/// Returns a name that the owner, a registration or a trust list gives; the site or the DID of a party without a name.
pub(crate) fn named(ui: &Ui, name: &str, did: &str) -> String {
    let name = clean(name);
    match (name.is_empty(), ui.details) {
        (false, false) => name,
        (false, true) => format!("{name} <{}>", clean(did)),
        (true, false) => site(did).unwrap_or_else(|| clean(did)),
        (true, true) => clean(did),
    }
}

/// Returns the name that an issuer gives itself and its site, which nobody else can have.
pub(crate) fn issuer(ui: &Ui, name: &str, did: &str) -> String {
    let own = if name == did { "" } else { name };
    match site(did) {
        Some(site) if !ui.details && !own.is_empty() => format!("{} <{site}>", clean(own)),
        _ => named(ui, own, did),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::messages::Language;

    const UNIVERSITY: &str = "did:web:university.example";

    #[test]
    fn the_site_of_a_did() {
        for (did, wanted) in [
            (UNIVERSITY, Some("university.example")),
            ("did:web:localhost%3A8443:issuers:one", Some("localhost:8443/issuers/one")),
            ("did:webvh:QmWB9Nsw9PpSTyPVSDVXFqJz5T5bTHCdK2FNy8zM9BuBQi:shop.example", Some("shop.example")),
            ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", None),
            ("no DID", None),
        ] {
            assert_eq!(site(did).as_deref(), wanted, "{did}");
        }
    }

    #[test]
    fn a_did_is_shown_only_with_details() {
        let mut ui = Ui::new(false, true, Language::En);
        let key = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        let own = |ui: &Ui, did, name| unvouched(ui, did, Some("https://a.example:8443"), name);
        assert_eq!(own(&ui, key, ""), "a.example:8443 (an asker that nobody vouches for)");
        assert_eq!(own(&ui, UNIVERSITY, "State\u{202e}"), "State[U+202E] (unverified name), university.example");
        assert_eq!(named(&ui, "The Registrar", UNIVERSITY), "The Registrar");
        assert_eq!(named(&ui, "", UNIVERSITY), "university.example");
        assert_eq!(named(&ui, "", key), key);
        assert_eq!(issuer(&ui, "The University", UNIVERSITY), "The University <university.example>");
        assert_eq!(issuer(&ui, UNIVERSITY, UNIVERSITY), "university.example");
        assert_eq!(issuer(&ui, "The University", key), "The University");
        ui.details = true;
        for said in [own(&ui, UNIVERSITY, ""), named(&ui, "The Registrar", UNIVERSITY), issuer(&ui, "U", UNIVERSITY)] {
            assert!(said.ends_with(&format!(" <{UNIVERSITY}>")), "{said}");
        }
        assert_eq!(named(&ui, "", UNIVERSITY), UNIVERSITY);
    }
}
