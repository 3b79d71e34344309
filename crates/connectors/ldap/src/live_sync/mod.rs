//! Changes since a token: by content synchronization where the server offers it, else by time stamps.

pub(crate) mod below;
pub(crate) mod names;
pub(crate) mod subject;
pub(crate) mod syncrepl;
mod timestamps;
pub(crate) mod token;

use std::sync::Arc;

use futures::{StreamExt, stream};
use tidelock_connector_api::{
    ChangeStream, ChangesRequest, Error, ErrorKind, LiveSync, Result, SyncEvent, Token, TokenPrecision, async_trait,
};

use self::subject::{Subject, called_otherwise};
use self::syncrepl::{Offer, Refresh};
pub(crate) use self::token::{CookiePosition, Position};
use crate::config::SynchronizationStrategy;
use crate::connector::Ldap;
use crate::schema::Directory;

/// What identifies entries on 389 Directory Server: the same bytes as a UUID, in a spelling of its own.
pub(crate) const NS_UNIQUE_ID: &str = "nsUniqueId";

/// Where the changes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Syncrepl,
    Timestamps,
}

#[async_trait]
impl LiveSync for Ldap {
    fn token_precision(&self) -> TokenPrecision {
        TokenPrecision::EndOfRun
    }

    fn all_classes(&self) -> bool {
        true
    }

    async fn current_token(&self, class: Option<&str>) -> Result<Token> {
        let directory = self.directory().await?;
        let subject = Subject::new(&self.pool, directory, class).await?;
        let position = match strategy(self, subject.directory()).await? {
            Strategy::Syncrepl => Position::Cookie(syncrepl::current(&self.pool, &subject).await?),
            Strategy::Timestamps => Position::Time(timestamps::current(&self.pool, &subject).await?),
        };
        Ok(subject.token(&position))
    }

    /// With content synchronization, an entry that was deleted, moved out of reach or is of another class now is a deletion.
    /// Where the server has forgotten what was deleted, it tells what is left.
    ///
    /// With time stamps, deletions are noticed when what is left is compared, which is done every `comparisonInterval`.
    fn changes(&self, request: ChangesRequest) -> ChangeStream<'_> {
        let begin = async move {
            let directory = self.directory().await?;
            let subject = Subject::new(&self.pool, directory, request.class.as_deref()).await?;
            let strategy = strategy(self, subject.directory()).await?;
            Ok::<_, Error>(match (strategy, subject.position(&request.after)?) {
                (Strategy::Syncrepl, Position::Cookie(after)) => {
                    Changes::Refresh(Box::new(Refresh::new(Arc::clone(&self.pool), subject, after)))
                }
                (Strategy::Timestamps, Position::Time(time)) => {
                    Changes::Timestamps(Box::new(timestamps::Scan::new(Arc::clone(&self.pool), subject, time)))
                }
                _ => return Err(token::expired("it was made by another strategy")),
            })
        };
        stream::once(begin)
            .flat_map(|begun| match begun {
                Ok(changes) => stream::unfold(Some(changes), |changes| async move {
                    let mut changes = changes?;
                    let (batch, ended) = changes.batch().await;
                    Some((stream::iter(batch), (!ended).then_some(changes)))
                })
                .flatten()
                .boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }
}

/// Changes on their way.
enum Changes {
    Refresh(Box<Refresh>),
    Timestamps(Box<timestamps::Scan>),
}

impl Changes {
    /// The next events, at least one; and whether they are the last.
    async fn batch(&mut self) -> (Vec<Result<SyncEvent>>, bool) {
        let mut events = Vec::new();
        loop {
            let filled = match self {
                Self::Refresh(refresh) => refresh.fill(&mut events).await,
                Self::Timestamps(scan) => scan.fill(&mut events).await,
            };
            match filled {
                Ok(ended) if ended || !events.is_empty() => return (events, ended),
                Ok(_) => {}
                Err(error) => {
                    events.push(Err(error));
                    return (events, true);
                }
            }
        }
    }
}

/// The strategy that is configured; where that is left to us, the best that the server offers.
pub(crate) async fn strategy(ldap: &Ldap, directory: &Directory) -> Result<Strategy> {
    if directory.root.is_389() {
        return on_389(ldap.config().synchronization);
    }
    let configured = ldap.config().synchronization;
    let is_auto = configured == SynchronizationStrategy::Auto;
    match configured {
        SynchronizationStrategy::None => return Err(Error::unsupported("'synchronizationStrategy' is none")),
        SynchronizationStrategy::ModifyTimestamp => return Ok(Strategy::Timestamps),
        SynchronizationStrategy::Auto | SynchronizationStrategy::Syncrepl => {}
    }
    if !is_by_uuid(ldap) {
        return match is_auto {
            true => Ok(Strategy::Timestamps),
            false => Err(Error::config(
                "content synchronization tells entries apart by 'entryUUID' or 'nsUniqueId'; set 'uidAttribute' to the one that \
                 the server has",
            )),
        };
    }
    match directory.content_synchronization(&ldap.pool).await? {
        Offer::Given => Ok(Strategy::Syncrepl),
        _ if is_auto => Ok(Strategy::Timestamps),
        Offer::Missing => Err(Error::unsupported(
            "the server does not offer content synchronization (RFC 4533); on OpenLDAP, the overlay syncprov does",
        )),
        Offer::Refused(why) => {
            Err(Error::new(ErrorKind::Denied, format!("the server refuses content synchronization (RFC 4533): {why}")))
        }
        Offer::ByOtherIdentifiers => Err(called_otherwise()),
    }
}

/// Why the content synchronization of 389 Directory Server is not used, though it offers it.
pub(crate) const UNSOUND_ON_389: &str = "the content synchronization of 389 Directory Server loses changes without a sign (entries that \
     leave the filter, some of many deletions, whatever its change log has forgotten)";

/// The strategy for 389 Directory Server: time stamps, which can be relied upon there.
fn on_389(configured: SynchronizationStrategy) -> Result<Strategy> {
    match configured {
        SynchronizationStrategy::Auto | SynchronizationStrategy::ModifyTimestamp => Ok(Strategy::Timestamps),
        SynchronizationStrategy::Syncrepl => {
            Err(Error::config(format!("{UNSOUND_ON_389}; set 'synchronizationStrategy' to modifyTimestamp")))
        }
        SynchronizationStrategy::None => Err(Error::unsupported("'synchronizationStrategy' is none")),
    }
}

/// Whether what content synchronization calls entries by may be what we call them by.
pub(crate) fn is_by_uuid(ldap: &Ldap) -> bool {
    ["entryUUID", NS_UNIQUE_ID].iter().any(|name| ldap.config().identifier.eq_ignore_ascii_case(name))
}
