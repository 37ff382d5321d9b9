//! Embeds every folder of `types/` and every file of `requests/` and `services/`, so that a new one is only data. What
//! only people read in them (the layout of JSON, the comments of TOML) is left out, since all four programs carry the
//! catalogue.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut code = String::from("pub(crate) static TYPES: &[(&str, &[(&str, &str)])] = &[\n");
    for folder in entries(&root.join("types"))?.iter().filter(|path| path.is_dir()) {
        writeln!(code, "    ({:?}, &[", name(folder)?)?;
        embed(&mut code, folder, "")?;
        let display = folder.join("display");
        if display.is_dir() {
            embed(&mut code, &display, "display/")?;
        }
        code.push_str("    ]),\n");
    }
    code.push_str("];\npub(crate) static REQUESTS: &[(&str, &str)] = &[\n");
    embed(&mut code, &root.join("requests"), "")?;
    code.push_str("];\npub(crate) static SERVICES: &[(&str, &str)] = &[\n");
    embed(&mut code, &root.join("services"), "")?;
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}

/// Writes one line for each file of a folder: its name below the type's folder, and its text.
fn embed(code: &mut String, folder: &Path, prefix: &str) -> Result<(), Box<dyn Error>> {
    for file in entries(folder)?.iter().filter(|path| path.is_file()) {
        println!("cargo::rerun-if-changed={}", file.display());
        let (name, text) = (name(file)?, fs::read_to_string(file)?);
        writeln!(code, "        ({:?}, {:?}),", format!("{prefix}{name}"), compact(name, &text))?;
    }
    Ok(())
}

/// The text of a file without what only people read. A context stays as it is: its digest is over its bytes.
fn compact(name: &str, text: &str) -> String {
    match name.rsplit('.').next() {
        // No string of JSON has a raw line feed, so that a line begins and ends between tokens.
        Some("json") => text.lines().map(str::trim).collect(),
        Some("toml") => text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]).collect(),
        _ => text.to_owned(),
    }
}

/// A folder's entries in the order of their names, hidden ones left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| name(path).is_ok_and(|name| !name.starts_with('.')));
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> Result<&str, Box<dyn Error>> {
    Ok(path.file_name().and_then(|name| name.to_str()).ok_or("a file's name is not UTF-8")?)
}
