//! What shadows keep, and what can be decided by that alone.

use tidelock_resolver::cached::{can_classify, missing};
use tidelock_resolver::policy::ResourcePolicy;

use crate::support::{indented, object, policy, typed, words};

/// A type of accounts with more items, and the resource's own caching.
fn with(caching: &str, items: &str) -> ResourcePolicy {
    policy(&format!(
        "{caching}\nschemaHandling:\n  objectType:\n    - delineation: {{ objectClass: ri:account }}\n{}",
        indented(items, 6)
    ))
}

const MAPPED: &str = "
attribute:
  - { ref: ri:uid, inbound: { target: { path: name } } }
  - { ref: ri:given, inbound: [ { target: { path: givenName } }, { target: { path: nickName } } ] }
  - { ref: ri:ou, inbound: { target: { path: costCenter }, expression: { value: CC } } }
";

#[test]
fn what_synchronization_reads_and_shadows_do_not_keep_is_missing() {
    let type_ = |items: &str| missing(&with("", items).types[0]).join(" ");
    assert_eq!(type_(MAPPED), "given", "identifiers are kept, constants are not read, and nothing is told twice");
    let protected = "protected: { filter: { text: 'ou = \"a\" and (login = \"b\" or not (mail = \"c\"))' } }\n";
    assert_eq!(type_(&format!("{MAPPED}{protected}")), "given ou login mail");
    let items = format!("{MAPPED}  - {{ ref: ri:number, correlator: {{ focusItem: employeeNumber }} }}\n");
    let found = missing(&with("", &items).types[0]).join(" ");
    assert!(found.contains("given"), "{found}");
}

#[test]
fn what_is_compared_with_attributes_is_read_too() {
    let legacy = policy(
        "
schemaHandling:
  objectType: { delineation: { objectClass: ri:account } }
synchronization:
  objectSynchronization:
    enabled: true
    correlation: { q:equal: { q:path: employeeNumber, expression: { path: $projection/attributes/ri:number } } }
",
    );
    assert_eq!(missing(&legacy.types[0]), ["number"]);
}

#[test]
fn shadows_keep_what_their_caching_says() {
    let kept = |caching: &str, items: &str| {
        let policy = with(caching, items);
        words(&policy.stored(Some(0), &object("account uid=1 login=ann ou=a given=Ann groups=x,y mail=m")))
    };
    let scope = |scope: &str| format!("caching: {{ cachingStrategy: passive, scope: {{ attributes: {scope} }} }}");
    assert_eq!(kept("", MAPPED), "uid=1");
    assert_eq!(kept(&scope("none"), MAPPED), "uid=1");
    assert_eq!(kept(&scope("defined"), MAPPED), "uid=1 ou=a given=Ann");
    assert_eq!(kept("caching: { cachingStrategy: passive }", MAPPED), kept(&scope("defined"), MAPPED));
    assert_eq!(kept(&scope("mapped"), MAPPED), "uid=1 given=Ann");
    assert_eq!(kept(&scope("all"), MAPPED), "uid=1 login=ann ou=a mail=m given=Ann groups=x,y");
    assert_eq!(missing(&with(&scope("all"), MAPPED).types[0]), [""; 0]);
}

#[test]
fn shadows_without_a_type_keep_their_identifiers() {
    let policy = typed("account/default class=account");
    assert_eq!(words(&policy.stored(None, &object("account uid=1 ou=a"))), "uid=1");
    assert_eq!(words(&policy.stored(None, &object("entry entryUUID=1 dn=uid=ann,dc=x"))), "entryUUID=1 dn=uid=ann,dc=x");
    assert_eq!(words(&policy.stored(None, &object("stranger uid=1"))), "");
}

#[test]
fn a_type_can_be_told_by_identifiers_where_nothing_else_decides() {
    assert!(can_classify(&typed("account/default class=account"), "account"));
    assert!(can_classify(&typed("account/default class=account where uid = \"1\""), "account"));
    assert!(!can_classify(&typed("account/default class=account where uid = \"1\" and ou = \"a\""), "account"));
    let two = typed("account/a class=account where uid = \"1\"\naccount/b class=account where ou = \"a\"");
    assert!(!can_classify(&two, "account"), "one type that cannot be told is enough");
    assert!(can_classify(&two, "group"), "types of other classes do not matter");
    let tree = policy(
        "
schemaHandling:
  objectType:
    delineation:
      objectClass: ri:entry
      baseContext: { objectClass: ri:entry, filter: { text: 'attributes/ri:dn = \"dc=x\"' } }
",
    );
    assert!(can_classify(&tree, "entry"), "the name says where an object is");
}
