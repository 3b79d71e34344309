//! The benchmark's data: account files and the identities already known, the same bytes as `bench/gen.py` makes.
//!
//! Every value is a pure function of the row's number and a salt. So the first rows of a large set are those of a small one, and a later
//! revision differs from the first exactly in the rows it touches.

use std::io::{self, Write};

const GIVEN: [&str; 42] = [
    "Ada",
    "Alan",
    "Anna",
    "Bela",
    "Boris",
    "Carla",
    "Cyril",
    "Dana",
    "Dora",
    "Emil",
    "Eva",
    "Filip",
    "Gita",
    "Hana",
    "Igor",
    "Irma",
    "Jana",
    "Jozef",
    "Karol",
    "Klara",
    "Lena",
    "Leo",
    "Marek",
    "Mia",
    "Nora",
    "Oto",
    "Petra",
    "Rasto",
    "Sofia",
    "Tibor",
    "Uma",
    "Viktor",
    "Wanda",
    "Xenia",
    "Yuri",
    "Zuzana",
    "Žofia",
    "Łukasz",
    "Renée",
    "Søren",
    "Ümit",
    "Ana-María",
];
const FIRST_SYLLABLE: [&str; 20] = [
    "Bar", "Cer", "Dob", "Fer", "Gal", "Hor", "Jan", "Kov", "Lan", "Mar", "Nov", "Pol", "Rad", "Sal", "Tom", "Urb", "Val", "Wei",
    "Zel", "Šim",
];
const SECOND_SYLLABLE: [&str; 15] = ["a", "e", "o", "i", "u", "á", "é", "er", "an", "ov", "il", "on", "ar", "is", "ek"];
const THIRD_SYLLABLE: [&str; 11] = ["ck", "nik", "sky", "mann", "ton", "va", "son", "ro", "ni", "ler", "berg"];
const DEPARTMENTS: [&str; 8] = ["Finance", "Sales, EMEA", "Sales, APAC", "Research", "Operations", "Legal", "People", "IT"];
const DEPARTMENT_COUNT: u64 = 200;
const GROUP_COUNT: u64 = 1000;

/// One account of the file.
struct Account {
    uid: String,
    employee_number: String,
    given_name: &'static str,
    family_name: String,
    mail: String,
    department: u64,
    status: &'static str,
    groups: Vec<u64>,
}

/// What a revision of the file does to a row.
enum Fate {
    Untouched,
    Changed,
    Gone,
}

/// Writes the account file of `count` accounts: revision 0 is the first; a later one has 1 % changed, 0.05 % gone and 0.05 % new.
pub(super) fn write_accounts(out: &mut impl Write, count: u64, revision: u64) -> io::Result<()> {
    out.write_all(b"uid,employeeNumber,givenName,familyName,mail,department,status,groups\n")?;
    for row in 0..count {
        let mut account = account(row);
        match fate(row, revision) {
            Fate::Untouched => {}
            Fate::Gone => continue,
            Fate::Changed => {
                account.department = mix(row, 200 + revision) % DEPARTMENT_COUNT;
                account.family_name.push('-');
                account.family_name.push_str(pick(&FIRST_SYLLABLE, mix(row, 300 + revision)));
            }
        }
        write_account(out, &account)?;
    }
    if revision > 0 {
        for new in 0..(count / 2000).max(1) {
            write_account(out, &self::account(500_000_000 + revision * 1_000_000 + new))?;
        }
    }
    Ok(())
}

/// Writes the identities that the repository holds beforehand: 48 % of the accounts' owners with their employee number, 2 % with their
/// mail alone, and for 0.5 % two identities with the same mail, so that their accounts are disputed.
pub(super) fn write_seed(out: &mut impl Write, count: u64) -> io::Result<()> {
    out.write_all(b"name,employeeNumber,givenName,familyName,mail\n")?;
    for_each_identity(count, |identity| {
        let Identity { name, employee_number, given_name, family_name, mail } = identity;
        writeln!(out, "{name},{employee_number},{given_name},{family_name},{mail}")
    })
}

/// One identity of the seed.
pub(super) struct Identity<'a> {
    pub(super) name: String,
    /// Empty if it has none.
    pub(super) employee_number: &'a str,
    pub(super) given_name: &'a str,
    pub(super) family_name: &'a str,
    pub(super) mail: &'a str,
}

/// Hands over the identities of the seed one by one.
pub(super) fn for_each_identity(count: u64, mut give: impl FnMut(Identity<'_>) -> io::Result<()>) -> io::Result<()> {
    for row in 0..count {
        let (names, numbered): (&[char], bool) = match mix(row, 7) % 1000 {
            0..480 => (&['s'], true),
            480..500 => (&['s'], false),
            500..505 => (&['s', 't'], false),
            _ => continue,
        };
        let account = account(row);
        for name in names {
            give(Identity {
                name: format!("{name}{row:08}"),
                employee_number: if numbered { &account.employee_number } else { "" },
                given_name: account.given_name,
                family_name: &account.family_name,
                mail: &account.mail,
            })?;
        }
    }
    Ok(())
}

/// Writes the accounts as entries of a directory, below `ou=people`.
pub(super) fn write_people(out: &mut impl Write, count: u64, suffix: &str) -> io::Result<()> {
    for row in 0..count {
        let Account { uid, employee_number, given_name, family_name, mail, department, status, .. } = account(row);
        writeln!(
            out,
            "dn: {}\nobjectClass: inetOrgPerson\nuid: {uid}\nemployeeNumber: {employee_number}\ngivenName: {given_name}\nsn: {family_name}\n\
             cn: {given_name} {family_name}\nmail: {mail}\ndepartmentNumber: {department}\nemployeeType: {status}\n",
            person_dn(row, suffix)
        )?;
    }
    Ok(())
}

/// The name of an account's entry.
pub(super) fn person_dn(row: u64, suffix: &str) -> String {
    format!("uid=u{row:08},ou=people,{suffix}")
}

fn account(row: u64) -> Account {
    let hash = mix(row, 0);
    let first = pick(&FIRST_SYLLABLE, hash >> 8);
    let memberships = mix(row, 1);
    let mut groups = Vec::new();
    for nth in 0..(hash >> 32) & 3 {
        let group = (memberships >> (nth * 16)) % GROUP_COUNT;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Account {
        uid: format!("u{row:08}"),
        employee_number: format!("E{:09}", (row * 7919 + 13) % 100_000_007),
        given_name: pick(&GIVEN, hash),
        family_name: format!("{first}{}{}", pick(&SECOND_SYLLABLE, hash >> 16), pick(&THIRD_SYLLABLE, hash >> 24)),
        mail: format!("p{row}.{}@example.com", first.to_lowercase().replace('š', "s")),
        department: (hash >> 48) % DEPARTMENT_COUNT,
        status: match (hash >> 40) % 100 {
            0..92 => "active",
            92..97 => "disabled",
            _ => "leave",
        },
        groups,
    }
}

fn fate(row: u64, revision: u64) -> Fate {
    if revision == 0 {
        return Fate::Untouched;
    }
    match mix(row, 100 + revision) % 100_000 {
        0..1000 => Fate::Changed,
        1000..1050 => Fate::Gone,
        _ => Fate::Untouched,
    }
}

fn write_account(out: &mut impl Write, account: &Account) -> io::Result<()> {
    let Account { uid, employee_number, given_name, family_name, mail, status, .. } = account;
    write!(out, "{uid},{employee_number},{given_name},{family_name},{mail},")?;
    let name = department(account.department);
    let quote = if name.contains(',') { "\"" } else { "" };
    write!(out, "{quote}{name}{quote},{status},")?;
    for (nth, group) in account.groups.iter().enumerate() {
        write!(out, "{}g-{group:04}", if nth == 0 { "" } else { ";" })?;
    }
    writeln!(out)
}

fn pick<'a>(choices: &[&'a str], number: u64) -> &'a str {
    choices[usize::try_from(number % choices.len() as u64).unwrap_or_default()]
}

/// The name of a department, by any number.
pub(super) fn department(number: u64) -> String {
    let number = number % DEPARTMENT_COUNT;
    format!("D{number:03} {}", pick(&DEPARTMENTS, number))
}

/// The name of an account's department in the first revision.
pub(super) fn department_of(row: u64) -> String {
    department(account(row).department)
}

/// The finaliser of splitmix64.
pub(super) fn mix(number: u64, salt: u64) -> u64 {
    let mut x = number.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(salt + 1));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// FNV-1a, so that a test needs no crate for a checksum.
    fn checksum(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    }

    fn accounts(count: u64, revision: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write_accounts(&mut out, count, revision).unwrap();
        out
    }

    /// The figures are those of what `gen.py` printed.
    #[test]
    fn account_files_are_the_bytes_of_the_python_generator() {
        for (revision, length, sum) in
            [(0, 265_225, 0x370b_fe26_54fc_069a), (1, 265_392, 0x9022_c3dc_69dd_fd55), (2, 265_216, 0x5ea5_c6a4_9202_da96)]
        {
            let bytes = accounts(3000, revision);
            assert_eq!((bytes.len(), checksum(&bytes)), (length, sum), "revision {revision}");
        }
    }

    #[test]
    fn the_seed_is_the_bytes_of_the_python_generator() {
        let mut bytes = Vec::new();
        write_seed(&mut bytes, 3000).unwrap();
        assert_eq!((bytes.len(), checksum(&bytes)), (88_002, 0x12b4_f8c2_1aeb_6ca3));
    }

    #[test]
    fn a_small_file_is_the_beginning_of_a_large_one() {
        assert!(accounts(200, 0).starts_with(&accounts(20, 0)));
        expect_test::expect![[r#"
            uid,employeeNumber,givenName,familyName,mail,department,status,groups
            u00000000,E000000013,Łukasz,Horáberg,p0.hor@example.com,D088 Finance,disabled,g-0700
            u00000001,E000007932,Mia,Radáberg,p1.rad@example.com,"D130 Sales, APAC",active,
            u00000002,E000015851,Boris,Tomiton,p2.tom@example.com,D144 Finance,active,g-0226;g-0180
        "#]]
        .assert_eq(&String::from_utf8(accounts(3, 0)).unwrap());
    }
}
