//! Power cuts: at any instant the old list is published or the new one, and the same call again makes it right.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, dead_code)]

mod desk;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use desk::{Desk, LIST};

#[test]
fn a_cut_in_publishing_leaves_the_old_list_or_the_new() {
    let kills: u32 = std::env::var("CARNET_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let desk = Desk::new();
    desk.two();
    let (first, second) = (std::fs::read(desk.path("list-1")).unwrap(), std::fs::read(desk.path("list-2")).unwrap());
    let (site, list) = (desk.path("site"), desk.at("list-2"));
    let restore = || {
        let _ = std::fs::remove_dir_all(&site);
        desk.pinned(&["publish", &desk.at("list-1"), "--to", &desk.at("site")]).ok();
    };
    let spawn = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_carnet-trust"));
        program.args(["publish", &list, "--to", &desk.at("site"), "--list", LIST, "--quorum", "2"]);
        program.args(desk.operators.iter().flat_map(|did| ["--operator", did.as_str()]));
        program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    restore();
    let start = Instant::now();
    assert!(spawn().wait().unwrap().success());
    let whole = start.elapsed();
    let (mut old, mut new) = (0, 0);
    for kill in 0..kills {
        restore();
        let mut running = spawn();
        // Evenly over the time that it takes, and a little beyond.
        std::thread::sleep(whole.mul_f64(f64::from(kill) / f64::from(kills) * 1.2).max(Duration::from_micros(1)));
        let _ = running.kill();
        running.wait().unwrap();
        let current = std::fs::read(site.join("trust-list.json")).unwrap();
        assert!(same(&current, &first) || same(&current, &second), "neither the old list nor the new");
        if same(&current, &second) {
            new += 1;
            assert!(same(&std::fs::read(site.join("history/002.json")).unwrap(), &second), "the history comes first");
        } else {
            old += 1;
        }
        assert!(spawn().wait().unwrap().success(), "the same call again makes it right");
        assert_eq!(desk.sequence(&site.join("trust-list.json")), 2);
    }
    assert_eq!(old + new, kills);
}

fn same(one: &[u8], other: &[u8]) -> bool {
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    parse(one) == parse(other)
}
