//! Signature of a list of trusted entities: a JAdES signature (ETSI TS 119 182-1) as a compact or flattened JWS, by the
//! certificate that the operator has pinned.

use std::path::PathBuf;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use carnet_core::{
    Problem,
    json::{self, Limits},
    secure::jose::{CompactJws, numeric_date},
    time::{CLOCK_SKEW, Timestamp},
};
use clap::Args;
use serde_json::{Map, Value};

use super::certificate::{Certificate, CertificateFingerprint, decode_pem_or_der};
use crate::{error::CommandError, files::read_file};

/// Permitted header parameters. Others, such as `sigD` and `b64`, would change the signed text or its meaning.
const PERMITTED_HEADER: [&str; 9] = ["alg", "typ", "cty", "kid", "x5c", "x5t#S256", "sigT", "iat", "crit"];
/// Supported critical header parameters.
const SUPPORTED_CRITICAL: [&str; 2] = ["sigT", "iat"];
const ALGORITHMS: [&str; 3] = ["ES256", "ES384", "EdDSA"];

/// Options that name the certificate that must have signed the list, or state that the list is unsigned.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct SignerArgs {
    /// The certificate with which the list must be signed, as PEM or DER; obtained from its publisher, not from the
    /// list.
    #[arg(long, value_name = "FILE")]
    signer: Option<PathBuf>,
    /// The certificate with which the list must be signed, by the SHA-256 of its DER: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = CertificateFingerprint::parse)]
    signer_sha256: Option<CertificateFingerprint>,
    /// The list is not signed, and you verified it by other means.
    #[arg(long)]
    unsigned: bool,
}

/// Requirement on the signature of a LoTE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredSigner {
    /// Owner of the certificate with this fingerprint.
    Pinned(CertificateFingerprint),
    /// Not checked: the list is unsigned, and the operator has verified it by other means.
    NotChecked,
}

impl SignerArgs {
    /// Returns the required signer. Reads the certificate if its file is given; an error if no option is given.
    pub(crate) fn required_signer(&self) -> Result<RequiredSigner, CommandError> {
        if let Some(path) = &self.signer {
            let refused = |problem: Problem| {
                let what = format!("{} is refused as a certificate", path.display());
                CommandError::from_problem(
                    &problem,
                    &what,
                    "name the PEM or DER of the one certificate that signs the list",
                )
            };
            let der = decode_pem_or_der(read_file(path)?).map_err(refused)?;
            return Certificate::parse(&der)
                .map(|certificate| RequiredSigner::Pinned(certificate.fingerprint))
                .map_err(refused);
        }
        match (self.signer_sha256, self.unsigned) {
            (Some(fingerprint), _) => Ok(RequiredSigner::Pinned(fingerprint)),
            (None, true) => Ok(RequiredSigner::NotChecked),
            (None, false) => Err(CommandError::new(
                "signer_needed",
                "The expected signer of the list is not given",
                "give the certificate that its publisher announces, with --signer FILE or --signer-sha256 HEX; if \
                 the list is not signed and you verified it by other means, use --unsigned",
            )),
        }
    }
}

/// Content of a LoTE, and a sentence about the verification of its signature.
#[derive(Debug)]
pub(super) struct VerifiedLote {
    pub(super) payload: Map<String, Value>,
    pub(super) verification_note: String,
}

/// Reads a LoTE, and verifies its signature as `signer` requires: a signed list (compact or flattened JWS) needs a
/// pinned certificate, and an unsigned one [`RequiredSigner::NotChecked`].
pub(super) fn read_lote(bytes: &[u8], signer: RequiredSigner, now: Timestamp) -> Result<VerifiedLote, CommandError> {
    let jws = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let document = json::parse_object(bytes, Limits::STATUS_LIST).map_err(|problem| {
                CommandError::from_problem(&problem, "The file is not acceptable JSON", "get it again")
            })?;
            if !["payload", "protected", "signature", "signatures"].iter().any(|name| document.contains_key(*name)) {
                return accept_unsigned(document, signer);
            }
            flattened_to_compact(&document)?
        }
        _ if bytes.len() > Limits::STATUS_LIST.max_bytes => {
            return Err(CommandError::new("too_large", "The file is longer than 4 MiB", "enter the list by hand"));
        }
        _ => String::from_utf8_lossy(bytes).trim_ascii().to_owned(),
    };
    let jws = CompactJws::parse_within(&jws, Limits::STATUS_LIST).map_err(|problem| {
        CommandError::from_problem(
            &problem,
            "The file is neither a list in JSON nor a signed one",
            "get it again from its publisher",
        )
    })?;
    let RequiredSigner::Pinned(pinned) = signer else {
        let hint = "give the certificate that its publisher announces, with --signer or --signer-sha256, instead of \
                    --unsigned";
        return Err(CommandError::new("lote_signed", "This list is signed", hint));
    };
    let certificate = verify(&jws, pinned, now)?;
    let Certificate { fingerprint, subject, .. } = certificate;
    let vouched = format!("signed with the certificate of {subject:?} that was named (SHA-256 {fingerprint})");
    Ok(VerifiedLote { payload: jws.payload().clone(), verification_note: vouched })
}

fn accept_unsigned(payload: Map<String, Value>, signer: RequiredSigner) -> Result<VerifiedLote, CommandError> {
    match signer {
        RequiredSigner::NotChecked => {
            Ok(VerifiedLote { payload, verification_note: "nobody has verified its signature".to_owned() })
        }
        RequiredSigner::Pinned(_) => Err(CommandError::new(
            "lote_unsigned",
            "This list is not signed",
            "get the file that its publisher signed; if there is none and you verified it by other means, use \
             --unsigned",
        )),
    }
}

fn refused(what: impl Into<String>) -> CommandError {
    let hint = "ask the list's publisher for a compact JAdES signature (baseline B), as TS 119 602 has it";
    CommandError::new("lote_signature", what, hint)
}

/// Converts a flattened JWS to the compact form (RFC 7515 section 7.2.2). Its unprotected header may contain only
/// `etsiU`, which is for archiving.
fn flattened_to_compact(document: &Map<String, Value>) -> Result<String, CommandError> {
    let part = |name: &str| match document.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(refused(format!("The signed list has no text {name:?}"))),
    };
    if document.contains_key("signatures") {
        return Err(refused("The list has `signatures`; only a single signature is supported"));
    }
    if let Some(name) =
        document.keys().find(|name| !["payload", "protected", "signature", "header"].contains(&name.as_str()))
    {
        return Err(refused(format!("The signed list has {:?}, which is unknown", truncate(name))));
    }
    let archived = |header: &Value| header.as_object().is_some_and(|header| header.keys().all(|name| name == "etsiU"));
    if !document.get("header").is_none_or(archived) {
        return Err(refused("The signature has an unprotected header"));
    }
    Ok([part("protected")?, part("payload")?, part("signature")?].join("."))
}

/// Truncates text from outside to 40 characters for display.
fn truncate(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Verifies that the pinned certificate signed the list, and was valid then and is valid now. Returns the certificate.
fn verify(jws: &CompactJws, pinned: CertificateFingerprint, now: Timestamp) -> Result<Certificate, CommandError> {
    let header = jws.header();
    if let Some(name) = header.keys().find(|name| !PERMITTED_HEADER.contains(&name.as_str())) {
        return Err(refused(format!("The signature's header has {:?}, which is not supported", truncate(name))));
    }
    check_critical(header)?;
    let alg = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if !ALGORITHMS.contains(&alg) {
        let what = format!("The signature's alg is {:?}; only {} are accepted", truncate(alg), ALGORITHMS.join(", "));
        return Err(CommandError::new("algorithm_forbidden", what, "ask the list's publisher for one of these"));
    }
    let der = leaf_certificate(header)?;
    let fingerprint = CertificateFingerprint::from_der(&der);
    if fingerprint != pinned {
        return Err(CommandError::new(
            "signer_untrusted",
            format!("The list is signed with the certificate {fingerprint}, not with the given one ({pinned})"),
            "ask its publisher which certificate signs the list now; do not trust the list for that",
        ));
    }
    let thumbprint = header.get("x5t#S256");
    if thumbprint.is_some_and(|text| *text != URL_SAFE_NO_PAD.encode(fingerprint.as_bytes())) {
        return Err(refused("The signature's x5t#S256 does not match its certificate"));
    }
    let of = |problem: Problem| {
        CommandError::from_problem(
            &problem,
            "The certificate that signs the list is refused",
            "ask the list's publisher for a newly signed list",
        )
    };
    let certificate = Certificate::parse(&der).map_err(of)?;
    certificate.check_valid(now, "now").map_err(of)?;
    certificate.verify_signature(alg, jws.signing_input(), jws.signature()).map_err(|problem| {
        CommandError::from_problem(&problem, "The list's signature is invalid", "get the list again from its publisher")
    })?;
    for at in signing_times(header)? {
        if at > now.plus(CLOCK_SKEW) {
            return Err(CommandError::new(
                "not_yet_valid",
                format!("The list says that it was signed at {at}"),
                "check this machine's clock",
            ));
        }
        certificate.check_valid(at, "the time of the signature").map_err(of)?;
    }
    Ok(certificate)
}

/// Checks that every critical parameter is present, listed once and supported (RFC 7515 section 4.1.11).
fn check_critical(header: &Map<String, Value>) -> Result<(), CommandError> {
    let Some(crit) = header.get("crit") else { return Ok(()) };
    let refused = |what: String| {
        Err(CommandError::new("header_critical", what, "ask the list's publisher for a signature without it"))
    };
    let names: Option<Vec<&str>> = crit.as_array().and_then(|names| names.iter().map(Value::as_str).collect());
    let Some(names) = names.filter(|names| !names.is_empty()) else {
        return refused("The signature's crit is not a list of names".to_owned());
    };
    for (at, name) in names.iter().enumerate() {
        if !SUPPORTED_CRITICAL.contains(name) {
            return refused(format!("The signature's {:?} is critical, and not supported", truncate(name)));
        }
        if !header.contains_key(*name) || names.iter().take(at).any(|other| other == name) {
            return refused(format!("The signature's crit names {name:?} twice, or names it without having it"));
        }
    }
    Ok(())
}

/// Returns the DER of the first certificate in `x5c`. The others are ignored, since no chain is verified.
fn leaf_certificate(header: &Map<String, Value>) -> Result<Vec<u8>, CommandError> {
    let chain = header.get("x5c").and_then(Value::as_array);
    let first = chain.and_then(|chain| chain.first()).and_then(Value::as_str);
    let first = first.ok_or_else(|| refused("The signature does not carry its certificate (x5c)"))?;
    STANDARD.decode(first).map_err(|_| refused("The signature's certificate (x5c) is not base64"))
}

/// Returns the signing times that the header states: `sigT` of JAdES, and `iat` of its later version.
fn signing_times(header: &Map<String, Value>) -> Result<impl Iterator<Item = Timestamp>, CommandError> {
    let malformed = || refused("The time of the signature (sigT, iat) is malformed");
    let claimed = match header.get("sigT") {
        None => None,
        Some(text) => Some(text.as_str().and_then(|text| Timestamp::parse(text).ok()).ok_or_else(malformed)?),
    };
    let issued = numeric_date(header, "iat").map_err(|_| malformed())?;
    Ok(claimed.into_iter().chain(issued))
}

#[cfg(test)]
mod tests;
