//! What the suite needs besides the connector.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Outcome, Sample, Violation, ensure};
use crate::{AsyncUpdates, Connector, LiveSync, Provision};

/// A connector with a resource behind it, and what the suite may expect of them.
pub struct Fixture {
    connector: Arc<dyn Connector>,
    live_sync: bool,
    async_updates: bool,
    provision: Option<Sample>,
    unreadable: usize,
    changing: Option<Changing>,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

type Changing = Box<dyn Fn(Step) -> BoxFuture<'static, Option<String>> + Send + Sync>;

/// A change that the suite asks for, to be made behind the connector's back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add an object to this class, another one each time.
    Add(Arc<str>),
    /// Modify the object of this class and identifier, otherwise each time.
    Modify(Arc<str>, String),
    /// Remove the object of this class and identifier.
    Remove(Arc<str>, String),
}

impl Fixture {
    /// A connector without facets, whose resource cannot be changed.
    pub fn new(connector: impl Connector + 'static) -> Self {
        Self {
            connector: Arc::new(connector),
            live_sync: false,
            async_updates: false,
            provision: None,
            unreadable: 0,
            changing: None,
            kept: Vec::new(),
        }
    }

    /// The connector offers live synchronization. Needs [`Fixture::changing`].
    #[must_use]
    pub fn offering_live_sync(mut self) -> Self {
        self.live_sync = true;
        self
    }

    /// The connector offers pushed changes: every step is to be pushed. Needs [`Fixture::changing`].
    #[must_use]
    pub fn offering_async_updates(mut self) -> Self {
        self.async_updates = true;
        self
    }

    /// The connector can change objects, such as this sample.
    #[must_use]
    pub fn offering_provision(mut self, sample: Sample) -> Self {
        self.provision = Some(sample);
        self
    }

    /// Each class has this many objects that cannot be read.
    #[must_use]
    pub fn with_unreadable(mut self, objects: usize) -> Self {
        self.unreadable = objects;
        self
    }

    /// How the resource is changed. Gives the identifier of the object concerned; none only for [`Step::Remove`] on a
    /// resource that does not report what was removed.
    #[must_use]
    pub fn changing<F, R>(mut self, change: F) -> Self
    where
        F: Fn(Step) -> R + Send + Sync + 'static,
        R: Future<Output = Option<String>> + Send + 'static,
    {
        self.changing = Some(Box::new(move |step| change(step).boxed()));
        self
    }

    /// Keeps something until the test has ended: a temporary folder, a server.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    pub(super) fn connector(&self) -> &dyn Connector {
        &*self.connector
    }

    pub(super) fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// The facet, if the connector is to have it; a difference to what was declared is a violation.
    pub(super) fn live_sync(&self) -> Result<Option<&dyn LiveSync>, Violation> {
        let facet = self.connector.live_sync();
        declared("live synchronization", "offering_live_sync", self.live_sync, facet.is_some())?;
        Ok(facet)
    }

    /// The facet, if the connector is to have it; a difference to what was declared is a violation.
    pub(super) fn async_updates(&self) -> Result<Option<&dyn AsyncUpdates>, Violation> {
        let facet = self.connector.async_updates();
        declared("pushed changes", "offering_async_updates", self.async_updates, facet.is_some())?;
        Ok(facet)
    }

    /// The facet with what it may be tested by, if the connector is to have it; a difference to what was declared is a violation.
    pub(super) fn provision(&self) -> Result<Option<(&dyn Provision, &Sample)>, Violation> {
        let facet = self.connector.provision();
        declared("changing objects", "offering_provision", self.provision.is_some(), facet.is_some())?;
        Ok(facet.zip(self.provision.as_ref()))
    }

    /// Adds an object.
    pub(super) async fn add(&self, class: &Arc<str>) -> Result<String, Violation> {
        let added = self.step(Step::Add(class.clone())).await?;
        added.ok_or_else(|| Violation::from("the fixture added no object".to_owned()))
    }

    /// Modifies an object.
    pub(super) async fn modify(&self, class: &Arc<str>, identifier: &str) -> Outcome {
        let modified = self.step(Step::Modify(class.clone(), identifier.to_owned())).await?;
        ensure!(modified.is_some(), "the fixture did not modify the object");
        Ok(())
    }

    /// Removes an object; whether the resource reports that.
    pub(super) async fn remove(&self, class: &Arc<str>, identifier: &str) -> Result<bool, Violation> {
        Ok(self.step(Step::Remove(class.clone(), identifier.to_owned())).await?.is_some())
    }

    async fn step(&self, step: Step) -> Result<Option<String>, Violation> {
        match &self.changing {
            Some(change) => Ok(change(step).await),
            None => Err(Violation::from("the fixture cannot change its resource: say how with Fixture::changing".to_owned())),
        }
    }
}

impl<C: Connector + 'static> From<C> for Fixture {
    fn from(connector: C) -> Self {
        Self::new(connector)
    }
}

fn declared(facet: &str, method: &str, declared: bool, offered: bool) -> Outcome {
    ensure!(!offered || declared, "the connector offers {facet}, which the fixture does not declare with {method}");
    ensure!(offered || !declared, "the connector does not offer {facet}, which the fixture declares with {method}");
    Ok(())
}
