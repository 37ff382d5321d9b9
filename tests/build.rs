//! Lets the tests that need more than a plain build be reported as ignored where it is not there.

fn main() {
    // A Python with grpcio-tools; programs that were built with the JSON-LD formats; the conformance build; the PKCS#11 module of SoftHSM2; a
    // Node.js and a Python that can run the scripts in interop/.
    let variables = [
        ("CARNET_PYTHON", "carnet_python"),
        ("CARNET_JSONLD", "carnet_jsonld"),
        ("CARNET_CONFORMANCE", "carnet_conformance"),
        ("CARNET_SOFTHSM", "carnet_softhsm"),
        ("CARNET_INTEROP_NODE", "carnet_interop_node"),
        ("CARNET_INTEROP_PYTHON", "carnet_interop_python"),
    ];
    for (variable, cfg) in variables {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        println!("cargo::rerun-if-env-changed={variable}");
        if std::env::var_os(variable).is_some() {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
