//! Acknowledging messages in groups.
//!
//! The protocol can acknowledge a message and all before it in one go (`multiple`). The engine acknowledges a whole group at
//! once, after the commit: each acknowledgement is noted, then every one steps back for a moment so that the others can be
//! noted too, and the first to go on tells the broker of all of them. `multiple` is used as far as everything that was
//! delivered is to be acknowledged; behind a message that is still in somebody's hands each is told of alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::{Channel, Result};
use tokio::sync::Mutex as AsyncMutex;

/// The messages of a channel that the broker has not been told of.
#[derive(Default)]
pub(crate) struct Acknowledgements {
    delivered: Mutex<Delivered>,
    telling: AsyncMutex<()>,
}

/// Delivery tags, in their order; whether each is to be acknowledged.
type Delivered = BTreeMap<u64, bool>;

/// What the broker is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Everything up to here is done with.
    up_to: Option<u64>,
    /// These are, too.
    alone: Vec<u64>,
}

impl Acknowledgements {
    /// A message has been delivered to the engine. Tags come in their order.
    pub(crate) fn delivered(&self, tag: u64) {
        self.lock().insert(tag, false);
    }

    /// How many messages the broker has not been told of.
    pub(crate) fn outstanding(&self) -> usize {
        self.lock().len()
    }

    /// Acknowledges a message; returns once the broker has been told.
    pub(crate) async fn acknowledge(&self, channel: &Channel, tag: u64) -> Result<()> {
        if let Some(acknowledged) = self.lock().get_mut(&tag) {
            *acknowledged = true;
        }
        tokio::task::yield_now().await;
        let _one_at_a_time = self.telling.lock().await;
        if !self.lock().contains_key(&tag) {
            return Ok(()); // Another one of the group has told of this one.
        }
        let plan = plan(&self.lock());
        if let Some(tag) = plan.up_to {
            channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
            self.lock().retain(|delivered, _| *delivered > tag);
        }
        for tag in plan.alone {
            channel.basic_ack(tag, BasicAckOptions { multiple: false }).await?;
            self.lock().remove(&tag);
        }
        Ok(())
    }

    /// Hands a message back for good: the broker drops it, or does with it what its own rules for dead letters say.
    pub(crate) async fn reject(&self, channel: &Channel, tag: u64) -> Result<()> {
        let _one_at_a_time = self.telling.lock().await;
        channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await?;
        self.lock().remove(&tag);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Delivered> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn plan(delivered: &Delivered) -> Plan {
    let mut plan = Plan::default();
    let mut gap = false;
    for (tag, acknowledged) in delivered {
        match (acknowledged, gap) {
            (true, false) => plan.up_to = Some(*tag),
            (true, true) => plan.alone.push(*tag),
            (false, _) => gap = true,
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delivered: &[(u64, bool)], up_to: Option<u64>, alone: &[u64]) {
        assert_eq!(plan(&delivered.iter().copied().collect()), Plan { up_to, alone: alone.to_vec() });
    }

    #[test]
    fn everything_up_to_the_first_message_in_hand_is_told_of_in_one_go() {
        check(&[(1, true), (2, true), (3, true)], Some(3), &[]);
        check(&[(4, true), (5, true), (6, false), (7, true), (9, true)], Some(5), &[7, 9]);
        check(&[(1, false), (2, true)], None, &[2]);
        check(&[(1, false)], None, &[]);
        check(&[], None, &[]);
    }
}
