//! CSV files keep to every clause.

#![allow(clippy::unwrap_used)]

use std::fs;

use tempfile::TempDir;
use tidelock_connector_api::conformance::Fixture;
use tidelock_csv::{Csv, CsvConfig, MultiValue, Splitter};

fn file(content: &[u8], configure: impl FnOnce(&mut CsvConfig)) -> Fixture {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hr.csv");
    fs::write(&path, content).unwrap();
    let mut config = CsvConfig::new(path, "uid");
    configure(&mut config);
    Fixture::new(Csv::new(config)).keeping(folder)
}

mod of_defaults {
    use super::*;
    tidelock_connector_api::conformance_tests!(file(
        b"uid;name;mail\n1;Ann;ann@example.com\n2;Bob;\n3;\"C;\nid\";cid@example.com\n",
        |_| {}
    ));
}

mod with_bad_rows_and_every_option {
    use super::*;
    fn everything() -> Fixture {
        let content = "\u{feff}#  people\nuid,login,name,pwd,groups,\n1,Ann, Ann ,secret,a|b,\n2,bob,,,,\n\n3,x\n,,x,,,\n";
        let fixture = file(content.as_bytes(), |config| {
            config.dialect.delimiter = b',';
            config.trailing_delimiter = true;
            config.trim = true;
            config.name_attribute = Some("login".into());
            config.password_attribute = Some("pwd".into());
            config.ignore_identifier_case = true;
            config.multi_value = Some(MultiValue { splitter: Splitter::new("\\|").unwrap(), columns: None });
        });
        fixture.with_unreadable(2)
    }
    tidelock_connector_api::conformance_tests!(everything());
}

mod with_a_row_of_wrong_bytes {
    use super::*;
    tidelock_connector_api::conformance_tests!(file(b"uid;name\na;Ann\nb;\xFF\nc;Cid\n", |_| {}).with_unreadable(1));
}

mod with_a_folder_for_snapshots {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use tidelock_connector_api::conformance::Step;

    use super::*;

    /// What comes and goes between two looks is never heard of, so a removal may not be reported.
    fn live() -> Fixture {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("hr.csv");
        let connector = Csv::new(CsvConfig::new(&path, "uid")).with_state_folder(folder.path().join("state"));
        let rows: BTreeMap<String, u32> = [("ann", 1), ("bob", 1)].map(|(uid, level)| (uid.to_owned(), level)).into();
        let write = move |rows: &BTreeMap<String, u32>| {
            // In an order that is not the one of snapshots.
            let rows: String = rows.iter().rev().map(|(uid, level)| format!("{uid};{level}\n")).collect();
            fs::write(&path, format!("uid;level\n{rows}")).unwrap();
        };
        write(&rows);
        let (rows, next) = (Mutex::new(rows), std::sync::atomic::AtomicU32::new(0));
        Fixture::new(connector).offering_live_sync().keeping(folder).changing(move |step| {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut rows = rows.lock().unwrap();
            let concerned = match step {
                Step::Add(_) => {
                    let uid = format!("new{number}");
                    rows.insert(uid.clone(), number);
                    Some(uid)
                }
                Step::Modify(_, uid) => rows.insert(uid.clone(), number + 1000).map(|_| uid),
                Step::Remove(_, uid) => {
                    rows.remove(&uid);
                    None
                }
            };
            write(&rows);
            std::future::ready(concerned)
        })
    }
    tidelock_connector_api::conformance_tests!(live());
}

mod larger_than_what_is_read_ahead {
    use super::*;
    fn large() -> Fixture {
        let rows: String = (0..5_000).map(|i| format!("{i};name {i};{}\n", i % 7)).collect();
        file(format!("uid;name;team\n{rows}").as_bytes(), |_| {})
    }
    tidelock_connector_api::conformance_tests!(large());
}
