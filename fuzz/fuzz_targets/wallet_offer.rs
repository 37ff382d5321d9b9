#![no_main]

#[path = "../wallet_doors.rs"]
#[allow(dead_code)]
mod doors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| doors::offer(bytes));
