//! What a server really does for us: measured, not believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_connector_api::{Error, Finding, Result};

use crate::client::Pool;
use crate::clock::{now, server_time};
use crate::config::{LdapConfig, Paging, Security, Trust};
use crate::connector::Ldap;
use crate::error::{code, not_ldap};
use crate::filter::Filter;
use crate::live_sync::subject::Subject;
use crate::live_sync::syncrepl::Offer;
use crate::live_sync::{Strategy, is_by_uuid, strategy, syncrepl};
use crate::message::{Control, Message, Request, Scope, Search, answer, oid};
use crate::schema::{DN, Directory};
use crate::subschema::ClassKind;
use crate::value::write_time;

/// How many entries are counted at most to find out a limit.
const COUNTED: usize = 5_000;

/// Asks a server all there is to ask.
pub(crate) async fn measure(ldap: &Ldap) -> Result<Vec<Finding>> {
    let begun = Instant::now();
    let directory = ldap.discover().await?;
    let pool = &ldap.pool;
    let config = ldap.config();
    let mut findings = vec![
        Finding::new("measured", moment(now())),
        Finding::new("server", server(config, &directory)),
        encryption(config),
        identity(pool, &directory).await,
        base(pool, config).await,
        Finding::new("discovery", format!("took {} ms", begun.elapsed().as_millis())),
        schema(&directory),
    ];
    findings.extend(directory.missing.iter().map(|missing| Finding::new("schema", missing.as_str()).doubtful()));
    findings.push(paging(pool, config, &directory).await);
    findings.push(limits(pool, config).await);
    findings.push(sorting(pool, config, &directory).await);
    findings.push(identifiers(pool, config, &directory).await);
    findings.push(changes(ldap, &directory).await);
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
    let mut found = format!("{} structural and {} auxiliary classes", of(ClassKind::Structural), of(ClassKind::Auxiliary));
    match directory.subschema.skipped {
        0 => {}
        skipped => found.push_str(&format!("; {skipped} descriptions cannot be understood")),
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

/// Asks for everything at once, by name only, and sees how far it comes.
async fn limits(pool: &Arc<Pool>, config: &LdapConfig) -> Finding {
    let subject = "limits for us";
    match ask(pool, Request::Search(everything(config)), &[], COUNTED).await {
        Ok(told) => match told.code {
            None => Finding::new(subject, format!("none below {COUNTED} entries without paging")),
            Some(code::SUCCESS) => Finding::new(subject, format!("none met; {} entries in all", told.entries.len())),
            Some(code::SIZE_LIMIT) => {
                let found = format!("{} entries without paging", told.entries.len());
                Finding::new(subject, found).doubtful()
            }
            Some(code::TIME_LIMIT) => Finding::new(subject, "a limit on time, without paging").doubtful(),
            Some(other) => Finding::new(subject, format!("the server ended with result {other}")).doubtful(),
        },
        Err(error) => failed(subject, &error),
    }
}

async fn sorting(pool: &Arc<Pool>, config: &LdapConfig, directory: &Directory) -> Finding {
    let subject = "sorting";
    if !directory.root.has_control(oid::SERVER_SORT) {
        return Finding::new(subject, "not offered, and not needed");
    }
    let search = Search { size_limit: 1, ..everything(config) };
    match ask(pool, Request::Search(search), &[Control::sort("objectClass", None, false)], 2).await {
        Ok(told) if matches!(told.code, Some(code::SUCCESS | code::SIZE_LIMIT)) => Finding::new(subject, "offered"),
        Ok(told) => Finding::new(subject, format!("offered, and refused with result {}", told.code.unwrap_or_default())),
        Err(error) => failed(subject, &error),
    }
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
            return Finding::new(subject, format!("the base context shows no '{}'", config.identifier)).doubtful();
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

/// Finds out how changes would be followed, by taking a position.
async fn changes(ldap: &Ldap, directory: &Arc<Directory>) -> Finding {
    let subject = "changes";
    let strategy = match strategy(ldap, directory).await {
        Ok(strategy) => strategy,
        Err(error) => return failed(subject, &error),
    };
    let measured = async {
        let watched = Subject::new(&ldap.pool, Arc::clone(directory), None).await?;
        syncrepl::current(&ldap.pool, &watched).await
    };
    match strategy {
        Strategy::Syncrepl => match measured.await {
            Ok(_) => Finding::new(subject, "content synchronization, pulled and pushed"),
            Err(error) => failed(subject, &error),
        },
        Strategy::Timestamps => {
            let every = ldap.config().comparison_interval.as_secs();
            let why = match directory.content_synchronization(&ldap.pool).await {
                Ok(Offer::ByOtherIdentifiers) if is_by_uuid(ldap) => {
                    "; content synchronization is offered, and calls entries by something else than 'uidAttribute'"
                }
                Ok(Offer::Refused(_)) => "; content synchronization is offered, and refused to us",
                _ => "",
            };
            let found = format!("time stamps; deletions are noticed every {every} s, by comparing what is left{why}");
            Finding::new(subject, found).doubtful()
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

/// Compares clocks, where the server shows its own. Without it, time stamps are held against ours.
async fn clock(pool: &Arc<Pool>) -> Finding {
    let subject = "clock";
    match server_time(pool).await {
        Some(theirs) => {
            let ahead = theirs - now();
            let found = match ahead.signum() {
                1 => format!("the server's is {ahead} ms ahead of ours"),
                _ => format!("the server's is {} ms behind ours", -ahead),
            };
            Finding::new(subject, found)
        }
        None => Finding::new(subject, "the server does not show its own"),
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

fn moment(millis: i64) -> String {
    write_time(millis).map_or_else(String::new, |_| tidelock_model::Timestamp::from_millis(millis).to_string())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
