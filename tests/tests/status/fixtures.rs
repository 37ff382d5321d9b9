//! A client of the lists, and what an office and its lists say of copies.

use std::sync::Arc;

use carnet_core::status::{StatusList, bitstring, token};
use carnet_tests::{
    Result,
    stage::{Office, Stage, residence_permit},
    visitor,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

pub(super) const PERMIT: &str = "ResidencePermitCredential";

/// A client of the web site, which trusts only its certificate authority.
pub(super) struct Client(TlsConnector);

/// An answer over HTTPS.
pub(super) struct Answer {
    pub(super) code: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Result<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        found.ok_or_else(|| format!("the answer has no {name}").into())
    }
}

impl Client {
    pub(super) fn new(stage: &Stage) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(stage.folder.join("ca.pem"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Gets `https://localhost:PORT/PATH`, with further header lines.
    pub(super) async fn get(&self, url: &str, more: &str) -> Result<Answer> {
        let (host, path) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')).ok_or("no URL")?;
        let stream = tokio::net::TcpStream::connect(host.replace("localhost", "127.0.0.1")).await?;
        let mut stream = self.0.connect("localhost".try_into()?, stream).await?;
        let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no answer")?;
        let body = bytes.split_off(end).split_off(4);
        let head = String::from_utf8(bytes)?;
        let code = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok(Answer { code, head, body })
    }

    pub(super) async fn text(&self, url: &str) -> Result<String> {
        let answer = self.get(url, "").await?;
        if answer.code == 200 {
            Ok(String::from_utf8(answer.body)?)
        } else {
            Err(format!("{url}: {}", answer.code).into())
        }
    }
}

/// Status lists of an office, each in its format, at one instant.
pub(super) struct Lists {
    pub(super) revocation: StatusList,
    pub(super) suspension: StatusList,
    pub(super) token: StatusList,
}

impl Lists {
    pub(super) async fn fetch(client: &Client, office: &Office) -> Result<Self> {
        let base = base(office);
        let revocation = bits(&client.text(&format!("{base}/revocation/0")).await?)?;
        let suspension = bits(&client.text(&format!("{base}/suspension/0")).await?)?;
        let compact = client.text(&format!("{base}/token/0")).await?;
        let payload = carnet_core::secure::jose::Jws::parse_within(&compact, carnet_core::json::Limits::STATUS_LIST)?;
        let token = token::parse_list(payload.payload().get("status_list").ok_or("the token has no list")?)?;
        Ok(Self { revocation, suspension, token })
    }

    /// The state of an entry, in which the forms agree.
    pub(super) fn state(&self, index: u64) -> Result<&'static str> {
        match (self.revocation.value(index)?, self.suspension.value(index)?, self.token.value(index)?) {
            (0, 0, token::VALID) => Ok("valid"),
            (0, 1, token::SUSPENDED) => Ok("suspended"),
            (1, 1, token::INVALID) => Ok("revoked"),
            other => Err(format!("the forms of entry {index} differ: {other:?}").into()),
        }
    }
}

pub(super) fn bits(text: &str) -> Result<StatusList> {
    let document: Value = serde_json::from_str(text)?;
    let encoded = document.pointer("/credentialSubject/encodedList").and_then(Value::as_str);
    Ok(bitstring::decode_list(encoded.ok_or("the credential has no list")?, 1)?)
}

/// URL of an office's lists: beside its DID document.
pub(super) fn base(office: &Office) -> String {
    let place = office.did.trim_start_matches("did:web:").replace(':', "/").replace("%3A", ":");
    format!("https://{place}/status")
}

/// Returns the issuer's records of an offer's copies: entry and state.
pub(super) fn shown(office: &Office, offer: &str) -> Result<Vec<(u64, String)>> {
    let said = office.staff(&["status", "show", offer])?.ok()?.json()?;
    let copies = said.get("copies").and_then(Value::as_array).ok_or("no copies")?;
    let copy = |copy: &Value| -> Option<(u64, String)> {
        Some((copy.get("index")?.as_u64()?, copy.get("status")?.as_str()?.to_owned()))
    };
    Ok(copies.iter().filter_map(copy).collect())
}

pub(super) async fn issued(stage: &Stage) -> Result<String> {
    let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
    visitor::collect(&offered.uri, None, visitor::now()).await?;
    Ok(offered.id)
}
