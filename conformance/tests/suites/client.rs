//! The program as a process, and a small HTTP client.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::{Map, Value, json};

pub(crate) const V2: &str = "https://www.w3.org/ns/credentials/v2";
pub(crate) const EXAMPLES: &str = "https://www.w3.org/ns/credentials/examples/v2";

/// Response to one request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Response {
    /// Returns a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Running program; it ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) base_url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_carnet-conformance"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut base_url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut base_url).unwrap();
        Self { child, base_url: base_url.trim().to_owned() }
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, media_type: &str, body: &str) -> Response {
        let address = self.base_url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, "application/json", &body.to_string())
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, "application/json", "")
    }

    /// Issues a credential with a profile.
    pub(crate) fn try_issue(&self, profile: &str, credential: &Value) -> Response {
        self.post(&format!("/{profile}/credentials/issue"), &json!({"credential": credential, "options": {}}))
    }

    /// Issues a credential that has to be issued.
    #[track_caller]
    pub(crate) fn issue(&self, profile: &str, credential: &Value) -> Value {
        let response = self.try_issue(profile, credential);
        assert_eq!(response.status, 201, "{credential}: {}", response.body);
        response.body["verifiableCredential"].clone()
    }

    /// Verifies a credential with options; returns the response.
    pub(crate) fn try_verify(&self, profile: &str, credential: &Value, options: &Value) -> Response {
        let body = json!({"verifiableCredential": credential, "options": options});
        self.post(&format!("/{profile}/credentials/verify"), &body)
    }

    /// Returns the status of a verification without options.
    pub(crate) fn verify(&self, profile: &str, credential: &Value) -> u16 {
        self.try_verify(profile, credential, &json!({"checks": ["proof"]})).status
    }

    #[track_caller]
    pub(crate) fn verifies(&self, profile: &str, credential: &Value) {
        let response = self.try_verify(profile, credential, &json!({"checks": ["proof"]}));
        assert_eq!(
            (response.status, &response.body["verified"]),
            (200, &json!(true)),
            "{credential}: {}",
            response.body
        );
    }

    #[track_caller]
    pub(crate) fn refuses(&self, profile: &str, credential: &Value) {
        let response = self.try_verify(profile, credential, &json!({"checks": ["proof"]}));
        assert_eq!(
            (response.status, &response.body["verified"]),
            (400, &json!(false)),
            "{credential}: {}",
            response.body
        );
    }
}

/// Returns a small credential without an issuer, as the suites send it.
pub(crate) fn minimal() -> Value {
    json!({
        "@context": [V2],
        "type": ["VerifiableCredential"],
        "credentialSubject": {"id": "did:key:z6MkhTNL7i2etLerDK8Acz5t528giE5KA4p75T6ka1E1D74r"},
    })
}

/// Returns a credential with one member replaced or, for `None`, removed.
pub(crate) fn with(credential: &Value, member: &str, value: Option<Value>) -> Value {
    let mut changed: Map<String, Value> = credential.as_object().unwrap().clone();
    match value {
        Some(value) => changed.insert(member.to_owned(), value),
        None => changed.remove(member),
    };
    Value::Object(changed)
}

/// Returns a credential with the value at a JSON pointer replaced.
#[track_caller]
pub(crate) fn at(credential: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = credential.clone();
    *changed.pointer_mut(pointer).unwrap() = value;
    changed
}

/// Returns a credential without the member of its proof.
pub(crate) fn without_proof_member(credential: &Value, member: &str) -> Value {
    let mut changed = credential.clone();
    changed["proof"].as_object_mut().unwrap().remove(member);
    changed
}
