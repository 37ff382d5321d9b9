//! Compiles the .proto files with protox, so that no protoc has to be installed.

use prost::Message as _;

/// Packages by the name of their program, which is also that of their descriptors.
const PACKAGES: [(&str, &str); 2] =
    [("issuer", "carnet/issuer/v1/issuer.proto"), ("verifier", "carnet/verifier/v1/verifier.proto")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for (program, file) in PACKAGES {
        println!("cargo::rerun-if-changed={file}");
        let descriptors = protox::compile([file], ["."])?;
        std::fs::write(out.join(format!("{program}.bin")), descriptors.encode_to_vec())?;
        tonic_prost_build::configure().build_client(true).build_server(true).compile_fds(descriptors)?;
    }
    Ok(())
}
