//! A real directory, followed by live synchronization and by listening, while the engine is killed and the server is restarted: in the
//! end the repository is as the directory. `TIDELOCK_LONG=1` makes the long run of it; `TIDELOCK_SEED` repeats the choices of one.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tidelock_servers::{Directory, Ds389, Ds389Setup, PASSWORD, Slapd, SlapdSetup, is_long_run};
use tidelock_tests::kill::{self, Fate};
use tidelock_tests::live::{self, OBJECTS};
use tidelock_tests::random::Random;
use tidelock_tests::{Answer, Home, Value, audit};

const LDAP: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/com.evolveum.polygon.connector-ldap/com.evolveum.polygon.connector.ldap.LdapConnector";

const LIVE: [&str; 4] = ["run", "live.xml", "--chunk", "10"];
const RECONCILE: [&str; 4] = ["run", "reconcile.xml", "--chunk", "10"];
const LISTEN: [&str; 6] = ["run", "listen.xml", "--chunk", "10", "--until-idle", "1"];

#[test]
fn a_directory_is_followed_however_often_the_run_is_killed() {
    let mut world = World::new(SlapdSetup::default());
    let mut random = Random::new();
    world.import();
    let _ = world.home.json(LIVE).expect_exit(0);
    follow(&mut world, &mut random, &LIVE, 6, 60);
}

#[test]
fn a_directory_is_listened_to_however_often_the_run_is_killed() {
    let mut world = World::new(SlapdSetup::default());
    let mut random = Random::new();
    world.import();
    // The first run has no position to begin after: it takes one.
    let _ = world.home.json(LISTEN).expect_exit(0);
    follow(&mut world, &mut random, &LISTEN, 6, 60);
}

/// It is followed by the time stamps of its entries, which tell seconds apart, and of what is gone by comparing what is left.
#[test]
fn a_389_directory_is_followed_however_often_the_run_is_killed() {
    let Some(mut world) = World::on_389() else { return };
    let mut random = Random::new();
    world.import();
    let _ = world.home.json(LIVE).expect_exit(0);
    follow(&mut world, &mut random, &LIVE, 6, 60);
}

#[test]
fn a_389_directory_is_reconciled_however_often_the_run_is_killed() {
    let Some(mut world) = World::on_389() else { return };
    let mut random = Random::new();
    world.import();
    follow(&mut world, &mut random, &RECONCILE, 6, 30);
}

/// Changes, runs that are killed, and a run that is not: again and again.
fn follow(world: &mut World, random: &mut Random, run: &[&str], few: u32, many: u32) {
    world.change(random);
    let mut duration = world.run(run);
    world.check(random);
    let (mut killed, kills) = (0, kill::kills(few, many));
    while killed < kills {
        world.change(random);
        match kill::start_and_kill(&world.home, run, kill::moment(random, duration)) {
            Fate::Killed => killed += 1,
            Fate::Ended(0) => {}
            Fate::Ended(exit) => panic!("the run ended with {exit} (seed {})", random.seed),
        }
        if random.below(4) == 0 {
            world.restart(random);
        }
        if random.below(2) == 0 {
            duration = (duration + world.run(run)) / 2;
            world.check(random);
        }
    }
    let _ = world.run(run);
    world.check(random);
}

#[test]
fn what_happens_while_it_listens_arrives() {
    let world = World::new(SlapdSetup::default());
    world.import();
    let mut listening = world.home.start(LISTEN);
    // Nobody says when it listens: changes are made until one arrives.
    let arrived = (0..200).any(|attempt| {
        world.server.modify(&described(&person(1), &format!("told {attempt}"))).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        world.known().values().any(|entry| entry.description.starts_with("told"))
    });
    assert!(arrived, "no change arrives while it listens");
    assert_eq!(listening.wait().unwrap().code(), Some(0), "nothing arrives any more, and it ends");
    world.check(&Random::new());
}

/// Nobody tells a listener of them: a server that is started again says who is left.
#[test]
fn deletions_that_the_server_has_forgotten_arrive_once_however_often_the_listener_is_killed() {
    let mut world = World::new(SlapdSetup::default());
    let random = &mut Random::new();
    let more: String = (40..600).map(|number| added(number).replacen('\n', "\nchangetype: add\n", 1)).collect();
    world.server.modify(&more).unwrap();
    world.import();
    let _ = world.home.json(LISTEN).expect_exit(0);
    audit::install(&world.home);
    let before = world.actual();
    let gone = (0..200).map(|number| format!("dn: {}\nchangetype: delete\n\n", person(number)));
    let changed = (200..300).map(|number| described(&person(number), "changed"));
    world.server.modify(&gone.chain(changed).collect::<String>()).unwrap();
    world.restart(random);

    let mut halfway = 0;
    for noted in [1, 40, 90, 110, 150, 200, 280] {
        let mut listening = world.home.start(LISTEN);
        while audit::count(&world.home) < noted && listening.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        listening.kill().unwrap();
        let _ = listening.wait().unwrap();
        halfway += u32::from((1..300).contains(&audit::count(&world.home)));
    }
    assert!(halfway > 0, "no kill has hit the middle of it");
    let answer = world.home.json(LISTEN).expect_exit(0);
    world.check(random);
    let notes = audit::notes(&world.home);
    let left = world.actual();
    for (id, entry) in &before {
        let expected: &[bool] = match left.get(id) {
            None => &[true],
            Some(now) if now != entry => &[false],
            Some(_) => &[],
        };
        let noted: Vec<bool> = notes.get(id).into_iter().flatten().map(|note| note.dead).collect();
        assert_eq!(noted, expected, "{entry:?}");
    }
    let token = |answer: &Answer| answer.json()["activities"][0]["token"]["after"].clone();
    let position = token(&answer);
    let quiet = world.home.json(LISTEN).expect_exit(0);
    assert_eq!(token(&quiet), position, "{quiet}");
    assert_eq!(audit::count(&world.home), 300);
}

#[test]
fn a_truncated_read_deletes_nobody() {
    let mut setup = SlapdSetup::default();
    setup.database = "limits dn.exact=\"cn=reader,dc=example,dc=org\" size.soft=10 size.hard=10 size.prtotal=20\n".to_owned();
    let world = World::new(setup);
    world.import();
    world.home.edit("resource.xml", Slapd::ADMIN, Slapd::READER);
    let _ = world.home.tidelock(["apply", "resource.xml"]).expect_exit(0);
    let answer = world.home.json(["run", "reconcile.xml"]).expect_exit(4);
    assert_eq!(answer.json()["error"]["code"], "incomplete-read", "{answer}");
    world.check(&Random::new());
}

#[test]
fn a_part_of_the_tree_is_asked_for_where_the_type_is_limited_to_it() {
    let world = World::new(SlapdSetup::default());
    world.home.edit(
        "resource.xml",
        "<objectClass>ri:inetOrgPerson</objectClass>",
        "<objectClass>ri:inetOrgPerson</objectClass><baseContext><objectClass>ri:organizationalUnit</objectClass>\
         <filter><q:equal><q:path>attributes/ri:dn</q:path><q:value>OU=Guests, dc=example,dc=org</q:value></q:equal></filter></baseContext>",
    );
    let _ = world.home.tidelock(["apply", "resource.xml"]).expect_exit(0);
    world.server.modify(&moved(&person(3), "guests")).unwrap();
    let explained = world.home.json(["explain", "import.xml"]).expect_exit(0).json();
    let native = explained["native"].as_str().unwrap().to_owned();
    assert!(native.contains("OU=Guests"), "{native}");
    let _ = world.home.json(["run", "import.xml"]).expect_exit(0);
    let known: Vec<_> = world.known().into_values().map(|entry| entry.dn).collect();
    assert_eq!(known, ["uid=u3,ou=guests,dc=example,dc=org"]);
}

#[test]
fn the_card_says_what_the_server_does_and_when_that_was_found_out() {
    let world = World::new(SlapdSetup::default());
    let tested = world.home.json(["resource", "test", "resource.xml"]).expect_exit(0).json();
    assert!(tested["ok"] == true && tested["capabilities"]["liveSync"] == true, "{tested:#}");
    assert!(text_of(&tested["measured"]).starts_with("20"), "{tested:#}");
    let findings = tested["findings"].as_array().unwrap();
    let found = |subject: &str| findings.iter().find(|finding| finding["subject"] == subject).unwrap();
    assert_eq!(found("changes pushed")["found"], "by content synchronization that persists");
    assert_eq!(found("read in pages")["doubtful"], false);
    let shown = world.home.tidelock(["resource", "test", "resource.xml"]).expect_exit(0).stdout;
    for line in ["can be reached: yes", "Measured at 20", "changes pulled", "by content synchronization (RFC 4533)"] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
}

#[test]
fn the_card_marks_what_stands_in_the_way() {
    let mut setup = SlapdSetup::default();
    setup.database = "limits dn.exact=\"cn=reader,dc=example,dc=org\" size.soft=10 size.hard=10 size.prtotal=20\n".to_owned();
    let world = World::new(setup);
    world.home.edit("resource.xml", Slapd::ADMIN, Slapd::READER);
    let shown = world.home.tidelock(["resource", "test", "resource.xml"]).expect_exit(0).stdout;
    for (subject, found) in [("read in pages", "and not all"), ("read at once", "10 entries, then a limit on their number")] {
        let line = shown.lines().find(|line| line.contains(subject)).unwrap();
        assert!(line.starts_with('!') && line.contains(found), "{shown}");
    }
}

/// A directory, and a repository beside it.
struct World {
    server: Box<dyn Directory>,
    home: Home,
    next: usize,
    /// Whether it loses nothing that it has done when it is killed.
    durable: bool,
}

/// What an entry is, as far as the tests change it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    dn: String,
    description: String,
}

impl World {
    fn new(mut setup: SlapdSetup) -> Self {
        // So few that deletions are now told one by one, and now by what is left.
        setup.session_log = 15;
        Self::of(Box::new(Slapd::start(&setup, &entries()).unwrap()), false)
    }

    /// With a 389 Directory Server, which belongs to the long run; none in others.
    fn on_389() -> Option<Self> {
        if !is_long_run() {
            println!("389 Directory Server is for the long run (TIDELOCK_LONG=1)");
            return None;
        }
        Some(Self::of(Box::new(Ds389::start(&Ds389Setup::default(), &entries()).unwrap()), true))
    }

    fn of(server: Box<dyn Directory>, durable: bool) -> Self {
        let home = Home::new();
        home.write("resource.xml", resource(server.port(), server.admin()));
        home.write("import.xml", live::task("Import", "import", "", OBJECTS, ""));
        home.write("reconcile.xml", live::task("Reconcile", "reconciliation", "", OBJECTS, ""));
        home.write("live.xml", live::task("Live", "liveSynchronization", "", OBJECTS, ""));
        home.write("listen.xml", live::task("Listen", "asynchronousUpdate", "", " ", ""));
        let _ = home.tidelock(["apply", "resource.xml"]).expect_exit(0);
        Self { server, home, next: 40, durable }
    }

    /// Stops the server, or kills it, and starts it again. What a slapd keeps in mind of deletions is gone with that: it then tells
    /// what is left.
    fn restart(&mut self, random: &mut Random) {
        if self.durable && random.below(2) == 0 {
            self.server.kill().unwrap();
        } else {
            self.server.stop().unwrap();
        }
        self.server.run().unwrap();
    }

    fn import(&self) {
        let _ = self.home.json(["run", "import.xml"]).expect_exit(0);
    }

    /// Runs a task to its end.
    fn run(&self, run: &[&str]) -> Duration {
        let (took, answer) = kill::timed(&self.home, run);
        let _ = answer.expect_exit(0);
        if run == RECONCILE {
            // One that was interrupted has gone on: what it had read before the latest changes it has not read again.
            let _ = self.home.json(run).expect_exit(0);
        }
        took
    }

    /// Some entries come, change, are renamed, move with all that is below them, or go.
    fn change(&mut self, random: &mut Random) {
        let mut changes = String::new();
        let entries: Vec<Entry> = self.actual().into_values().collect();
        for entry in &entries {
            let dn = &entry.dn;
            match random.below(16) {
                0..4 => changes += &described(dn, &format!("changed {}", random.below(1_000_000))),
                4 => changes += &format!("dn: {dn}\nchangetype: modrdn\nnewrdn: uid=r{}\ndeleteoldrdn: 1\n\n", self.number()),
                5 => changes += &moved(dn, if dn.contains("guests") { "people" } else { "guests" }),
                6 => changes += &format!("dn: {dn}\nchangetype: delete\n\n"),
                _ => {}
            }
        }
        for _ in entries.len().min(38)..40 {
            let number = self.number();
            changes += &added(number).replacen('\n', "\nchangetype: add\n", 1);
        }
        self.server.modify(&changes).unwrap();
    }

    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    /// The entries as they are, by what identifies them.
    fn actual(&self) -> BTreeMap<String, Entry> {
        let printed = self.server.search(&["(objectClass=inetOrgPerson)", "entryUUID", "description"]).unwrap();
        let records = printed.split("\n\n").filter(|record| record.starts_with("dn: "));
        records
            .map(|record| {
                let value = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
                (value("entryUUID: "), Entry { dn: value("dn: "), description: value("description: ") })
            })
            .collect()
    }

    /// The entries that the repository knows and believes alive.
    fn known(&self) -> BTreeMap<String, Entry> {
        let shadows = self.home.get("shadows");
        let alive = shadows.iter().filter(|shadow| shadow["dead"] != true);
        alive
            .map(|shadow| {
                let text = |name: &str| text_of(&shadow["attributes"][name]);
                (text("entryUUID"), Entry { dn: text("dn"), description: text("description") })
            })
            .collect()
    }

    /// The repository is as the directory, people included.
    fn check(&self, random: &Random) {
        let actual = self.actual();
        assert_eq!(self.known(), actual, "the accounts (seed {})", random.seed);
        let people: BTreeMap<String, String> =
            self.home.get("users").iter().map(|user| (text_of(&user["name"]), text_of(&user["description"]))).collect();
        let uid = |entry: &Entry| entry.dn.split(',').next().and_then(|name| name.strip_prefix("uid=")).unwrap().to_owned();
        let expected: BTreeMap<String, String> = actual.values().map(|entry| (uid(entry), entry.description.clone())).collect();
        assert_eq!(people, expected, "the people (seed {})", random.seed);
    }
}

/// A value, or the only one of a list.
fn text_of(value: &Value) -> String {
    value.as_array().and_then(|list| list.first()).unwrap_or(value).as_str().unwrap_or_default().to_owned()
}

fn entries() -> String {
    let guests = format!("dn: ou=guests,{0}\nobjectClass: organizationalUnit\nou: guests\n\n", Slapd::SUFFIX);
    guests + &(0..40).map(added).collect::<String>()
}

fn person(number: usize) -> String {
    format!("uid=u{number},ou=people,{}", Slapd::SUFFIX)
}

fn added(number: usize) -> String {
    let mut ldif = format!("dn: {}\nobjectClass: inetOrgPerson\nuid: u{number}\n", person(number));
    // Writing to a String cannot fail.
    let _ = write!(ldif, "cn: Person {number}\nsn: {number}\ndescription: new\n\n");
    ldif
}

fn described(dn: &str, text: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: description\ndescription: {text}\n\n")
}

/// The entry gets another place, and keeps its own name.
fn moved(dn: &str, unit: &str) -> String {
    let name = dn.split(',').next().unwrap_or_default();
    format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {name}\ndeleteoldrdn: 0\nnewsuperior: ou={unit},{}\n\n", Slapd::SUFFIX)
}

/// What is left is compared with each run, where deletions are not told.
fn resource(port: u16, admin: &str) -> String {
    let connection = format!(
        r#"<connectorConfiguration><icfc:configurationProperties xmlns:ldap="{LDAP}">
<ldap:host>127.0.0.1</ldap:host><ldap:port>{port}</ldap:port><ldap:baseContext>{}</ldap:baseContext>
<ldap:bindDn>{admin}</ldap:bindDn><ldap:bindPassword><clearValue>{PASSWORD}</clearValue></ldap:bindPassword>
<ldap:comparisonInterval>1</ldap:comparisonInterval>
</icfc:configurationProperties></connectorConfiguration>"#,
        Slapd::SUFFIX,
    );
    let text = live::resource(&connection).replace("ri:AccountObjectClass", "ri:inetOrgPerson");
    let mapped = [("ri:login", "ri:uid"), ("ri:seq", "ri:description"), (">employeeNumber<", ">description<")];
    mapped.iter().fold(text, |text, (from, to)| text.replace(from, to))
}
