//! Option `carnet log --export`: writes the log as JSON and as a printable page, which has no script and loads nothing.

use std::{fmt::Write, fs, path::Path};

use carnet_core::text::escape_html;
use carnet_spec::Catalogue;
use serde_json::json;

use super::{checkpoint_text, entry_views, log_json};
use crate::{
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::sanitise::sanitise,
    wallet::{WalletContents, deletion::log_public_key, log::WalletLog},
};

const STYLE: &str = "body{font:11pt/1.4 serif;margin:2em;color:#000;background:#fff}h1{font-size:16pt}\
table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.3em .5em;text-align:start;\
vertical-align:top;overflow-wrap:anywhere}thead{display:table-header-group}tr{break-inside:avoid}dl{margin:.3em 0 0}\
dt{font-weight:bold}dd{margin:0 0 .2em}code{font:9pt monospace;overflow-wrap:anywhere}\
@media print{@page{margin:15mm}body{margin:0;font-size:9pt}}";

/// Writes `log.json` and `log.html` into a folder, and creates the folder if necessary.
pub(super) fn run(context: &CommandContext, contents: &WalletContents, folder: &Path) -> Result<(), Failure> {
    let log = &contents.log;
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let mut object = log_json(context, log);
    if let Some(members) = object.as_object_mut() {
        members.insert("requests".to_owned(), json!(contents.requests.texts()));
        members.insert("key".to_owned(), json!(log_public_key(contents)));
    }
    let text = serde_json::to_string_pretty(&object).unwrap_or_default();
    let files = [("log.json", text + "\n"), ("log.html", render_page(context, &context.catalogue()?, log))].map(
        |(name, text)| {
            let path = folder.join(name);
            write_private(&path, &text, true).map(|()| path.display().to_string())
        },
    );
    let files = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    let text = format!("{} {}\n", context.ui.messages.text("log-exported"), files.join(" "));
    context.ui.print_result(&text, &json!({"files": files, "head": log.head(), "count": log.entries().len()}));
    Ok(())
}

/// Writes a file that only its owner can read. Unless `replace` is `true`, the file must not exist.
///
/// # Errors
/// `file_unwritable`
pub(crate) fn write_private(path: &Path, text: &str, replace: bool) -> Result<(), Failure> {
    let write = if replace { carnet_disk::replace_file } else { carnet_disk::write_new };
    write(path, text.as_bytes(), 0o600).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = Sentence::new("error-file-unwritable").with("path", path.display()).with_details(error);
    Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-other-place"))
}

/// Renders the log as an HTML page. All text in it is escaped.
pub(super) fn render_page(context: &CommandContext, catalogue: &Catalogue, log: &WalletLog) -> String {
    let messages = &context.ui.messages;
    let word = |id: &str| escape_html(&messages.text(id));
    let language = messages.language();
    let direction = if language.is_right_to_left() { "rtl" } else { "ltr" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{}: {}<br>{}: {}<br>{}: <code dir=\"ltr\">{}</code></p>\n\
         <p>{}</p>\n<p>{}</p>\n<table>\n<thead><tr><th>#</th><th>{}</th><th>{}</th><th>{}</th></tr></thead>\n<tbody>\n",
        language.tag(),
        word("log-when"),
        escape_html(&context.now().to_string()),
        word("log-count"),
        log.entries().len(),
        word("log-head"),
        escape_html(log.head()),
        word("log-head-note"),
        escape_html(&checkpoint_text(log, messages).unwrap_or_default()),
        word("log-when"),
        word("log-what"),
        word("log-who"),
        title = word("log-title"),
    );
    for view in entry_views(log) {
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "<tr><td>{}</td><td dir=\"ltr\">{}</td><td>{}",
            view.entry.number,
            escape_html(&view.entry.at.to_string()),
            escape_html(&view.what(messages)),
        );
        let reason = view.reason();
        if !reason.is_empty() {
            let _ = write!(page, " [{}]", escape_html(&reason));
        }
        let details = view.details(context, catalogue);
        if !details.is_empty() {
            page.push_str("<dl>");
            for (label, said) in details {
                let _ = write!(page, "<dt>{}</dt><dd dir=\"auto\">{}</dd>", escape_html(&label), escape_html(&said));
            }
            page.push_str("</dl>");
        }
        // As on the screens: the name of an unregistered party is marked as its own.
        let name = escape_html(&super::party_name(&context.ui, view.entry));
        let party = escape_html(&sanitise(&view.entry.party));
        let _ = writeln!(page, "</td><td><bdi>{name}</bdi><br><code dir=\"ltr\">{party}</code></td></tr>");
    }
    page.push_str("</tbody>\n</table>\n</body>\n</html>\n");
    page
}
