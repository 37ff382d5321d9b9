//! The page of results, `docs/interop.md`: a section for each peer.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::OpenOptions,
    io::{Read as _, Seek as _, Write as _},
};

use carnet_tests::{Result, peer::Peer, visitor};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/interop.md");
const HEAD: &str = "# Interoperability

Independent implementations, run against the programs of this repository by `./test`: in `tests/interop`, with the
versions of its lock files. Only completed runs are listed, and each test fails if a result changes.
`UPDATE_DOCS=1 cargo nextest run --workspace --test interop` writes this page again, with
`CARNET_INTEROP_NODE` and `CARNET_INTEROP_PYTHON` as `./test` sets them. The Rust crate ssi 0.16.0 is an oracle of its own:
`oracles/tests/ssi.rs` has did:key, did:jwk, JWS, VC-JWT, SD-JWT and eddsa-rdfc-2022 in both directions, and altered ones refused.
";
/// Line of a section that is not compared.
const DATE: &str = "Last written: ";

/// Results with one peer, in the order of the run.
pub(crate) struct Report {
    title: String,
    besides: String,
    rows: Vec<[String; 3]>,
}

impl Report {
    pub(crate) fn of(peer: &mut Peer) -> Result<Self> {
        let versions = peer.versions()?;
        let names: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let (first, others) = names.split_first().ok_or("no versions")?;
        Ok(Self { title: first.clone(), besides: others.join(", "), rows: Vec::new() })
    }

    pub(crate) fn row(&mut self, what: &str, direction: &str, result: &str) {
        self.rows.push([what, direction, result].map(str::to_owned));
    }

    fn text(&self) -> Result<String> {
        let mut text = String::new();
        if !self.besides.is_empty() {
            writeln!(text, "With {}.\n", self.besides)?;
        }
        let now = visitor::now().to_string();
        writeln!(text, "{DATE}{}.\n", now.get(..10).unwrap_or_default())?;
        writeln!(text, "| what | direction | result |\n|---|---|---|")?;
        for row in &self.rows {
            writeln!(text, "| {} |", row.join(" | "))?;
        }
        Ok(text)
    }

    /// Compares the section of the page with this run, or writes it.
    pub(crate) fn finish(&self) -> Result<()> {
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        let mut file = OpenOptions::new().read(true).write(update).create(update).open(PAGE)?;
        // Tests of several peers may run at the same time, each in its own process.
        if update {
            file.lock()?
        } else {
            file.lock_shared()?
        }
        let mut page = String::new();
        file.read_to_string(&mut page)?;
        let mut sections: BTreeMap<String, String> =
            page.split("\n## ").skip(1).filter_map(|section| section.split_once("\n\n")).map(own).collect();
        let text = self.text()?;
        if !update {
            let written = sections.get(&self.title).map(|section| without_date(section));
            return if written.as_deref() == Some(without_date(&text).as_str()) {
                Ok(())
            } else {
                Err(format!("docs/interop.md differs from this run; UPDATE_DOCS=1 writes it:\n{text}").into())
            };
        }
        // Another version of the same peer replaces its section.
        let name = |title: &str| title.rsplit_once(' ').map(|(name, _)| name.to_owned());
        sections.retain(|title, _| name(title) != name(&self.title));
        sections.insert(self.title.clone(), text);
        let mut page = HEAD.to_owned();
        for (title, section) in &sections {
            write!(page, "\n## {title}\n\n{}\n", section.trim_end())?;
        }
        file.rewind()?;
        file.set_len(0)?;
        Ok(file.write_all(page.as_bytes())?)
    }
}

fn own((title, section): (&str, &str)) -> (String, String) {
    (title.to_owned(), section.to_owned())
}

fn without_date(section: &str) -> String {
    let lines = section.trim_end().lines().filter(|line| !line.starts_with(DATE));
    lines.collect::<Vec<_>>().join("\n")
}
