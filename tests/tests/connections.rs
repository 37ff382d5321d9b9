//! More silent connections than a service may have files open, with the real programs.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use carnet_tests::{
    Result,
    programs::Service,
    stage::{Stage, residence_permit},
    visitor,
};

/// Open files that the service may have.
const FILES: u32 = 256;
/// Deadline of one call of a client.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn row_101_silent_connections_beyond_the_file_limit_keep_nobody_out() -> Result<()> {
    let mut stage = Stage::set(false).await?;
    let data = stage.authority.service.data.clone();
    stage.authority.service.kill()?;
    stage.authority.service = Service::start_with_files("carnet-issuer", &data, FILES)?;
    let address = stage.authority.service.url.trim_start_matches("http://").to_owned();
    // The same without them.
    let before = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    let silent = (0..2 * FILES).map(|_| TcpStream::connect(&address)).collect::<std::io::Result<Vec<_>>>()?;

    let begun = Instant::now();
    let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
    for offered in [before, offered] {
        visitor::collect(&offered.uri, None, visitor::now()).await?;
    }
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    drop(silent);
    Ok(())
}
