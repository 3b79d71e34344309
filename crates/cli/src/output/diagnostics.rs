//! Findings for people: with the line they are about, as compilers show them.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use tidelock_model::{Diagnostic, Place, Severity};

use crate::output::text::clean;
use crate::sources::Sources;

/// The widest part of a line that is shown; a definition may stand in a single line.
const WIDEST: usize = 160;

/// One finding, with its line where that is known.
pub(crate) fn render(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let message = clean(&diagnostic.message);
    let title = level.primary_title(message.as_ref()).id(diagnostic.code);
    let place = &diagnostic.place;
    let file = place.file.as_deref().map(clean);
    let excerpt = excerpt(place, sources);

    let group = match (&file, &excerpt) {
        (Some(file), Some(excerpt)) => Group::with_title(title).element(
            Snippet::source(excerpt.text.as_str())
                .path(file.as_ref())
                .line_start(usize::try_from(place.line).unwrap_or(1))
                .annotation(AnnotationKind::Primary.span(excerpt.from..excerpt.to)),
        ),
        (Some(file), None) => {
            let mut origin = Origin::path(file.as_ref());
            if place.line > 0 {
                origin = origin.line(usize::try_from(place.line).unwrap_or(1));
                origin = origin.char_column(usize::try_from(place.column.max(1)).unwrap_or(1));
            }
            Group::with_title(title).element(origin)
        }
        (None, _) => Group::with_title(title),
    };
    let help = diagnostic.help.as_deref().map(|help| match diagnostic.code {
        // A whole definition: it is written by us, and would be of no use in one line.
        "legacy-task" => help.lines().map(clean).collect::<Vec<_>>().join("\n").into(),
        _ => clean(help),
    });
    let group = match &help {
        Some(help) => group.element(Level::HELP.message(help.as_ref())),
        None => group,
    };
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = renderer.render(&[group]);
    text.push('\n');
    text
}

/// The line of a place, or the part of it around the column, with the bytes that are meant.
struct Excerpt {
    text: String,
    from: usize,
    to: usize,
}

fn excerpt(place: &Place, sources: &Sources) -> Option<Excerpt> {
    let line = sources.line(place.file.as_deref()?, place.line)?;
    let column = usize::try_from(place.column).ok()?.saturating_sub(1);
    // Columns count characters. In a very long line only the surroundings of the column are shown, at the cost of its true
    // column in the picture; the title's place stays right in JSON.
    let skipped = if line.chars().nth(WIDEST).is_some() { column.saturating_sub(WIDEST / 2) } else { 0 };
    let shown: String = line.chars().skip(skipped).take(WIDEST).collect();
    let text = normalize_untrusted_str(&clean(&shown.replace('\t', " ")));
    let column = column - skipped;
    let from = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    let to = from + word(&text[from..]);
    Some(Excerpt { text, from, to })
}

/// How much of the text is to be underlined: a tag up to its name's end, a word, or one character.
fn word(text: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '@' | '$' | '/' | '#');
    let opening = text.find(|c| !matches!(c, '<' | '"' | '\'')).unwrap_or(text.len());
    let end = text[opening..].find(|c| !part(c)).map_or(text.len(), |at| opening + at);
    if end > 0 { end } else { text.chars().next().map_or(0, char::len_utf8) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, diagnostic: &Diagnostic, expected: &Expect) {
        let sources = Sources::default();
        sources.add("task.xml", text.as_bytes());
        expected.assert_eq(&render(diagnostic, &sources, false));
    }

    fn at(line: u32, column: u32) -> Place {
        Place { file: Some("task.xml".into()), line, column }
    }

    #[test]
    fn a_finding_shows_its_line_and_its_cure() {
        check(
            "<task>\n    <objectclass>zz:person</objectclass>\n</task>\n",
            &Diagnostic::error("undeclared-prefix", &at(2, 18), "the prefix 'zz' is not declared here")
                .with_help("declare it: xmlns:zz=\"…\""),
            &expect![[r#"
                error[undeclared-prefix]: the prefix 'zz' is not declared here
                 --> task.xml:2:18
                  |
                2 |     <objectclass>zz:person</objectclass>
                  |                  ^^^^^^^^^
                  |
                  = help: declare it: xmlns:zz="…"
            "#]],
        );
    }

    #[test]
    fn a_task_in_todays_form_is_shown_line_by_line() {
        check(
            "<task/>\n",
            &Diagnostic::info("legacy-task", &at(1, 1), "the task is in the form of midPoint 4.3")
                .with_help("write it as\n<task>\n  <name>a\u{1b}[31m</name>\n</task>"),
            &expect![[r#"
                info[legacy-task]: the task is in the form of midPoint 4.3
                 --> task.xml:1:1
                  |
                1 | <task/>
                  | ^^^^^^
                  |
                  = help: write it as
                          <task>
                            <name>a␛[31m</name>
                          </task>
            "#]],
        );
        check(
            "<task/>\n",
            &Diagnostic::warning("unknown-item", &at(1, 1), "x").with_help("did you mean 'a\nerror: b'?"),
            &expect![[r#"
                warning[unknown-item]: x
                 --> task.xml:1:1
                  |
                1 | <task/>
                  | ^^^^^^
                  |
                  = help: did you mean 'a␊error: b'?
            "#]],
        );
    }

    #[test]
    fn columns_count_characters_and_tabs_are_one() {
        check(
            "\tñandú: <bad>",
            &Diagnostic::warning("unknown-item", &at(1, 9), "'task' has no item 'bad'"),
            &expect![[r#"
                warning[unknown-item]: 'task' has no item 'bad'
                 --> task.xml:1:9
                  |
                1 |  ñandú: <bad>
                  |         ^^^^
            "#]],
        );
    }

    #[test]
    fn a_finding_without_a_line_names_its_file_at_least() {
        check(
            "",
            &Diagnostic::error("unreadable-file", &at(0, 0), "the file does not exist"),
            &expect![[r#"
                error[unreadable-file]: the file does not exist
                --> task.xml
            "#]],
        );
        check(
            "",
            &Diagnostic::info("usage", &Place::default(), "so it is"),
            &expect![[r#"
            info[usage]: so it is
        "#]],
        );
    }

    #[test]
    fn a_place_outside_the_text_harms_nothing() {
        for (line, column) in [(1, 999), (2, 1), (u32::MAX, u32::MAX), (0, 7), (1, 0)] {
            let sources = Sources::default();
            sources.add("task.xml", "kurz".as_bytes());
            let text = render(&Diagnostic::error("x", &at(line, column), "m"), &sources, true);
            assert!(text.contains('m'));
        }
    }

    #[test]
    fn of_a_very_long_line_the_part_in_question_is_shown() {
        let line = format!("{}<wrong/>{}", "a".repeat(5000), "b".repeat(5000));
        let sources = Sources::default();
        sources.add("task.xml", line.as_bytes());
        let text = render(&Diagnostic::error("x", &at(1, 5001), "m"), &sources, false);
        assert!(text.contains("<wrong/>") && text.len() < 1000, "{text}");
    }
}
