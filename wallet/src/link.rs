//! Links as people forward them: in quotation marks or brackets, wrapped over several lines, or with invisible
//! characters.

use carnet_core::text::invisible_characters;
use url::Url;

use crate::failure::{Failure, FailureReason, Sentence};

/// Characters removed from both ends of a pasted link. Braces are absent: an offer may be plain JSON.
const AROUND: [char; 20] =
    ['"', '\'', '`', '´', '“', '”', '„', '‘', '’', '‚', '«', '»', '‹', '›', '(', ')', '[', ']', ',', ';'];

/// Kind of link that a wallet handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// Credential offer.
    Offer,
    /// Presentation request.
    Request,
}

impl LinkKind {
    /// Returns the kind of a link by its scheme or, for an https link, by its query parameters. `None` for other
    /// schemes, and for an https link that has parameters of both kinds or of neither.
    pub fn detect(link: &str) -> Option<Self> {
        let scheme = link.split_once(':').map(|(scheme, _)| scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "openid-credential-offer" => Some(Self::Offer),
            "openid4vp" => Some(Self::Request),
            "https" => {
                let url = Url::parse(link).ok()?;
                let has = |names: &[&str]| url.query_pairs().any(|(name, _)| names.contains(&name.as_ref()));
                match (has(&["credential_offer", "credential_offer_uri"]), has(&["client_id"])) {
                    (true, false) => Some(Self::Offer),
                    (false, true) => Some(Self::Request),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Reduces a pasted text to the link in it: removes invisible characters, white space and angle brackets everywhere,
/// and quotation marks, other brackets and punctuation at both ends. White space and angle brackets are not part of a
/// URI, but occur where one was wrapped or delimited (RFC 3986 appendix C). The prefix `URL:` of the same appendix is
/// removed, of Markdown's `[text](LINK)` the link is kept, and `&amp;` between parameters is `&`.
pub fn extract_link(text: &str) -> String {
    let hidden: Vec<usize> = invisible_characters(text).map(|(at, _)| at).collect();
    let seen = text.char_indices().filter(|(at, _)| !hidden.contains(at)).map(|(_, c)| c);
    let link: String = seen.filter(|c| !c.is_whitespace() && !matches!(c, '<' | '>')).collect();
    let link = match link.split_once("](") {
        Some((label, target)) if label.contains('[') && !label.contains('{') => target,
        _ => &link,
    };
    // A sentence may continue after a bracket, and end in or after one.
    let around =
        |link: &str| link.trim_start_matches(AROUND).trim_end_matches(|c| c == '.' || AROUND.contains(&c)).to_owned();
    let link = around(link);
    let link = match link.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("url:") => around(link.get(4..).unwrap_or_default()),
        _ => link,
    };
    // In an offer of plain JSON, `&amp;` may be text.
    if link.contains('{') { link } else { link.replace("&amp;", "&") }
}

/// Returns the usage failure for a text that is not a link of the kind `wanted`, with the code `reason`. For a link of
/// the other kind, the hint names the command for it; otherwise it asks for the whole link.
pub fn wrong_kind_failure(wanted: LinkKind, link: &str, reason: impl Into<FailureReason>) -> Failure {
    let (message, hint) = match (wanted, LinkKind::detect(link)) {
        (LinkKind::Offer, Some(LinkKind::Request)) => ("error-offer-is-request", "hint-present-link"),
        (LinkKind::Request, Some(LinkKind::Offer)) => ("error-request-is-offer", "hint-receive-link"),
        (LinkKind::Offer, _) => ("error-offer-scheme", "hint-whole-offer"),
        (LinkKind::Request, _) => ("error-request-scheme", "hint-whole-link"),
    };
    Failure::usage(reason, Sentence::new(message), Sentence::new(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str =
        "openid4vp://?client_id=decentralized_identifier%3Adid%3Aweb%3Aa.example&request_uri=https%3A%2F%2Fa.example";

    #[test]
    fn a_link_is_found_in_what_people_paste() {
        let (first, second) = LINK.split_at(40);
        for pasted in [
            LINK.to_owned(),
            format!(" {LINK}\r\n"),
            format!("'{LINK}'"),
            format!("\"{LINK}\","),
            format!("“{LINK}”."),
            format!("„{LINK}“"),
            format!("« {LINK} »"),
            format!("<{LINK}>"),
            format!("(<{LINK}>)."),
            format!("({LINK}.)."),
            format!("[{LINK}]"),
            format!("`{LINK}`"),
            format!("{first}\n{second}"),
            format!("{first}\r\n   {second}"),
            format!("> {first}\n> {second}\n"),
            format!("\u{feff}{first}\u{200b}{second}\u{200e}"),
            LINK.replace('&', "&amp;"),
            format!("URL:{LINK}"),
            format!("<url: {LINK}>"),
            format!("[Show your permit]({LINK})"),
            format!("([the link](<{LINK}>))."),
        ] {
            assert_eq!(extract_link(&pasted), LINK, "{pasted:?}");
        }
    }

    #[test]
    fn an_https_link_is_known_by_its_parameters() {
        for (link, kind) in [
            ("https://wallet.example/?credential_offer_uri=https%3A%2F%2Fa.example", Some(LinkKind::Offer)),
            ("https://wallet.example/?credential_offer=%7B%7D", Some(LinkKind::Offer)),
            ("https://wallet.example/?client_id=x&request_uri=https%3A%2F%2Fa.example", Some(LinkKind::Request)),
            ("https://wallet.example/?client_id=x&credential_offer=%7B%7D", None),
            ("https://wallet.example/", None),
            ("http://wallet.example/?credential_offer=%7B%7D", None),
        ] {
            assert_eq!(LinkKind::detect(link), kind, "{link}");
        }
    }

    #[test]
    fn an_offer_in_plain_json_keeps_its_braces() {
        let offer = "openid-credential-offer://?credential_offer={\"grants\":{}}";
        assert_eq!(extract_link(&format!("'{offer}'")), offer);
        let text = "openid-credential-offer://?credential_offer={\"a\":\"b&amp;c](d\"}";
        assert_eq!(extract_link(text), text);
    }
}
