//! Links given on the command line, or pasted by the holder.

use std::path::Path;

use carnet_wallet::link::{LinkKind, extract_link};

use crate::{
    failure::{Failure, FailureReason, Sentence},
    picture::{PictureProblem, read_codes},
    ui::Ui,
};

/// Maximum length of a line that a terminal passes on, in bytes; Linux drops the rest.
const LONGEST_LINE: usize = 4_095;

/// Returns the command for a kind of link.
const fn command(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Offer => "carnet receive",
        LinkKind::Request => "carnet present",
    }
}

const fn question(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Offer => "link-offer",
        LinkKind::Request => "link-request",
    }
}

/// Returns the link in a picture or on the command line; without either, asks the holder to paste it. Quotation marks and
/// line breaks are removed ([`extract_link`]).
///
/// # Errors
/// `link_needed`: there is no terminal, nothing was pasted, or a pasted line is so long that the terminal may have cut
/// it; those of [`link_in_picture`].
pub(crate) fn read_link(
    ui: &Ui,
    kind: LinkKind,
    arguments: &[String],
    picture: Option<&Path>,
) -> Result<String, Failure> {
    if let Some(picture) = picture.or_else(|| named_picture(arguments)) {
        return link_in_picture(kind, picture);
    }
    if !arguments.is_empty() {
        return Ok(extract_link(&arguments.join(" ")));
    }
    let needed = |message| {
        let hint = Sentence::new("hint-link-quoted").with("command", command(kind));
        Failure::usage(FailureReason::Program("link_needed"), Sentence::new(message), hint)
    };
    if !ui.can_ask() {
        return Err(needed("error-link-nobody"));
    }
    ui.print_text(&format!("{}\n", ui.messages.text(question(kind))));
    let pasted = pasted(carnet_console::read_line).ok_or_else(|| needed("error-link-long"))?;
    if pasted.is_empty() { Err(needed("error-link-none")) } else { Ok(extract_link(&pasted)) }
}

/// Returns the only argument if it is the name of a picture.
fn named_picture(arguments: &[String]) -> Option<&Path> {
    let [argument] = arguments else { return None };
    let extension = Path::new(argument).extension()?.to_str()?.to_ascii_lowercase();
    let is_picture = ["png", "jpg", "jpeg"].contains(&extension.as_str()) && !argument.contains("://");
    is_picture.then(|| Path::new(argument))
}

/// Returns the link of a kind in the QR codes of a picture. A picture with a single code of another content gives that,
/// so that the holder learns what it is.
///
/// # Errors
/// `picture_unreadable`, `picture_malformed`, `picture_too_large`, `qr_code_missing`; `qr_code_ambiguous`: it has several
/// links of the kind, or several codes and no such link.
fn link_in_picture(kind: LinkKind, path: &Path) -> Result<String, Failure> {
    let refused =
        |code, message, hint| Failure::usage(FailureReason::Program(code), Sentence::new(message), Sentence::new(hint));
    let codes = read_codes(path).map_err(|problem| match problem {
        PictureProblem::Unreadable => refused("picture_unreadable", "error-picture-unreadable", "hint-picture-file"),
        PictureProblem::Malformed => refused("picture_malformed", "error-picture-malformed", "hint-picture-file"),
        PictureProblem::TooLarge => refused("picture_too_large", "error-picture-large", "hint-picture-file"),
        PictureProblem::NoCode => refused("qr_code_missing", "error-picture-no-code", "hint-picture-code"),
    })?;
    let links: Vec<String> = codes.iter().map(|code| extract_link(code)).collect();
    let mut wanted = links.iter().filter(|link| LinkKind::detect(link) == Some(kind));
    match (wanted.next(), wanted.next(), links.as_slice()) {
        (Some(link), None, _) | (None, None, [link]) => Ok(link.clone()),
        _ => Err(refused("qr_code_ambiguous", "error-picture-codes", "hint-picture-one")),
    }
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
    use carnet_wallet::link::wrong_kind_failure;

    use super::*;
    use crate::{failure::Translate as _, ui::messages::Language};

    const LINK: &str = "openid4vp://?client_id=x&request_uri=https%3A%2F%2Fa.example";

    #[test]
    fn the_other_kind_names_the_other_command() {
        let says = |wanted, link| wrong_kind_failure(wanted, link, FailureReason::OfferMalformed).hint.english();
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
        assert_eq!(
            read_link(&ui, LinkKind::Request, &words(&["openid4vp://?a", "=b"]), None).unwrap(),
            "openid4vp://?a=b"
        );
        let missing = read_link(&ui, LinkKind::Offer, &[], None).unwrap_err();
        assert_eq!((missing.reason.as_str(), missing.kind), ("link_needed", crate::failure::FailureKind::Usage));
        assert!(missing.hint.english().contains("carnet receive 'LINK'"), "{:?}", missing.hint);
    }
}
