//! Users, roles, organizations and services.

use tidelock_model::object::FocusType;
use tidelock_model::{Items, QName, Reference, Value};
use tidelock_repo::{Repo, StoredFocus, StoredShadow};

use super::{LINKS, Printer, Which, failed};
use crate::config::Session;
use crate::failure::Failure;
use crate::output::json;

const PEOPLE: &[&str] = &["NAME", "FULL NAME", "GIVEN NAME", "FAMILY NAME", "EMAIL", "STATUS", "ACCOUNTS", "OID"];
const OTHERS: &[&str] = &["NAME", "DISPLAY NAME", "DESCRIPTION", "STATUS", "ACCOUNTS", "OID"];

pub(super) async fn get(session: &Session, repo: &dyn Repo, focus_type: FocusType, which: &Which<'_>) -> Result<u64, Failure> {
    let failed = failed(session);
    let mut printer = Printer::new(session, if focus_type == FocusType::User { PEOPLE } else { OTHERS });
    if let Some(key) = which.key {
        for key in Which::keys(key) {
            if let Some(focus) = repo.focus(focus_type, &key).await.map_err(&failed)? {
                print(session, repo, &[focus], &mut printer).await?;
                break;
            }
        }
        return printer.finish();
    }
    let (mut after, mut printed) = (None, 0);
    loop {
        let limit = which.page(printed);
        if limit == 0 {
            break;
        }
        let mut page = repo.foci(focus_type, after, limit).await.map_err(&failed)?;
        let complete = page.len() < limit;
        after = page.last().map(|focus| focus.key);
        if which.evaluator.is_some() {
            select(session, repo, which, &mut page).await?;
        }
        page.truncate(usize::try_from(which.limit - printed).unwrap_or(usize::MAX));
        printed += page.len() as u64;
        print(session, repo, &page, &mut printer).await?;
        if complete {
            break;
        }
    }
    printer.finish()
}

/// Leaves what the query admits.
async fn select(session: &Session, repo: &dyn Repo, which: &Which<'_>, page: &mut Vec<StoredFocus>) -> Result<(), Failure> {
    if !which.about_links {
        page.retain(|StoredFocus { focus, .. }| which.admits(&focus.content, Some(&focus.oid), focus.focus_type.type_name()));
        return Ok(());
    }
    let mut links = projections(session, repo, page).await?.into_iter();
    page.retain(|StoredFocus { focus, .. }| {
        let mut content = focus.content.clone();
        let references = links.next().into_iter().flatten().map(|stored| {
            let target_type = Some(QName::common("ShadowType"));
            Value::Reference(Box::new(Reference { oid: stored.shadow.oid, target_type, relation: None }))
        });
        content.set(LINKS, references.collect());
        which.admits(&content, Some(&focus.oid), focus.focus_type.type_name())
    });
    Ok(())
}

async fn projections(session: &Session, repo: &dyn Repo, page: &[StoredFocus]) -> Result<Vec<Vec<StoredShadow>>, Failure> {
    let keys: Vec<_> = page.iter().map(|focus| focus.key).collect();
    repo.projections(&keys).await.map_err(failed(session))
}

async fn print(session: &Session, repo: &dyn Repo, page: &[StoredFocus], printer: &mut Printer) -> Result<(), Failure> {
    let projections = projections(session, repo, page).await?;
    for (StoredFocus { focus, .. }, shadows) in page.iter().zip(projections) {
        let row = || {
            let content = &focus.content;
            let status = text(content.at_path(&["activation", "administrativeStatus"]).into_iter());
            let mut row = vec![focus.name().to_owned()];
            let items: &[&str] = match focus.focus_type {
                FocusType::User => &["fullName", "givenName", "familyName", "emailAddress"],
                _ => &["displayName", "description"],
            };
            row.extend(items.iter().map(|item| item_text(content, item)));
            row.extend([status, shadows.len().to_string(), focus.oid.to_string()]);
            row
        };
        printer.print(|| json::focus(focus, shadows.iter().map(|stored| stored.shadow.oid.clone())), row)?;
    }
    Ok(())
}

fn item_text(content: &Items, item: &str) -> String {
    text(content.get(item).iter())
}

fn text<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    values.filter_map(Value::to_text).collect::<Vec<_>>().join(", ")
}
