//! `verify`.

use std::{collections::HashMap, path::PathBuf};

use carnet_core::{
    json::{self, Limits},
    text::shown_json,
};
use carnet_proto::verifier::v1::{PresentationList, Verdict, VerifyCredentialRequest, VerifyPresentationRequest};
use carnet_service::client::StaffArgs;
use clap::Args;
use serde_json::{Value, json};

use super::{Failure, client, read, read_query, show};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The credential (SD-JWT text or JSON); `-` is standard input. With --presentation: the presentation's text, or a
    /// vp_token, that is a JSON object from query id to presentations.
    file: PathBuf,
    /// The file holds a presentation, bound to a nonce and an audience.
    #[arg(long, requires_all = ["query", "nonce", "audience"])]
    presentation: bool,
    /// The DCQL query that it answers.
    #[arg(long, requires = "presentation")]
    query: Option<PathBuf>,
    /// The nonce that you gave out.
    #[arg(long, requires = "presentation", allow_hyphen_values = true)]
    nonce: Option<String>,
    /// Your full client id.
    #[arg(long, requires = "presentation")]
    audience: Option<String>,
    #[command(flatten)]
    staff: StaffArgs,
}

pub(super) async fn run(args: VerifyArgs) -> Result<u8, Failure> {
    let bytes = read(&args.file)?;
    let (verdict, disclosed) = match args.query.as_deref().filter(|_| args.presentation) {
        None => {
            let message = VerifyCredentialRequest { credential: bytes };
            let answer = client(&args.staff).await?.verify_credential(message).await?.into_inner();
            (answer.verdict, answer.disclosed)
        }
        Some(query) => {
            let dcql_query = read_query(query)?;
            let message = VerifyPresentationRequest {
                vp_token: vp_token(bytes, &dcql_query)?,
                dcql_query: Some(dcql_query),
                nonce: args.nonce.unwrap_or_default(),
                audience: args.audience.unwrap_or_default(),
            };
            let answer = client(&args.staff).await?.verify_presentation(message).await?.into_inner();
            (answer.verdict, answer.disclosed)
        }
    };
    let verdict: Verdict = verdict.unwrap_or_default();
    let disclosed = disclosed.as_ref().map(show::structure);
    if args.staff.json {
        carnet_console::line(json!({"verdict": show::verdict(&verdict), "disclosed": disclosed}));
    } else {
        carnet_console::out(show::verdict_text(&verdict));
        if let Some(disclosed) = disclosed {
            carnet_console::line(format_args!("Disclosed:\n{}", shown_json(&disclosed)));
        }
    }
    Ok(u8::from(!verdict.accepted))
}

/// A vp_token as it stands; or one presentation, which answers the query's only credential.
fn vp_token(bytes: Vec<u8>, query: &prost_types::Struct) -> Result<HashMap<String, PresentationList>, Failure> {
    let list = |items: &Vec<Value>| -> Option<PresentationList> {
        let presentations = items
            .iter()
            .map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Object(_) => Some(item.to_string()),
                _ => None,
            })
            .collect::<Option<_>>()?;
        Some(PresentationList { presentations })
    };
    if let Ok(members) = json::parse_object(&bytes, Limits::DOCUMENT)
        && let Some(token) = members
            .iter()
            .map(|(id, items)| Some((id.clone(), list(items.as_array()?)?)))
            .collect::<Option<HashMap<_, _>>>()
    {
        return Ok(token);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::Input("the presentation is not text. Nothing was sent".to_owned()))?;
    let Value::Object(query) = show::structure(query) else { return Ok(HashMap::new()) };
    let ids: Vec<&str> = query
        .get("credentials")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|credential| credential.get("id")?.as_str())
        .collect();
    let [id] = ids.as_slice() else {
        return Err(Failure::Input(
            "the query asks for several credentials, and the file holds one presentation. Nothing was sent.\n\
             hint: let the file hold a vp_token: {\"QUERY ID\": [\"PRESENTATION\"], ...}"
                .to_owned(),
        ));
    };
    let presentations = vec![text.trim().to_owned()];
    Ok(HashMap::from([((*id).to_owned(), PresentationList { presentations })]))
}
