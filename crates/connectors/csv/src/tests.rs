#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use futures::StreamExt;
use futures::executor::block_on;
use proptest::prelude::*;
use tempfile::TempDir;
use tidelock_connector_api::{Completeness, Connector, Found, IncompleteReason, Result, SearchRequest};
use tidelock_model::filter::{BoundFilter, Condition};
use tidelock_model::object::{MatchingRule, ResourceObject};
use tidelock_model::value::Value;

use crate::{Csv, CsvConfig, MultiValue, OBJECT_CLASS, Splitter};

fn config(folder: &TempDir) -> CsvConfig {
    CsvConfig::new(folder.path().join("hr.csv"), "uid")
}

fn show(item: &Result<Found>) -> String {
    match item {
        Ok(Found::Object(object)) => {
            let attribute = |(name, values): (&std::sync::Arc<str>, &tidelock_model::Values)| {
                let values: Vec<_> = values.iter().map(|value| value.as_str().unwrap().escape_debug().to_string()).collect();
                format!(" {name}={}", values.join("|"))
            };
            let attributes: String = object.attributes.iter().map(attribute).collect();
            format!("{} [{}]{attributes}", object.identifier, object.origin.as_deref().unwrap())
        }
        Ok(Found::End(Completeness::Complete)) => "complete".to_owned(),
        Ok(Found::End(Completeness::Incomplete { reason, message })) => format!("incomplete, {reason}: {message}"),
        Err(error) => format!("{:?} {}", error.kind(), error),
    }
}

fn search(connector: &Csv, filter: BoundFilter) -> Vec<Result<Found>> {
    block_on(connector.search(SearchRequest::new(OBJECT_CLASS).with_filter(filter)).collect())
}

fn schema(connector: &Csv) -> String {
    match block_on(connector.schema()) {
        Err(error) => format!("schema: {:?} {error}", error.kind()),
        Ok(schema) => {
            let class = &schema.classes[0];
            let attributes: Vec<_> = class
                .attributes
                .iter()
                .map(|a| format!("{}{}{}", a.name, if a.required { "!" } else { "" }, if a.multi_valued { "*" } else { "" }))
                .collect();
            format!("schema: {} by {}", attributes.join(" "), class.naming_attribute)
        }
    }
}

fn hide(text: &str, folder: &Path) -> String {
    text.replace(&format!("{}/", folder.display()), "")
}

fn check_bytes(bytes: &[u8], configure: impl FnOnce(&mut CsvConfig), expected: Expect) {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    configure(&mut config);
    fs::write(folder.path().join("hr.csv"), bytes).unwrap();
    let connector = Csv::new(config);
    let mut shown = vec![schema(&connector)];
    shown.extend(search(&connector, BoundFilter::All).iter().map(show));
    expected.assert_eq(&hide(&(shown.join("\n") + "\n"), folder.path()));
}

fn check(text: &str, configure: impl FnOnce(&mut CsvConfig), expected: Expect) {
    check_bytes(text.as_bytes(), configure, expected);
}

fn multi(columns: Option<&[&str]>) -> Option<MultiValue> {
    let columns = columns.map(|columns| columns.iter().map(|c| (*c).into()).collect());
    Some(MultiValue { splitter: Splitter::new(",").unwrap(), columns })
}

#[test]
fn rows_are_objects_and_empty_cells_are_absent() {
    check(
        "uid;name;mail\n1;Ann;\n2;;\"b;b\"\n",
        |_| {},
        expect![[r#"
        schema: uid! name mail by uid
        1 [row 2] uid=1 name=Ann
        2 [row 3] uid=2 mail=b;b
        complete
    "#]],
    );
}

#[test]
fn a_bad_row_is_one_error_and_the_search_goes_on() {
    check(
        "uid;name\n1;Ann\n2\n3;a;b\n;Dan\n\"5\"x;E\n\"\n6\";F\n  ;G\n7;H\n8\n",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        InvalidData row 3: 1 field where the header has 2
        InvalidData row 4: 3 fields where the header has 2
        InvalidData row 5: no value in the unique column 'uid'
        InvalidData row 6: text after a closing quote

        6 [row 7] uid=\n6 name=F
        InvalidData row 8 (line 9): no value in the unique column 'uid'
        7 [row 9] uid=7 name=H
        InvalidData row 10 (line 11): 1 field where the header has 2
        complete
    "#]],
    );
}

#[test]
fn bytes_that_cannot_be_decoded_are_an_error_of_their_row() {
    check_bytes(
        b"uid;name\n1;\xFF\n2;\xC3\xA9\n3;a\xC3\n4;ok\n",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        InvalidData row 2: bytes that are not UTF-8; is 'encoding' right?
        2 [row 3] uid=2 name=é
        InvalidData row 4: bytes that are not UTF-8; is 'encoding' right?
        4 [row 5] uid=4 name=ok
        complete
    "#]],
    );
    let utf16: Vec<u8> = "uid;n\n1;a\n2;b\n3;č\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bytes = vec![0xFF, 0xFE];
    bytes.extend(&utf16);
    check_bytes(
        &bytes,
        |_| {},
        expect![[r#"
        schema: uid! n by uid
        1 [row 2] uid=1 n=a
        2 [row 3] uid=2 n=b
        3 [row 4] uid=3 n=č
        complete
    "#]],
    );
    bytes[18..20].copy_from_slice(&[0x00, 0xD8]);
    check_bytes(
        &bytes,
        |_| {},
        expect![[r#"
        schema: uid! n by uid
        InvalidData row 2: bytes that are not UTF-16LE; is 'encoding' right?
        2 [row 3] uid=2 n=b
        3 [row 4] uid=3 n=č
        complete
    "#]],
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_header_and_is_believed() {
    check_bytes(
        b"\xEF\xBB\xBFuid;n\n1;\xC3\xA9\n",
        |config| config.encoding = encoding_rs::WINDOWS_1252,
        expect![[r#"
        schema: uid! n by uid
        1 [row 2] uid=1 n=é
        complete
    "#]],
    );
}

#[test]
fn other_encodings_are_decoded() {
    check_bytes(
        b"uid;n\n1;\xE9\n2;\x9E\n",
        |config| config.encoding = encoding_rs::WINDOWS_1250,
        expect![[r#"
        schema: uid! n by uid
        1 [row 2] uid=1 n=é
        2 [row 3] uid=2 n=ž
        complete
    "#]],
    );
    check_bytes(
        b"uid;n\n1;\x83\x5C\n2;\x83\n3;x\n",
        |config| config.encoding = encoding_rs::SHIFT_JIS,
        expect![[r#"
        schema: uid! n by uid
        1 [row 2] uid=1 n=ソ
        InvalidData row 3: bytes that are not Shift_JIS; is 'encoding' right?
        3 [row 4] uid=3 n=x
        complete
    "#]],
    );
}

#[test]
fn a_file_that_was_cut_off_is_incomplete() {
    check(
        "uid;name\n1;Ann\n2",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        InvalidData row 3: 1 field where the header has 2
        incomplete, truncated: the file seems to end within row 3: 1 field where the header has 2
    "#]],
    );
    check(
        "uid;name\n1;\"Ann\n2;Bob\n",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        InvalidData row 2: a quote is not closed
        incomplete, truncated: the file seems to end within row 2: a quote is not closed
    "#]],
    );
    check(
        "uid;name\n1;Ann\n2;Bob",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        2 [row 3] uid=2 name=Bob
        complete
    "#]],
    );
    check_bytes(
        b"uid;name\n1;Ann\n2;B\xC3",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        InvalidData row 3: bytes that are not UTF-8; is 'encoding' right?
        incomplete, truncated: the file seems to end within row 3: bytes that are not UTF-8; is 'encoding' right?
    "#]],
    );
    check(
        "uid;name\n1;Ann\n2;Bob;x",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        InvalidData row 3: 3 fields where the header has 2
        complete
    "#]],
    );
}

#[test]
fn an_empty_file_is_incomplete_unless_that_is_allowed() {
    check(
        "",
        |_| {},
        expect![[r#"
            schema: Unreachable hr.csv is empty: without a row its columns are not known
            incomplete, empty: the file is empty, it has not even a header
        "#]],
    );
    check(
        "# nothing\n\n",
        |config| config.allow_empty = true,
        expect![[r#"
            schema: Unreachable hr.csv is empty: without a row its columns are not known
            incomplete, empty: the file is empty, it has not even a header
        "#]],
    );
    check(
        "uid;name\n",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        incomplete, empty: the file has no rows; if that can be right, set 'allowEmpty'
    "#]],
    );
    check(
        "uid;name\n\n",
        |config| config.allow_empty = true,
        expect![[r#"
        schema: uid! name by uid
        complete
    "#]],
    );
    check(
        "",
        |config| {
            config.allow_empty = true;
            config.header = false;
        },
        expect![[r#"
            schema: Unreachable hr.csv is empty: without a row its columns are not known
            complete
        "#]],
    );
}

#[test]
fn columns_have_names_and_no_name_twice() {
    check(
        "uid;;name;name;;name\n1;2;3;4;5;6\n",
        |_| {},
        expect![[r#"
        schema: uid! col0 name name1 col01 name2 by uid
        1 [row 2] uid=1 col0=2 name=3 name1=4 col01=5 name2=6
        complete
    "#]],
    );
    check(
        "a;b\nc;d\n",
        |config| (config.header, config.unique_attribute) = (false, "col1".into()),
        expect![[r#"
        schema: col0 col1! by col1
        b [row 1] col0=a col1=b
        d [row 2] col0=c col1=d
        complete
    "#]],
    );
}

#[test]
fn the_columns_that_are_configured_must_be_there() {
    check(
        "uuid;name\n1;Ann\n",
        |_| {},
        expect![[r#"
        schema: Config hr.csv has no column 'uid', which 'uniqueAttribute' names; did you mean 'uuid'?
        Config hr.csv has no column 'uid', which 'uniqueAttribute' names; did you mean 'uuid'?
    "#]],
    );
    check(
        "id,name\n1,Ann\n",
        |_| {},
        expect![[r#"
        schema: Config hr.csv has no column 'uid', which 'uniqueAttribute' names; the only column is 'id,name'; is 'fieldDelimiter' right?
        Config hr.csv has no column 'uid', which 'uniqueAttribute' names; the only column is 'id,name'; is 'fieldDelimiter' right?
    "#]],
    );
    check(
        "uid;name\n1;Ann\n",
        |config| config.password_attribute = Some("pwd".into()),
        expect![[r#"
        schema: Config hr.csv has no column 'pwd', which 'passwordAttribute' names; the columns are uid, name
        Config hr.csv has no column 'pwd', which 'passwordAttribute' names; the columns are uid, name
    "#]],
    );
    check(
        "uid;name\n1;Ann\n",
        |config| config.multi_value = multi(Some(&["nme"])),
        expect![[r#"
        schema: Config hr.csv has no column 'nme', which 'multivalueAttributes' names; did you mean 'name'?
        Config hr.csv has no column 'nme', which 'multivalueAttributes' names; did you mean 'name'?
    "#]],
    );
}

#[test]
fn the_password_is_neither_in_the_schema_nor_in_an_object() {
    check(
        "uid;pwd;name\n1;secret;Ann\n",
        |config| config.password_attribute = Some("pwd".into()),
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        complete
    "#]],
    );
}

#[test]
fn listed_columns_are_split_and_without_a_list_every_ordinary_one() {
    let text = "uid;groups;roles;login\n1,1;a,,b;c,d;x,y\n2;,;e;z\n";
    check(
        text,
        |config| config.multi_value = multi(Some(&["groups"])),
        expect![[r#"
        schema: uid! groups* roles login by uid
        1,1 [row 2] uid=1,1 groups=a|b roles=c,d login=x,y
        2 [row 3] uid=2 roles=e login=z
        complete
    "#]],
    );
    check(
        text,
        |config| {
            config.multi_value = multi(None);
            config.name_attribute = Some("login".into());
        },
        expect![[r#"
            schema: uid! groups* roles* login by login
            1,1 [row 2] uid=1,1 groups=a|b roles=c|d login=x,y
            2 [row 3] uid=2 roles=e login=z
            complete
        "#]],
    );
}

#[test]
fn values_are_trimmed_where_that_is_asked_for() {
    check(
        "uid;groups\n 1 ;\" a , b\"\n",
        |config| {
            config.trim = true;
            config.multi_value = multi(None);
        },
        expect![[r#"
            schema: uid! groups* by uid
            1 [row 2] uid=1 groups=a|b
            complete
        "#]],
    );
}

#[test]
fn a_delimiter_at_the_end_of_lines_begins_no_field() {
    check(
        "uid;name;\n1;Ann;\n2;;\n3;Cid\n4;a;b;\n",
        |config| config.trailing_delimiter = true,
        expect![[r#"
        schema: uid! name by uid
        1 [row 2] uid=1 name=Ann
        2 [row 3] uid=2
        3 [row 4] uid=3 name=Cid
        InvalidData row 5: 3 fields where the header has 2
        complete
    "#]],
    );
}

#[test]
fn empty_lines_are_passed_over_or_reported() {
    check(
        "\nuid;name\n\n1;Ann\n ; \n",
        |_| {},
        expect![[r#"
        schema: uid! name by uid
        1 [row 4] uid=1 name=Ann
        complete
    "#]],
    );
    check(
        "\nuid;name\n\n1;Ann\n ; \n",
        |config| config.ignore_empty_lines = false,
        expect![[r#"
        schema: uid! name by uid
        InvalidData row 3: 1 field where the header has 2
        1 [row 4] uid=1 name=Ann
        InvalidData row 5: no value in the unique column 'uid'
        complete
    "#]],
    );
}

#[test]
fn what_is_no_file_is_said_to_be_none() {
    let folder = TempDir::new().unwrap();
    let connector = Csv::new(config(&folder));
    let shown = |connector: &Csv| {
        hide(&format!("{}\n{}\n", schema(connector), show(&search(connector, BoundFilter::All)[0])), folder.path())
    };
    expect![[r#"
        schema: Unreachable cannot read hr.csv
        Unreachable cannot read hr.csv
    "#]]
    .assert_eq(&shown(&connector));
    fs::create_dir(connector.path()).unwrap();
    expect![[r#"
        schema: Config cannot read hr.csv: it is a directory; 'filePath' names a CSV file
        Config cannot read hr.csv: it is a directory; 'filePath' names a CSV file
    "#]]
    .assert_eq(&shown(&connector));
}

#[test]
fn filters_are_honoured() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    config.ignore_identifier_case = true;
    fs::write(&config.path, "uid;name\nAnn;x\nbob;y\nCid;y\nbad\n").unwrap();
    let connector = Csv::new(config);
    let attribute = |name: &str, rule, condition| BoundFilter::Attribute { name: name.into(), rule, condition };
    let any = |values: &[&str]| Condition::AnyOf(values.iter().copied().map(Value::from).collect());
    let mut shown = String::new();
    for filter in [
        attribute("uid", MatchingRule::StringIgnoreCase, any(&["ann", "cid"])),
        attribute("name", MatchingRule::Exact, any(&["y"])),
        attribute("uid", MatchingRule::StringIgnoreCase, any(&["ann", "cid"])).and(attribute(
            "name",
            MatchingRule::Exact,
            any(&["y"]),
        )),
        BoundFilter::Not(Box::new(attribute("name", MatchingRule::Exact, Condition::Present))),
    ] {
        shown += &format!("{}\n", connector.native_query(&SearchRequest::new(OBJECT_CLASS).with_filter(filter.clone())).unwrap());
        shown += &search(&connector, filter).iter().map(|item| format!("    {}\n", show(item))).collect::<String>();
    }
    expect![[r#"
        read every row of hr.csv where uid is one of 'ann', 'cid'
            Ann [row 2] uid=Ann name=x
            Cid [row 4] uid=Cid name=y
            InvalidData row 5: 1 field where the header has 2
            complete
        read every row of hr.csv where name = 'y'
            bob [row 3] uid=bob name=y
            Cid [row 4] uid=Cid name=y
            InvalidData row 5: 1 field where the header has 2
            complete
        read every row of hr.csv where uid is one of 'ann', 'cid' and name = 'y'
            Cid [row 4] uid=Cid name=y
            InvalidData row 5: 1 field where the header has 2
            complete
        read every row of hr.csv where not (name has a value)
            InvalidData row 5: 1 field where the header has 2
            complete
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_lookup_says_no_only_where_no_bad_row_may_be_the_one() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let path = config.path.clone();
    let connector = Csv::new(config);
    let check = |rows: &[u8], identifiers: &[&str], expected: Expect| {
        fs::write(&path, [b"uid;name\n".as_slice(), rows].concat()).unwrap();
        let found = block_on(connector.get_many(OBJECT_CLASS, identifiers)).unwrap();
        let show = |found: &Result<Option<ResourceObject>>| match found {
            Ok(Some(object)) => object.identifier.to_string(),
            Ok(None) => "none".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        expected.assert_eq(&found.iter().map(show).collect::<Vec<_>>().join(" "));
    };
    check(b"1;Ann\n2;Bob\n", &["2", "0", "1", "2"], expect!["2 none 1 2"]);
    check(b"1;Ann\n2;Bob\nbad\n", &["2"], expect!["2"]);
    check(b"1;Ann\nbad\n", &["1", "0"], expect!["1 OutcomeUnknown"]);
    check(b"1;Ann\n;Bob\n", &["1", "0"], expect!["1 none"]);
    check(b"1;Ann\n2;\xFF\n", &["1", "2", "0"], expect!["1 InvalidData none"]);
    check(b"1;Ann\n\xFF;Bob\n", &["1", "0"], expect!["1 OutcomeUnknown"]);
    check(b"", &["1"], expect!["OutcomeUnknown"]);
}

#[test]
fn the_number_of_rows_is_estimated_without_reading_them_all() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let path = config.path.clone();
    let connector = Csv::new(config);
    let count = || block_on(connector.count(&SearchRequest::new(OBJECT_CLASS))).unwrap().unwrap();
    fs::write(&path, "uid;name\n1;Ann\n\n2;Bob\n").unwrap();
    assert_eq!(count(), 2);
    let rows: String = (0..50_000).map(|i| format!("{i:06};name {i:06}\n")).collect();
    fs::write(&path, format!("uid;name\n{rows}")).unwrap();
    assert!((49_000..51_000).contains(&count()), "{}", count());
}

/// A file with more rows than are read ahead; what is done to it half-way through a search is given to `change`.
fn changed(change: impl FnOnce(&Path)) -> Completeness {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let path = config.path.clone();
    let rows: String = (0..60_000).map(|i| format!("{i};some name\n")).collect();
    fs::write(&path, format!("uid;name\n{rows}")).unwrap();
    let connector = Csv::new(config);
    let mut change = Some(change);
    block_on(async {
        let mut stream = connector.search(SearchRequest::new(OBJECT_CLASS));
        while let Some(item) = stream.next().await {
            if let Ok(Found::End(verdict)) = item {
                return verdict;
            }
            if let Some(change) = change.take() {
                change(&path);
            }
        }
        panic!("no verdict")
    })
}

fn reason(verdict: Completeness) -> Option<IncompleteReason> {
    match verdict {
        Completeness::Complete => None,
        Completeness::Incomplete { reason, .. } => Some(reason),
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_incomplete() {
    assert_eq!(reason(changed(|_| {})), None);
    let append = |path: &Path| {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"x;y\n").unwrap();
    };
    assert_eq!(reason(changed(append)), Some(IncompleteReason::Changed));
    assert_eq!(reason(changed(|path| fs::write(path, "uid;name\n1;a\n").unwrap())), Some(IncompleteReason::Changed));
    assert_eq!(reason(changed(|path| fs::remove_file(path).unwrap())), Some(IncompleteReason::Changed));
    let replace = |path: &Path| {
        let copy = path.with_extension("new");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    };
    assert_eq!(reason(changed(replace)), Some(IncompleteReason::Changed));
    let touch = |path: &Path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    };
    assert_eq!(reason(changed(touch)), Some(IncompleteReason::Changed));
}

#[test]
fn a_stream_that_is_dropped_ends_its_reading() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let rows: String = (0..60_000).map(|i| format!("{i};some name\n")).collect();
    fs::write(&config.path, format!("uid;name\n{rows}")).unwrap();
    let connector = Csv::new(config);
    let mut stream = connector.search(SearchRequest::new(OBJECT_CLASS));
    assert!(block_on(stream.next()).is_some_and(|item| item.is_ok()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rows_that_an_independent_writer_wrote_come_back(rows in proptest::collection::vec(proptest::collection::vec("[a-c;\"\\r\\n,# é]{0,5}", 2), 1..20)) {
        let folder = TempDir::new().unwrap();
        let mut config = config(&folder);
        // The writer knows neither of them, and would not protect them.
        (config.dialect.escape, config.dialect.comment) = (None, None);
        let mut writer = csv::WriterBuilder::new().delimiter(b';').from_path(&config.path).unwrap();
        writer.write_record(["uid", "a", "b"]).unwrap();
        for (index, row) in rows.iter().enumerate() {
            writer.write_record([index.to_string().as_str(), &row[0], &row[1]]).unwrap();
        }
        writer.flush().unwrap();
        let found = search(&Csv::new(config), BoundFilter::All);
        let read: Vec<Vec<String>> = found
            .iter()
            .filter_map(|item| match item {
                Ok(Found::Object(object)) => {
                    let value = |name| object.attributes.first(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                    Some(vec![value("a"), value("b")])
                }
                _ => None,
            })
            .collect();
        prop_assert_eq!(read, rows);
        prop_assert_eq!(found.last().map(show), Some("complete".to_owned()));
    }
}
