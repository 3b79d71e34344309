//! What a server really does for us: measured, not believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_connector_api::{Completeness, Error, Finding, Result};

use crate::client::Pool;
use crate::clock::{now, server_time};
use crate::config::{LdapConfig, Paging, Security, Trust};
use crate::connector::Ldap;
use crate::error::{code, not_ldap};
use crate::filter::Filter;
use crate::live_sync::subject::Subject;
use crate::live_sync::syncrepl::{self, Info, Offer};
use crate::live_sync::{Strategy, UNSOUND_ON_389, is_by_uuid, strategy};
use crate::message::{Control, Message, Request, Scope, Search, answer, oid};
use crate::schema::{DN, Directory};
use crate::search::Walk;
use crate::subschema::ClassKind;
use crate::value::Form;

/// How many entries are counted at most to find out a limit: more than the limits that servers come with.
const COUNTED: usize = 10_000;

/// Asks a server all there is to ask.
pub(crate) async fn measure(ldap: &Ldap) -> Result<Vec<Finding>> {
    let begun = Instant::now();
    let directory = ldap.discover().await?;
    let pool = &ldap.pool;
    let config = ldap.config();
    let mut findings = vec![
        Finding::new("server", server(config, &directory)),
        encryption(config),
        identity(pool, &directory).await,
        base(pool, config).await,
        Finding::new("discovery", format!("took {} ms", begun.elapsed().as_millis())),
        schema(&directory),
    ];
    findings.extend(directory.missing.iter().map(|missing| Finding::new("schema", missing.as_str()).doubtful()));
    findings.push(paging(pool, config, &directory).await);
    let strategy = strategy(ldap, &directory).await;
    findings.push(limit_in_pages(pool, &directory).await);
    findings.push(limit_at_once(pool, config, &directory, strategy.as_ref().ok().copied()).await);
    findings.push(sorting(pool, config, &directory).await);
    findings.push(identifiers(pool, config, &directory).await);
    findings.extend(changes(ldap, &directory, strategy).await);
    findings.push(ranges(pool, config).await);
    findings.push(clock(pool).await);
    findings.push(offered(&directory));
    Ok(findings)
}

fn server(config: &LdapConfig, directory: &Directory) -> String {
    let vendor = directory.root.vendor.join(" ");
    let vendor = match (vendor.is_empty(), directory.root.is_active_directory) {
        (_, true) => "Active Directory",
        (true, _) => "it does not say of which make it is",
        (false, _) => &vendor,
    };
    format!("{}, {vendor}", config.server())
}

fn encryption(config: &LdapConfig) -> Finding {
    let how = match config.security {
        Security::None => "none",
        Security::Tls => "TLS",
        Security::StartTls => "TLS, by StartTLS",
    };
    match (config.security, &config.trust) {
        (Security::None, _) => Finding::new("encryption", how),
        (_, Trust::Anybody) => Finding::new("encryption", format!("{how}; the certificate is not verified")).doubtful(),
        _ => Finding::new("encryption", format!("{how}; the certificate is verified")),
    }
}

/// Who we are to the server.
async fn identity(pool: &Arc<Pool>, directory: &Directory) -> Finding {
    let subject = "bound as";
    if !directory.root.has_extension(oid::WHO_AM_I) {
        let name = pool.config().bind.as_ref().map_or("nobody", |bind| &bind.name);
        return Finding::new(subject, format!("{name}; the server does not say it itself"));
    }
    let request = Request::Extended { oid: oid::WHO_AM_I, value: None };
    let found = pool.ask(&request, &[]).await.and_then(|answer| {
        let (outcome, extended) = answer.extended().map_err(|_| not_ldap(&pool.config().server()))?;
        outcome.check("cannot ask who we are")?;
        Ok(String::from_utf8_lossy(extended.value.unwrap_or_default()).into_owned())
    });
    match found {
        Ok(name) if name.is_empty() => Finding::new(subject, "nobody (anonymous)").doubtful(),
        Ok(name) => Finding::new(subject, name),
        Err(error) => failed(subject, &error),
    }
}

async fn base(pool: &Arc<Pool>, config: &LdapConfig) -> Finding {
    let subject = "base context";
    let request = Request::Search(Search::entry(config.base_context.as_str(), &["1.1"]));
    let begun = Instant::now();
    match ask(pool, request, &[], usize::MAX).await {
        Ok(told) if told.entries.len() == 1 => {
            Finding::new(subject, format!("{}, read in {:.1} ms", config.base_context, millis(begun.elapsed())))
        }
        Ok(_) => Finding::new(subject, format!("{} is not there, or not for us to see", config.base_context)).doubtful(),
        Err(error) => failed(subject, &error),
    }
}

fn schema(directory: &Directory) -> Finding {
    let of = |kind| directory.subschema.classes().iter().filter(|class| class.kind == kind).count();
    let schema = &directory.subschema;
    let mut found = format!(
        "{} structural and {} auxiliary classes, {} matching rules, {} syntaxes",
        of(ClassKind::Structural),
        of(ClassKind::Auxiliary),
        schema.rules,
        schema.syntaxes
    );
    match schema.skipped {
        0 => {}
        skipped => found.push_str(&format!("; {skipped} descriptions cannot be understood")),
    }
    match schema.unknown_rules.as_slice() {
        [] => {}
        unknown => found.push_str(&format!("; filters are not asked by rules that are not known: {}", unknown.join(", "))),
    }
    Finding::new("schema", found)
}

/// Reads two pages of one entry each.
async fn paging(pool: &Arc<Pool>, config: &LdapConfig, directory: &Directory) -> Finding {
    let subject = "paged results";
    let offered = directory.root.has_control(oid::PAGED_RESULTS);
    let finding = match two_pages(pool, config).await {
        Ok(found) => Finding::new(subject, found),
        Err(error) if offered => return failed(subject, &error),
        Err(_) => Finding::new(subject, "not offered: everything is read in one answer"),
    };
    if config.paging == Paging::Simple && !offered { finding.doubtful() } else { finding }
}

async fn two_pages(pool: &Arc<Pool>, config: &LdapConfig) -> Result<String> {
    let request = Request::Search(everything(config));
    let mut lease = pool.lease().await?;
    let mut cookie = Vec::new();
    let mut seen = Vec::new();
    for page in 1..=2 {
        lease.begin(&request, &[Control::page(1, &cookie)]).await?;
        loop {
            let message = lease.next(Some(config.read_timeout)).await?;
            let broken = |_| not_ldap(&config.server());
            match message.tag {
                answer::ENTRY => seen.push(message.entry().map_err(broken)?.dn.to_vec()),
                answer::DONE => {
                    lease.ended();
                    message.outcome().map_err(broken)?.check("cannot read a page")?;
                    match message.page_cookie().map_err(broken)? {
                        None => return Ok("the server does not answer to it".to_owned()),
                        Some(next) if next.is_empty() => return Ok(format!("work; {} entries in all", seen.len())),
                        Some(next) => cookie = next,
                    }
                    break;
                }
                _ => {}
            }
        }
        if seen.len() != page {
            return Ok(format!("a page of one entry had {} entries", seen.len()));
        }
    }
    // Takes leave of the rest.
    lease.begin(&request, &[Control::page(0, &cookie)]).await?;
    while lease.next(Some(config.read_timeout)).await?.tag != answer::DONE {}
    lease.ended();
    Ok(if seen[0] == seen[1] { "broken: each page is the first one".to_owned() } else { "work".to_owned() })
}

/// Reads as searches do, by name only, and sees how far that comes.
async fn limit_in_pages(pool: &Arc<Pool>, directory: &Directory) -> Finding {
    let subject = "read in pages";
    if pool.config().paging == Paging::None {
        return Finding::new(subject, "not tried: 'pagingStrategy' is none");
    }
    let mut walk = Walk::new(Arc::clone(pool), &directory.root, everything(pool.config()));
    let mut seen = 0;
    loop {
        match walk.batch().await {
            Ok((messages, verdict)) => {
                seen += messages.len();
                match verdict {
                    Some(Completeness::Complete) => return Finding::new(subject, format!("{}, which is all", entries(seen))),
                    Some(Completeness::Incomplete { message, .. }) => {
                        return Finding::new(subject, format!("{}, and not all: {message}", entries(seen))).doubtful();
                    }
                    None if seen >= COUNTED => return Finding::new(subject, more_than(seen)),
                    None => {}
                }
            }
            Err(error) => return failed(subject, &error),
        }
    }
}

/// Asks for everything at once, by name only. A limit on that stands in the way of what is not asked for in pages.
async fn limit_at_once(pool: &Arc<Pool>, config: &LdapConfig, directory: &Directory, strategy: Option<Strategy>) -> Finding {
    let subject = "read at once";
    let is_needed = strategy == Some(Strategy::Syncrepl)
        || config.paging == Paging::None
        || (config.paging == Paging::Auto && !directory.root.has_control(oid::PAGED_RESULTS));
    let told = match ask(pool, Request::Search(everything(config)), &[], COUNTED).await {
        Ok(told) => told,
        Err(error) => return failed(subject, &error),
    };
    let seen = told.entries.len();
    let limit = match told.code {
        None => return Finding::new(subject, more_than(seen)),
        Some(code::SUCCESS) => return Finding::new(subject, format!("{}, which is all", entries(seen))),
        Some(code::SIZE_LIMIT) => "a limit on their number".to_owned(),
        Some(code::TIME_LIMIT) => "a limit on time".to_owned(),
        Some(code::ADMIN_LIMIT) => "a limit on what the server looks through".to_owned(),
        Some(other) => format!("result {other}"),
    };
    let finding = Finding::new(subject, format!("{}, then {limit}", entries(seen)));
    if is_needed { finding.doubtful() } else { finding }
}

fn entries(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

fn more_than(seen: usize) -> String {
    format!("{}; no more were asked for, and no limit was met", entries(seen))
}

/// Asks for entries in an order that they are hardly in by themselves, and looks whether they come in it.
async fn sorting(pool: &Arc<Pool>, config: &LdapConfig, directory: &Directory) -> Finding {
    let subject = "sorting";
    if !directory.root.has_control(oid::SERVER_SORT) {
        return Finding::new(subject, "not offered, and not needed");
    }
    let by = match directory.identifier_form() {
        Form::Text => &*config.identifier,
        _ => "modifyTimestamp",
    };
    let search = Search { attributes: vec![by.to_owned()], ..everything(config) };
    let told = match ask(pool, Request::Search(search), &[Control::sort(by, None, true)], COUNTED).await {
        Ok(told) => told,
        Err(error) => return failed(subject, &error),
    };
    let seen = told.entries.len();
    if let Some(refused) = told.code.filter(|_| seen == 0) {
        return Finding::new(subject, format!("offered, and refused with result {refused}; not needed"));
    }
    let key = |message: &Message| {
        let values = message.entry().and_then(|entry| entry.values_of(by)).unwrap_or_default();
        values.first().map(|value| value.to_ascii_lowercase())
    };
    let keys: Vec<_> = told.entries.iter().filter_map(key).collect();
    let found = match keys.is_sorted_by(|one, next| one >= next) {
        true => format!("works: {} by '{by}'", entries(keys.len())),
        false => format!("broken: {} come in another order than by '{by}'; not needed", entries(keys.len())),
    };
    Finding::new(subject, found)
}

/// Looks an identifier up that no entry has: with an index that takes no time.
async fn identifiers(pool: &Arc<Pool>, config: &LdapConfig, directory: &Directory) -> Finding {
    let subject = "identifiers";
    if &*config.identifier == DN {
        return Finding::new(subject, "names of entries: an entry that is renamed is another one").doubtful();
    }
    let entry = Request::Search(Search::entry(config.base_context.as_str(), &[&config.identifier]));
    let shown = ask(pool, entry, &[], usize::MAX).await.map(|told| {
        let values =
            told.entries.first().and_then(|message| message.entry().ok()?.values_of(&config.identifier).ok().map(|v| v.len()));
        values == Some(1)
    });
    match shown {
        Ok(true) => {}
        Ok(false) => {
            let help = match directory.root.is_389() {
                true => "; 389 Directory Server gives none to entries that are imported, and all have an 'nsUniqueId'",
                false => "",
            };
            return Finding::new(subject, format!("the base context shows no '{}'{help}", config.identifier)).doubtful();
        }
        Err(error) => return failed(subject, &error),
    }
    let form = directory.identifier_form();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let value = form.write(&nobody.into()).unwrap_or_default();
    let search = Search { filter: Filter::Equal(config.identifier.to_string(), value), ..everything(config) };
    let begun = Instant::now();
    match ask(pool, Request::Search(search), &[], 1).await {
        Ok(_) => {
            let took = begun.elapsed();
            let found = format!("'{}', looked up in {:.1} ms", config.identifier, millis(took));
            if took < Duration::from_millis(100) {
                Finding::new(subject, found)
            } else {
                Finding::new(subject, format!("{found}: has the server an index on it?")).doubtful()
            }
        }
        Err(error) => failed(subject, &error),
    }
}

/// How changes would be followed: found out by taking a position, and by listening until the server says that all has been told.
async fn changes(ldap: &Ldap, directory: &Arc<Directory>, strategy: Result<Strategy>) -> Vec<Finding> {
    let (pulled, pushed) = ("changes pulled", "changes pushed");
    match strategy {
        Err(error) => vec![failed(pulled, &error)],
        Ok(Strategy::Timestamps) => {
            let why = match directory.content_synchronization(&ldap.pool).await {
                _ if directory.root.is_389() => UNSOUND_ON_389,
                _ if !is_by_uuid(ldap) => "'uidAttribute' is nothing that content synchronization calls entries by",
                Ok(Offer::Given) => "'synchronizationStrategy' is modifyTimestamp",
                Ok(Offer::ByOtherIdentifiers) => "content synchronization calls entries by something else than 'uidAttribute'",
                Ok(Offer::Refused(_)) => "content synchronization is offered, and refused to us",
                _ => "the server offers no content synchronization (RFC 4533)",
            };
            vec![time_stamps(pulled, &ldap.pool).await, Finding::new(pushed, format!("no: {why}"))]
        }
        Ok(Strategy::Syncrepl) => {
            let position = async {
                let watched = Subject::new(&ldap.pool, Arc::clone(directory), None).await?;
                let cookie = syncrepl::current_cookie(&ldap.pool, &watched).await?;
                Ok((watched, cookie))
            };
            let (watched, cookie) = match position.await {
                Ok(position) => position,
                Err(error) => return vec![failed(pulled, &error)],
            };
            let heard = match listen(&ldap.pool, &watched, &cookie).await {
                Ok(()) => Finding::new(pushed, "by content synchronization that persists"),
                Err(error) => failed(pushed, &error),
            };
            vec![Finding::new(pulled, "by content synchronization (RFC 4533)"), heard]
        }
    }
}

/// Listens from a position on, until everything up to now has been told.
async fn listen(pool: &Arc<Pool>, watched: &Subject, cookie: &[u8]) -> Result<()> {
    let broken = |_| not_ldap(&pool.config().server());
    let mut lease = syncrepl::begin(pool, watched, Some(cookie), true).await?;
    loop {
        let message = lease.next(Some(pool.config().read_timeout)).await?;
        match message.tag {
            answer::INTERMEDIATE => {
                if let Some(Info::PhaseEnd { done: true, .. }) = syncrepl::info(&message).map_err(broken)? {
                    return Ok(());
                }
            }
            answer::DONE => {
                lease.ended();
                message.outcome().map_err(broken)?.check("cannot listen")?;
                return Err(Error::unsupported("the server ends the search that is to persist"));
            }
            _ => {}
        }
    }
}

/// Looks for time stamps that no entry has: with an index that takes no time, and without one some servers refuse.
async fn time_stamps(subject: &str, pool: &Arc<Pool>) -> Finding {
    let never = b"99991231235959Z".to_vec();
    let search = Search { filter: Filter::GreaterOrEqual("modifyTimestamp".to_owned(), never), ..everything(pool.config()) };
    let begun = Instant::now();
    let told = match ask(pool, Request::Search(search), &[], 1).await {
        Ok(told) => told,
        Err(error) => return failed(subject, &error),
    };
    let every = pool.config().comparison_interval.as_secs();
    let took = millis(begun.elapsed());
    let found = format!(
        "by time stamps, looked up in {took:.1} ms; deletions are noticed every {every} s, when what is left is compared"
    );
    match told.code {
        None | Some(code::SUCCESS) => Finding::new(subject, found),
        Some(refused) => {
            let help = "has the server an index on 'modifyTimestamp'?";
            Finding::new(subject, format!("{found}; now it ends with result {refused}: {help}")).doubtful()
        }
    }
}

/// Asks for a part of an attribute's values.
async fn ranges(pool: &Arc<Pool>, config: &LdapConfig) -> Finding {
    let subject = "ranges of values";
    let request = Request::Search(Search::entry(config.base_context.as_str(), &["objectClass;range=0-0"]));
    match ask(pool, request, &[], usize::MAX).await {
        Ok(told) => {
            let ranged = told.entries.first().is_some_and(|message| {
                let attribute = message.entry().ok().and_then(|mut entry| entry.attribute().ok().flatten());
                attribute.is_some_and(|(name, _)| name.to_ascii_lowercase().windows(7).any(|part| part == b";range="))
            });
            Finding::new(
                subject,
                if ranged { "offered: large attributes come in pieces" } else { "not offered: attributes come whole" },
            )
        }
        Err(error) => failed(subject, &error),
    }
}

/// Compares clocks, where the server shows its own.
async fn clock(pool: &Arc<Pool>) -> Finding {
    let subject = "clock";
    let before = now();
    match server_time(pool).await {
        Some(theirs) => Finding::new(subject, difference(theirs, before, now())),
        None => Finding::new(subject, "the server does not show its own to us"),
    }
}

/// The difference of a clock that says `theirs` to ours, while that goes from `before` to `after`. One that shows no milliseconds may be
/// up to a second later than it says.
fn difference(theirs: i64, before: i64, after: i64) -> String {
    let finest = if theirs % 1000 == 0 { 999 } else { 0 };
    let (least, most) = (theirs - after, theirs + finest - before);
    let seconds = |millis: i64| format!("{:.1} s", Duration::from_millis(millis.unsigned_abs()).as_secs_f64());
    match (least, most) {
        (1.., _) => format!("the server's is at least {} ahead of ours", seconds(least)),
        (_, ..=-1) => format!("the server's is at least {} behind ours", seconds(-most)),
        _ => format!("the server's is ours, as far as can be told (within {})", seconds(most - least)),
    }
}

fn offered(directory: &Directory) -> Finding {
    const CONTROLS: &[(&str, &str)] = &[
        (oid::ASSERTION, "assertions"),
        (oid::POST_READ, "reading after writing"),
        (oid::PERMISSIVE_MODIFY, "permissive modifications"),
        (oid::TREE_DELETE, "deletion of trees"),
        (oid::VIRTUAL_LIST_VIEW, "list views"),
        (oid::DIR_SYNC, "DirSync"),
        (oid::MANAGE_DSA_IT, "management of referrals"),
    ];
    const EXTENSIONS: &[(&str, &str)] = &[(oid::START_TLS, "StartTLS"), (oid::PASSWORD_MODIFY, "setting passwords")];
    let root = &directory.root;
    let mut names: Vec<&str> = CONTROLS.iter().filter(|(oid, _)| root.has_control(oid)).map(|(_, name)| *name).collect();
    names.extend(EXTENSIONS.iter().filter(|(oid, _)| root.has_extension(oid)).map(|(_, name)| *name));
    if root.has_plus() {
        names.push("all operational attributes at once");
    }
    Finding::new("offered besides", names.join(", "))
}

/// What a server told.
struct Told {
    entries: Vec<Message>,
    /// The result; none where enough was told before the end.
    code: Option<i64>,
}

async fn ask(pool: &Arc<Pool>, request: Request, controls: &[Control], enough: usize) -> Result<Told> {
    let mut lease = pool.lease().await?;
    lease.begin(&request, controls).await?;
    let mut entries = Vec::new();
    loop {
        let message = lease.next(Some(pool.config().read_timeout)).await?;
        match message.tag {
            answer::ENTRY => entries.push(message),
            answer::DONE => {
                lease.ended();
                let outcome = message.outcome().map_err(|_| not_ldap(lease.server()))?;
                return Ok(Told { entries, code: Some(outcome.code) });
            }
            _ => {}
        }
        if entries.len() >= enough {
            return Ok(Told { entries, code: None });
        }
    }
}

/// A search for the names of all entries.
fn everything(config: &LdapConfig) -> Search {
    Search {
        base: config.base_context.clone(),
        scope: Scope::Sub,
        filter: Filter::anything(),
        attributes: vec!["1.1".to_owned()],
        size_limit: 0,
    }
}

fn failed(subject: &str, error: &Error) -> Finding {
    Finding::new(subject, error.full_message()).doubtful()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_is_claimed_that_is_not_there() {
        for (theirs, expected) in [
            (10_000, "the server's is ours, as far as can be told (within 1.0 s)"),
            (9_001, "the server's is at least 1.2 s behind ours"),
            (9_000, "the server's is at least 0.2 s behind ours"),
            (11_000, "the server's is at least 0.8 s ahead of ours"),
            (3_610_000, "the server's is at least 3599.8 s ahead of ours"),
        ] {
            assert_eq!(difference(theirs, 10_200, 10_250), expected);
        }
    }
}
