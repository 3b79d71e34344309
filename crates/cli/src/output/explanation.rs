//! An explanation for people: which objects, why these, how the resource is asked, and what is passed over.

use std::fmt::Write;

use tidelock_activities::{Explanation, Failed, Given, Mode};

use super::text::{clean, count};
use super::{FAINT, Paint, STRONG};

/// An explanation, with its parts below it.
pub(crate) fn render(explanation: &Explanation, paint: Paint) -> String {
    let mut out = String::new();
    write(&mut out, explanation, 0, paint);
    if !explanation.profile.is_empty() {
        let _ = writeln!(out, "{}", paint.text(FAINT, format!("by the rules '{}'", explanation.profile)));
    }
    out
}

fn write(out: &mut String, explanation: &Explanation, depth: usize, paint: Paint) {
    let indent = "  ".repeat(depth);
    let _ = writeln!(out, "{indent}{}", title(explanation, paint));
    if explanation.activities.is_empty() {
        if !explanation.skipped {
            for (title, text) in lines(explanation) {
                let _ = writeln!(out, "{indent}  {title:<11} {}", clean(&text));
            }
        }
        return;
    }
    for part in &explanation.activities {
        // Documents are nested to a bounded depth, and so are activities.
        write(out, part, depth + 1, paint);
    }
}

fn title(explanation: &Explanation, paint: Paint) -> String {
    // A part is known by its name, which mostly says what it is.
    let name = explanation.path.as_deref().and_then(|path| path.rsplit('/').next());
    let name = name.filter(|name| *name != explanation.activity).map(|name| format!("{}: ", clean(name))).unwrap_or_default();
    let of = match explanation.resource.name.as_deref().or(explanation.resource.oid.as_deref()) {
        Some(resource) => format!(" of {}", clean(resource)),
        None if explanation.activities.is_empty() => String::new(),
        None => format!(" of {}", count(explanation.activities.len() as u64, "activity", "activities")),
    };
    let how = match (explanation.skipped, explanation.mode) {
        (true, _) => " (left out)",
        (false, Some(Mode::Preview)) => " (as a preview: nothing is changed)",
        (false, Some(Mode::DryRun)) => " (as a dry run: situations are recorded, and nothing else is changed)",
        (false, Some(Mode::None)) => " (objects are counted, and nothing else is done)",
        (false, Some(Mode::Full) | None) => "",
    };
    format!("{name}{}{of}{how}", paint.text(STRONG, &explanation.activity))
}

fn lines(explanation: &Explanation) -> Vec<(&'static str, String)> {
    let mut lines = vec![("Objects", objects(explanation))];
    let because = explanation.because.as_ref().filter(|_| explanation.shadows.is_none());
    lines.extend(because.map(|because| ("Because", because.clone())));
    lines.extend(asked(explanation).map(|asked| ("Asked", asked)));
    lines.extend(explanation.paging.as_ref().and_then(paging).map(|paging| ("Portion", paging)));
    lines.extend(explanation.failed_objects.as_ref().map(|failed| ("Only", self::failed(failed))));
    let checked = coordinates(&explanation.post_filter);
    lines.extend(checked.map(|checked| ("Skipped", format!("what turns out not to be of the {checked}"))));
    if !explanation.ignored.is_empty() {
        lines.push(("Ignored", explanation.ignored.join(", ")));
    }
    let given = coordinates(&explanation.given).filter(|_| explanation.scope.is_none());
    lines.extend(given.map(|given| ("Given", given)));
    let application = explanation.query_application.as_ref().map(|application| format!("  ({application})")).unwrap_or_default();
    match (&explanation.query, &explanation.base_query) {
        (Some(query), _) => lines.push(("Query", format!("{query}{application}"))),
        (None, base) => lines.extend(base.as_ref().map(|base| ("Query", base.clone()))),
    }
    lines
}

/// Which objects, in words.
fn objects(explanation: &Explanation) -> String {
    if let Some(shadows) = &explanation.shadows {
        return self::shadows(explanation, shadows);
    }
    let of = match (&explanation.object_type, &explanation.object_class, explanation.scope.as_deref()) {
        (Some(id), Some(class), _) => format!("of the type {}/{}, class {}", id.kind, id.intent, class.name),
        (None, Some(class), _) => format!("of the class {}", class.name),
        (_, None, Some(_)) => "of all classes".to_owned(),
        (_, None, None) => return "those of no resource, or of one that cannot be used now".to_owned(),
    };
    match explanation.activity.as_str() {
        "liveSynchronization" => format!("what has changed since the last time, among objects {of}"),
        "asynchronousUpdate" => format!("what the resource tells of, {of}"),
        _ => format!("objects {of}"),
    }
}

fn shadows(explanation: &Explanation, shadows: &Given) -> String {
    let of = coordinates(shadows).map(|of| format!(" of the {of}")).unwrap_or_default();
    match explanation.activity.as_str() {
        "remainingShadows" => format!("shadows{of} that were not met on the resource"),
        "shadowCleanup" => {
            let interval = explanation.interval.as_deref().unwrap_or_default().trim_start_matches('-');
            format!("shadows{of} that were not met for {interval}")
        }
        "triggerScan" => format!("shadows{of} that are due to be tried again"),
        _ => format!("shadows{of} with something pending"),
    }
}

/// How the resource is asked, in words.
fn asked(explanation: &Explanation) -> Option<String> {
    if explanation.no_fetch {
        return Some("nothing: objects are taken as the repository knows them".to_owned());
    }
    match explanation.activity.as_str() {
        "remainingShadows" | "shadowCleanup" => {
            return Some("for each of them by itself; what is still there is left alone".to_owned());
        }
        "triggerScan" => return Some("for each of them by itself".to_owned()),
        _ => {}
    }
    let native = explanation.native.as_ref()?;
    Some(match explanation.filtered_here {
        true => format!("{native}; the rest of the condition is checked here"),
        false => native.clone(),
    })
}

fn failed(failed: &Failed) -> String {
    let tasks = match &*failed.tasks {
        [] => "this task".to_owned(),
        tasks => format!("the task {}", tasks.join(" or ")),
    };
    let from = failed.time_from.as_ref().map(|from| format!(", not before {from}")).unwrap_or_default();
    let to = failed.time_to.as_ref().map(|to| format!(", not after {to}")).unwrap_or_default();
    format!("objects with the outcome {} in {tasks}{from}{to}", failed.status.join(" or "))
}

/// The portion of what is found, in words; none for everything in any order.
fn paging(paging: &serde_json::Value) -> Option<String> {
    let number = |key: &str| paging[key].as_u64();
    let mut parts = Vec::new();
    parts.extend(number("maxSize").map(|most| format!("at most {}", count(most, "object", "objects"))));
    parts.extend(number("offset").filter(|offset| *offset > 0).map(|offset| format!("after the first {offset}")));
    parts.extend(
        paging["orderBy"]
            .as_str()
            .map(|by| format!("in the order of {by}{}", if paging["descending"] == true { ", descending" } else { "" })),
    );
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn coordinates(given: &Given) -> Option<String> {
    let parts = [("kind", &given.kind), ("intent", &given.intent), ("class", &given.objectclass)];
    let parts: Vec<_> = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;
    use tidelock_activities::{ClassName, Named, TypeName};

    use super::*;

    fn import() -> Explanation {
        Explanation {
            activity: "import".to_owned(),
            profile: "documented".to_owned(),
            resource: Named { oid: Some("r".to_owned()), name: Some("HR".to_owned()) },
            given: Given { kind: Some("account".to_owned()), ..Given::default() },
            scope: Some("type".to_owned()),
            object_type: Some(TypeName { kind: "account".to_owned(), intent: "default".to_owned() }),
            object_class: Some(ClassName { namespace: String::new(), name: "person".to_owned() }),
            because: Some("of the kind 'account', this type is the default; the class is that of the type".to_owned()),
            query: Some("kind = \"account\"".to_owned()),
            query_application: Some("append".to_owned()),
            post_filter: Given { kind: Some("account".to_owned()), ..Given::default() },
            native: Some("(objectClass=person)".to_owned()),
            ..Explanation::default()
        }
    }

    fn check(explanation: &Explanation, expected: &Expect) {
        expected.assert_eq(&render(explanation, Paint::PLAIN));
    }

    #[test]
    fn people_see_which_objects_are_meant_and_how_they_are_asked_for() {
        check(
            &import(),
            &expect![[r#"
                import of HR
                  Objects     objects of the type account/default, class person
                  Because     of the kind 'account', this type is the default; the class is that of the type
                  Asked       (objectClass=person)
                  Skipped     what turns out not to be of the kind account
                  Query       kind = "account"  (append)
                by the rules 'documented'
            "#]],
        );
    }

    #[test]
    fn portions_selections_and_what_is_checked_here_are_said() {
        let explanation = Explanation {
            mode: Some(Mode::Preview),
            paging: Some(json!({ "orderBy": null, "descending": false, "offset": 20, "maxSize": 10 })),
            failed_objects: Some(Failed { status: vec!["fatal_error".to_owned()], ..Failed::default() }),
            filtered_here: true,
            ignored: vec!["searchOptions".to_owned()],
            ..import()
        };
        check(
            &explanation,
            &expect![[r#"
                import of HR (as a preview: nothing is changed)
                  Objects     objects of the type account/default, class person
                  Because     of the kind 'account', this type is the default; the class is that of the type
                  Asked       (objectClass=person); the rest of the condition is checked here
                  Portion     at most 10 objects, after the first 20
                  Only        objects with the outcome fatal_error in this task
                  Skipped     what turns out not to be of the kind account
                  Ignored     searchOptions
                  Query       kind = "account"  (append)
                by the rules 'documented'
            "#]],
        );
    }

    #[test]
    fn parts_stand_below_the_whole_and_those_left_out_are_told() {
        let part = |name: &str| Explanation { activity: name.to_owned(), path: Some(name.to_owned()), ..import() };
        let whole = Explanation {
            activity: "reconciliation".to_owned(),
            activities: vec![
                Explanation { skipped: true, ..part("resourceObjects") },
                Explanation {
                    shadows: Some(Given { kind: Some("account".to_owned()), ..Given::default() }),
                    native: None,
                    ..part("remainingShadows")
                },
            ],
            ..import()
        };
        check(
            &whole,
            &expect![[r#"
                reconciliation of HR
                  resourceObjects of HR (left out)
                  remainingShadows of HR
                    Objects     shadows of the kind account that were not met on the resource
                    Asked       for each of them by itself; what is still there is left alone
                    Skipped     what turns out not to be of the kind account
                    Query       kind = "account"  (append)
                by the rules 'documented'
            "#]],
        );
    }

    #[test]
    fn a_cleanup_is_for_shadows_of_an_age() {
        let cleanup = Explanation {
            activity: "shadowCleanup".to_owned(),
            shadows: Some(Given { kind: Some("account".to_owned()), ..Given::default() }),
            interval: Some("-P30D".to_owned()),
            native: None,
            post_filter: Given::default(),
            ..import()
        };
        check(
            &cleanup,
            &expect![[r#"
            shadowCleanup of HR
              Objects     shadows of the kind account that were not met for P30D
              Asked       for each of them by itself; what is still there is left alone
              Query       kind = "account"  (append)
            by the rules 'documented'
        "#]],
        );
    }
}
