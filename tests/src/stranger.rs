//! A verifier of another house, which speaks OpenID4VP 1.0 over HTTP and knows nothing of Carnet's.

// Where something does not hold, a test or the demonstration ends.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::missing_panics_doc)]

use std::sync::{Arc, Mutex};

use crate::{
    Result,
    visitor::{now, object},
};
use carnet_core::{
    did::Did,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::{
        jose,
        jwe::{ContentEncryption, DecryptionKey, decrypt},
    },
};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rand_core::OsRng;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

type Change = Box<dyn Fn(&mut Value, &mut Value) + Send + Sync>;

/// Running verifier with one request, and the bodies that were posted to its `response_uri`.
#[derive(Debug)]
pub struct Stranger {
    url: String,
    /// Client id of its request.
    pub client_id: String,
    key: DecryptionKey,
    responses: Arc<Mutex<Vec<String>>>,
}

struct Desk {
    key: SecretKey,
    signer: SecretKey,
    url: String,
    client_id: String,
    encryption: Value,
    query: Value,
    change: Change,
    responses: Arc<Mutex<Vec<String>>>,
    /// Status and body of the answer to a response.
    answer: (u16, &'static str),
}

impl Stranger {
    /// Opens a verifier that asks with a DCQL query. `change` makes its request object, header and payload, another one.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn open(
        query: Value,
        answer: (u16, &'static str),
        change: impl Fn(&mut Value, &mut Value) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let decryption = DecryptionKey::generate(&mut OsRng);
        let client_id = format!("decentralized_identifier:{}", Did::did_jwk(&key.public_key()));
        let url = format!("http://{}", listener.local_addr()?);
        let responses: Arc<Mutex<Vec<String>>> = Arc::default();
        let desk = Desk {
            key,
            signer: SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng),
            url: url.clone(),
            client_id: client_id.clone(),
            encryption: json!({"keys": [decryption.public_key().to_jwk()]}),
            query,
            change: Box::new(change),
            responses: Arc::clone(&responses),
            answer,
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = desk.serve(stream).await;
            }
        });
        Ok(Self { url, client_id, key: decryption, responses })
    }

    /// Link to the request, with a client id.
    pub fn link_of(&self, client_id: &str) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let uri = format!("{}/request", self.url);
        format!("openid4vp://?client_id={}&request_uri={}&request_uri_method=post", encode(client_id), encode(&uri))
    }

    /// Link to the request, with its own client id.
    pub fn link(&self) -> String {
        self.link_of(&self.client_id)
    }

    /// Decrypted `vp_token` of the one response; `None` if nothing was sent.
    pub fn vp_token(&self) -> Option<Value> {
        let responses = self.responses.lock().unwrap();
        let body = responses.first()?;
        assert_eq!(responses.len(), 1, "one response");
        let token = percent_decode_str(body.strip_prefix("response=").unwrap()).decode_utf8().unwrap();
        let opened = decrypt(&token, &self.key, &ContentEncryption::ALL, 1_000_000).unwrap();
        let content: Value = serde_json::from_slice(&opened.plaintext).unwrap();
        assert_eq!(content["state"], "s-1");
        Some(content["vp_token"].clone())
    }
}

impl Desk {
    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let (head, body) = read(&mut stream).await?;
        let (status, media_type, answer) = if head.starts_with("POST /request ") {
            (200, "application/oauth-authz-req+jwt", self.request_object(&body)?)
        } else if head.starts_with("POST /response ") {
            self.responses.lock().unwrap().push(body);
            (self.answer.0, "application/json", self.answer.1.to_owned())
        } else {
            (404, "text/plain", String::new())
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.as_bytes()).await?;
        Ok(())
    }

    fn request_object(&self, form: &str) -> Result<String> {
        let nonce = form.split('&').find_map(|pair| pair.strip_prefix("wallet_nonce=")).ok_or("no wallet_nonce")?;
        let now = now();
        let did = self.client_id.trim_start_matches("decentralized_identifier:");
        let mut header = json!({"typ": "oauth-authz-req+jwt", "kid": format!("{did}#0")});
        let mut payload = json!({
            "client_id": self.client_id, "aud": "https://self-issued.me/v2", "response_type": "vp_token",
            "response_mode": "direct_post.jwt", "response_uri": format!("{}/response", self.url),
            "nonce": "n-0123456789abcdef0123456789abcdef01234567890", "state": "s-1", "wallet_nonce": nonce,
            "iat": now.unix(), "exp": now.plus(300).unix(), "dcql_query": self.query,
            "client_metadata": {
                "jwks": self.encryption,
                "encrypted_response_enc_values_supported": ["A128GCM"],
                "vp_formats_supported": {"vc+sd-jwt": {"sd-jwt_alg_values": ["EdDSA"], "kb-jwt_alg_values": ["EdDSA"]}},
            },
        });
        (self.change)(&mut header, &mut payload);
        // A header that names another signer is only a mark of this test.
        let signer = if header["by_another"].is_null() { &self.key } else { &self.signer };
        header.as_object_mut().unwrap().remove("by_another");
        Ok(jose::sign(object(header), &object(payload), signer)?)
    }
}

/// Reads one request: its head and its body.
///
/// # Errors
/// The connection was cut off.
pub async fn read(stream: &mut TcpStream) -> Result<(String, String)> {
    let mut seen = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).await?;
        seen.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        if count == 0 {
            return Err("the request was cut off".into());
        }
    }
}
