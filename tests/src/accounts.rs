//! A resource of any size: an account file and the definitions of the benchmark.

use std::fmt::Write as _;
use std::fs;

use crate::{Home, root};

/// Gives a folder the benchmark's definitions, an account file of `count` rows, and people whom some of the accounts belong to.
///
/// One account in eight finds its owner by number, one in sixteen by mail, and a few are disputed.
pub fn prepare(home: &Home, count: usize) {
    for name in ["resource.xml", "import.xml", "reconcile.xml"] {
        fs::copy(root().join("bench/definitions").join(name), home.path(name)).unwrap();
    }
    write(home, count, false);
    let mut people = String::from("<objects xmlns=\"http://midpoint.evolveum.com/xml/ns/public/common/common-3\">\n");
    for row in (0..count).step_by(8) {
        match row % 128 {
            0 => person(&mut people, &format!("known-{row}"), "", &mail(row)),
            8 => {
                person(&mut people, &format!("known-{row}-a"), "", &mail(row));
                person(&mut people, &format!("known-{row}-b"), "", &mail(row));
            }
            _ => person(&mut people, &format!("known-{row}"), &number(row), ""),
        }
    }
    people.push_str("</objects>\n");
    home.write("people.xml", people);
    let _ = home.tidelock(["apply", "resource.xml", "import.xml", "reconcile.xml", "people.xml"]).expect_exit(0);
}

/// Writes the account file. Changed: one row in ten has another department, one in fifty is gone, and as many are new.
pub fn write(home: &Home, count: usize, changed: bool) {
    let mut text = String::from("uid,employeeNumber,givenName,familyName,mail,department,status,groups\n");
    for row in 0..count {
        if changed && row % 50 == 7 {
            continue;
        }
        line(&mut text, row, if changed && row % 10 == 3 { "moved" } else { "D1" });
    }
    if changed {
        for row in count..count + count / 50 {
            line(&mut text, row, "D2");
        }
    }
    home.write("accounts.csv", text);
}

/// The identifier of a row.
#[must_use]
pub fn uid(row: usize) -> String {
    format!("u{row:06}")
}

fn line(text: &mut String, row: usize, department: &str) {
    let groups = ["", "g1", "g1;g2"][row % 3];
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{},{},Ján,Novák {row},{},\"{department}, {}\",active,{groups}",
        uid(row),
        number(row),
        mail(row),
        row % 40
    );
}

fn person(people: &mut String, name: &str, number: &str, mail: &str) {
    let _ = write!(people, "<user><name>{name}</name>");
    if !number.is_empty() {
        let _ = write!(people, "<employeeNumber>{number}</employeeNumber>");
    }
    if !mail.is_empty() {
        let _ = write!(people, "<emailAddress>{mail}</emailAddress>");
    }
    people.push_str("</user>\n");
}

fn number(row: usize) -> String {
    // Not in the order of the rows, as in real files.
    format!("E{:07}", row * 7919 % 1_000_003)
}

fn mail(row: usize) -> String {
    format!("p{row}@example.com")
}
