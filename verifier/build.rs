//! A new migration is a reason to build again: it is embedded in the binary.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
