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

mod larger_than_what_is_read_ahead {
    use super::*;
    fn large() -> Fixture {
        let rows: String = (0..5_000).map(|i| format!("{i};name {i};{}\n", i % 7)).collect();
        file(format!("uid;name;team\n{rows}").as_bytes(), |_| {})
    }
    tidelock_connector_api::conformance_tests!(large());
}
