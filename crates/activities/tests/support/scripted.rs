//! A resource that tells of changes what a test wants it to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tidelock_connector_api::memory::Memory;
use tidelock_connector_api::{
    Acknowledge, AsyncUpdates, Change, ChangeStream, ChangesRequest, Connector, Delivery, Error, Listening, LiveSync, MessageId,
    ObjectStream, OnFailure, Result, SearchRequest, SyncEvent, Token, TokenPrecision, async_trait,
};
use tidelock_model::object::{ResourceObject, Schema};

/// A resource in memory, whose changes are told by a script.
pub struct Scripted {
    pub resource: Memory,
    /// What the next streams of changes give.
    pub pulled: Mutex<VecDeque<Vec<Result<SyncEvent>>>>,
    /// The tokens after which changes were asked for, and messages.
    pub asked: Mutex<Vec<Option<String>>>,
    /// What was said to be kept.
    pub retained: Mutex<Vec<Vec<String>>>,
    /// The messages. Behind each stands its number as a token, from 1.
    pub pushed: Mutex<Vec<Vec<Change>>>,
    /// What becomes of the messages of these numbers.
    pub shaped: Mutex<HashMap<usize, Shape>>,
    /// How big each of them says it is.
    pub size: Mutex<usize>,
    /// The most messages that were given and not acknowledged.
    pub in_hand: Arc<Mutex<usize>>,
    /// What a message comes to that fails. This source takes none back.
    pub on_failure: Mutex<OnFailure>,
    /// Whether objects can be read.
    pub reads: Mutex<bool>,
    /// Whether messages and changes have tokens in common.
    pub shares: Mutex<bool>,
    /// How the connection is.
    pub status: Mutex<Listening>,
    /// The numbers of the messages that were acknowledged.
    pub acknowledged: Arc<Mutex<Vec<usize>>>,
}

/// What a message is made into.
pub type Shape = fn(Delivery) -> Result<Delivery>;

struct Settle(usize, Arc<Mutex<Vec<usize>>>);

impl Scripted {
    pub fn new(resource: Memory) -> Self {
        Self {
            resource,
            pulled: Mutex::default(),
            asked: Mutex::default(),
            retained: Mutex::default(),
            pushed: Mutex::default(),
            shaped: Mutex::default(),
            size: Mutex::default(),
            in_hand: Arc::default(),
            on_failure: Mutex::default(),
            reads: Mutex::new(true),
            shares: Mutex::default(),
            status: Mutex::new(Listening::Alive),
            acknowledged: Arc::default(),
        }
    }
}

fn text(token: &Token) -> String {
    String::from_utf8(token.as_bytes().to_vec()).unwrap()
}

#[async_trait]
impl Connector for Scripted {
    async fn schema(&self) -> Result<Schema> {
        self.resource.schema().await
    }

    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        self.resource.search(request)
    }

    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        self.resource.get_many(class, identifiers).await
    }

    fn can_read(&self) -> bool {
        *self.reads.lock().unwrap()
    }

    fn live_sync(&self) -> Option<&dyn LiveSync> {
        Some(self)
    }

    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        Some(self)
    }
}

#[async_trait]
impl LiveSync for Scripted {
    fn token_precision(&self) -> TokenPrecision {
        TokenPrecision::EndOfRun
    }

    fn all_classes(&self) -> bool {
        true
    }

    async fn current_token(&self, _class: Option<&str>) -> Result<Token> {
        Ok(Token::new(&b"0"[..]))
    }

    fn changes(&self, request: ChangesRequest) -> ChangeStream<'_> {
        self.asked.lock().unwrap().push(Some(text(&request.after)));
        stream::iter(self.pulled.lock().unwrap().pop_front().unwrap_or_default()).boxed()
    }

    async fn retain(&self, tokens: &[Token]) -> Result<()> {
        self.retained.lock().unwrap().push(tokens.iter().map(text).collect());
        Ok(())
    }
}

impl AsyncUpdates for Scripted {
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        self.deliveries_after(None)
    }

    fn deliveries_after(&self, token: Option<Token>) -> BoxStream<'_, Result<Delivery>> {
        let token = token.as_ref().map(text);
        let after: usize = token.as_ref().map_or(0, |token| token.parse().unwrap());
        self.asked.lock().unwrap().push(token);
        let messages: Vec<Vec<Change>> = self.pushed.lock().unwrap().iter().skip(after).cloned().collect();
        let size = *self.size.lock().unwrap();
        let deliveries = messages.into_iter().zip(after + 1..).map(move |(changes, number)| {
            let settle = Settle(number, Arc::clone(&self.acknowledged));
            let in_hand = number.saturating_sub(after + self.acknowledged.lock().unwrap().len());
            let mut most = self.in_hand.lock().unwrap();
            *most = in_hand.max(*most);
            let delivery = Delivery::new(Some(MessageId(number.to_string().into())), Ok(changes), Box::new(settle));
            let delivery = delivery.with_token(Token::new(number.to_string().into_bytes())).with_size(size);
            let shape = self.shaped.lock().unwrap().get(&number).copied();
            match shape {
                Some(shape) => shape(delivery),
                None => Ok(delivery),
            }
        });
        stream::iter(deliveries).chain(stream::pending()).boxed()
    }

    fn continues_live_sync(&self) -> bool {
        *self.shares.lock().unwrap()
    }

    fn on_failure(&self) -> OnFailure {
        *self.on_failure.lock().unwrap()
    }

    fn status(&self) -> Listening {
        *self.status.lock().unwrap()
    }
}

#[async_trait]
impl Acknowledge for Settle {
    async fn acknowledge(self: Box<Self>) -> Result<()> {
        self.1.lock().unwrap().push(self.0);
        Ok(())
    }

    async fn reject(self: Box<Self>, _reason: &str) -> Result<()> {
        Err(Error::unsupported("this source takes nothing back"))
    }
}
