//! Changes since a token: the file as it is now against a snapshot of it as it was.
//!
//! A snapshot ([`snapshot`]) holds the rows sorted by identifier. It is taken ([`take`], [`sort`]) with memory that does not grow
//! with the file, and is whole and on the disk before anybody hears of it. Changes are what two snapshots differ in ([`compare`]),
//! in the order of identifiers, each with a token from which the rest follows. So a process can end between any two steps: what it
//! leaves behind is either a snapshot that no token names, which is cleared away ([`store`]), or all that its last token needs.
//!
//! A token ([`token`]) stands for a state of the file: that of one snapshot, or, within a comparison, the newer snapshot's up to an
//! identifier and the older one's beyond. If the file has changed again when such a token is resumed from, that state is written
//! out as a snapshot of its own ([`merge`]), and compared with the file as it is by then: so nobody who stopped at a bad row, or at
//! a value that did not suit, meets it again once it was put right.

mod compare;
mod disk;
mod merge;
mod snapshot;
mod sort;
mod store;
mod take;
mod token;

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use futures::{Stream, StreamExt, stream};
use tidelock_connector_api::{
    ChangeStream, ChangesRequest, Error, LiveSync, Result, SyncEvent, Token, TokenPrecision, async_trait,
};
use tokio::sync::mpsc;

use crate::connector::{Csv, no_thread, on_a_thread};
use crate::live_sync::compare::Events;
use crate::live_sync::store::{Sight, Store};

pub(crate) use self::store::Held;
use crate::live_sync::token::Position;
use crate::schema::OBJECT_CLASS;

/// How many portions of events may wait to be taken.
const PORTIONS_AHEAD: usize = 2;

#[async_trait]
impl LiveSync for Csv {
    fn token_precision(&self) -> TokenPrecision {
        TokenPrecision::PerChange
    }

    /// There is only one.
    fn all_classes(&self) -> bool {
        true
    }

    async fn current_token(&self, class: Option<&str>) -> Result<Token> {
        check_class(class)?;
        let store = self.store()?;
        on_a_thread(move || {
            let snapshot = store.now(None, &mut Sight::default())?;
            store.hold(&snapshot);
            Ok(Position::At(snapshot.id).to_token())
        })
        .await
    }

    fn changes(&self, request: ChangesRequest) -> ChangeStream<'_> {
        let store = check_class(request.class.as_deref()).and_then(|()| self.store());
        match store {
            Ok(store) => Changes { start: Some((store, request.after)), portions: None, portion: Vec::new().into_iter() }.boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn retain(&self, tokens: &[Token]) -> Result<()> {
        let store = self.store()?;
        let kept: Vec<_> = tokens.iter().filter_map(|token| Position::of_token(token).ok()).collect();
        on_a_thread(move || store.retain(&kept)).await
    }
}

impl Csv {
    fn store(&self) -> Result<Store> {
        let folder = self.state_folder().ok_or_else(|| Error::unsupported("there is no folder to keep snapshots in"))?;
        Ok(Store::new(Arc::clone(self.config()), folder.to_path_buf(), self.held().clone()))
    }
}

fn check_class(class: Option<&str>) -> Result<()> {
    match class {
        Some(class) if class != OBJECT_CLASS => {
            Err(Error::unsupported(format!("a CSV file has no object class '{class}', only '{OBJECT_CLASS}'")))
        }
        _ => Ok(()),
    }
}

/// What has changed, found out by a thread that starts with the first poll and ends soon after the stream is dropped.
struct Changes {
    start: Option<(Store, Token)>,
    portions: Option<mpsc::Receiver<Vec<Result<SyncEvent>>>>,
    portion: std::vec::IntoIter<Result<SyncEvent>>,
}

impl Stream for Changes {
    type Item = Result<SyncEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.portion.next() {
                return Poll::Ready(Some(event));
            }
            if let Some((store, after)) = self.start.take() {
                let (sender, receiver) = mpsc::channel(PORTIONS_AHEAD);
                let working = thread::Builder::new().name("csv".to_owned()).spawn(move || {
                    let listener = sender.clone();
                    let store = store.while_wanted(move || !listener.is_closed());
                    let mut events = Events::new(sender);
                    if let Err(error) = follow(&store, &after, &mut events) {
                        events.push(Err(error));
                    }
                    events.send();
                });
                if let Err(error) = working {
                    return Poll::Ready(Some(Err(no_thread(error))));
                }
                self.portions = Some(receiver);
            }
            match self.portions.as_mut().map(|portions| portions.poll_recv(context)) {
                Some(Poll::Ready(Some(portion))) => self.portion = portion.into_iter(),
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(None)) | None => {
                    self.portions = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Tells everything that has changed since a token.
fn follow(store: &Store, after: &Token, events: &mut Events) -> Result<()> {
    let mut sight = Sight::default();
    let base = match Position::of_token(after)? {
        Position::At(base) => store.open(&base)?,
        Position::Within { base, target, last } => {
            let (base, target) = (store.open(&base)?, store.open(&target)?);
            if store.is_now(&target, &mut sight)? {
                return compare::compare(store, &base, &target, Some(&last), events);
            }
            store.splice(&base, &target, &last)?
        }
    };
    if store.is_now(&base, &mut sight)? {
        store.hold(&base);
        events.push(Ok(SyncEvent::End(Position::At(base.id).to_token())));
        return Ok(());
    }
    let target = store.now(Some(&base), &mut sight)?;
    compare::compare(store, &base, &target, None, events)
}
