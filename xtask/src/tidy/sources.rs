//! What the files of the checkout may not say.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::shell;

/// Folders whose code is pure: no I/O, no async, no clock, no randomness.
const PURE: &[&str] = &["crates/model/src/", "crates/resolver/src/"];

/// What makes code impure, and how it is called in the complaint.
const IMPURE: &[(&str, &str)] = &[
    ("async ", "is async"),
    (".await", "is async"),
    ("std::fs", "touches files"),
    ("std::net", "touches the network"),
    ("std::env", "reads the environment"),
    ("std::process", "starts processes"),
    ("std::thread", "starts threads"),
    ("SystemTime", "reads the clock"),
    ("Instant::now", "reads the clock"),
    ("Timestamp::now", "reads the clock"),
    ("Zoned::now", "reads the clock"),
    ("now_v7", "reads the clock"),
    ("new_v4", "is random"),
    ("RandomState", "is random"),
    ("rand::", "is random"),
];

/// What prints.
const PRINTING: &[&str] = &["println!", "eprintln!", "print!", "eprint!", "dbg!"];

/// Folders that may print.
const MAY_PRINT: &[&str] = &["crates/cli/", "xtask/"];

/// Folders in which people's checkouts and home folders lie. A path into them means nothing on another machine.
const MACHINE_FOLDERS: &[&str] = &["home", "root", "Users", "work", "workspace", "builds"];

/// Checks every file that git knows or would add.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let listed = shell::output(
        std::process::Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root),
    )
    .context("tidy looks at the files that git knows")?;
    let mut problems = Vec::new();
    for file in listed.lines() {
        let Ok(bytes) = std::fs::read(root.join(file)) else {
            continue; // Deleted, and not committed yet.
        };
        if let Ok(text) = std::str::from_utf8(&bytes) {
            check_file(file, text, &mut problems);
        }
    }
    Ok(problems)
}

fn check_file(file: &str, text: &str, problems: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        if let Some(path) = machine_path(line) {
            problems.push(format!("{file}:{}: '{path}' is a path of some particular machine", number + 1));
        }
    }
    // A test, or what tests of several files share, stands by its names and may do what its subject may not.
    if !file.ends_with(".rs") || !file.contains("src/") || file.ends_with("/tests.rs") || file.contains("/tests/") {
        return;
    }
    if !text.trim_start().starts_with("//!") {
        problems.push(format!("{file}:1: a module opens with `//!`: what it owns and what it leaves to others"));
    }

    let pure = PURE.iter().any(|folder| file.starts_with(folder));
    let silent = !MAY_PRINT.iter().any(|folder| file.starts_with(folder));
    for (number, code) in code_lines(text) {
        if pure && let Some((_, what)) = IMPURE.iter().find(|(token, _)| has(code, token)) {
            problems.push(format!("{file}:{number}: {what}; the model and the resolver are pure, so pass it in"));
        }
        if silent && let Some(token) = PRINTING.iter().find(|token| has(code, token)) {
            problems.push(format!("{file}:{number}: {token} outside the command line; return it, or use tracing"));
        }
    }
}

/// The lines of code before the file's tests, comments cut off, with their numbers.
///
/// A `//` within a text cuts that line too short; so much the better for texts that name what code may not use.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number + 1, line.find("//").map_or(line, |comment| &line[..comment])))
}

/// Whether `code` has `token`, not as the tail of a longer name.
fn has(code: &str, token: &str) -> bool {
    code.match_indices(token).any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// The first absolute path into a folder that only some machines have.
fn machine_path(line: &str) -> Option<&str> {
    MACHINE_FOLDERS.iter().find_map(|folder| {
        let needle = format!("/{folder}/");
        let at = line.match_indices(&needle).map(|(at, _)| at).find(|at| {
            let before = line[..*at].chars().next_back();
            before.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | '=' | ':' | '<' | '>'))
        })?;
        let rest = &line[at..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | '<')).unwrap_or(rest.len());
        Some(&rest[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str) -> String {
        let mut problems = Vec::new();
        check_file(file, text, &mut problems);
        problems.join("\n")
    }

    #[test]
    fn a_pure_crate_may_speak_of_async_updates_but_not_be_async() {
        assert_eq!(check("crates/model/src/a.rs", "//! A.\n// async updates\npub const KIND: &str = \"asyncUpdate\";\n"), "");
        assert!(check("crates/model/src/a.rs", "//! A.\npub async fn a() {}\n").contains("a.rs:2: is async"));
        assert_eq!(check("crates/repo/src/a.rs", "//! A.\npub async fn a() {}\n"), "");
    }

    #[test]
    fn tests_of_a_pure_crate_may_touch_files() {
        assert_eq!(check("crates/resolver/src/a.rs", "//! A.\n#[cfg(test)]\nmod tests { use std::fs; }\n"), "");
    }

    #[test]
    fn only_the_command_line_prints() {
        assert!(check("crates/repo/src/a.rs", "//! A.\nfn a() { println!(); }\n").contains("println!"));
        assert_eq!(check("crates/cli/src/a.rs", "//! A.\nfn a() { println!(); }\n"), "");
        assert_eq!(check("crates/repo/src/a.rs", "//! A.\nfn a() { my_println!(); }\n"), "");
    }

    #[test]
    fn a_module_says_what_it_owns() {
        assert!(check("crates/repo/src/a.rs", "fn a() {}\n").contains("opens with"));
        assert_eq!(check("crates/repo/tests/a.rs", "fn a() {}\n"), "");
    }

    #[test]
    fn a_path_of_some_machine_is_found_and_a_path_of_items_is_not() {
        let home = format!("see /{}/ann/x.csv now", "home");
        assert!(check("README.md", &home).contains("/ann/x.csv'"));
        assert_eq!(check("README.md", "activity/work/import and https://a/root/b"), "");
    }
}
