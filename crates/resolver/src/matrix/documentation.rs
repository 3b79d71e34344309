//! The documentation's tables, made from the matrix itself.

use std::fmt::Write;

use expect_test::expect_file;

use super::*;

const HEAD: &str = "\
# Which objects an activity works on

<!-- Made from crates/resolver/src/matrix.rs by its tests; `UPDATE_EXPECT=1 cargo test -p tidelock-resolver --lib` writes it anew. -->

A task's object set names a resource and any combination of `kind`, `intent` and `objectclass`. What comes of a combination
depends on the activity and, in a few places, on the profile: `documented` (the default) follows midPoint's documentation, and
`midpoint-4.8` what midPoint 4.8 and later do. `tidelock explain TASK` shows what comes of a task's own.

The parts of a reconciliation have lines of their own; what one part refuses, the whole does not begin with.
";

const LEGEND: &str = "
| In the table | Means |
|---|---|
| the type | the object type of this kind and intent, whose class must be the one given, if one is |
| the default type | the object type that is the default for the kind (`defaultForKind`); without one, the class that the resource marks as that of ordinary accounts, for the kind `account`; its class must be the one given, if one is |
| the class | all objects of the class |
| the class, no intent | all objects of the class; the intent is ignored, with a warning |
| all classes | all objects of the resource |
| by the query | what the query says; an error (`no-object-class`) without a query that names a kind or a class |
| *no kind* | an error (`intent-without-kind`) |
| *no class* | an error (`no-object-class`) |
| ignored | not looked at, with a warning |
";

#[test]
fn the_documentation_shows_this_table() {
    let mut text = HEAD.to_owned();
    text += "\n## Kind, intent and class\n\n";
    row(
        &mut text,
        ["activity", "profile"].into_iter().chain(["kind, intent, class", "kind, intent", "kind, class", "kind"]).chain([
            "intent, class",
            "intent",
            "class",
            "none",
        ]),
    );
    row(&mut text, ["---"; 10]);
    for (line, profile) in lines() {
        row(&mut text, [line.activity.as_str(), profile].into_iter().chain(line.cells.iter().map(|cell| meaning(*cell))));
    }
    text += LEGEND;
    text += "\n## What is offered, checked and honoured\n\n";
    row(
        &mut text,
        ["activity", "profile", "objects", "checked of each object", "query", "`searchOptions`", "`failedObjectsSelector`"],
    );
    row(&mut text, ["---"; 7]);
    for (line, profile) in lines() {
        row(
            &mut text,
            [
                line.activity.as_str(),
                profile,
                offered(line.source, line.selects),
                checked(line.check),
                query(line.query),
                option(line.search_options),
                option(line.failed_objects),
            ],
        );
    }
    text += "\nWhere the object set does not say `queryApplication`, the table says which one is meant.\n";
    expect_file!["../../object-sets.md"].assert_eq(&text);
}

/// The lines of the matrix, with their profiles; one for both where these do not differ.
fn lines() -> Vec<(&'static Rules, &'static str)> {
    let mut lines = Vec::new();
    for activity in ActivityKind::ALL {
        let [documented, midpoint] = [Documented, Midpoint48].map(|profile| rules(profile, activity));
        let same = format!("{documented:?}") == format!("{midpoint:?}").replace("Midpoint48", "Documented");
        lines.push((documented, if same { "both" } else { "documented" }));
        if !same {
            lines.push((midpoint, "midpoint-4.8"));
        }
    }
    lines
}

fn row<'a>(text: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for cell in cells {
        let _ = write!(text, "| {cell} ");
    }
    text.push_str("|\n");
}

fn meaning(cell: Cell) -> &'static str {
    match cell {
        Exact => "the type",
        Default => "the default type",
        Class => "the class",
        ClassOnly => "the class, no intent",
        Whole => "all classes",
        Query => "by the query",
        NoKind => "*no kind*",
        NoClass => "*no class*",
        Ignored => "ignored",
    }
}

fn offered(source: Source, selects: bool) -> &'static str {
    match (source, selects) {
        (Search, _) => "found on the resource, within the type's delineation",
        (Changes, true) => "changes of the class, asked for",
        (Changes, false) => "whatever comes, or is due",
        (Pending, _) => "shadows with something pending",
        (ResolvedShadows, _) => "shadows of the class found, of the kind and intent given, that were not met",
        (LiteralShadows, _) => "shadows of just the kind, intent and class given",
    }
}

fn checked(check: Check) -> &'static str {
    match check {
        Classified => "kind, intent and class as given; objects without a type pass, and are left out for want of one",
        All => "kind, intent and class as given",
        Check::ClassOnly => "the class as given",
        Nothing => "nothing",
    }
}

fn query(query: QueryUse) -> &'static str {
    match query {
        QueryUse::Used(QueryApplication::Replace) => "used, `replace`",
        QueryUse::Used(QueryApplication::Append) => "used, `append`",
        QueryUse::Own => "has its own",
        QueryUse::Missing => "not supported yet",
        QueryUse::Ignored => "ignored",
    }
}

fn option(option: OptionUse) -> &'static str {
    match option {
        OptionUse::Used => "used",
        OptionUse::NoFetchOnly => "`noFetch` is used",
        OptionUse::Missing => "not supported yet",
        OptionUse::Passed => "of no use to this part",
        OptionUse::Ignored => "ignored",
    }
}
