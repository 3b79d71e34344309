//! Who may depend on whom among our own packages. ARCHITECTURE.md has the picture; this is the list.

use std::collections::BTreeSet;

use crate::metadata::Metadata;

/// A package and those of ours it may depend on.
struct Rule {
    package: &'static str,
    may_use: &'static [&'static str],
    /// What its tests may use beyond that.
    tests_may_use: &'static [&'static str],
}

/// Every package but the connectors, which all follow [`CONNECTOR`].
const RULES: &[Rule] = &[
    Rule { package: "tidelock-model", may_use: &[], tests_may_use: &[] },
    Rule { package: "tidelock-resolver", may_use: &["tidelock-model"], tests_may_use: &[] },
    Rule { package: "tidelock-connector-api", may_use: &["tidelock-model"], tests_may_use: &[] },
    Rule { package: "tidelock-messages", may_use: &["tidelock-connector-api", "tidelock-model"], tests_may_use: &[] },
    Rule { package: "tidelock-repo", may_use: &["tidelock-model"], tests_may_use: &[] },
    Rule {
        package: "tidelock-activities",
        may_use: &["tidelock-connector-api", "tidelock-model", "tidelock-repo", "tidelock-resolver"],
        tests_may_use: &[],
    },
    Rule {
        package: "tidelock",
        may_use: &[
            "tidelock-activities",
            "tidelock-amqp",
            "tidelock-connector-api",
            "tidelock-csv",
            "tidelock-ldap",
            "tidelock-messages",
            "tidelock-model",
            "tidelock-nats",
            "tidelock-repo",
            "tidelock-resolver",
        ],
        tests_may_use: &[],
    },
    // It starts other people's servers, and knows nothing of ours.
    Rule { package: "tidelock-servers", may_use: &[], tests_may_use: &[] },
    // Its end-to-end tests drive the binary; what they share with the engine would not be a test of it.
    Rule { package: "tidelock-tests", may_use: &["tidelock-servers"], tests_may_use: &["tidelock-servers"] },
    Rule { package: "xtask", may_use: &["tidelock-servers"], tests_may_use: &[] },
];

/// What a package in `crates/connectors` may depend on: never on another connector.
const CONNECTOR: Rule = Rule {
    package: "",
    may_use: &["tidelock-connector-api", "tidelock-messages", "tidelock-model"],
    tests_may_use: &["tidelock-servers"],
};

/// Names every dependency that the rules do not provide for, and every package they do not know.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut problems = Vec::new();
    for package in metadata.members() {
        let connector = package.manifest_path.components().any(|part| part.as_os_str() == "connectors");
        let rule = if connector { Some(&CONNECTOR) } else { RULES.iter().find(|rule| rule.package == package.name) };
        let Some(rule) = rule else {
            problems.push(format!("package {} has no rule in {}: say there what it may depend on", package.name, file!()));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(dependency.name.as_str())) {
            let test = dependency.kind.as_deref() == Some("dev");
            let name = dependency.name.as_str();
            // A package may name itself among its test dependencies, to switch features on for its tests.
            if !rule.may_use.contains(&name) && !(test && (rule.tests_may_use.contains(&name) || name == package.name)) {
                let what = if test { "may not depend on, not even in tests," } else { "may not depend on" };
                problems.push(format!("{} {what} {name}", package.name));
            }
        }
    }
    problems
}
