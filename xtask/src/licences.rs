//! The licences of all dependencies against the list in `deny.toml`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use crate::metadata::Metadata;
use crate::shell;

/// Checks every dependency's licence.
///
/// # Errors
///
/// Some dependency's licence is not admitted, or not said; all of them are named.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    let policy = Policy::read()?;
    let mut refused = Vec::new();
    let mut count = 0;
    for package in metadata.dependencies() {
        count += 1;
        let verdict = match &package.license {
            Some(expression) => policy.admits(&package.name, expression),
            None => Err(anyhow!("its manifest says none")),
        };
        match verdict {
            Ok(true) => {}
            Ok(false) => {
                refused.push(format!("{} {}: {}", package.name, package.version, package.license.as_deref().unwrap_or_default()))
            }
            Err(err) => refused.push(format!("{} {}: {err:#}", package.name, package.version)),
        }
    }
    if !refused.is_empty() {
        bail!(
            "licences that deny.toml does not admit:\n  {}\nTake another crate, or argue for a change of deny.toml.",
            refused.join("\n  ")
        );
    }
    eprintln!("licences: {count} dependencies, all admitted");
    Ok(())
}

#[derive(Deserialize)]
struct DenyFile {
    licenses: Policy,
}

/// The part of `deny.toml` about licences.
#[derive(Deserialize)]
struct Policy {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate", alias = "name")]
    package: String,
    allow: BTreeSet<String>,
}

impl Policy {
    fn read() -> Result<Self> {
        let path = shell::root().join("deny.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: DenyFile = toml::from_str(&text).with_context(|| format!("cannot make sense of {}", path.display()))?;
        Ok(file.licenses)
    }

    /// Whether the licences that `expression` offers `package`'s users include one we take.
    fn admits(&self, package: &str, expression: &str) -> Result<bool> {
        satisfied(expression, &|licence| {
            self.allow.contains(licence) || self.exceptions.iter().any(|e| e.package == package && e.allow.contains(licence))
        })
    }
}

/// Evaluates an SPDX licence expression; `AND` binds tighter than `OR`, and the `/` of old manifests means `OR`.
fn satisfied(expression: &str, admitted: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, admitted };
    let verdict = parser.any()?;
    match parser.tokens {
        [] => Ok(verdict),
        [token, ..] => bail!("'{token}' is out of place in the licence expression '{expression}'"),
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    admitted: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<bool> {
        let mut verdict = self.all()?;
        while self.eat("OR") {
            verdict |= self.all()?;
        }
        Ok(verdict)
    }

    fn all(&mut self) -> Result<bool> {
        let mut verdict = self.one()?;
        while self.eat("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool> {
        if self.eat("(") {
            let verdict = self.any()?;
            if !self.eat(")") {
                bail!("a '(' in the licence expression is never closed");
            }
            return Ok(verdict);
        }
        let licence = self.name()?;
        if self.eat("WITH") {
            let exception = self.name()?;
            return Ok((self.admitted)(&format!("{licence} WITH {exception}")));
        }
        Ok((self.admitted)(licence))
    }

    fn name(&mut self) -> Result<&'a str> {
        match self.tokens {
            [token, rest @ ..] if !matches!(*token, "AND" | "OR" | "WITH" | "(" | ")") => {
                self.tokens = rest;
                Ok(token)
            }
            _ => bail!("a licence is missing in the expression"),
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.tokens {
            [first, rest @ ..] if *first == token => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(expression: &str, expected: bool) {
        let admitted = |licence: &str| matches!(licence, "MIT" | "Zlib" | "Unicode-3.0" | "Apache-2.0 WITH LLVM-exception");
        assert_eq!(satisfied(expression, &admitted).unwrap(), expected, "{expression}");
    }

    #[test]
    fn one_admitted_alternative_is_enough() {
        check("MIT", true);
        check("GPL-3.0", false);
        check("GPL-3.0 OR MIT", true);
        check("GPL-3.0/MIT", true);
    }

    #[test]
    fn every_part_of_a_conjunction_counts() {
        check("MIT AND Zlib", true);
        check("MIT AND GPL-3.0", false);
        check("(MIT OR GPL-3.0) AND Unicode-3.0", true);
        check("(MIT OR Zlib) AND GPL-3.0", false);
    }

    #[test]
    fn and_binds_tighter_than_or() {
        check("MIT OR GPL-3.0 AND GPL-2.0", true);
        check("GPL-3.0 AND GPL-2.0 OR MIT", true);
        check("GPL-3.0 AND (GPL-2.0 OR MIT)", false);
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        check("Apache-2.0 WITH LLVM-exception", true);
        check("Apache-2.0", false);
        check("Apache-2.0 WITH LLVM-exception AND MIT", true);
    }

    #[test]
    fn nonsense_is_an_error_rather_than_a_verdict() {
        for nonsense in ["", "MIT OR", "(MIT", "MIT)", "MIT Zlib", "AND MIT", "MIT WITH"] {
            assert!(satisfied(nonsense, &|_| true).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn mpl_is_admitted_for_named_crates_only() {
        let file: DenyFile = toml::from_str(
            r#"
            [licenses]
            allow = ["MIT"]
            exceptions = [{ crate = "ldap3_proto", allow = ["MPL-2.0"] }]
            "#,
        )
        .unwrap();
        assert!(file.licenses.admits("ldap3_proto", "MPL-2.0").unwrap());
        assert!(!file.licenses.admits("another", "MPL-2.0").unwrap());
    }
}
