//! Lets the test of the Python client be reported as ignored where there is no Python for it.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(carnet_python)");
    println!("cargo::rerun-if-env-changed=CARNET_PYTHON");
    if std::env::var_os("CARNET_PYTHON").is_some() {
        println!("cargo::rustc-cfg=carnet_python");
    }
}
