//! Names of parties on screens. A DID is displayed only with `--details`, or if there is neither a name nor a web site.

use carnet_core::did::{Did, DidMethods};

use super::{Ui, sanitise::sanitise};

/// Returns the DID in a client id with the prefix `decentralized_identifier:`; `None` for other text.
pub(crate) fn client_id_did(client_id: &str) -> Option<&str> {
    client_id.strip_prefix("decentralized_identifier:")
}

/// Returns host and path of the web site that publishes a did:web or did:webvh; `None` for other DIDs.
pub(crate) fn web_site(did: &str) -> Option<String> {
    let did = Did::parse(did).ok()?;
    let file = DidMethods::standard().location(&did).ok()?;
    let (folder, _) = file.url.strip_prefix("https://")?.rsplit_once('/')?;
    Some(folder.strip_suffix("/.well-known").unwrap_or(folder).to_owned())
}

/// Describes a verifier without a valid registration by its address: the web site of its DID, otherwise the host of
/// `endpoint`, otherwise the DID. Its self-chosen name `own_name` follows, marked as such; empty: none. With
/// `--details`, the client id follows.
pub(crate) fn unregistered_name(ui: &Ui, client_id: &str, endpoint: Option<&str>, own_name: &str) -> String {
    let did = client_id_did(client_id).unwrap_or(client_id);
    let host = |endpoint: &str| sanitise(endpoint.split_once("://").map_or(endpoint, |(_, host)| host));
    let host = web_site(did).or_else(|| endpoint.map(host)).unwrap_or_else(|| sanitise(did));
    let said = if own_name.is_empty() {
        ui.messages.format("asker-unvouched", &[("host", &host)])
    } else {
        ui.messages.format("asker-own-name", &[("host", &host), ("name", &sanitise(own_name))])
    };
    if ui.details { format!("{said} <{}>", sanitise(client_id)) } else { said }
}

/// Returns a name given by the holder, a registration or a trust list; if it is empty, the web site of the DID or the
/// DID. With `--details`, the DID follows.
pub(crate) fn known_name(ui: &Ui, name: &str, did: &str) -> String {
    let name = sanitise(name);
    match (name.is_empty(), ui.details) {
        (false, false) => name,
        (false, true) => format!("{name} <{}>", sanitise(did)),
        (true, false) => web_site(did).unwrap_or_else(|| sanitise(did)),
        (true, true) => sanitise(did),
    }
}

/// Returns the display name that an issuer gives itself, followed by the web site of its DID, which identifies it.
pub(crate) fn issuer_name(ui: &Ui, name: &str, did: &str) -> String {
    let own = if name == did { "" } else { name };
    match web_site(did) {
        Some(site) if !ui.details && !own.is_empty() => format!("{} <{site}>", without_site(own)),
        _ => known_name(ui, &without_site(own), did),
    }
}

/// Returns a name on one line without angle brackets, so that it cannot imitate one followed by a web site.
fn without_site(name: &str) -> String {
    sanitise(name).replace(['<', '>'], "'")
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
            assert_eq!(web_site(did).as_deref(), wanted, "{did}");
        }
    }

    #[test]
    fn a_did_is_shown_only_with_details() {
        let mut ui = Ui::new(false, true, Language::En);
        let key = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        let own = |ui: &Ui, did, name| unregistered_name(ui, did, Some("https://a.example:8443"), name);
        assert_eq!(own(&ui, key, ""), "a.example:8443 (an asker that nobody vouches for)");
        assert_eq!(own(&ui, UNIVERSITY, "State\u{202e}"), "State[U+202E] (unverified name), university.example");
        assert_eq!(known_name(&ui, "The Registrar", UNIVERSITY), "The Registrar");
        assert_eq!(known_name(&ui, "", UNIVERSITY), "university.example");
        assert_eq!(known_name(&ui, "", key), key);
        assert_eq!(issuer_name(&ui, "The University", UNIVERSITY), "The University <university.example>");
        assert_eq!(issuer_name(&ui, UNIVERSITY, UNIVERSITY), "university.example");
        assert_eq!(issuer_name(&ui, "The University", key), "The University");
        assert_eq!(issuer_name(&ui, "U <university.example>", key), "U 'university.example'");
        ui.details = true;
        for said in
            [own(&ui, UNIVERSITY, ""), known_name(&ui, "The Registrar", UNIVERSITY), issuer_name(&ui, "U", UNIVERSITY)]
        {
            assert!(said.ends_with(&format!(" <{UNIVERSITY}>")), "{said}");
        }
        assert_eq!(known_name(&ui, "", UNIVERSITY), UNIVERSITY);
    }
}
