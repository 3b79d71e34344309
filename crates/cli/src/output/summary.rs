//! What a run did, in a few lines.

use std::fmt::Write;

use tidelock_activities::{ActivityReport, Listening, Mode, ObjectActions, RunReport, RunStatus, Status, TokenMove, Transition};

use crate::output::text::{clean, count, number, seconds};
use crate::output::{BAD, DOUBTFUL, FAINT, GOOD, Paint, STRONG};

/// How many failures are told one by one.
const TOLD_FAILURES: usize = 10;

/// The summary of a run.
pub(crate) fn render(report: &RunReport, paint: Paint) -> String {
    let mut out = String::new();
    headline(&mut out, report, paint);
    for part in &report.activities {
        if !part.path.is_empty() {
            let counted = if part.progress.total() == 0 { "nothing to do".to_owned() } else { speed(part) };
            let mode = part.mode.map(|mode| format!(" ({})", mode_name(mode))).unwrap_or_default();
            line(&mut out, &format!("\n{}{mode}  {}", paint.text(STRONG, &*clean(&part.path)), paint.text(FAINT, counted)));
        }
        part_lines(&mut out, part, paint);
    }
    if report.mode == Mode::Full && report.run_status == RunStatus::Finished && !changed_something(report) {
        line(&mut out, "\nNothing changed.");
    }
    match report.mode {
        Mode::Full => {}
        Mode::Preview => line(&mut out, "\nThis was a preview: nothing of it was stored."),
        Mode::DryRun => line(&mut out, "\nThis was a dry run: situations were recorded, and nothing else was done."),
        Mode::None => line(&mut out, "\nObjects were counted, and nothing else was done."),
    }
    out
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Full => "for real",
        Mode::Preview => "a preview: nothing of it was stored",
        Mode::DryRun => "a dry run",
        Mode::None => "counted only",
    }
}

fn headline(out: &mut String, report: &RunReport, paint: Paint) {
    let (style, word) = match (report.run_status, report.status) {
        (RunStatus::Interrupted, _) => (DOUBTFUL, "interrupted"),
        (RunStatus::TemporaryError, _) => (BAD, "stopped by a temporary error"),
        (RunStatus::PermanentError | RunStatus::HaltingError, _) | (_, Status::FatalError) => (BAD, "stopped by an error"),
        (RunStatus::Finished, Status::PartialError) => (DOUBTFUL, "finished with failures"),
        (RunStatus::Finished, Status::Warning) => (DOUBTFUL, "finished with warnings"),
        (RunStatus::Finished, Status::Success) => (GOOD, "finished"),
    };
    let took: f64 = report.activities.iter().map(|part| part.seconds).sum();
    let _ = write!(out, "{} of '{}' {}", capital(&report.activity), clean(&report.task.name), paint.text(style, word));
    let begun = report.run_status == RunStatus::Finished || report.progress.total() > 0;
    if begun && !report.activities.is_empty() {
        let _ = write!(out, ": {} in {}", count(report.progress.total(), "object", "objects"), seconds(took));
        if let [part] = &report.activities[..]
            && part.objects_per_second > 0.0
        {
            let _ = write!(out, " ({})", per_second(part.objects_per_second));
        }
    }
    out.push('\n');
    if report.resumed {
        line(out, "It went on with a run that had not come to its end; what that one did is counted as well.");
    }
    let more = match report.run_status {
        RunStatus::Interrupted => "Run it again to go on where it stopped.",
        RunStatus::TemporaryError => "Run it again later.",
        RunStatus::PermanentError | RunStatus::HaltingError => "The task is suspended until the cause is dealt with.",
        RunStatus::Finished => return,
    };
    line(out, more);
}

fn part_lines(out: &mut String, part: &ActivityReport, paint: Paint) {
    let actions: Vec<_> = part.actions.0.iter().filter_map(|(object, actions)| Some((object, acts(object, *actions)?))).collect();
    let situations: Vec<_> = part.transitions.iter().filter(|t| t.counts.success > 0).collect();
    let skipped: Vec<_> = part.transitions.iter().filter(|t| t.counts.skip > 0).collect();

    if let Some(token) = &part.token {
        line(out, &format!("\n  Token    {}", clean(&token_move(token))));
    }
    if let Some(listening) = part.listening {
        let (style, text) = match listening {
            Listening::Alive => (GOOD, "alive"),
            Listening::Reconnecting => (DOUBTFUL, "reconnecting when the run ended"),
            Listening::Down => (BAD, "down"),
        };
        line(out, &format!("\n  Source   {}", paint.text(style, text)));
    }
    section(out, "Changes", paint, actions.iter().map(|(object, acts)| (acts.0, format!("{}{}", plural(object), acts.1))));
    section(out, "Objects", paint, situations.iter().map(|t| (t.counts.success, passage(t))));
    section(out, "Skipped", paint, skipped.iter().map(|t| (t.counts.skip, why(t))));
    failures(out, part, paint);
}

fn token_move(token: &TokenMove) -> String {
    match (&token.before, &token.after) {
        (before, after) if before == after => format!("{}, as before", after.as_deref().unwrap_or("none")),
        (None, Some(after)) => format!("{after}; there was none before"),
        (Some(before), Some(after)) => format!("{after}; {before} before"),
        (_, None) => "none".to_owned(),
    }
}

/// The number that leads the line, and the rest of it.
fn acts(object: &str, actions: ObjectActions) -> Option<(u64, String)> {
    let deleted = if object == "shadow" { "marked dead" } else { "deleted" };
    let done = [(actions.add, "created"), (actions.modify, "changed"), (actions.delete, deleted)];
    let mut done = done.into_iter().filter(|(many, _)| *many > 0);
    let (first, word) = done.next()?;
    let mut rest = format!(" {word}");
    for (many, word) in done {
        let _ = write!(rest, ", {} {word}", number(many));
    }
    Some((first, rest))
}

fn passage(transition: &Transition) -> String {
    let (found, after) = (&transition.on_synchronization_start, &transition.on_synchronization_end);
    match (found.as_deref(), after.as_deref()) {
        (Some(found), Some(after)) if found != after => match after {
            "linked" => format!("{found}, now linked"),
            _ => format!("{found}, then {after}"),
        },
        (Some(situation), _) | (None, Some(situation)) => match transition.on_processing_start.as_deref() {
            Some(before) if before != situation => format!("{situation}, {before} before"),
            _ => situation.to_owned(),
        },
        (None, None) => "looked at".to_owned(),
    }
}

fn why(transition: &Transition) -> String {
    match transition.exclusion.as_deref() {
        Some("noSynchronizationPolicy") => "of no object type, or of one that says nothing about synchronization".to_owned(),
        Some("synchronizationDisabled") => "of an object type whose synchronization is switched off".to_owned(),
        Some("notApplicableForTask") => "outside the task's object set".to_owned(),
        Some("protected") => "protected".to_owned(),
        Some("synchronizationNotNeeded") => "nothing to do".to_owned(),
        Some("synchronized") => "synchronized already".to_owned(),
        Some("expired") => "known by an outdated copy only".to_owned(),
        Some(other) => other.to_owned(),
        None => format!("{}, no reaction", passage(transition)),
    }
}

fn section(out: &mut String, title: &str, paint: Paint, lines: impl Iterator<Item = (u64, String)>) {
    let mut lines: Vec<_> = lines.map(|(many, text)| (number(many), text)).collect();
    if lines.is_empty() {
        return;
    }
    // The largest first; lines of equal number in the order of the report.
    lines.sort_by_key(|(many, _)| std::cmp::Reverse(many.replace(',', "").parse::<u64>().unwrap_or(0)));
    line(out, &format!("\n  {}", paint.text(STRONG, title)));
    for (many, text) in lines {
        line(out, &format!("  {many:>9}  {}", clean(&text)));
    }
}

fn failures(out: &mut String, part: &ActivityReport, paint: Paint) {
    if part.progress.failure == 0 {
        return;
    }
    line(out, &format!("\n  {}", paint.text(BAD, format!("Failed: {}", number(part.progress.failure)))));
    for failure in part.failures.iter().take(TOLD_FAILURES) {
        let (object, message) = (clean(&failure.object), clean(&failure.message));
        let text = if message.starts_with(&*object) { message.into_owned() } else { format!("{object}: {message}") };
        line(out, &format!("      {text}"));
    }
    let told = part.failures.len().min(TOLD_FAILURES) as u64;
    if part.progress.failure > told {
        line(out, &format!("      … and {} more", number(part.progress.failure - told)));
    }
}

/// Whether anything is different now. That shadows were seen again, and their timestamps set, is no difference.
fn changed_something(report: &RunReport) -> bool {
    report.activities.iter().any(|part| {
        let acted = part.actions.0.iter().any(|(object, actions)| {
            let ObjectActions { add, modify, delete } = *actions;
            add + delete > 0 || (modify > 0 && object != "shadow")
        });
        let moved = part.transitions.iter().any(|t| {
            t.counts.success > 0
                && (t.on_synchronization_start != t.on_synchronization_end
                    || t.on_processing_start.as_ref().is_some_and(|before| t.on_synchronization_start.as_ref() != Some(before)))
        });
        acted || moved
    })
}

fn speed(part: &ActivityReport) -> String {
    let mut text = format!("{} in {}", count(part.progress.total(), "object", "objects"), seconds(part.seconds));
    if part.objects_per_second > 0.0 {
        let _ = write!(text, " ({})", per_second(part.objects_per_second));
    }
    text
}

fn per_second(rate: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive, and the cast saturates")]
    let whole = rate.round() as u64;
    format!("{}/s", number(whole))
}

fn plural(object: &str) -> String {
    format!("{object}s")
}

/// `liveSynchronization` as a sentence begins: `Live synchronization`.
fn capital(activity: &str) -> String {
    let mut words = String::with_capacity(activity.len() + 2);
    for (at, c) in activity.chars().enumerate() {
        match (at, c) {
            (0, _) => words.extend(c.to_uppercase()),
            (_, 'A'..='Z') => {
                words.push(' ');
                words.extend(c.to_lowercase());
            }
            _ => words.push(c),
        }
    }
    words
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;
    use tidelock_activities::{ActionCounts, Category, Counts, Failure, TaskRef, TaskState};

    use super::*;

    fn report(activity: &str, status: Status, activities: Vec<ActivityReport>) -> RunReport {
        let mut progress = Counts::default();
        for part in &activities {
            progress += part.progress;
        }
        RunReport {
            task: TaskRef { oid: None, name: "HR".to_owned() },
            activity: activity.to_owned(),
            mode: Mode::Full,
            status,
            run_status: RunStatus::Finished,
            task_state: TaskState::Closed,
            progress,
            activities,
            resumed: false,
            error: None,
            diagnostics: Vec::new(),
        }
    }

    fn transition(way: [Option<&str>; 3], exclusion: Option<&str>, success: u64, failure: u64, skip: u64) -> Transition {
        let [before, found, after] = way.map(|s| s.map(str::to_owned));
        Transition {
            on_processing_start: before,
            on_synchronization_start: found,
            on_synchronization_end: after,
            exclusion: exclusion.map(str::to_owned),
            counts: Counts { success, failure, skip },
        }
    }

    fn part(path: &str, transitions: Vec<Transition>, actions: &[(&str, u64, u64, u64)]) -> ActivityReport {
        let mut progress = Counts::default();
        for transition in &transitions {
            progress += transition.counts;
        }
        let actions: BTreeMap<_, _> = actions
            .iter()
            .map(|&(object, add, modify, delete)| (object.to_owned(), ObjectActions { add, modify, delete }))
            .collect();
        ActivityReport {
            path: path.to_owned(),
            progress,
            transitions,
            actions: ActionCounts(actions),
            seconds: 0.416,
            objects_per_second: 721.2,
            ..ActivityReport::default()
        }
    }

    #[test]
    fn a_first_import_says_what_was_created_linked_skipped_and_failed() {
        let mut only = part(
            "",
            vec![
                transition([None, Some("unmatched"), Some("linked")], None, 240, 0, 0),
                transition([None, Some("unlinked"), Some("linked")], None, 46, 0, 0),
                transition([None, None, None], Some("noSynchronizationPolicy"), 0, 0, 12),
                transition([None, None, None], None, 0, 12, 0),
            ],
            &[("shadow", 298, 0, 0), ("user", 240, 30, 0)],
        );
        only.failures = (1..=12)
            .map(|row| Failure {
                object: format!("row {row}"),
                category: Category::Schema,
                message: format!("row {row}: there is no identifier"),
            })
            .collect();
        expect![[r#"
            Import of 'HR' finished with failures: 310 objects in 0.42 s (721/s)

              Changes
                    298  shadows created
                    240  users created, 30 changed

              Objects
                    240  unmatched, now linked
                     46  unlinked, now linked

              Skipped
                     12  of no object type, or of one that says nothing about synchronization

              Failed: 12
                  row 1: there is no identifier
                  row 2: there is no identifier
                  row 3: there is no identifier
                  row 4: there is no identifier
                  row 5: there is no identifier
                  row 6: there is no identifier
                  row 7: there is no identifier
                  row 8: there is no identifier
                  row 9: there is no identifier
                  row 10: there is no identifier
                  … and 2 more
        "#]]
        .assert_eq(&render(&report("import", Status::PartialError, vec![only]), Paint::PLAIN));
    }

    #[test]
    fn a_run_that_changed_nothing_says_so() {
        let linked = || transition([Some("linked"), Some("linked"), Some("linked")], None, 298, 0, 0);
        let first = part("resourceObjects", vec![linked()], &[("shadow", 0, 298, 0), ("user", 0, 0, 0)]);
        let second = part("remainingShadows", Vec::new(), &[]);
        expect![[r#"
            Reconciliation of 'HR' finished: 298 objects in 0.83 s

            resourceObjects  298 objects in 0.42 s (721/s)

              Changes
                    298  shadows changed

              Objects
                    298  linked

            remainingShadows  nothing to do

            Nothing changed.
        "#]]
        .assert_eq(&render(&report("reconciliation", Status::Success, vec![first, second]), Paint::PLAIN));
    }

    #[test]
    fn a_live_run_says_how_far_it_got_and_a_listening_one_how_the_source_was() {
        let linked = || transition([Some("linked"), Some("linked"), Some("linked")], None, 2, 0, 0);
        let mut live = part("", vec![linked()], &[("user", 0, 2, 0)]);
        live.token = Some(TokenMove { before: Some("41".to_owned()), after: Some("base64:/wA=".to_owned()) });
        live.listening = Some(Listening::Reconnecting);
        expect![[r#"
            Live synchronization of 'HR' finished: 2 objects in 0.42 s (721/s)

              Token    base64:/wA=; 41 before

              Source   reconnecting when the run ended

              Changes
                      2  users changed

              Objects
                      2  linked
        "#]]
        .assert_eq(&render(&report("liveSynchronization", Status::Success, vec![live]), Paint::PLAIN));
    }

    #[test]
    fn an_interrupted_run_says_how_to_go_on() {
        let mut report = report("liveSynchronization", Status::Success, Vec::new());
        report.run_status = RunStatus::Interrupted;
        expect![[r#"
            Live synchronization of 'HR' interrupted
            Run it again to go on where it stopped.
        "#]]
        .assert_eq(&render(&report, Paint::PLAIN));
    }
}
