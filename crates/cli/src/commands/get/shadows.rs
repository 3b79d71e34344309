//! Shadows: the records of resource objects.

use std::collections::HashMap;

use tidelock_model::{Items, Oid};
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
                let items = json::shadow_items(&stored.shadow);
                shown.print(vec![(stored, items)]).await?;
                break;
            }
        }
        return shown.printer.finish();
    }
    let all = ShadowFilter { dead: true, ..ShadowFilter::default() };
    let (mut after, mut printed) = (None, 0);
    loop {
        let limit = which.page(printed);
        if limit == 0 {
            break;
        }
        let page = repo.shadows(&all, after, limit).await.map_err(&failed)?;
        let complete = page.len() < limit;
        after = page.last().map(|stored| stored.key);
        let admitted = page
            .into_iter()
            .map(|stored| {
                let items = json::shadow_items(&stored.shadow);
                (stored, items)
            })
            .filter(|(stored, items)| which.admits(items, Some(&stored.shadow.oid), "ShadowType"))
            .take(usize::try_from(which.limit - printed).unwrap_or(usize::MAX))
            .collect::<Vec<_>>();
        printed += admitted.len() as u64;
        shown.print(admitted).await?;
        if complete {
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
    /// Prints shadows, each with its content as items.
    async fn print(&mut self, page: Vec<(StoredShadow, Items)>) -> Result<(), Failure> {
        let failed = failed(self.session);
        if self.printer.is_json() {
            // Lists come without owners.
            let keys: Vec<_> = page.iter().map(|(stored, _)| stored.key).collect();
            let owned = self.repo.load(&keys).await.map_err(&failed)?;
            let results = self.repo.results_of(&keys).await.map_err(&failed)?;
            for (((stored, items), owned), results) in page.iter().zip(owned).zip(results) {
                let owner = owned.and_then(|owned| owned.owner);
                let owner_type = owner.map_or("FocusType", |owner| owner.focus.focus_type.type_name());
                self.printer.print(|| json::shadow(&stored.shadow, items, owner_type, &results), Vec::new)?;
            }
            return Ok(());
        }
        for (StoredShadow { shadow, .. }, _) in &page {
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
            self.printer.print(|| (), row)?;
        }
        Ok(())
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
