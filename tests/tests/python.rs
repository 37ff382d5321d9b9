//! A client in another language, made only from the protos.

use std::process::Command;

use carnet_tests::{Result, stage::Stage};

/// `CARNET_PYTHON` names a Python that has grpcio-tools; the test command makes one where it can.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(carnet_python), ignore = "CARNET_PYTHON is not set")]
async fn a_python_client_creates_a_request_and_reads_its_result() -> Result<()> {
    let stage = Stage::set(false).await?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/request_proof.py");
    let ask = |template: &str| {
        Command::new(std::env::var_os("CARNET_PYTHON").unwrap_or_else(|| "python3".into()))
            .args([script, template, "--server", &stage.agency.service.url, "--token-file"])
            .arg(&stage.agency.token_file)
            .output()
    };
    let answer = ask("job-right-to-work")?;
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
    assert_eq!(printed["state"], "open");
    let id = printed["id"].as_str().unwrap_or_default();
    let result = stage.agency.staff(&["result", id])?.json()?;
    assert_eq!(result["template"], "job-right-to-work");

    let unknown = ask("no-such-template")?;
    assert!(!unknown.status.success());
    Ok(())
}
