//! Reading messages ahead of whoever takes them over, and checking their changes.

use futures::{FutureExt, StreamExt};
use tidelock_connector_api::{BoxStream, Delivery, Error, Token};
use tokio::sync::mpsc;
use tokio::task::unconstrained;

use crate::ahead;
use crate::changes::{self, Incoming};
use crate::feed::{Budget, Held};
use crate::part::Part;

/// How many messages are read ahead at once.
const AT_ONCE: usize = 500;

/// How many bytes the messages have at most that are with us, and not taken over. Their changes, as we keep them, take a few times as much.
const BYTES_AHEAD: usize = 16 << 20;

/// What the reader sends.
pub(super) enum Arrived {
    /// A message, with its changes.
    Message(Delivery, Vec<Incoming>, Held),
    /// The source broke off.
    Failed(Error),
}

/// Reads messages, and checks their changes.
pub(super) async fn read(part: &Part, token: Option<Token>, send: mpsc::Sender<Arrived>) {
    let Some(source) = part.connector.async_updates() else { return };
    let budget = Budget::new(BYTES_AHEAD);
    let mut stream = source.deliveries_after(token);
    let mut over = None;
    loop {
        let deliveries = next(&mut stream, &budget, &mut over, part.chunk.min(AT_ONCE)).await;
        if deliveries.is_empty() {
            return;
        }
        let mut arrived: Vec<Arrived> = deliveries.into_iter().map(|(delivery, held)| take(part, delivery, held)).collect();
        let changes = arrived.iter_mut().flat_map(|arrived| match arrived {
            Arrived::Message(_, changes, _) => changes.as_mut_slice(),
            Arrived::Failed(_) => &mut [],
        });
        if let Err(error) = ahead::read(part, changes).await {
            // Who reads it in its turn will hear of it.
            tracing::debug!(%error, "nothing was read ahead");
        }
        for arrived in arrived {
            let is_last = matches!(arrived, Arrived::Failed(_));
            // Nobody listening is nobody's loss: what is not settled comes again.
            if send.send(arrived).await.is_err() || is_last {
                return;
            }
        }
    }
}

/// The messages that there are by now, so many at most, and no more bytes than may be in memory; waits only where there is none. `over` is
/// the one that was too much.
async fn next(
    stream: &mut BoxStream<'_, Result<Delivery, Error>>,
    budget: &Budget,
    over: &mut Option<Result<Delivery, Error>>,
    most: usize,
) -> Vec<(Result<Delivery, Error>, Held)> {
    let size = |delivery: &Result<Delivery, Error>| delivery.as_ref().map_or(0, |delivery| delivery.size);
    let mut some = Vec::new();
    let first = match over.take() {
        Some(first) => Some(first),
        None => stream.next().await,
    };
    let Some(first) = first else { return some };
    let held = budget.hold(size(&first)).await;
    some.push((first, held));
    while some.len() < most
        && let Some(Some(delivery)) = unconstrained(stream.next()).now_or_never()
    {
        match unconstrained(budget.hold(size(&delivery))).now_or_never() {
            Some(held) => some.push((delivery, held)),
            None => {
                *over = Some(delivery);
                break;
            }
        }
    }
    some
}

/// Checks the changes of a message.
fn take(part: &Part, delivery: Result<Delivery, Error>, held: Held) -> Arrived {
    match delivery {
        Ok(mut delivery) => {
            let changes = match std::mem::replace(&mut delivery.changes, Ok(Vec::new())) {
                Ok(changes) => changes.into_iter().map(|change| changes::take(part, change)).collect(),
                Err(error) => vec![changes::failed(&named(&delivery), None, error.kind().into(), error.full_message())],
            };
            Arrived::Message(delivery, changes, held)
        }
        Err(error) => Arrived::Failed(error),
    }
}

/// What people call a message: nothing of its content.
pub(super) fn named(delivery: &Delivery) -> String {
    match (&delivery.id, &delivery.name) {
        (Some(id), _) => format!("message {}", id.0),
        (None, Some(name)) => format!("a message without an identity: {name}"),
        (None, None) => "a message without an identity".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_connector_api::{Acknowledge, MessageId, Result, async_trait};

    use super::*;

    struct Nothing;

    #[async_trait]
    impl Acknowledge for Nothing {
        async fn acknowledge(self: Box<Self>) -> Result<()> {
            Ok(())
        }

        async fn reject(self: Box<Self>, _reason: &str) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_is_called_by_its_identity_or_where_it_can_be_found() {
        let delivery = |id: Option<&str>| Delivery::new(id.map(|id| MessageId(id.into())), Ok(Vec::new()), Box::new(Nothing));
        assert_eq!(named(&delivery(Some("17")).with_name("delivery 3")), "message 17");
        assert_eq!(named(&delivery(None).with_name("delivery 3")), "a message without an identity: delivery 3");
        assert_eq!(named(&delivery(None)), "a message without an identity");
    }
}
