//! Links as people forward them: quoted, wrapped over lines, in brackets, with invisible characters.

use carnet_core::text::unseen;

use crate::{
    failure::{Failure, Sentence},
    ui::Ui,
};

/// Maximum length of a line that a terminal passes on, in bytes; Linux cuts off the rest.
const LONGEST_LINE: usize = 4_095;
/// Characters around a link that are not part of it. Braces are absent: an offer may be plain JSON.
const AROUND: [char; 20] =
    ['"', '\'', '`', '´', '“', '”', '„', '‘', '’', '‚', '«', '»', '‹', '›', '(', ')', '[', ']', ',', ';'];

/// Kind of link that a wallet answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// Credential offer.
    Offer,
    /// Presentation request.
    Request,
}

impl LinkKind {
    /// Returns the kind of a link by its scheme.
    pub(crate) fn of(link: &str) -> Option<Self> {
        let scheme = link.split_once(':').map(|(scheme, _)| scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "openid-credential-offer" => Some(Self::Offer),
            "openid4vp" => Some(Self::Request),
            _ => None,
        }
    }

    /// Returns the command that answers such a link.
    const fn command(self) -> &'static str {
        match self {
            Self::Offer => "carnet receive",
            Self::Request => "carnet present",
        }
    }

    const fn question(self) -> &'static str {
        match self {
            Self::Offer => "link-offer",
            Self::Request => "link-request",
        }
    }
}

/// Extracts the link from a text. Whitespace and angle brackets are not part of a URI; they occur where one was wrapped
/// or delimited (RFC 3986 appendix C).
pub(crate) fn unwrapped(text: &str) -> String {
    let hidden: Vec<usize> = unseen(text).map(|(at, _)| at).collect();
    let seen = text.char_indices().filter(|(at, _)| !hidden.contains(at)).map(|(_, c)| c);
    let link: String = seen.filter(|c| !c.is_whitespace() && !matches!(c, '<' | '>')).collect();
    link.trim_matches(AROUND).trim_end_matches('.').trim_matches(AROUND).to_owned()
}

/// Returns the failure for a text that is no link of the wanted kind; it names the command for the other kind.
pub(crate) fn wrong_kind(wanted: LinkKind, link: &str, reason: &str) -> Failure {
    let (message, hint) = match (wanted, LinkKind::of(link)) {
        (LinkKind::Offer, Some(LinkKind::Request)) => ("error-offer-is-request", "hint-present-link"),
        (LinkKind::Request, Some(LinkKind::Offer)) => ("error-request-is-offer", "hint-receive-link"),
        (LinkKind::Offer, _) => ("error-offer-scheme", "hint-whole-offer"),
        (LinkKind::Request, _) => ("error-request-scheme", "hint-whole-link"),
    };
    Failure::usage(reason, Sentence::id(message), Sentence::id(hint))
}

/// Returns the link from the command line, or the one that the owner pastes.
///
/// # Errors
/// If there is no terminal, or nothing was pasted.
pub(crate) fn given(ui: &Ui, kind: LinkKind, arguments: &[String]) -> Result<String, Failure> {
    if !arguments.is_empty() {
        return Ok(unwrapped(&arguments.join(" ")));
    }
    let needed = |message| {
        let hint = Sentence::id("hint-link-quoted").with("command", kind.command());
        Failure::usage("link_needed", Sentence::id(message), hint)
    };
    if !ui.can_ask() {
        return Err(needed("error-link-nobody"));
    }
    ui.say(&format!("{}\n", ui.messages.text(kind.question())));
    let pasted = pasted(carnet_console::read_line).ok_or_else(|| needed("error-link-long"))?;
    if pasted.is_empty() { Err(needed("error-link-none")) } else { Ok(unwrapped(&pasted)) }
}

/// Reads lines up to an empty one or the end of the input; `None` if the terminal may have cut one off.
fn pasted(mut read: impl FnMut() -> Option<String>) -> Option<String> {
    let mut text = String::new();
    while let Some(line) = read().filter(|line| !line.trim().is_empty()) {
        if line.len().saturating_add(1) >= LONGEST_LINE {
            return None;
        }
        text.push_str(&line);
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::messages::Language;

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
            format!("[{LINK}]"),
            format!("`{LINK}`"),
            format!("{first}\n{second}"),
            format!("{first}\r\n   {second}"),
            format!("> {first}\n> {second}\n"),
            format!("\u{feff}{first}\u{200b}{second}\u{200e}"),
        ] {
            assert_eq!(unwrapped(&pasted), LINK, "{pasted:?}");
        }
    }

    #[test]
    fn an_offer_in_plain_json_keeps_its_braces() {
        let offer = "openid-credential-offer://?credential_offer={\"grants\":{}}";
        assert_eq!(unwrapped(&format!("'{offer}'")), offer);
    }

    #[test]
    fn the_other_kind_names_the_other_command() {
        let says = |wanted, link| wrong_kind(wanted, link, "r").hint.english();
        assert!(says(LinkKind::Offer, LINK).contains("carnet present"));
        assert!(says(LinkKind::Request, "OpenID-Credential-Offer://?x").contains("carnet receive"));
        for (wanted, link) in [(LinkKind::Offer, "https://a.example"), (LinkKind::Request, "x")] {
            assert!(!says(wanted, link).contains("carnet"), "{link}");
        }
    }

    #[test]
    fn a_pasted_link_ends_with_an_empty_line() {
        let read = |lines: &[&str]| {
            let mut lines = lines.iter();
            pasted(|| lines.next().map(|line| (*line).to_owned()))
        };
        assert_eq!(read(&["openid4vp://?a", "=b", "", "x"]).as_deref(), Some("openid4vp://?a\n=b\n"));
        assert_eq!(read(&["openid4vp://?a"]).as_deref(), Some("openid4vp://?a\n"));
        assert_eq!(read(&[]).as_deref(), Some(""));
        assert_eq!(read(&[&"x".repeat(4_094)]), None);
        assert!(read(&[&"x".repeat(4_000), &"x".repeat(4_000)]).is_some());
    }

    #[test]
    fn words_of_an_unquoted_link_are_joined_and_a_missing_one_is_asked_for() {
        let ui = Ui::new(false, true, Language::En);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(given(&ui, LinkKind::Request, &words(&["openid4vp://?a", "=b"])).unwrap(), "openid4vp://?a=b");
        let missing = given(&ui, LinkKind::Offer, &[]).unwrap_err();
        assert_eq!((missing.reason.as_str(), missing.exit), ("link_needed", crate::failure::USAGE));
        assert!(missing.hint.english().contains("carnet receive 'LINK'"), "{:?}", missing.hint);
    }
}
