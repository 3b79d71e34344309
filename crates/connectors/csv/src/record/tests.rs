#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// A text given out a few bytes at a time.
struct Slices<'a>(&'a [u8], usize);

impl Text for Slices<'_> {
    fn fill(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0[..self.1.min(self.0.len())])
    }

    fn consume(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }
}

fn dialect() -> Dialect {
    Dialect { delimiter: b';', quote: Some(b'"'), escape: Some(b'\\'), comment: Some(b'#'), ignore_surrounding_spaces: false }
}

fn tokens(bytes: &[u8], dialect: &Dialect, chunk: usize) -> Vec<String> {
    let (mut text, mut tokenizer, mut record) = (Slices(bytes, chunk), Tokenizer::new(dialect), Record::default());
    let mut all = Vec::new();
    loop {
        let next = tokenizer.read(&mut text, &mut record).unwrap();
        match next {
            Next::End => return all,
            Next::Record => {
                let open = if record.terminated { "" } else { " unterminated" };
                let flaw = record.flaw.map(|flaw| format!(" {flaw:?}")).unwrap_or_default();
                let fields: Vec<_> = record.text().map_or_else(
                    || vec!["not text".to_owned()],
                    |text| (0..record.fields).map(|i| format!("{:?}", record.field(text, i))).collect(),
                );
                all.push(format!("{}/{}{open}{flaw}: {}", record.row, record.line, fields.join(" ")));
            }
            other => all.push(format!("{}: {other:?}", record.row)),
        }
    }
}

/// Whatever the chunks, the tokens are the same.
fn check_with(dialect: &Dialect, bytes: &[u8], expected: Expect) {
    let whole = tokens(bytes, dialect, usize::MAX);
    for chunk in 1..5 {
        assert_eq!(tokens(bytes, dialect, chunk), whole, "in chunks of {chunk}");
    }
    expected.assert_eq(&whole.iter().map(|token| format!("{token}\n")).collect::<String>());
}

fn check(text: &str, expected: Expect) {
    check_with(&dialect(), text.as_bytes(), expected);
}

#[test]
fn rows_and_lines_are_counted_across_comments_blank_lines_and_quoted_line_breaks() {
    check(
        "# c\n\na;b\r\n\"1\r\n2\";x\ry;\"\n\n\"\nlast;one\n",
        expect![[r#"
        1: Comment
        2: Blank
        3/3: "a" "b"
        4/4: "1\r\n2" "x"
        5/6: "y" "\n\n"
        6/9: "last" "one"
    "#]],
    );
}

#[test]
fn the_end_of_the_file_ends_a_record() {
    check(
        "a;b",
        expect![[r#"
        1/1 unterminated: "a" "b"
    "#]],
    );
    check(
        "a;",
        expect![[r#"
        1/1 unterminated: "a" ""
    "#]],
    );
    check(
        "a;\"b\"",
        expect![[r#"
        1/1 unterminated: "a" "b"
    "#]],
    );
    check(
        "a\n#c",
        expect![[r#"
        1/1: "a"
        2: Comment
    "#]],
    );
    check("", expect![""]);
}

#[test]
fn an_open_quote_is_noticed() {
    check(
        "a;\"b\nc;d\n",
        expect![[r#"
        1/1 unterminated OpenQuote: "a" "b\nc;d\n"
    "#]],
    );
    check(
        "a;\"b\\",
        expect![[r#"
        1/1 unterminated OpenQuote: "a" "b"
    "#]],
    );
}

#[test]
fn quotes_are_doubled_or_escaped_and_count_at_the_start_of_a_field_only() {
    check(
        "\"a\"\"b\";\"a\\\"b\";a\"b\n\"a\" ;\"a\"b;c\n",
        expect![[r#"
        1/1: "a\"b" "a\"b" "a\"b"
        2/2 TextAfterQuote: "a" "ab" "c"
    "#]],
    );
}

#[test]
fn an_escape_takes_the_meaning_from_what_has_one() {
    check(
        "a\\;b;\\\\;DOMAIN\\user;\\\"q\\\"\nx\\\ny;z\\",
        expect![[r#"
        1/1: "a;b" "\\" "DOMAIN\\user" "\"q\""
        2/2 unterminated: "x\ny" "z\\"
    "#]],
    );
}

#[test]
fn a_comment_marker_counts_at_the_start_of_a_line_only() {
    check(
        "a#b;#c\n #d\n#e;f\n",
        expect![[r##"
        1/1: "a#b" "#c"
        2/2: " #d"
        3: Comment
    "##]],
    );
}

#[test]
fn surrounding_spaces_can_mean_nothing() {
    let dialect = Dialect { ignore_surrounding_spaces: true, ..dialect() };
    check_with(
        &dialect,
        b" a ;\t\" b; \" ; c d\n  \n e",
        expect![[r#"
        1/1: "a" " b; " "c d"
        2/2: ""
        3/3 unterminated: "e"
    "#]],
    );
    let tabs = Dialect { delimiter: b'\t', ..dialect };
    check_with(
        &tabs,
        b" a \t\t b\n",
        expect![[r#"
        1/1: "a" "" "b"
    "#]],
    );
}

#[test]
fn half_a_character_on_each_side_of_a_delimiter_is_no_text() {
    check_with(
        &dialect(),
        b"a\xC3;\xA9b\n\xFF;x\n",
        expect![[r#"
        1/1: not text
        2/2: not text
    "#]],
    );
}

#[test]
fn without_quotes_and_escapes_every_character_is_itself() {
    let dialect = Dialect { quote: None, escape: None, comment: None, ..dialect() };
    check_with(
        &dialect,
        b"#\"a;b\"\\\n",
        expect![[r##"
        1/1: "#\"a" "b\"\\"
    "##]],
    );
}

#[test]
fn a_record_that_is_too_long_is_passed_over_and_the_next_one_read() {
    let text = format!("\"{}\";b\nc;d\n", "x".repeat(MAX_RECORD + 1));
    let (mut text, mut tokenizer, mut record) = (Slices(text.as_bytes(), 1 << 16), Tokenizer::new(&dialect()), Record::default());
    assert_eq!(tokenizer.read(&mut text, &mut record).unwrap(), Next::Record);
    assert_eq!((record.flaw, record.fields), (Some(Flaw::TooLong), 2));
    assert_eq!(tokenizer.read(&mut text, &mut record).unwrap(), Next::Record);
    assert_eq!((record.flaw, record.text()), (None, Some("cd")));
}

#[test]
fn a_record_of_too_many_fields_is_counted() {
    let text = ";".repeat(MAX_FIELDS * 2);
    let (mut text, mut tokenizer, mut record) = (Slices(text.as_bytes(), 1 << 16), Tokenizer::new(&dialect()), Record::default());
    assert_eq!(tokenizer.read(&mut text, &mut record).unwrap(), Next::Record);
    assert_eq!(record.fields, MAX_FIELDS * 2 + 1);
    assert_eq!(record.field("", MAX_FIELDS + 1), "");
}

proptest! {
    #[test]
    fn records_are_those_of_an_independent_reader(bytes in "[a\";\r\né]{0,40}") {
        let plain = Dialect { escape: None, comment: None, ..dialect() };
        let mut reader = csv::ReaderBuilder::new().delimiter(b';').has_headers(false).flexible(true).from_reader(bytes.as_bytes());
        let theirs: Vec<Vec<String>> = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        let (mut text, mut tokenizer, mut record) = (Slices(bytes.as_bytes(), 3), Tokenizer::new(&plain), Record::default());
        let mut ours = Vec::new();
        let mut flawed = false;
        loop {
            match tokenizer.read(&mut text, &mut record).unwrap() {
                Next::End => break,
                Next::Record => {
                    flawed |= record.flaw.is_some();
                    let text = record.text().unwrap();
                    ours.push((0..record.fields).map(|i| record.field(text, i).to_owned()).collect::<Vec<_>>());
                }
                Next::Blank | Next::Comment => {}
            }
        }
        // They differ in what they make of what is wrong.
        if !flawed {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn no_input_panics_and_every_byte_is_read(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b';'), Just(b'\\'), Just(b'\n'), Just(b'\r'), Just(b'#'), any::<u8>()], 0..60), chunk in 1_usize..9) {
        prop_assert_eq!(tokens(&bytes, &dialect(), chunk), tokens(&bytes, &dialect(), usize::MAX));
    }
}
