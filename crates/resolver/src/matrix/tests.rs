//! The table itself: every cell of it counts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::object_set::resolve_by;
use crate::policy::ResourcePolicy;

#[path = "../../tests/decisions/oracle.rs"]
mod oracle;

const CELLS: [Cell; 9] = [Exact, Default, Class, ClassOnly, Whole, Query, NoKind, NoClass, Ignored];
const SOURCES: [Source; 5] = [Search, Changes, Pending, ResolvedShadows, LiteralShadows];
const CHECKS: [Check; 4] = [Classified, All, Check::ClassOnly, Nothing];
const QUERIES: [QueryUse; 5] = [REPLACE, APPEND, OWN, NO_USE, DROPPED];
const OPTIONS: [OptionUse; 5] = [USED, NO_FETCH, MISSING, PASSED, IGNORED];
const ROWS: [&str; 8] = ["K I O", "K I –", "K – O", "K – –", "– I O", "– I –", "– – O", "– – –"];

#[test]
fn every_activity_has_a_line_in_both_profiles() {
    for profile in [Documented, Midpoint48] {
        for activity in ActivityKind::ALL {
            let rules = rules(profile, activity);
            assert_eq!((rules.profile, rules.activity), (profile, activity));
        }
    }
}

/// The line with every one of its cells changed to every other value, and what was changed.
fn changed(line: &Rules) -> Vec<(String, Rules)> {
    let mut all = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut Rules)| {
        let mut changed = line.clone();
        change(&mut changed);
        all.push((format!("{} of {:?} in {}", what, line.activity, line.profile), changed));
    };
    for (row, name) in ROWS.iter().enumerate() {
        for cell in CELLS.into_iter().filter(|cell| *cell != line.cells[row]) {
            add(format!("{name}: {:?} -> {cell:?}", line.cells[row]), &|rules| rules.cells[row] = cell);
        }
    }
    add(format!("selects -> {}", !line.selects), &|rules| rules.selects = !line.selects);
    for source in SOURCES.into_iter().filter(|source| *source != line.source) {
        add(format!("source: {:?} -> {source:?}", line.source), &|rules| rules.source = source);
    }
    for check in CHECKS.into_iter().filter(|check| *check != line.check) {
        add(format!("check: {:?} -> {check:?}", line.check), &|rules| rules.check = check);
    }
    for query in QUERIES.into_iter().filter(|query| *query != line.query) {
        add(format!("query: {:?} -> {query:?}", line.query), &|rules| rules.query = query);
    }
    for option in OPTIONS.into_iter().filter(|option| *option != line.search_options) {
        add(format!("search options: {:?} -> {option:?}", line.search_options), &|rules| rules.search_options = option);
    }
    for option in OPTIONS.into_iter().filter(|option| *option != line.failed_objects) {
        add(format!("failed objects: {:?} -> {option:?}", line.failed_objects), &|rules| rules.failed_objects = option);
    }
    all
}

/// Changes that say the same in other words: where nothing is given, all the resource has is meant whether what is given counts or
/// not, and whatever looks for a kind or a class is refused for want of one; a class alone has no intent beside it that could be
/// ignored; where nothing given counts, there is nothing to check.
fn says_the_same(line: &Rules, changed: &Rules) -> bool {
    let (was, is) = (line.cell(Given::Nothing), changed.cell(Given::Nothing));
    let nothing_given = (was, is) == (Whole, Ignored) || was == NoClass && matches!(is, Exact | Default | Class | ClassOnly);
    let class_alone = (line.cell(Given::Class), changed.cell(Given::Class)) == (Class, ClassOnly);
    let all_ignored = line.cell(Given::KindIntentClass) == Ignored;
    let nothing_to_check = all_ignored && line.check == Nothing && matches!(changed.check, All | Check::ClassOnly);
    nothing_given || class_alone || nothing_to_check
}

#[test]
fn a_change_of_any_cell_is_noticed_by_the_oracle() {
    let policy: ResourcePolicy = oracle::policy();
    let cases: Vec<_> = oracle::cases().into_iter().map(|case| (case.object_set(), case)).collect();
    let mut noticed = 0;
    let mut wrong = Vec::new();
    for line in &MATRIX {
        let expected: Vec<String> = cases.iter().map(|(_, case)| oracle::expected(line.profile, line.activity, case)).collect();
        let holds = |rules: &Rules| {
            let mut sets = cases.iter().zip(&expected);
            sets.all(|((set, _), expected)| oracle::shown(resolve_by(rules, set, &policy)) == *expected)
        };
        for (what, changed) in changed(line) {
            match (holds(&changed), says_the_same(line, &changed)) {
                (false, false) => noticed += 1,
                (true, true) => {}
                (true, false) => wrong.push(format!("not noticed: {what}")),
                (false, true) => wrong.push(format!("noticed after all: {what}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(noticed > 1400, "only {noticed} changes");
}
