//! Commands for the suite of VC-JOSE-COSE, which has no HTTP interface: a document and a key in files, and the result in
//! a file.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use carnet_core::{
    Code, Problem,
    conformance::{
        CheckTerms, CoseToken, DisclosurePath, EnvelopedKind, EnvelopedToken, Enveloping, Environment, KnownResource,
        NoStatusLists, SecretJwk, VerificationKey, issue_enveloped, sign_cose,
    },
    did::SelfContainedResolver,
    json::{self, Limits},
    secure::data_integrity::Cryptosuites,
    time::CLOCK_SKEW,
};
use carnet_service::time::now;
use clap::{Args, Subcommand, ValueEnum};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::{NOTICE, processor::Document};

/// Command on files.
#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Secure a document with the secret key of a verification method.
    Issue(FileArguments),
    /// Verify a secured document with the public key of a verification method.
    Verify(FileArguments),
}

/// Arguments of a command on files.
#[derive(Debug, Args)]
pub(crate) struct FileArguments {
    /// File with the document (JSON), or with the secured document.
    #[arg(long)]
    input: PathBuf,
    /// File with the verification method: publicKeyJwk, and secretKeyJwk to issue.
    #[arg(long)]
    key: PathBuf,
    /// Kind of the document, and its envelope.
    #[arg(long)]
    feature: Feature,
    /// Paths of claims to make selectively disclosable, separated by commas.
    #[arg(long, value_delimiter = ',')]
    disclosures: Vec<String>,
    /// Name of the command again, as the suite passes it; ignored.
    #[arg(long = "fn")]
    function: Option<String>,
    /// File for the result.
    #[arg(long)]
    output: PathBuf,
}

/// Kind of the document, and its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Feature {
    CredentialJose,
    CredentialSdjwt,
    CredentialCose,
    PresentationJose,
    PresentationSdjwt,
    PresentationCose,
}

impl Feature {
    const fn kind(self) -> EnvelopedKind {
        match self {
            Self::CredentialJose | Self::CredentialSdjwt | Self::CredentialCose => EnvelopedKind::Credential,
            Self::PresentationJose | Self::PresentationSdjwt | Self::PresentationCose => EnvelopedKind::Presentation,
        }
    }

    /// Returns the JOSE envelope; `None` for COSE.
    const fn enveloping(self) -> Option<Enveloping> {
        match self {
            Self::CredentialJose | Self::PresentationJose => Some(Enveloping::Jwt),
            Self::CredentialSdjwt | Self::PresentationSdjwt => Some(Enveloping::SdJwt),
            Self::CredentialCose | Self::PresentationCose => None,
        }
    }
}

/// Terms that no context defines are accepted: VC-JOSE-COSE has verifiers ignore members that they do not understand.
struct AnyTerms;

impl CheckTerms for AnyTerms {
    fn check_terms(&self, _document: &Document) -> Result<(), Problem> {
        Ok(())
    }
}

/// Runs a command, and writes `{"result", "data", "notice"}` to its output: `success` with the secured document or the
/// verified one, or `failure` with the problem.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn run(command: &FileCommand) -> Result<(), String> {
    let (FileCommand::Issue(arguments) | FileCommand::Verify(arguments)) = command;
    let input = read(&arguments.input)?;
    let key = read(&arguments.key)?;
    let done = match command {
        FileCommand::Issue(_) => issue(arguments, &input, &key),
        FileCommand::Verify(_) => verify(arguments, &input, &key),
    };
    let result = match done {
        Ok(data) => json!({"result": "success", "data": data, "notice": NOTICE}),
        Err(problem) => json!({"result": "failure", "data": problem.to_string(), "notice": NOTICE}),
    };
    std::fs::write(&arguments.output, result.to_string())
        .map_err(|error| format!("{}: {error}", arguments.output.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns a JWK of a verification method.
fn jwk(key: &[u8], member: &str) -> Result<Value, Problem> {
    let mut method = json::parse_object(key, Limits::DOCUMENT)?;
    method.remove(member).ok_or_else(|| Problem::new(Code::KeyInvalid, format!("the key file has no {member}")))
}

fn issue(arguments: &FileArguments, input: &[u8], key: &[u8]) -> Result<String, Problem> {
    let document = json::parse_object(input, Limits::DOCUMENT)?;
    let public = jwk(key, "publicKeyJwk")?;
    let kid = public.get("kid").and_then(Value::as_str);
    let secret = SecretJwk::from_jwk(&jwk(key, "secretKeyJwk")?)?;
    let signing_key = secret.signing_key();
    let paths = arguments.disclosures.iter().map(|path| DisclosurePath::parse(path));
    let paths: Vec<DisclosurePath> = paths.collect::<Result<_, _>>()?;
    let Some(enveloping) = arguments.feature.enveloping() else {
        let signed = sign_cose(&document, kid, &signing_key, &mut OsRng)?;
        return Ok(STANDARD_NO_PAD.encode(signed));
    };
    let environment = Environment {
        suites: &Cryptosuites::jcs(),
        resolver: &SelfContainedResolver,
        terms: &AnyTerms,
        status_lists: &NoStatusLists,
        resources: &KnownResource::published(),
        now: now(),
        skew: CLOCK_SKEW,
    };
    issue_enveloped(&document, (enveloping, &paths), kid, &environment, &signing_key, &mut OsRng)
}

fn verify(arguments: &FileArguments, input: &[u8], key: &[u8]) -> Result<String, Problem> {
    let key = VerificationKey::from_jwk(&jwk(key, "publicKeyJwk")?)?;
    let text = std::str::from_utf8(input).map_err(|_| Problem::from(Code::InvalidUnicode))?.trim();
    let (kind, document) = if let Some(enveloping) = arguments.feature.enveloping() {
        let token = EnvelopedToken::parse(text)?;
        let expected = arguments.feature.kind().typ(enveloping);
        if token.typ().map(|typ| typ.strip_prefix("application/").unwrap_or(typ)) != Some(expected) {
            return Err(Problem::new(Code::TokenType, format!("the typ is not {expected}")));
        }
        token.verify(&key)?;
        (token.kind(), token.document().clone())
    } else {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| Problem::from(Code::InvalidEncoding))?;
        let token = CoseToken::parse(&bytes)?;
        token.verify(&key)?;
        (token.kind(), token.document().clone())
    };
    if kind != arguments.feature.kind() {
        return Err(Problem::new(Code::TokenType, "the content is of the other kind"));
    }
    Ok(Value::Object(document).to_string())
}
