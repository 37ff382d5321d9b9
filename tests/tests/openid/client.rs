//! A plain HTTP client, and a little wallet over it that shares no code with the service.

use std::collections::HashMap;

use carnet_core::keys::{SecretKey, SignatureAlgorithm, Signer};
use carnet_tests::{Result, stage::Office, visitor};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Response to one request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Headers by their names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Stable reason of a refusal.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.header("carnet-reason")
    }

    /// Error code of the text. The body has no members but those of the text.
    pub(crate) fn error(&self) -> String {
        let body = self.json();
        let members = body.as_object().unwrap();
        assert!(members.keys().all(|name| ["error", "error_description"].contains(&name.as_str())), "{body}");
        body["error"].as_str().unwrap().to_owned()
    }
}

/// Sends a request over HTTP/1.1, on a connection of its own.
pub(crate) async fn send(
    office: &Office,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    let address = office.service.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await?;
    // A server that answers by the head alone may have closed its side by now.
    stream.write_all(body).await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(|| format!("no head: {read:?}"))?;
    let head = String::from_utf8(answer[..end].to_vec())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status line")?.parse()?;
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    assert!(!headers.contains_key("transfer-encoding"), "{headers:?}");
    Ok(Response { status, headers, body: answer[end + 4..].to_vec() })
}

pub(crate) async fn get(office: &Office, url: &str) -> Result<Response> {
    send(office, ("GET", path_of(office, url)), &[], &[]).await
}

pub(crate) async fn post_json(office: &Office, url: &str, token: Option<&str>, body: &Value) -> Result<Response> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    send(office, ("POST", path_of(office, url)), &headers, body.to_string().as_bytes()).await
}

pub(crate) async fn post_form(office: &Office, url: &str, parameters: &[(&str, &str)]) -> Result<Response> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    send(office, ("POST", path_of(office, url)), &headers, pairs.join("&").as_bytes()).await
}

/// Path of a URL, which has to be the office's own.
fn path_of<'a>(office: &Office, url: &'a str) -> &'a str {
    url.strip_prefix(office.service.url.as_str()).unwrap_or_else(|| panic!("{url} is not at {}", office.service.url))
}

pub(crate) const GRANT: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";

/// Offer as a wallet reads it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) id: String,
    pub(crate) issuer: String,
    pub(crate) configurations: Vec<String>,
    pub(crate) code: String,
    pub(crate) pin: Option<String>,
}

impl Offer {
    /// Lets staff create an offer, and reads it by reference.
    pub(crate) async fn make(office: &Office, kind: &str, extra: &[&str]) -> Result<Self> {
        let mut args = vec!["offer", "create", "--type", kind, "--example"];
        args.extend(extra);
        let said = office.staff(&args)?.ok()?.json()?;
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        let link = text("offer_reference_uri").ok_or("there is no link by reference")?;
        let url = link.strip_prefix("openid-credential-offer://?credential_offer_uri=").ok_or("another link")?;
        let url = percent_decode_str(url).decode_utf8()?.into_owned();
        let response = get(office, &url).await?;
        assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")));
        let offer = response.json();
        let ids = offer["credential_configuration_ids"].as_array().ok_or("no configurations")?;
        let grant = &offer["grants"][GRANT];
        assert_eq!(grant["tx_code"].is_object(), text("pin").is_some(), "{offer}");
        Ok(Self {
            id: text("offer_id").ok_or("no id")?,
            issuer: offer["credential_issuer"].as_str().ok_or("no issuer")?.to_owned(),
            configurations: ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            code: grant["pre-authorized_code"].as_str().ok_or("no code")?.to_owned(),
            pin: text("pin"),
        })
    }

    pub(crate) fn configuration(&self, format: &str) -> &str {
        self.configurations.iter().find(|id| id.ends_with(&format!("_{format}"))).map_or("none", String::as_str)
    }
}

/// Endpoints as the metadata names them.
pub(crate) struct Endpoints {
    pub(crate) metadata: Value,
    pub(crate) token: String,
}

impl Endpoints {
    pub(crate) async fn discover(office: &Office) -> Result<Self> {
        let issuer = &office.service.url;
        let metadata = get(office, &format!("{issuer}/.well-known/openid-credential-issuer")).await?.json();
        assert_eq!(metadata["credential_issuer"], json!(issuer));
        let server = get(office, &format!("{issuer}/.well-known/oauth-authorization-server")).await?.json();
        assert_eq!(server["issuer"], json!(issuer));
        let token = server["token_endpoint"].as_str().ok_or("no token endpoint")?.to_owned();
        Ok(Self { metadata, token })
    }

    pub(crate) fn of(&self, name: &str) -> &str {
        self.metadata[name].as_str().unwrap_or_else(|| panic!("the metadata has no {name}"))
    }

    pub(crate) async fn redeem(&self, office: &Office, offer: &Offer) -> Result<Response> {
        let mut parameters = vec![("grant_type", GRANT), ("pre-authorized_code", offer.code.as_str())];
        parameters.extend(offer.pin.as_deref().map(|pin| ("tx_code", pin)));
        post_form(office, &self.token, &parameters).await
    }

    pub(crate) async fn nonce(&self, office: &Office) -> Result<String> {
        let response = send(office, ("POST", path_of(office, self.of("nonce_endpoint"))), &[], &[]).await?;
        assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")));
        Ok(response.json()["c_nonce"].as_str().ok_or("no nonce")?.to_owned())
    }
}

/// Access token of a token response.
pub(crate) fn access_token(response: &Response) -> String {
    assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")), "{response:?}");
    let body = response.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 3, "{body}");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(300)));
    body["access_token"].as_str().unwrap().to_owned()
}

pub(crate) fn keys(count: usize) -> Vec<SecretKey> {
    (0..count).map(|_| SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)).collect()
}

/// Proofs of possession of keys, for this audience.
pub(crate) fn proofs(keys: &[SecretKey], audience: &str, nonce: &str) -> Vec<String> {
    keys.iter().map(|key| visitor::proof(key, audience, nonce, visitor::now()).unwrap()).collect()
}

/// A proof with another header or payload: members that are null are left out.
pub(crate) fn bent_proof(key: &SecretKey, header: Value, payload: Value) -> String {
    let mut all = json!({"typ": "openid4vci-proof+jwt", "jwk": key.public_key().to_jwk()});
    let merge = |all: &mut Value, changes: Value| {
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
    };
    merge(&mut all, header);
    let mut claims = json!({"iat": visitor::now().unix()});
    merge(&mut claims, payload);
    carnet_core::secure::jose::sign(visitor::object(all), &visitor::object(claims), key).unwrap()
}
