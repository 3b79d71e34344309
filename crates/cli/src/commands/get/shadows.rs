//! Shadows: the records of resource objects.

use std::collections::HashMap;

use tidelock_model::Oid;
use tidelock_model::object::FocusType;
use tidelock_repo::{ObjectKey, ObjectType, Repo, ShadowFilter, StoredShadow};

use super::{Printer, Which, failed};
use crate::config::Session;
use crate::failure::Failure;
use crate::output::json;

const COLUMNS: &[&str] = &["NAME", "IDENTIFIER", "KIND/INTENT", "SITUATION", "DEAD", "RESOURCE", "OWNER", "SYNCHRONIZED", "OID"];

pub(super) async fn get(session: &Session, repo: &dyn Repo, which: &Which<'_>) -> Result<u64, Failure> {
    let failed = failed(session);
    let mut shown = Shown { session, repo, printer: Printer::new(session, COLUMNS), resources: HashMap::new() };
    if let Some(key) = which.key {
        for key in Which::keys(key) {
            if let Some(stored) = repo.shadow(&key).await.map_err(&failed)? {
                shown.print(&stored, &json::shadow_items(&stored.shadow)).await?;
                break;
            }
        }
        return shown.printer.finish();
    }
    let all = ShadowFilter { dead: true, ..ShadowFilter::default() };
    let (mut after, mut printed) = (None, 0);
    'pages: loop {
        let limit = which.page(printed);
        if limit == 0 {
            break;
        }
        let page = repo.shadows(&all, after, limit).await.map_err(&failed)?;
        after = page.last().map(|stored| stored.key);
        for stored in &page {
            let items = json::shadow_items(&stored.shadow);
            if which.admits(&items, Some(&stored.shadow.oid), "ShadowType") {
                if printed == which.limit {
                    break 'pages;
                }
                printed += 1;
                shown.print(stored, &items).await?;
            }
        }
        if page.len() < limit {
            break;
        }
    }
    shown.printer.finish()
}

/// The shadows that have been printed, and what was learned on the way.
struct Shown<'a> {
    session: &'a Session,
    repo: &'a dyn Repo,
    printer: Printer,
    /// Names of resources.
    resources: HashMap<Oid, String>,
}

impl Shown<'_> {
    async fn print(&mut self, stored: &StoredShadow, items: &tidelock_model::Items) -> Result<(), Failure> {
        let shadow = &stored.shadow;
        if self.printer.is_json() {
            let results = self.repo.results(stored.key).await.map_err(failed(self.session))?;
            let owner_type = self.owner_type(stored).await?;
            return self.printer.print(|| json::shadow(shadow, items, owner_type, &results), Vec::new);
        }
        let resource = self.resource(&shadow.resource).await?;
        let row = || {
            vec![
                shadow.name.to_string(),
                shadow.identifier.to_string(),
                shadow.object_type.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string),
                shadow.situation.map(|s| s.as_str().to_owned()).unwrap_or_default(),
                if shadow.dead { "dead".to_owned() } else { String::new() },
                resource,
                shadow.owner.as_ref().map(ToString::to_string).unwrap_or_default(),
                shadow.synchronized.map(|at| at.to_string()).unwrap_or_default(),
                shadow.oid.to_string(),
            ]
        };
        self.printer.print(|| (), row)
    }

    /// What owns a shadow: it is nearly always a user.
    async fn owner_type(&self, stored: &StoredShadow) -> Result<&'static str, Failure> {
        if let Some(owner) = &stored.owner {
            return Ok(owner.focus.focus_type.type_name());
        }
        if let Some(owner) = &stored.shadow.owner {
            for focus_type in FocusType::ALL {
                let found = self.repo.focus(focus_type, &ObjectKey::Oid(owner.clone())).await.map_err(failed(self.session))?;
                if found.is_some() {
                    return Ok(focus_type.type_name());
                }
            }
        }
        Ok("FocusType")
    }

    async fn resource(&mut self, oid: &Oid) -> Result<String, Failure> {
        if let Some(name) = self.resources.get(oid) {
            return Ok(name.clone());
        }
        let stored = self.repo.object(&ObjectType::new("resource"), &ObjectKey::Oid(oid.clone())).await;
        let name = stored.map_err(failed(self.session))?.map_or_else(|| oid.to_string(), |resource| resource.name);
        self.resources.insert(oid.clone(), name.clone());
        Ok(name)
    }
}
