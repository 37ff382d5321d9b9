//! Lets the tests that need the official vectors be reported as ignored where those are not present.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(carnet_vectors)");
    println!("cargo::rerun-if-env-changed=CARNET_VECTORS");
    if std::env::var_os("CARNET_VECTORS").is_some() {
        println!("cargo::rustc-cfg=carnet_vectors");
    }
}
