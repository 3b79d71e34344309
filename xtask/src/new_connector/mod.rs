//! `cargo xtask new-connector NAME`: a connector's crate to start from, small but passing its conformance suite.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The files of the crate.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("Cargo.toml.template")),
    ("README.md", include_str!("README.md.template")),
    ("src/lib.rs", include_str!("lib.rs.template")),
    ("src/connector.rs", include_str!("connector.rs.template")),
    ("tests/conformance.rs", include_str!("conformance.rs.template")),
    ("tests/accounts.txt", "ann:Ann Ruiz\nbob:Bob Lee\n"),
];

/// Writes the crate and says what comes next.
///
/// # Errors
///
/// The name is no good, or a crate of that name is there already.
pub(crate) fn run(name: &str) -> Result<()> {
    check_name(name)?;
    let folder = shell::root().join("crates/connectors").join(name);
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    for (file, template) in FILES {
        write(&folder.join(file), &render(template, name))?;
    }
    println!("{} is a connector now, if a small one.", folder.display());
    println!("It passes its suite: cargo test -p tidelock-{name}");
    println!("To make it known, add it to the workspace's dependencies, to crates/cli, and to xtask/src/tidy/edges.rs.");
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn check_name(name: &str) -> Result<()> {
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fine {
        bail!(
            "'{name}' is no name for a crate: begin with a lower-case letter, and go on with letters, digits and single hyphens"
        );
    }
    Ok(())
}

fn render(template: &str, name: &str) -> String {
    let type_name: String = name
        .split('-')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        })
        .collect();
    template.replace("{{name}}", name).replace("{{module}}", &name.replace('-', "_")).replace("{{type}}", &type_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_template_remains() {
        for (file, template) in FILES {
            let text = render(template, "open-ldap2");
            assert!(!text.contains("{{"), "{file}");
        }
        assert!(
            render("{{type}} tidelock_{{module}} tidelock-{{name}}", "open-ldap2")
                == "OpenLdap2 tidelock_open_ldap2 tidelock-open-ldap2"
        );
    }

    #[test]
    fn names_that_cargo_would_not_take_are_refused() {
        for name in ["", "Ldap", "2ldap", "ldap-", "a--b", "../x", "ldap_x", "é"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("ldap").is_ok());
    }
}
