//! Embeds every folder of `types/` and every file of `requests/`, so that a new type or request is only data.

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
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}

/// One line for each file of a folder: its name below the type's folder, and its text.
fn embed(code: &mut String, folder: &Path, prefix: &str) -> Result<(), Box<dyn Error>> {
    for file in entries(folder)?.iter().filter(|path| path.is_file()) {
        println!("cargo::rerun-if-changed={}", file.display());
        writeln!(
            code,
            "        ({:?}, include_str!({:?})),",
            format!("{prefix}{}", name(file)?),
            file.to_str().ok_or("a path is not UTF-8")?
        )?;
    }
    Ok(())
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
