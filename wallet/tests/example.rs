//! The example receives and presents.

#[path = "../examples/wallet.rs"]
mod wallet;

#[test]
fn the_example_receives_and_presents() {
    wallet::main();
}
