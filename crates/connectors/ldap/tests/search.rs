//! Reading a real server.

#![allow(clippy::unwrap_used)]

mod slapd;

use std::fmt::Write as _;
use std::time::Duration;

use futures::StreamExt;
use slapd::proxy::Proxy;
use slapd::reading::search;
use slapd::{PASSWORD, READER, SUFFIX, Setup, Slapd, certificate, config, group, people};
use tidelock_connector_api::{Completeness, Connector, Container, ContainerScope, ErrorKind, IncompleteReason, SearchRequest};
use tidelock_ldap::{Bind, Ldap, Paging, PasswordSource, Security, Trust};
use tidelock_model::Value;
use tidelock_model::filter::{BoundFilter, Comparison, Condition};
use tidelock_model::object::MatchingRule;

fn people_request() -> SearchRequest {
    SearchRequest::new("inetOrgPerson")
}

#[tokio::test]
async fn every_page_is_read() {
    let server = Slapd::with(Setup::default(), &people(0..2500));
    for (paging, size) in [(Paging::Auto, 100), (Paging::Simple, 2500), (Paging::Auto, 5000), (Paging::None, 1)] {
        let mut config = server.config();
        (config.paging, config.page_size) = (paging, size);
        let found = search(&Ldap::new(config), people_request()).await;
        assert_eq!(found.verdict, Some(Completeness::Complete), "{:?}", found.errors);
        assert_eq!(found.objects.len(), 2500);
    }
}

#[tokio::test]
async fn a_limit_of_the_server_makes_the_read_incomplete() {
    let setup = Setup {
        database: "limits dn.exact=\"cn=reader,dc=example,dc=org\" size.soft=500 size.hard=500 size.prtotal=700\n",
        ..Setup::default()
    };
    let server = Slapd::with(setup, &people(0..1000));
    for (paging, least) in [(Paging::None, 500), (Paging::Auto, 500)] {
        let mut config = server.config();
        (config.paging, config.page_size) = (paging, 100);
        let found = search(&Ldap::new(config), people_request()).await;
        assert_eq!(found.gap(), Some(IncompleteReason::Limit), "{:?} {:?}", found.verdict, found.errors);
        assert!((least..1000).contains(&found.objects.len()), "{}", found.objects.len());
    }
    let connector = server.connector();
    let missing = ["00000000-0000-4000-8000-000000000000"];
    let looked_up = connector.get_many("inetOrgPerson", &missing).await.unwrap();
    assert!(matches!(looked_up[0], Ok(None)));
}

#[tokio::test]
async fn a_referral_makes_the_read_incomplete() {
    let referral = format!(
        "dn: ou=elsewhere,{SUFFIX}\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://192.0.2.1/ou=elsewhere,{SUFFIX}\n\n"
    );
    let server = Slapd::with(Setup::default(), &(people(0..3) + &referral));
    let found = search(&server.connector(), people_request()).await;
    assert_eq!((found.gap(), found.objects.len()), (Some(IncompleteReason::Referral), 3));
}

#[tokio::test]
async fn a_class_without_entries_is_doubted_unless_that_is_allowed() {
    let server = Slapd::start();
    assert_eq!(search(&server.connector(), people_request()).await.gap(), Some(IncompleteReason::Empty));
    let mut config = server.config();
    config.allow_empty = true;
    assert_eq!(search(&Ldap::new(config), people_request()).await.verdict, Some(Completeness::Complete));
}

#[tokio::test]
async fn a_base_that_is_not_there_is_an_error_and_no_empty_answer() {
    let server = Slapd::start();
    let mut config = server.config();
    config.base_context = format!("ou=peple,{SUFFIX}");
    let found = search(&Ldap::new(config), people_request()).await;
    assert_eq!((found.kinds(), found.verdict), (vec![ErrorKind::Config], None));
}

#[tokio::test]
async fn a_connection_that_breaks_never_ends_in_a_verdict() {
    let server = Slapd::with(Setup::default(), &people(0..600));
    let proxy = Proxy::to(server.port());
    let mut config = config(proxy.port());
    (config.page_size, config.attempts) = (100, 1);
    let connector = Ldap::new(config);
    connector.schema().await.unwrap();
    let mut whole = 0;
    for bytes in [1, 50, 700, 5_000, 20_000, 50_000, 100_000, 150_000, 400_000] {
        proxy.cut_after(bytes);
        let found = search(&connector, people_request()).await;
        match found.verdict {
            Some(verdict) => {
                assert_eq!((verdict, found.objects.len()), (Completeness::Complete, 600), "{bytes}");
                whole += 1;
            }
            None => assert_eq!(found.kinds(), [ErrorKind::Unreachable], "{bytes}"),
        }
        proxy.heal();
    }
    assert!((1..9).contains(&whole), "{whole}");
    assert_eq!(search(&connector, people_request()).await.objects.len(), 600);
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_replaced() {
    let server = Slapd::with(Setup::default(), &people(0..3));
    let proxy = Proxy::to(server.port());
    let connector = Ldap::new(config(proxy.port()));
    assert_eq!(search(&connector, people_request()).await.objects.len(), 3);
    let before = proxy.connections();
    assert_eq!(search(&connector, people_request()).await.objects.len(), 3);
    assert_eq!(proxy.connections(), before, "connections are kept");
    proxy.cut();
    assert_eq!(search(&connector, people_request()).await.objects.len(), 3);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Slapd::with(Setup::default(), &people(0..3));
    let proxy = Proxy::to(server.port());
    let mut config = config(proxy.port());
    (config.timeout, config.read_timeout, config.attempts) = (Duration::from_millis(200), Duration::from_millis(200), 1);
    let connector = Ldap::new(config);
    connector.schema().await.unwrap();
    proxy.silence();
    let found = search(&connector, people_request()).await;
    assert_eq!((found.kinds(), found.verdict), (vec![ErrorKind::Unreachable], None));
}

#[tokio::test]
async fn a_dropped_search_gives_its_connection_back() {
    let server = Slapd::with(Setup::default(), &people(0..5000));
    let proxy = Proxy::to(server.port());
    let mut config = config(proxy.port());
    config.paging = Paging::None;
    let connector = Ldap::new(config);
    connector.schema().await.unwrap();
    for _ in 0..40 {
        let mut stream = connector.search(people_request());
        stream.next().await.unwrap().unwrap();
    }
    let found = connector.get_many("inetOrgPerson", &["00000000-0000-4000-8000-000000000000"]).await.unwrap();
    assert!(matches!(found[0], Ok(None)));
    assert!(proxy.connections() < 20, "{}", proxy.connections());
}

#[tokio::test]
async fn encryption_is_verified() {
    let server = Slapd::with(Setup::default(), &people(0..3));
    for (security, port) in [(Security::StartTls, server.port()), (Security::Tls, server.tls_port())] {
        let elsewhere = Proxy::at("127.0.0.2", port).port();
        let try_with = async |host: &str, trust| {
            let mut config = config(if host == "127.0.0.2" { elsewhere } else { port });
            (config.host, config.security, config.trust) = (host.to_owned(), security, trust);
            Ldap::new(config).test().await.map_err(|error| error.kind())
        };
        assert_eq!(try_with("localhost", Trust::Authority(certificate("ca.pem"))).await, Ok(()));
        assert_eq!(try_with("127.0.0.1", Trust::Authority(certificate("ca.pem"))).await, Ok(()));
        assert_eq!(try_with("localhost", Trust::Authority(certificate("other-ca.pem"))).await, Err(ErrorKind::Config));
        assert_eq!(try_with("localhost", Trust::Authority(certificate("missing.pem"))).await, Err(ErrorKind::Config));
        // The certificate is for other names.
        assert_eq!(try_with("127.0.0.2", Trust::Authority(certificate("ca.pem"))).await, Err(ErrorKind::Config));
        assert_eq!(try_with("localhost", Trust::Anybody).await, Ok(()));
    }
    let mut clear = config(server.tls_port());
    (clear.timeout, clear.attempts) = (Duration::from_secs(2), 1);
    assert!(Ldap::new(clear).test().await.is_err());
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_one_and_an_empty_one_is_not_sent() {
    let server = Slapd::start();
    let try_with = async |password: &str| {
        let mut config = server.config();
        config.bind = Some(Bind { name: READER.to_owned(), password: PasswordSource::Text(password.into()) });
        let error = Ldap::new(config).test().await.unwrap_err();
        assert!(!error.full_message().contains("wrong-secret"));
        error.kind()
    };
    assert_eq!(try_with("wrong-secret").await, ErrorKind::Unauthenticated);
    assert_eq!(try_with("").await, ErrorKind::Config);
    let file = server.folder().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let mut config = server.config();
    config.bind = Some(Bind { name: READER.to_owned(), password: PasswordSource::File(file) });
    Ldap::new(config).test().await.unwrap();
}

#[tokio::test]
async fn names_may_have_every_character() {
    let server = Slapd::start();
    let names = ["Smith, Ann", "a+b=c", "<x>;\"y\"", "#lead", " padded ", "back\\slash", "é ü 漢", "(star*)", "x\u{1}y"];
    let mut ldif = String::new();
    for (number, name) in names.iter().enumerate() {
        let escaped: String = name.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let dn = format!("cn={escaped},ou=people,{SUFFIX}");
        writeln!(ldif, "dn: {dn}\nobjectClass: inetOrgPerson\nsn: {number}\n").unwrap();
    }
    server.add(&ldif);
    let found = search(&server.connector(), people_request()).await;
    assert_eq!(found.verdict, Some(Completeness::Complete));
    let mut shown: Vec<_> =
        found.objects.iter().map(|object| object.attributes.first("cn").unwrap().as_str().unwrap().to_owned()).collect();
    shown.sort();
    let mut wanted = names.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(shown, wanted);
    // By name, the same entries are found, whatever their names are made of.
    let mut config = server.config();
    config.identifier = "dn".into();
    let connector = Ldap::new(config);
    let names = found.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = connector.get_many("inetOrgPerson", &names).await.unwrap();
    assert!(found.iter().all(|found| matches!(found, Ok(Some(_)))), "{found:?}");
    assert!(matches!(connector.get_many("inetOrgPerson", &["cn=nobody", "no name"]).await.unwrap()[..], [Ok(None), Ok(None)]));
}

#[tokio::test]
async fn big_groups_and_big_entries_are_read_whole() {
    let mut big = people(0..2);
    big.insert_str(big.len() - 1, &format!("audio:: {}\n", "AAAA".repeat(350_000)));
    let server = Slapd::with(Setup::default(), &(big + &group("big", 0..20_000)));
    let connector = server.connector();
    let found = search(&connector, SearchRequest::new("groupOfNames")).await;
    assert_eq!(found.objects[0].attributes.get("member").len(), 20_000);
    let found = search(&connector, people_request()).await;
    let audio = found.objects.iter().find_map(|object| object.attributes.first("audio")).unwrap();
    assert!(matches!(audio, Value::Binary(bytes) if bytes.len() == 1_050_000));
}

#[tokio::test]
async fn values_with_options_are_no_values_of_the_attribute() {
    let server = Slapd::start();
    let mut ldif = people(0..1).trim_end().to_owned();
    for number in 0..50 {
        let language = format!("{}{}", char::from(b'a' + number % 26), char::from(b'a' + number / 26));
        write!(ldif, "\ndescription;lang-{language}: in a language").unwrap();
    }
    server.add(&ldif);
    let found = search(&server.connector(), people_request()).await;
    assert_eq!(found.objects[0].attributes.get("description"), [Value::from("of number 0")]);
}

#[tokio::test]
async fn an_entry_is_of_its_most_specific_class_only() {
    let person = format!("dn: cn=plain,ou=people,{SUFFIX}\nobjectClass: person\ncn: plain\nsn: plain\n\n");
    let server = Slapd::with(Setup::default(), &(people(0..2) + &person));
    let mut config = server.config();
    config.classes = vec!["person".into(), "inetOrgPerson".into()];
    let connector = Ldap::new(config);
    let plain = search(&connector, SearchRequest::new("person")).await;
    assert_eq!((plain.names(), plain.verdict), (vec![format!("cn=plain,ou=people,{SUFFIX}")], Some(Completeness::Complete)));
    assert_eq!(search(&connector, people_request()).await.objects.len(), 2);
    let whole = Ldap::new({
        let mut config = server.config();
        config.classes = Vec::new();
        config
    });
    let schema = whole.schema().await.unwrap();
    assert!(schema.classes.len() > 30);
    let auxiliary = search(&whole, SearchRequest::new("posixAccount")).await;
    assert_eq!(auxiliary.kinds(), [ErrorKind::Unsupported]);
}

#[tokio::test]
async fn values_are_typed_and_the_password_is_hidden() {
    let server = Slapd::start();
    server.add(&format!(
        "dn: uid=typed,ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: typed\ncn: typed\nsn: typed\n\
         uidNumber: 1000\ngidNumber: -7\nhomeDirectory: /h\njpegPhoto:: AAEC/w==\nmanager: UID=u1 , ou=People,{SUFFIX}\nuserPassword: hidden\n"
    ));
    let mut config = server.config();
    config.operational_attributes = vec!["createTimestamp".into(), "hasSubordinates".into(), "noSuchThing".into()];
    let connector = Ldap::new(config);
    let found = search(&connector, people_request()).await;
    let attributes = &found.objects[0].attributes;
    assert_eq!(attributes.first("uidNumber"), Some(&Value::Integer(1000)));
    assert_eq!(attributes.first("gidNumber"), Some(&Value::Integer(-7)));
    assert_eq!(attributes.first("jpegPhoto"), Some(&Value::Binary([0, 1, 2, 255].into())));
    assert_eq!(attributes.first("hasSubordinates"), Some(&Value::Boolean(false)));
    assert_eq!(attributes.first("manager").unwrap().as_str().unwrap().to_lowercase(), format!("uid=u1,ou=people,{SUFFIX}"));
    assert!(matches!(attributes.first("createTimestamp"), Some(Value::DateTime(_))));
    assert!(attributes.get("userPassword").is_empty());
    let schema = connector.schema().await.unwrap();
    assert!(schema.class("inetOrgPerson").unwrap().attribute("userPassword").is_none());
}

#[tokio::test]
async fn a_container_limits_the_search() {
    let inner = format!("dn: ou=inner,ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: inner\n\n");
    let inside = people(7..8).replace("ou=people", "ou=inner,ou=people");
    let server = Slapd::with(Setup::default(), &(people(0..2) + &inner + &inside));
    let connector = server.connector();
    let within = async |name: String, scope| {
        let container = Container { name: name.into(), scope };
        search(&connector, people_request().with_container(container)).await.objects.len()
    };
    assert_eq!(within(format!("ou=people,{SUFFIX}"), ContainerScope::Sub).await, 3);
    assert_eq!(within(format!("ou=people,{SUFFIX}"), ContainerScope::One).await, 2);
    assert_eq!(within(format!("ou=inner,ou=people,{SUFFIX}"), ContainerScope::Sub).await, 1);

    // What the connector is not set up for is not searched, whatever is asked.
    let mut config = server.config();
    config.base_context = format!("ou=inner,ou=people,{SUFFIX}");
    let connector = Ldap::new(config);
    for container in [format!("ou=people,{SUFFIX}"), format!("ou=groups,{SUFFIX}")] {
        let container = Container { name: container.into(), scope: ContainerScope::Sub };
        assert_eq!(search(&connector, people_request().with_container(container)).await.objects.len(), 1);
    }
}

#[tokio::test]
async fn filters_find_what_they_mean() {
    let server = Slapd::with(Setup::default(), &people(0..30));
    server.modify(&format!("dn: uid=u3,ou=people,{SUFFIX}\nchangetype: modify\nreplace: description\ndescription: a*(b)\\c\n"));
    let mut config = server.config();
    config.operational_attributes = vec!["modifyTimestamp".into(), "entryDN".into()];
    let connector = Ldap::new(config);
    let class = connector.schema().await.unwrap().class("inetOrgPerson").unwrap().clone();
    let all = search(&connector, people_request()).await.objects;
    let rule = |name: &str| class.attribute(name).unwrap().matching_rule;
    let clause = |name: &str, condition| BoundFilter::Attribute { name: name.into(), rule: rule(name), condition };
    let any = |values: &[&str]| Condition::AnyOf(values.iter().map(|value| Value::from(*value)).collect());
    let part = |text: &str, at_start, at_end| Condition::Substring { text: text.into(), at_start, at_end };
    let stamp = all[7].attributes.first("modifyTimestamp").unwrap().clone();
    let compare = |comparison| clause("modifyTimestamp", Condition::Compare(comparison, stamp.clone()));
    let not = |filter| BoundFilter::Not(Box::new(filter));
    let filters = [
        clause("uid", any(&["u1", "u2", "nobody"])),
        clause("description", any(&["a*(b)\\c"])),
        clause("description", part("number 1", false, false)),
        clause("description", part("of", true, false)),
        clause("description", part("*(b)\\c", false, true)),
        clause("mail", Condition::Present),
        not(clause("uid", any(&["u1"]))),
        not(clause("telephoneNumber", Condition::Present)),
        clause("dn", any(&[&format!("uid=u4,ou=people,{SUFFIX}")])),
        BoundFilter::And(vec![clause("sn", part("1", true, false)), not(clause("sn", any(&["1"])))]),
        BoundFilter::Or(vec![clause("sn", any(&["1"])), clause("sn", any(&["2"])), BoundFilter::None]),
        clause("modifyTimestamp", Condition::AnyOf(vec![stamp.clone()])),
        compare(Comparison::GreaterOrEqual),
        compare(Comparison::Greater),
        compare(Comparison::LessOrEqual),
        compare(Comparison::Less),
        BoundFilter::None,
        not(BoundFilter::None),
    ];
    for filter in filters {
        assert!(connector.supports("inetOrgPerson", &filter), "{filter:?}");
        let request = people_request().with_filter(filter.clone());
        let query = connector.native_query(&request).unwrap();
        let mut expected: Vec<_> = all
            .iter()
            .filter(|object| filter.matches(&object.attributes))
            .map(|object| object.origin.clone().unwrap().into_string())
            .collect();
        expected.sort();
        let found = search(&connector, request).await;
        assert_eq!(found.names(), expected, "{query}");
        assert_eq!(found.verdict, Some(Completeness::Complete), "{query}");
    }
    // Of what a value does not have the syntax for, a server finds neither that nor the opposite.
    let legal = [not(clause("manager", any(&[&format!("uid=u1,ou=people,{SUFFIX}")]))), not(clause("mail", any(&["x@y"])))];
    assert!(legal.iter().all(|filter| connector.supports("inetOrgPerson", filter)));
    for filter in [
        not(clause("manager", any(&["nobody"]))),
        not(clause("mail", any(&["é@x"]))),
        not(clause("mail", part("é", false, false))),
        not(clause("entryUUID", any(&["nonsense"]))),
        not(clause("telephoneNumber", any(&["#"]))),
        not(clause("objectClass", any(&["nonsense"]))),
        not(clause("uid", any(&[""]))),
        not(BoundFilter::Or(vec![clause("uid", any(&["x"])), clause("mail", any(&["é@x"]))])),
        BoundFilter::Or(vec![clause("uid", any(&["x"])), not(clause("manager", any(&["nobody"])))]),
    ] {
        assert!(!connector.supports("inetOrgPerson", &filter), "{filter:?}");
        assert_eq!(search(&connector, people_request().with_filter(filter.clone())).await.objects.len(), 30, "{filter:?}");
    }
    // What the server cannot decide is left to the engine.
    let lenient = BoundFilter::Attribute { name: "homePhone".into(), rule: MatchingRule::PolyStringNorm, condition: any(&["x"]) };
    assert!(!connector.supports("inetOrgPerson", &lenient));
    assert!(!connector.supports("inetOrgPerson", &clause("sn", Condition::Compare(Comparison::Less, Value::from("x")))));
}

/// An attribute of which case counts, below one that says so; another with a rule that nobody knows.
const BADGES: &str = "attributetype ( 1.1.2.1 NAME 'token' EQUALITY caseExactMatch SUBSTR caseExactSubstringsMatch \
     SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n\
     attributetype ( 1.1.2.2 NAME ( 'badge' 'tag' ) SUP token )\n\
     objectclass ( 1.1.2.3 NAME 'badged' AUXILIARY MAY badge )\n";

#[tokio::test]
async fn values_are_the_same_where_the_servers_rules_say_so() {
    let badged = |number: usize, badge: &str| {
        let more = format!("objectClass: badged\nbadge: {badge}\ntelephoneNumber: +1 55{number}-1\nuid:");
        people(number..number + 1).replace("uid:", &more)
    };
    let ldif = badged(0, "Ab cD") + &badged(1, "ab cd") + &badged(2, "Ab  cD") + &people(3..5).replace("Person ", "Person  ");
    let server = Slapd::with(Setup { global: BADGES, ..Setup::default() }, &ldif);
    let connector = server.connector();
    let class = connector.schema().await.unwrap().class("inetOrgPerson").unwrap().clone();
    let rule = |name: &str| class.attribute(name).unwrap().matching_rule;
    assert_eq!((rule("badge"), rule("cn")), (MatchingRule::Exact, MatchingRule::StringIgnoreCase));
    let all = search(&connector, people_request()).await.objects;
    let clause = |name: &str, rule, condition| BoundFilter::Attribute { name: name.into(), rule, condition };
    let not = |filter| BoundFilter::Not(Box::new(filter));
    let (exact, ignored) = (MatchingRule::Exact, MatchingRule::StringIgnoreCase);
    let mut asked = 0;
    for (name, rule, text) in [
        ("badge", exact, "Ab cD"),
        ("badge", exact, "Ab"),
        ("badge", ignored, "ab cd"),
        ("badge", ignored, "ab"),
        ("cn", ignored, "person 3"),
        ("cn", ignored, "person  3"),
        ("cn", exact, "Person 1"),
        ("cn", exact, "person 1"),
        ("telephoneNumber", ignored, "+1550-1"),
        ("telephoneNumber", ignored, "+1 550-1"),
        ("telephoneNumber", exact, "+1 551-1"),
        ("objectClass", ignored, "badged"),
        ("objectClass", ignored, "1.1.2.3"),
    ] {
        let mut conditions = vec![Condition::AnyOf(vec![Value::from(text)])];
        for (at_start, at_end) in [(true, true), (true, false), (false, true), (false, false)] {
            conditions.push(Condition::Substring { text: text.into(), at_start, at_end });
        }
        for filter in conditions.into_iter().flat_map(|condition| {
            let filter = clause(name, rule, condition);
            [not(filter.clone()), filter]
        }) {
            asked += usize::from(connector.supports("inetOrgPerson", &filter));
            // What the server is not asked for is left to the engine.
            let request = people_request().with_filter(filter.clone());
            let mut expected: Vec<_> = all.iter().filter(|object| filter.matches(&object.attributes)).collect();
            expected.sort_by_key(|object| object.origin.clone());
            let found = search(&connector, request).await;
            let expected: Vec<_> = expected.into_iter().map(|object| object.origin.clone().unwrap().into_string()).collect();
            assert_eq!(found.names(), expected, "{filter:?}");
        }
    }
    assert!(asked > 40, "{asked}");
}

#[tokio::test]
async fn an_entry_is_found_by_every_spelling_of_its_name_and_no_other_is() {
    let mut ldif = String::new();
    for name in ["badge=Ab", "badge=AB", "tag=ab", "cn=Ann  Lee+tag=X", "2.5.4.3=Smith\\, Bob+sn=b"] {
        let attributes = "objectClass: inetOrgPerson\nobjectClass: badged\nsn: b\ncn: c\nbadge: x";
        writeln!(ldif, "dn: {name},ou=people,{SUFFIX}\n{attributes}\n").unwrap();
    }
    let server = Slapd::with(Setup { global: BADGES, ..Setup::default() }, "");
    server.add(&ldif);
    let mut config = server.config();
    config.identifier = "dn".into();
    let connector = Ldap::new(config);
    let class = connector.schema().await.unwrap().class("inetOrgPerson").unwrap().clone();
    let objects = search(&connector, people_request()).await.objects;
    let mut kept: Vec<String> =
        objects.iter().map(|object| class.normalize_identifier(&object.identifier).into_owned()).collect();
    kept.sort();
    let names = ["badge=\\41\\42", "badge=\\41b", "badge=ab", "badge=\\58+cn=ann lee", "cn=smith\\, bob+sn=b"];
    let mut expected = names.map(|name| format!("{name},ou=people,{SUFFIX}"));
    expected.sort();
    assert_eq!(kept, expected);
    let others = ["tag = A\\42", "badge=A\\62", "1.1.2.2=#04026162", "commonName=\"ANN Lee\" + badge=X", "sn=B+CN=smith\\2C bob"];
    let wrong = ["badge=aB", "badge=x+cn=ann lee", "cn=annlee+badge=X"];
    let asked: Vec<_> =
        others.iter().chain(&wrong).map(|name| format!("{name};organizationalUnitName=PEOPLE,{SUFFIX}")).collect();
    let asked: Vec<&str> = asked.iter().chain(&kept).map(String::as_str).collect();
    let found = connector.get_many("inetOrgPerson", &asked).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|found| found.unwrap().map(|object| class.normalize_identifier(&object.identifier).into_owned()))
        .collect();
    assert_eq!(
        found[..5].iter().flatten().collect::<Vec<_>>(),
        names.map(|name| format!("{name},ou=people,{SUFFIX}")).iter().collect::<Vec<_>>()
    );
    assert_eq!(found[5..8], [None, None, None]);
    assert_eq!(found[8..].iter().flatten().collect::<Vec<_>>(), kept.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn many_are_looked_up_in_the_order_asked_for() {
    let server = Slapd::with(Setup::default(), &people(0..350));
    let connector = server.connector();
    let objects = search(&connector, people_request()).await.objects;
    let mut identifiers: Vec<String> = objects.iter().rev().map(|object| object.identifier.to_uppercase()).collect();
    identifiers.push("nonsense".to_owned());
    identifiers.push(identifiers[0].clone());
    let asked: Vec<&str> = identifiers.iter().map(String::as_str).collect();
    let found = connector.get_many("inetOrgPerson", &asked).await.unwrap();
    for (asked, found) in asked.iter().zip(found) {
        let found = found.unwrap().map(|object| object.identifier.to_uppercase());
        assert_eq!(found, (*asked != "nonsense").then(|| (*asked).to_owned()));
    }
}

#[tokio::test]
async fn the_card_tells_what_the_server_does() {
    let server = Slapd::with(Setup::default(), &people(0..30));
    let findings = server.connector().capabilities().await.unwrap();
    let found = |subject: &str| &*findings.iter().find(|finding| &*finding.subject == subject).unwrap().found;
    assert_eq!(found("paged results"), "work");
    assert_eq!(found("changes pulled"), "by content synchronization (RFC 4533)");
    assert_eq!(found("changes pushed"), "by content synchronization that persists");
    assert_eq!(found("bound as"), format!("dn:{READER}"));
    assert_eq!((found("read in pages"), found("read at once")), ("34 entries, which is all", "34 entries, which is all"));
    assert_eq!(found("sorting"), "not offered, and not needed");
    assert!(found("clock").contains("does not show"), "{}", found("clock"));
    assert!(findings.iter().all(|finding| !finding.doubtful), "{findings:#?}");
}

#[tokio::test]
async fn the_card_tells_how_far_limits_and_orders_go() {
    let limited = Setup {
        global: "moduleload sssvlv\ndatabase monitor\naccess to * by * read\n",
        database: "limits dn.exact=\"cn=reader,dc=example,dc=org\" size.soft=20 size.hard=20 size.prtotal=30\noverlay sssvlv\n",
        syncprov: false,
        ..Setup::default()
    };
    let server = Slapd::with(limited, &people(0..60));
    let mut config = server.config();
    config.page_size = 10;
    let findings = Ldap::new(config).capabilities().await.unwrap();
    let finding = |subject: &str| findings.iter().find(|finding| &*finding.subject == subject).unwrap();
    let found = |subject: &str| &*finding(subject).found;
    assert!(found("read in pages").starts_with("30 entries, and not all"), "{findings:#?}");
    assert!(finding("read in pages").doubtful);
    assert_eq!(found("read at once"), "20 entries, then a limit on their number");
    // Nobody will ask for everything at once.
    assert!(!finding("read at once").doubtful);
    assert!(found("sorting").starts_with("works: 20 entries"), "{findings:#?}");
    assert!(found("clock").contains("as far as can be told"), "{findings:#?}");
    assert!(found("changes pulled").starts_with("by time stamps"), "{findings:#?}");
    assert!(found("changes pushed").starts_with("no: "), "{findings:#?}");
}

#[tokio::test]
async fn another_server_is_asked_where_the_first_one_cannot_be_reached() {
    let server = Slapd::with(Setup::default(), &people(0..3));
    let (first, second) = (Proxy::to(server.port()), Proxy::to(server.port()));
    let mut config = config(first.port());
    (config.attempts, config.keep_alive) = (1, true);
    config.replicas = vec![("127.0.0.1".to_owned(), second.port())];
    config.switch_back = Duration::from_secs(3600);
    let mut hasty = config.clone();
    hasty.switch_back = Duration::ZERO;
    let connector = Ldap::new(config);
    let read = async |connector: &Ldap| search(connector, people_request()).await.objects.len();
    assert_eq!((read(&connector).await, second.connections()), (3, 0));
    first.close();
    first.cut();
    assert_eq!(read(&connector).await, 3);
    let tried = first.connections();
    assert!(second.connections() > 0);
    // Who has been found is asked first, until it is time to see whether the first one is back.
    second.cut();
    let hasty = Ldap::new(hasty);
    assert_eq!(read(&hasty).await, 3);
    first.heal();
    assert_eq!((read(&connector).await, first.connections()), (3, tried));
    second.cut();
    assert_eq!(read(&hasty).await, 3);
    assert!(first.connections() > tried);
}
