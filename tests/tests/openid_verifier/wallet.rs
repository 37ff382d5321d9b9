//! A little wallet of another house: it speaks OpenID4VP 1.0 over HTTP and knows nothing of Carnet's.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    keys::PublicKey,
    query::Query,
    secure::{
        jose::Jws,
        jwe::{ContentEncryption, EncryptionKey, encrypt},
    },
};
use carnet_tests::{Result, visitor::Asked};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rand_core::{CryptoRngCore, OsRng};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Answer of HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Header lines, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Reason for a refusal, in lower case; `None` if the answer was accepted.
    pub(crate) fn refusal(&self) -> Option<String> {
        let reason = self.head.lines().find_map(|line| line.strip_prefix("carnet-reason: ")).unwrap_or("none");
        (self.status != 200).then(|| reason.to_owned())
    }
}

/// Sends one request over HTTP/1.1.
pub(crate) async fn send(method: &str, url: &str, content_type: &str, body: &str) -> Result<Answer> {
    let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("no URL")?;
    let mut stream = TcpStream::connect(authority).await?;
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // A server that answers by the head alone may have closed its side by now.
    stream.write_all(body.as_bytes()).await.ok();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok();
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.split(' ').nth(1).ok_or("no status line")?.parse()?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Parameter of a link.
pub(crate) fn parameter(link: &str, name: &str) -> Result<String> {
    let (_, query) = link.split_once('?').ok_or("the link has no query")?;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    Ok(percent_decode_str(found.ok_or_else(|| format!("the link has no {name}"))?).decode_utf8()?.into_owned())
}

/// Request object whose signature was verified.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) header: Value,
    pub(crate) payload: Value,
}

impl Request {
    /// Fetches the request object of a link.
    pub(crate) async fn fetch(link: &str) -> Result<Self> {
        let answer = send("GET", &parameter(link, "request_uri")?, "", "").await?;
        Self::read(link, &answer)
    }

    /// Reads a link that has the request itself: signed, or its parameters, whose response goes to the client id.
    pub(crate) fn by_value(link: &str) -> Result<Self> {
        if parameter(link, "request").is_ok() {
            let head = "content-type: application/oauth-authz-req+jwt\ncache-control: no-store".to_owned();
            return Self::read(link, &Answer { status: 200, head, body: parameter(link, "request")? });
        }
        let mut payload = json!({});
        for pair in link.split_once('?').ok_or("the link has no query")?.1.split('&') {
            let (name, value) = pair.split_once('=').ok_or("no value")?;
            let value = percent_decode_str(value).decode_utf8()?.into_owned();
            let is_object = ["dcql_query", "client_metadata"].contains(&name);
            payload[name] = if is_object { serde_json::from_str(&value)? } else { Value::String(value) };
        }
        let request = Self { header: Value::Null, payload };
        assert_eq!(request.text("client_id"), format!("redirect_uri:{}", request.text("response_uri")));
        Ok(request)
    }

    /// Fetches it by POST, with a nonce of the wallet.
    pub(crate) async fn post(link: &str, wallet_nonce: &str) -> Result<Self> {
        let body = form(&[("wallet_nonce", wallet_nonce), ("wallet_metadata", "{}")]);
        let answer = send("POST", &parameter(link, "request_uri")?, FORM, &body).await?;
        Self::read(link, &answer)
    }

    pub(crate) fn read(link: &str, answer: &Answer) -> Result<Self> {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("content-type: application/oauth-authz-req+jwt"), "{}", answer.head);
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
        let jws = Jws::parse(&answer.body)?;
        let client_id = parameter(link, "client_id")?;
        let jwk = client_id.strip_prefix("decentralized_identifier:did:jwk:").ok_or("no did:jwk")?;
        let jwk: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwk)?)?;
        jws.verify(&PublicKey::from_jwk(&jwk)?)?;
        let request =
            Self { header: Value::Object(jws.header().clone()), payload: Value::Object(jws.payload().clone()) };
        assert_eq!(request.text("client_id"), client_id);
        Ok(request)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.payload.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The part of the request that a presentation for one of its credential queries needs.
    pub(crate) fn asked(&self, query_id: &str) -> Result<Asked> {
        let query = Query::parse(self.payload.get("dcql_query").ok_or("no query")?)?;
        let one = query.credential(query_id).ok_or("no such credential query")?;
        Ok(Asked {
            endpoint: String::new(),
            id: String::new(),
            nonce: self.text("nonce").to_owned(),
            audience: self.text("client_id").to_owned(),
            query_id: query_id.to_owned(),
            paths: one.claims.iter().map(|claim| claim.path.clone()).collect(),
        })
    }

    /// The key to encrypt to.
    pub(crate) fn key(&self) -> Result<EncryptionKey> {
        Ok(EncryptionKey::from_jwk(self.payload.pointer("/client_metadata/jwks/keys/0").ok_or("no key")?)?)
    }

    /// The parameters of a response, encrypted or not as the request demands.
    pub(crate) fn body(
        &self,
        vp_token: &BTreeMap<String, Vec<String>>,
        encryption: ContentEncryption,
    ) -> Result<String> {
        self.body_by(vp_token, encryption, &mut OsRng)
    }

    /// The same, with an ephemeral key by a generator.
    pub(crate) fn body_by(
        &self,
        vp_token: &BTreeMap<String, Vec<String>>,
        encryption: ContentEncryption,
        random: &mut impl CryptoRngCore,
    ) -> Result<String> {
        let state = self.text("state");
        if self.text("response_mode") == "direct_post" {
            return Ok(form(&[("vp_token", &json!(vp_token).to_string()), ("state", state)]));
        }
        let content = json!({"vp_token": vp_token, "state": state}).to_string();
        let apv = self.text("nonce").as_bytes();
        Ok(form(&[("response", &encrypt(content.as_bytes(), &self.key()?, encryption, apv, random)?)]))
    }

    /// Posts a body to where the request wants its response.
    pub(crate) async fn submit_body(&self, body: &str) -> Result<Answer> {
        let answer = send("POST", self.text("response_uri"), FORM, body).await?;
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
        for header in ["set-cookie", "etag"] {
            assert!(!answer.head.contains(header), "{}", answer.head);
        }
        Ok(answer)
    }

    /// Answers with these presentations.
    pub(crate) async fn submit(&self, vp_token: &BTreeMap<String, Vec<String>>) -> Result<Answer> {
        self.submit_body(&self.body(vp_token, ContentEncryption::A128Gcm)?).await
    }
}

/// A form of these parameters.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    parameters.iter().map(pair).collect::<Vec<_>>().join("&")
}
