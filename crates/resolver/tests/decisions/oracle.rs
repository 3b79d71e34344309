//! The rules of object sets once more, told naively, activity by activity, from the specification. It shares nothing with the
//! resolver but the vocabulary: what it expects is a text, and [`shown`] says in the same words what the resolver has made of a set.
//!
//! Used from two sides: a property test holds the resolver against it, and a test within the crate changes every cell of the
//! resolver's table and holds that against it, too.

use std::collections::BTreeSet;

use tidelock_model::Diagnostics;
use tidelock_model::definition::{Definition, ResourceObjectSet, read_file};
use tidelock_model::document::Format;
use tidelock_model::filter::{BoundFilter, Condition};
use tidelock_model::object::Schema;
use tidelock_resolver::compile::compile;
use tidelock_resolver::object_set::{ActivityKind, FailedSelection, ObjectSet, Profile, Scope, ShadowScope};
use tidelock_resolver::policy::ResourcePolicy;

/// What an object set says. Everything is as it is written in a definition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Option<&'static str>,
    pub(crate) intent: Option<&'static str>,
    pub(crate) class: Option<&'static str>,
    pub(crate) query: Option<&'static Query>,
    pub(crate) application: Option<&'static str>,
    pub(crate) options: bool,
    pub(crate) failed: bool,
}

/// A query, and what a reader sees in it.
#[derive(Debug)]
pub(crate) struct Query {
    /// The filter; none where there is only paging.
    text: Option<&'static str>,
    resource: Option<&'static str>,
    kind: Option<&'static str>,
    intent: Option<&'static str>,
    class: Option<&'static str>,
    /// The condition on an attribute.
    attribute: Option<&'static str>,
    /// What is wrong with it in itself.
    wrong: Option<&'static str>,
}

const NO_QUERY: Query = Query { text: None, resource: None, kind: None, intent: None, class: None, attribute: None, wrong: None };

pub(crate) static QUERIES: [Query; 8] = [
    NO_QUERY,
    Query { text: Some(r#"attributes/cn = "x""#), attribute: Some("cn=x"), ..NO_QUERY },
    Query {
        text: Some(r#"resourceRef matches (oid = "r") and kind = "account" and intent = "svc" and attributes/cn = "x""#),
        resource: Some("r"),
        kind: Some("account"),
        intent: Some("svc"),
        attribute: Some("cn=x"),
        ..NO_QUERY
    },
    Query {
        text: Some(r#"resourceRef matches (oid = "r") and objectClass = ri:group"#),
        resource: Some("r"),
        class: Some("ri:group"),
        ..NO_QUERY
    },
    Query { text: Some(r#"kind = "account""#), kind: Some("account"), ..NO_QUERY },
    Query { text: Some(r#"intent = "svc""#), intent: Some("svc"), ..NO_QUERY },
    Query {
        text: Some(r#"resourceRef matches (oid = "other") and kind = "account""#),
        resource: Some("other"),
        kind: Some("account"),
        ..NO_QUERY
    },
    Query { text: Some("attributes/cn = = 1"), wrong: Some("query-syntax"), ..NO_QUERY },
];

pub(crate) const KINDS: [Option<&str>; 5] = [None, Some("account"), Some("entitlement"), Some("generic"), Some("unknown")];
pub(crate) const INTENTS: [Option<&str>; 6] = [None, Some("default"), Some("svc"), Some("team"), Some("nobody"), Some("unknown")];
pub(crate) const CLASSES: [Option<&str>; 4] = [None, Some("ri:account"), Some("group"), Some("ri:nothing")];
pub(crate) const APPLICATIONS: [Option<&str>; 3] = [None, Some("append"), Some("replace")];

/// Every combination of kind, intent, class and query, and options with some of them.
pub(crate) fn cases() -> Vec<Case> {
    let queries: Vec<Option<&Query>> = std::iter::once(None).chain(QUERIES.iter().map(Some)).collect();
    let mut cases = Vec::new();
    for &query in &queries {
        for application in APPLICATIONS {
            for kind in KINDS {
                for intent in INTENTS {
                    for class in CLASSES {
                        let case = Case { kind, intent, class, query, application, options: false, failed: false };
                        cases.push(case);
                        let plain = intent.is_none() && matches!(kind, None | Some("account"));
                        if plain && matches!(class, None | Some("ri:account")) {
                            cases.push(Case { options: true, ..case });
                            cases.push(Case { failed: true, ..case });
                            cases.push(Case { options: true, failed: true, ..case });
                        }
                    }
                }
            }
        }
    }
    cases
}

impl Case {
    /// The object set of a task that says this.
    pub(crate) fn object_set(&self) -> ResourceObjectSet {
        let mut set = "{ resourceRef: { oid: r }".to_owned();
        let items = [("kind", self.kind), ("intent", self.intent), ("objectclass", self.class)];
        for (item, value) in items.into_iter().chain([("queryApplication", self.application)]) {
            if let Some(value) = value {
                set += &format!(", {item}: '{value}'");
            }
        }
        match self.query.map(|query| query.text) {
            None => {}
            Some(None) => set += ", query: { paging: { maxSize: 7 } }",
            Some(Some(text)) => set += &format!(", query: {{ filter: {{ text: '{text}' }} }}"),
        }
        if self.options {
            set += ", searchOptions: { option: { options: { noFetch: true, raw: true } } }";
        }
        if self.failed {
            set += ", failedObjectsSelector: {}";
        }
        let text = format!("task: {{ name: T, activity: {{ work: {{ import: {{ resourceObjects: {set} }} }} }} }} }}");
        match read_file(text.as_bytes(), None, Format::Yaml).0.into_iter().next() {
            Some(Definition::Task(task)) => task.activity.unwrap().work.unwrap().objects.unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// `account/default` is the default of its kind, `account/svc` is not; entitlements have a type and no default; generics none.
pub(crate) fn policy() -> ResourcePolicy {
    let yaml = r#"
resource:
  name: R
  schemaHandling:
    objectType:
      - { kind: account, intent: default, default: true, delineation: { objectClass: ri:account, filter: { text: 'ou = "people"' } } }
      - { kind: account, intent: svc, delineation: { objectClass: ri:account, filter: { text: 'ou = "svc"' } } }
      - { kind: entitlement, intent: team, delineation: { objectClass: ri:group } }
"#;
    let schema = Schema::default().with_class("account", "uid", &["cn", "ou"]).with_class("group", "gid", &["cn"]);
    match read_file(yaml.as_bytes(), None, Format::Yaml).0.first() {
        Some(Definition::Resource(resource)) => compile(resource, &schema).0.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What a search is about: a type, a class, or everything.
#[derive(Clone, Copy, PartialEq)]
enum Meant {
    Type(&'static str),
    Class(&'static str),
    Everything,
}

impl Meant {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Type("account/default" | "account/svc") => Some("account"),
            Self::Type(_) => Some("group"),
            Self::Class(class) => Some(class),
            Self::Everything => None,
        }
    }

    fn delineation(self) -> Option<&'static str> {
        match self {
            Self::Type("account/default") => Some("ou=people"),
            Self::Type("account/svc") => Some("ou=svc"),
            _ => None,
        }
    }
}

fn bare(class: &'static str) -> &'static str {
    class.strip_prefix("ri:").unwrap_or(class)
}

/// The type of a kind and an intent, or the class, as a search looks for them.
fn look_up(
    kind: Option<&'static str>,
    intent: Option<&'static str>,
    class: Option<&'static str>,
    warned: &mut BTreeSet<&'static str>,
) -> Result<Meant, &'static str> {
    match (kind, intent, class.map(bare)) {
        (Some("account"), None, _) => {
            warned.insert("kind-without-intent");
            Ok(Meant::Type("account/default"))
        }
        (Some(_), None, _) => Err("no-default-object-type"),
        (Some("account"), Some("default"), _) => Ok(Meant::Type("account/default")),
        (Some("account"), Some("svc"), _) => Ok(Meant::Type("account/svc")),
        (Some("entitlement"), Some("team"), _) => Ok(Meant::Type("entitlement/team")),
        (Some(_), Some(_), _) => Err("unknown-object-type"),
        (None, _, Some("account")) => Ok(Meant::Class("account")),
        (None, _, Some("group")) => Ok(Meant::Class("group")),
        (None, _, Some(_)) => Err("unknown-object-class"),
        (None, _, None) => Ok(Meant::Everything),
    }
}

/// What must come of a set.
pub(crate) fn expected(profile: Profile, activity: ActivityKind, case: &Case) -> String {
    set(profile, activity, case).unwrap_or_else(|code| format!("refused: {code}"))
}

fn set(profile: Profile, activity: ActivityKind, case: &Case) -> Result<String, &'static str> {
    use ActivityKind as A;
    let documented = profile == Profile::Documented;
    let mut ignored = BTreeSet::new();
    let mut warned = BTreeSet::new();
    let mut ignore = |item: &'static str, warning: Option<&'static str>| {
        ignored.insert(item);
        warned.extend(warning);
    };

    // What is there beside kind, intent and class.
    let query_is = match activity {
        A::Import | A::ShadowReclassification => "replace",
        A::ResourceObjects | A::ShadowCleanup => "append",
        A::OperationCompletion | A::RemainingShadows => "of another part",
        A::LiveSynchronization | A::AsynchronousUpdate => "ignored",
        A::ShadowRefresh | A::TriggerScan => "not supported",
    };
    match query_is {
        "of another part" if case.query.is_some() => ignore("query", None),
        "not supported" if case.query.is_some() => ignore("query", Some("not-supported")),
        "ignored" => {
            if case.query.is_some() {
                ignore("query", Some("ignored-item"));
            }
            if case.application.is_some() {
                ignore("queryApplication", Some("ignored-item"));
            }
        }
        _ => {}
    }
    let mut no_fetch = false;
    if case.options {
        match activity {
            A::OperationCompletion | A::RemainingShadows => ignore("searchOptions", None),
            A::LiveSynchronization | A::AsynchronousUpdate | A::ShadowRefresh | A::TriggerScan => {
                ignore("searchOptions", Some("ignored-item"));
            }
            _ => no_fetch = true,
        }
    }
    let mut failed = "-";
    if case.failed {
        match activity {
            A::LiveSynchronization | A::AsynchronousUpdate | A::TriggerScan => {
                ignore("failedObjectsSelector", Some("ignored-item"));
            }
            A::ShadowRefresh => ignore("failedObjectsSelector", Some("not-supported")),
            A::Import | A::ShadowReclassification | A::ResourceObjects if !no_fetch => failed = "fetch",
            _ => failed = "narrow",
        }
    }

    // Kind, intent and class, as far as the activity looks at them.
    let (mut kind, mut intent, mut class) = (case.kind, case.intent, case.class);
    let blind = matches!(activity, A::ShadowRefresh | A::TriggerScan) || (documented && activity == A::AsynchronousUpdate);
    if blind || activity == A::OperationCompletion || activity == A::AsynchronousUpdate {
        // The first part of a reconciliation makes no use of what the second needs: no reason for a warning.
        let warning = (activity != A::OperationCompletion).then_some("ignored-item");
        for (item, value) in [("kind", kind), ("intent", intent), ("objectclass", class)] {
            if value.is_some() {
                ignore(item, warning);
            }
        }
    }
    if blind {
        (kind, intent, class) = (None, None, None);
    }
    if kind == Some("unknown") || intent == Some("unknown") {
        return Err("reserved-unknown");
    }
    if documented && activity == A::LiveSynchronization && kind.is_none() && class.is_some() && intent.take().is_some() {
        ignore("intent", Some("intent-without-kind"));
    }

    // The query as such.
    let application = case.application.unwrap_or(query_is);
    let query = case.query.filter(|_| matches!(query_is, "replace" | "append" | "of another part"));
    if let Some(query) = query {
        if let Some(wrong) = query.wrong {
            return Err(wrong);
        }
        if query.resource.is_some_and(|resource| resource != "r") {
            return Err("not-supported");
        }
        let complete = query.resource.is_some() && (query.kind.is_some() || query.class.is_some());
        if application == "replace" && query_is != "of another part" && !complete {
            return Err("query-without-coordinates");
        }
    }

    // What kind, intent and class mean.
    let query_tells = query.is_some_and(|query| query.kind.is_some() || query.class.is_some());
    let found = match (kind, intent, class) {
        (None, Some(_), _) => return Err("intent-without-kind"),
        (None, None, None) => match activity {
            A::LiveSynchronization | A::AsynchronousUpdate | A::ShadowRefresh | A::TriggerScan => Meant::Everything,
            A::OperationCompletion if !documented => Meant::Everything,
            A::RemainingShadows => return Err("no-object-class"),
            _ if query_tells => Meant::Everything,
            _ => return Err("no-object-class"),
        },
        _ => look_up(kind, intent, class, &mut warned)?,
    };
    if let (Some(_), Some(class)) = (kind, class)
        && found.class() != Some(bare(class))
    {
        return Err("object-class-mismatch");
    }

    // Where the query leads.
    let used = query.filter(|_| query_is != "of another part");
    let or_given = |own: Option<&'static str>, given| if application == "append" { own.or(given) } else { own };
    let mut searched = found;
    if let Some(used) = used
        && (application == "replace" || used.kind.is_some() || used.intent.is_some() || used.class.is_some())
    {
        let kind = or_given(used.kind, kind);
        searched = look_up(kind, or_given(used.intent, intent), or_given(used.class, class), &mut warned)?;
    }

    // What is checked of each object.
    let (of_type, of_class) = match activity {
        A::Import | A::ShadowReclassification | A::ResourceObjects | A::RemainingShadows => (true, true),
        A::LiveSynchronization => (!documented, true),
        _ => (false, false),
    };
    let check = (kind.filter(|_| of_type), intent.filter(|_| of_type), class.filter(|_| of_class).map(bare));
    let passes = matches!(activity, A::Import | A::ShadowReclassification | A::ResourceObjects);
    if let Some(used) = used {
        let differ = |asked: Option<&str>, checked: Option<&str>| asked.is_some() && checked.is_some() && asked != checked;
        if differ(used.kind, check.0) || differ(used.intent, check.1) || differ(used.class.map(bare), check.2) {
            warned.insert("contradicting-query");
        }
    }
    if no_fetch {
        warned.insert(if activity == A::ResourceObjects { "ignored-item" } else { "not-supported" });
    }

    // The queries as texts.
    let said = |class: Option<String>| {
        let mut said = vec![r#"resourceRef matches (oid = "r")"#.to_owned()];
        said.extend(kind.map(|kind| format!("kind = \"{kind}\"")));
        said.extend(intent.map(|intent| format!("intent = \"{intent}\"")));
        said.extend(class.map(|class| format!("objectClass = {class}")));
        said.join(" and ")
    };
    let base = said(class.map(str::to_owned));
    let effective = match used {
        None => base.clone(),
        Some(Query { text: None, .. }) => base.clone(),
        Some(Query { text: Some(text), .. }) if application == "replace" => (*text).to_owned(),
        Some(Query { text: Some(text), .. }) => format!("{text} and {base}"),
    };
    let (mut query_text, mut search, mut shadows) = ("-".to_owned(), BTreeSet::new(), (None, None, None));
    let mut paged = false;
    match activity {
        A::Import | A::ShadowReclassification | A::ResourceObjects => {
            query_text = effective;
            search.extend(searched.delineation());
            search.extend(used.and_then(|used| used.attribute));
            paged = used.is_some_and(|used| used.text.is_none());
        }
        A::OperationCompletion | A::ShadowRefresh => {
            query_text = r#"resourceRef matches (oid = "r") and pendingOperation exists"#.to_owned();
        }
        A::RemainingShadows => {
            query_text = said(found.class().map(|class| format!("ri:{class}")));
            shadows = (kind, intent, found.class());
        }
        A::ShadowCleanup => {
            query_text = effective;
            let given = (kind, intent, class.map(bare));
            shadows = given;
            if let Some(used) = used {
                if used.text.is_none() || used.attribute.is_some() {
                    return Err("not-supported");
                }
                let own = (used.kind, used.intent, used.class.map(bare));
                let differ = |a: Option<&str>, b: Option<&str>| a.is_some() && b.is_some() && a != b;
                if application == "append" && (differ(own.0, given.0) || differ(own.1, given.1) || differ(own.2, given.2)) {
                    return Err("bad-value");
                }
                shadows = (or_given(own.0, given.0), or_given(own.1, given.1), or_given(own.2, given.2));
            }
        }
        A::LiveSynchronization | A::AsynchronousUpdate | A::TriggerScan => {}
    }
    let selects = !blind && !matches!(activity, A::OperationCompletion | A::AsynchronousUpdate);
    let scope = if selects { searched } else { Meant::Everything };

    Ok(Words {
        scope: match scope {
            Meant::Type(id) => format!("type {id} of {}", scope.class().unwrap_or_default()),
            Meant::Class(class) => format!("class {class}"),
            Meant::Everything => "everything".to_owned(),
        },
        base,
        query: query_text,
        application: if matches!(query_is, "replace" | "append") { application } else { "-" }.to_owned(),
        paged,
        search: search.into_iter().map(str::to_owned).collect(),
        check: format!("{} passes={passes}", three(check.0, check.1, check.2)),
        shadows: three(shadows.0, shadows.1, shadows.2),
        no_fetch,
        failed,
        ignored,
        warned,
    }
    .to_text())
}

/// What the resolver has made of a set, in the words of [`expected`].
pub(crate) fn shown(resolved: Result<ObjectSet, Diagnostics>) -> String {
    let set = match resolved {
        Ok(set) => set,
        Err(found) => {
            let errors: Vec<&str> = found.iter().filter(|d| d.is_error()).map(|d| d.code).collect();
            return format!("refused: {}", errors.join(" "));
        }
    };
    let class = set.class.as_ref().map_or("-", |class| &class.name);
    let scoped = |scope: &ShadowScope| {
        three(scope.kind.map(|kind| kind.as_str()), scope.intent.as_ref().map(|intent| intent.as_str()), scope.class.as_deref())
    };
    let post = &set.post_filter;
    Words {
        scope: match (&set.scope, &set.object_type) {
            (Scope::Type(_), Some(id)) => format!("type {id} of {class}"),
            (Scope::Class(of), None) if *of.name == *class => format!("class {class}"),
            (Scope::Resource, None) if class == "-" => "everything".to_owned(),
            other => format!("{other:?} of {class}"),
        },
        base: set.base_query.clone(),
        query: set.query.clone().unwrap_or_else(|| "-".to_owned()),
        application: set.query_application.map_or_else(|| "-".to_owned(), |mode| mode.to_string()),
        paged: set.paging.as_ref().is_some_and(|paging| paging.max_size == Some(7)),
        search: conditions(&set.search),
        check: format!(
            "{} passes={}",
            three(post.kind.map(|kind| kind.as_str()), post.intent.as_ref().map(|i| i.as_str()), post.class.as_deref()),
            post.passes_unclassified
        ),
        shadows: scoped(&set.shadow_filter),
        no_fetch: set.no_fetch,
        failed: match set.failed.as_ref().map(|failed| failed.selection) {
            None => "-",
            Some(FailedSelection::Fetch) => "fetch",
            Some(FailedSelection::Narrow) => "narrow",
            Some(FailedSelection::Filter) => "filter",
        },
        ignored: set.ignored.iter().copied().collect(),
        warned: set.diagnostics.iter().map(|d| d.code).collect(),
    }
    .to_text()
}

fn conditions(filter: &BoundFilter) -> BTreeSet<String> {
    match filter {
        BoundFilter::All => BTreeSet::new(),
        BoundFilter::And(parts) => parts.iter().flat_map(conditions).collect(),
        BoundFilter::Attribute { name, condition: Condition::AnyOf(values), .. } => {
            values.iter().map(|value| format!("{name}={}", value.as_str().unwrap_or("?"))).collect()
        }
        other => [format!("{other:?}")].into(),
    }
}

fn three(kind: Option<&str>, intent: Option<&str>, class: Option<&str>) -> String {
    format!("{} {} {}", kind.unwrap_or("-"), intent.unwrap_or("-"), class.unwrap_or("-"))
}

struct Words {
    scope: String,
    base: String,
    query: String,
    application: String,
    paged: bool,
    search: BTreeSet<String>,
    check: String,
    shadows: String,
    no_fetch: bool,
    failed: &'static str,
    ignored: BTreeSet<&'static str>,
    warned: BTreeSet<&'static str>,
}

impl Words {
    fn to_text(&self) -> String {
        let Self { scope, base, query, application, paged, search, check, shadows, no_fetch, failed, ignored, warned } = self;
        format!(
            "{scope}\nbase {base}\nquery {query}\napplication {application} paged={paged}\nsearch {search:?}\ncheck {check}\n\
             shadows {shadows}\nno fetch {no_fetch} failed {failed}\nignored {ignored:?}\nwarned {warned:?}"
        )
    }
}
