//! Command `verify`: verifies a credential or a presentation from a file.

use std::{collections::HashMap, path::PathBuf};

use carnet_core::{
    json::{self, Limits},
    text::displayable_json,
};
use carnet_proto::verifier::v1::{PresentationList, Verdict, VerifyCredentialRequest, VerifyPresentationRequest};
use carnet_service::client::StaffArgs;
use clap::Args;
use serde_json::{Value, json};

use super::{StaffFailure, connect_client, read_file_or_input, read_query, show};

#[derive(Debug, Args)]
pub(crate) struct CredentialVerifyArgs {
    /// The credential (SD-JWT text or JSON); `-` is standard input. With --presentation: the text of the presentation,
    /// or a vp_token, a JSON object from query ids to presentations.
    file: PathBuf,
    /// The file contains a presentation, bound to a nonce and an audience.
    #[arg(long, requires_all = ["query", "nonce", "audience"])]
    presentation: bool,
    /// The DCQL query that it answers.
    #[arg(long, requires = "presentation")]
    query: Option<PathBuf>,
    /// The nonce that you sent.
    #[arg(long, requires = "presentation", allow_hyphen_values = true)]
    nonce: Option<String>,
    /// Your full client id.
    #[arg(long, requires = "presentation")]
    audience: Option<String>,
    #[command(flatten)]
    staff: StaffArgs,
}

pub(super) async fn run(args: CredentialVerifyArgs) -> Result<u8, StaffFailure> {
    let bytes = read_file_or_input(&args.file)?;
    let (verdict, disclosed) = match args.query.as_deref().filter(|_| args.presentation) {
        None if is_vp_token(&bytes) => {
            return Err(StaffFailure::Input(
                "the file contains a vp_token and no credential. Nothing was sent.\nhint: verify it with \
                 --presentation, --query, --nonce and --audience"
                    .to_owned(),
            ));
        }
        None => {
            let message = VerifyCredentialRequest { credential: bytes };
            let answer = connect_client(&args.staff).await?.verify_credential(message).await?.into_inner();
            (answer.verdict, answer.disclosed)
        }
        Some(query) => {
            let dcql_query = read_query(query)?;
            let message = VerifyPresentationRequest {
                vp_token: parse_vp_token(bytes, &dcql_query)?,
                dcql_query: Some(dcql_query),
                nonce: args.nonce.unwrap_or_default(),
                audience: args.audience.unwrap_or_default(),
            };
            let answer = connect_client(&args.staff).await?.verify_presentation(message).await?.into_inner();
            (answer.verdict, answer.disclosed)
        }
    };
    let verdict: Verdict = verdict.unwrap_or_default();
    let disclosed = disclosed.as_ref().map(show::struct_to_json);
    if args.staff.json {
        carnet_console::print_line(json!({"verdict": show::verdict(&verdict), "disclosed": disclosed}));
    } else {
        carnet_console::print(show::verdict_text(&verdict));
        if let Some(disclosed) = disclosed {
            carnet_console::print_line(format_args!("Disclosed:\n{}", displayable_json(&disclosed)));
        }
    }
    Ok(u8::from(!verdict.accepted))
}

/// Returns the error text for a vp_token with a member that is not an array of presentations.
fn malformed_vp_token_text(id: &str) -> String {
    let id = displayable_json(&Value::from(id));
    format!(
        "the file is read as a vp_token, since it is JSON without @context, and its member {id} is not an array of presentations \
         (OpenID4VP 1.0 section 8.1). Nothing was sent.\n\
         hint: let the file hold {{{id}: [\"PRESENTATION\"]}}, or one presentation as it is"
    )
}

/// Returns whether the bytes are a JSON object that maps ids to presentations, and so no credential.
fn is_vp_token(bytes: &[u8]) -> bool {
    let presents = |value: &Value| value.is_array() || value.as_str().is_some_and(|text| text.contains('~'));
    json::parse_object(bytes, Limits::DOCUMENT)
        .is_ok_and(|members| !members.is_empty() && !members.contains_key("@context") && members.values().all(presents))
}

/// Parses a vp_token, or creates one from a single presentation for the only credential query.
fn parse_vp_token(
    bytes: Vec<u8>,
    query: &prost_types::Struct,
) -> Result<HashMap<String, PresentationList>, StaffFailure> {
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
    // A presentation has a `@context`, which is no valid query id.
    if let Ok(members) = json::parse_object(&bytes, Limits::DOCUMENT)
        && !members.contains_key("@context")
    {
        let member = |(id, items): (&String, &Value)| match items.as_array().and_then(list) {
            Some(items) => Ok((id.clone(), items)),
            None => Err(StaffFailure::Input(malformed_vp_token_text(id))),
        };
        return members.iter().map(member).collect();
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| StaffFailure::Input("the presentation is not text. Nothing was sent".to_owned()))?;
    let Value::Object(query) = show::struct_to_json(query) else { return Ok(HashMap::new()) };
    let ids: Vec<&str> = query
        .get("credentials")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|credential| credential.get("id")?.as_str())
        .collect();
    let [id] = ids.as_slice() else {
        return Err(StaffFailure::Input(
            "the query asks for several credentials, and the file holds one presentation. Nothing was sent.\n\
             hint: let the file hold a vp_token: {\"QUERY ID\": [\"PRESENTATION\"], ...}"
                .to_owned(),
        ));
    };
    let presentations = vec![text.trim().to_owned()];
    Ok(HashMap::from([((*id).to_owned(), PresentationList { presentations })]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(ids: &[&str]) -> prost_types::Struct {
        let credentials: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        carnet_service::wire::to_struct(json!({"credentials": credentials}).as_object().unwrap())
    }

    fn read(text: &str) -> Result<HashMap<String, PresentationList>, String> {
        parse_vp_token(text.as_bytes().to_vec(), &query(&["l"])).map_err(|failure| match failure {
            StaffFailure::Input(said) => said,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_vp_token_has_arrays_and_a_presentation_a_context() {
        let one =
            |text: &str| HashMap::from([("l".to_owned(), PresentationList { presentations: vec![text.to_owned()] })]);
        assert_eq!(read(r#"{"l": ["a~b~"]}"#).unwrap(), one("a~b~"));
        assert_eq!(read("a~b~\n").unwrap(), one("a~b~"));
        let document = r#"{"@context":["x"],"l":"a~b~"}"#;
        assert_eq!(read(document).unwrap(), one(document));
        for bad in [r#"{"l": "a~b~"}"#, r#"{"l": [1]}"#, r#"{"l": null}"#, r#"{"m": ["a"], "l": {"x": 1}}"#] {
            let said = read(bad).unwrap_err();
            assert!(said.contains("\"l\" is not an array of presentations"), "{said}");
            assert!(said.contains("Nothing was sent"), "{said}");
        }
    }

    #[test]
    fn a_vp_token_is_no_credential() {
        for text in [r#"{"l": "a~b~"}"#, r#"{"l": ["a~b~"]}"#] {
            assert!(is_vp_token(text.as_bytes()), "{text}");
        }
        for text in ["a~b~", "{}", r#"{"type": ["A"], "issuer": "did:web:a.example"}"#, r#"{"@context": []}"#] {
            assert!(!is_vp_token(text.as_bytes()), "{text}");
        }
    }
}
