//! Searches: page after page, until the server says that it was all, or something says that it was not.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tidelock_connector_api::{
    About, Completeness, Container, ContainerScope, Error, ErrorKind, Found, IncompleteReason, ObjectStream, Result,
    SearchRequest,
};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::ResourceObject;

use crate::client::{Lease, Pool, backoff, is_passing};
use crate::config::{LdapConfig, Paging, Referrals, SearchScope};
use crate::dn::Dn;
use crate::entry::{EntryReader, Range, Read};
use crate::error::{code, not_ldap};
use crate::filter::Filter;
use crate::message::{Control, Message, Outcome, Request, Scope, Search, answer, oid};
use crate::root_dse::RootDse;
use crate::schema::{Directory, EntryClass};
use crate::subschema::Subschema;
use crate::translate::translate;

/// How many objects are handed over at once at most.
const BATCH: usize = 512;

/// The stream of a search. `prepare` says what is known of the directory.
pub(crate) fn stream<'a>(
    pool: &'a Arc<Pool>,
    prepare: impl Future<Output = Result<Arc<Directory>>> + Send + 'a,
    request: SearchRequest,
) -> ObjectStream<'a> {
    let begin = async move {
        let directory = prepare.await?;
        Objects::new(Arc::clone(pool), &directory, &request)
    };
    stream::once(begin)
        .flat_map(|begun| match begun {
            Ok(objects) => stream::unfold(Some(objects), |objects| async move {
                let mut objects = objects?;
                let batch = objects.batch().await;
                let ended = objects.ended;
                Some((stream::iter(batch), (!ended).then_some(objects)))
            })
            .flatten()
            .boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        })
        .boxed()
}

/// The LDAP search that a request is.
pub(crate) fn plan(config: &LdapConfig, class: &EntryClass, request: &SearchRequest) -> Search {
    let translated = translate(class, &request.filter);
    let (base, scope) = region(config, &class.subschema, request.container.as_ref());
    let filter = class_filter(config, class);
    let filter = translated.filter.into_iter().fold(filter, Filter::and);
    Search { base, scope, filter, attributes: class.requested(), size_limit: 0 }
}

/// What every entry of a class meets, with what the configuration adds.
pub(crate) fn class_filter(config: &LdapConfig, class: &EntryClass) -> Filter {
    config.additional_filter.iter().cloned().fold(Filter::equal("objectClass", class.name.as_bytes()), Filter::and)
}

/// Where to search: below the container, unless that reaches beyond our part of the directory. Whoever asks checks the rest.
fn region(config: &LdapConfig, schema: &Subschema, container: Option<&Container>) -> (String, Scope) {
    let within = |container: &&Container| {
        let inner = Dn::parse(&container.name).zip(Dn::parse(&config.base_context));
        config.scope == SearchScope::Sub && inner.is_some_and(|(inner, outer)| inner.is_within(&outer, schema))
    };
    match (container.filter(within), config.scope) {
        (Some(container), _) => {
            let scope = if container.scope == ContainerScope::One { Scope::One } else { Scope::Sub };
            (container.name.to_string(), scope)
        }
        (None, SearchScope::Sub) => (config.base_context.clone(), Scope::Sub),
        (None, SearchScope::One) => (config.base_context.clone(), Scope::One),
    }
}

/// The entries of a class, on their way.
struct Objects {
    walk: Walk,
    reader: EntryReader,
    /// What found objects must meet besides; the server decides the rest.
    check: Option<BoundFilter>,
    /// Whether no entry at all is worth a doubt.
    doubt_emptiness: bool,
    ended: bool,
}

impl Objects {
    fn new(pool: Arc<Pool>, directory: &Directory, request: &SearchRequest) -> Result<Self> {
        let class = directory.class(&request.class)?;
        let config = Arc::clone(pool.config());
        let translated = translate(class, &request.filter);
        Ok(Self {
            reader: EntryReader::new(Arc::clone(class)),
            check: (!(translated.exact && translated.complete)).then(|| request.filter.clone()),
            doubt_emptiness: !config.allow_empty && request.filter == BoundFilter::All && request.container.is_none(),
            ended: false,
            walk: Walk::new(pool, &directory.root, plan(&config, class, request)),
        })
    }

    /// The next items: at least one, as many as are at hand.
    async fn batch(&mut self) -> Vec<Result<Found>> {
        let mut items = Vec::new();
        while items.is_empty() && !self.ended {
            if let Err(error) = self.fill(&mut items).await {
                self.ended = true;
                items.push(Err(error));
            }
        }
        items
    }

    fn is_wanted(&self, object: &ResourceObject) -> bool {
        self.check.as_ref().is_none_or(|filter| filter.matches(&object.attributes))
    }

    async fn fill(&mut self, items: &mut Vec<Result<Found>>) -> Result<()> {
        let (messages, verdict) = self.walk.batch().await?;
        for message in messages {
            match read_entry(self.walk.pool(), &mut self.reader, &message).await? {
                Some(Ok(object)) if !self.is_wanted(&object) => {}
                Some(object) => items.push(object.map(Found::Object)),
                None => {}
            }
        }
        let Some(verdict) = verdict else { return Ok(()) };
        self.ended = true;
        let verdict = if verdict.is_complete() && self.walk.received == 0 && self.doubt_emptiness {
            let message = "the server shows no entry of this class; if that can be right, set 'allowEmpty'";
            Completeness::incomplete(IncompleteReason::Empty, message)
        } else {
            verdict
        };
        items.push(Ok(Found::End(verdict)));
        Ok(())
    }
}

/// A search on its way through the pages.
pub(crate) struct Walk {
    pool: Arc<Pool>,
    search: Request,
    /// How many entries a page has; none where everything is asked for at once.
    page_size: Option<u32>,
    cookie: Vec<u8>,
    lease: Option<Lease>,
    first_page: bool,
    /// How many entries the server has sent.
    received: u64,
    /// How many parts of the data are elsewhere.
    referrals: u64,
    /// Whether nothing is found, rather than nothing known, where there is no entry to begin from.
    may_vanish: bool,
}

impl Walk {
    pub(crate) fn new(pool: Arc<Pool>, root: &RootDse, search: Search) -> Self {
        let config = pool.config();
        let page_size = match config.paging {
            Paging::None => None,
            Paging::Simple => Some(config.page_size),
            Paging::Auto => root.has_control(oid::PAGED_RESULTS).then_some(config.page_size),
        };
        Self {
            search: Request::Search(search),
            page_size,
            cookie: Vec::new(),
            lease: None,
            first_page: true,
            received: 0,
            referrals: 0,
            may_vanish: false,
            pool,
        }
    }

    /// The same below an entry that need not be there any longer.
    pub(crate) fn of_what_may_vanish(mut self) -> Self {
        self.may_vanish = true;
        self
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The next entries, as many as are at hand; with the verdict once it has ended. After an error nothing comes.
    pub(crate) async fn batch(&mut self) -> Result<(Vec<Message>, Option<Completeness>)> {
        let mut entries = Vec::new();
        let mut lease = match self.lease.take() {
            Some(lease) => lease,
            None => self.begin().await?,
        };
        let mut message = match lease.next(Some(self.pool.config().read_timeout)).await {
            // Nothing has come yet: a connection that was kept may have been dead, and another one may do.
            Err(error) if is_passing(&error) && self.untouched() => {
                lease = self.begin().await?;
                lease.next(Some(self.pool.config().read_timeout)).await?
            }
            message => message?,
        };
        loop {
            match message.tag {
                answer::ENTRY => {
                    self.received += 1;
                    entries.push(message);
                }
                answer::REFERENCE if self.pool.config().referrals == Referrals::Throw => return Err(elsewhere()),
                answer::REFERENCE => self.referrals += 1,
                answer::DONE => {
                    lease.ended();
                    let verdict = self.done(&message, &lease)?;
                    if verdict.is_none() {
                        // On the same connection: the position means nothing elsewhere.
                        self.first_page = false;
                        lease.begin(&self.search, &self.controls()).await?;
                        self.lease = Some(lease);
                    }
                    return Ok((entries, verdict));
                }
                answer::INTERMEDIATE => {}
                _ => return Err(not_ldap(lease.server())),
            }
            match if entries.len() < BATCH { lease.next_at_hand()? } else { None } {
                Some(next) => message = next,
                None => {
                    self.lease = Some(lease);
                    return Ok((entries, None));
                }
            }
        }
    }

    /// Asks for the first page. A server that cannot be reached for a moment is asked again: nothing has been given yet.
    async fn begin(&self) -> Result<Lease> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let begun = async {
                let mut lease = self.pool.lease().await?;
                lease.begin(&self.search, &self.controls()).await?;
                Ok(lease)
            };
            match begun.await {
                Err(error) if is_passing(&error) && attempt < self.pool.config().attempts => {
                    tokio::time::sleep(backoff(attempt)).await;
                }
                begun => return begun,
            }
        }
    }

    /// Whether nothing has been received.
    fn untouched(&self) -> bool {
        self.first_page && self.received == 0 && self.referrals == 0
    }

    fn controls(&self) -> Vec<Control> {
        self.page_size.map(|size| Control::page(size, &self.cookie)).into_iter().collect()
    }

    /// A page has ended: the verdict, or none where another page is to be asked for.
    fn done(&mut self, message: &Message, lease: &Lease) -> Result<Option<Completeness>> {
        let outcome = message.outcome().map_err(|_| not_ldap(lease.server()))?;
        let cookie = message.page_cookie().map_err(|_| not_ldap(lease.server()))?;
        let incomplete = |reason, message: String| Ok(Some(Completeness::incomplete(reason, message)));
        if outcome.is_limit() {
            // Some servers hold each page to the limit, and not the sum of them.
            let smaller = if self.page_size.is_some() && self.first_page { ", or 'pagingBlockSize' a lower value" } else { "" };
            let help = format!("give the name that is bound with higher limits{smaller}");
            let message = format!("{} after {} entries; {help}", outcome.describe(), self.received);
            return incomplete(IncompleteReason::Limit, message);
        }
        let auto = self.pool.config().paging == Paging::Auto;
        if outcome.code == code::CRITICAL_EXTENSION && self.untouched() && self.page_size.is_some() && auto {
            // It said that it can, and cannot.
            self.page_size = None;
            return Ok(None);
        }
        if outcome.code == code::REFERRAL && self.pool.config().referrals == Referrals::Throw {
            return Err(elsewhere());
        }
        if outcome.code == code::REFERRAL {
            let message = "the directory is on another server, to which this one refers";
            return incomplete(IncompleteReason::Referral, message.to_owned());
        }
        if outcome.code == code::NO_SUCH_OBJECT && self.may_vanish && self.untouched() {
            return Ok(Some(Completeness::Complete));
        }
        if !outcome.is_success() {
            if !self.first_page {
                let message = format!("the server broke off after {} entries: {}", self.received, outcome.describe());
                return incomplete(IncompleteReason::Truncated, message);
            }
            let Request::Search(search) = &self.search else { return Err(not_ldap(lease.server())) };
            let error = outcome.error(&format!("cannot search below '{}'", search.base));
            // An object that is asked for may be missing; the entry below which everything is must not.
            return Err(if outcome.code == code::NO_SUCH_OBJECT { Error::config(error.to_string()) } else { error });
        }
        match cookie {
            Some(cookie) if !cookie.is_empty() && self.page_size.is_some() => {
                self.cookie = cookie;
                return Ok(None);
            }
            None if self.page_size.is_some() && !self.first_page => {
                let message = format!("the server lost the position of the search after {} entries", self.received);
                return incomplete(IncompleteReason::Truncated, message);
            }
            _ => {}
        }
        match self.referrals {
            0 => Ok(Some(Completeness::Complete)),
            1 => {
                let message = "a part of the directory is on another server, and was not read";
                incomplete(IncompleteReason::Referral, message.to_owned())
            }
            referrals => {
                let message = format!("{referrals} parts of the directory are on other servers, and were not read");
                incomplete(IncompleteReason::Referral, message)
            }
        }
    }
}

/// A part of the directory is on another server, which is an error.
pub(crate) fn elsewhere() -> Error {
    Error::unsupported(
        "a part of the directory is on another server; leave it out by the base context, or set 'referralStrategy' to ignore",
    )
}

/// The object that an entry is; none where it is of a derived class. An object that cannot be read is an error within.
pub(crate) async fn read_entry(
    pool: &Arc<Pool>,
    reader: &mut EntryReader,
    message: &Message,
) -> Result<Option<Result<ResourceObject>>> {
    let read = message.entry().and_then(|entry| reader.read(entry)).map_err(|_| not_ldap(&pool.config().server()))?;
    Ok(match read {
        Read::Object(object) => Some(Ok(object)),
        Read::Partial(object, ranges) => match complete(pool, reader, object, ranges).await {
            Err(error) if error.kind() != ErrorKind::InvalidData => return Err(error),
            object => Some(object),
        },
        Read::Derived => None,
        Read::Failed(error) => Some(Err(error)),
    })
}

/// Asks for the values of an object that are still missing, until the last one. Each piece must begin where the one before it
/// ended: a group that has lost some of its members looks like any other.
async fn complete(
    pool: &Arc<Pool>,
    reader: &mut EntryReader,
    mut object: ResourceObject,
    mut ranges: Vec<Range>,
) -> Result<ResourceObject> {
    let dn = object.origin.clone().unwrap_or_default();
    let broken = |object: &ResourceObject, message: &str| {
        Error::invalid_data(format!("{dn}: {message}")).about(About::Object(object.identifier.clone()))
    };
    ranges.sort_unstable_by_key(|range| range.at);
    let repeated = ranges.windows(2).any(|pair| pair[0].at == pair[1].at);
    if repeated || ranges.iter().any(|range| range.from != 0) {
        return Err(broken(&object, "an attribute does not begin with its first value"));
    }
    while let Some(Range { at, next, .. }) = ranges.pop() {
        let Some(from) = next else { continue };
        let class = Arc::clone(reader.class());
        let attribute = &class.attributes[at];
        let description = format!("{};range={from}-*", attribute.name);
        let mut attributes = vec![description.as_str()];
        if !class.is_identified_by_name() {
            attributes.push(&class.identifier().name);
        }
        let request = Request::Search(Search::entry(&*dn, &attributes));
        let Some(entry) = first_entry(pool, &request).await? else {
            return Err(broken(&object, "the entry vanished while its values were read"));
        };
        let read = entry.entry().and_then(|entry| reader.read(entry)).map_err(|_| not_ldap(&pool.config().server()))?;
        let (more, pieces) = match read {
            Read::Partial(more, pieces) if more.identifier == object.identifier => (more, pieces),
            _ => return Err(broken(&object, "the entry changed while its values were read")),
        };
        let [piece] = *pieces else {
            return Err(broken(&object, "several pieces of values came where one was asked for"));
        };
        if piece.at != at || piece.from != from || piece.next.is_some_and(|next| next <= from) {
            return Err(broken(&object, "the values that were asked for are not those that came"));
        }
        let values = more.attributes.get(&attribute.name);
        match object.attributes.get_mut(&attribute.name) {
            Some(known) => known.extend(values.iter().cloned()),
            None => object.attributes.set(Arc::clone(&attribute.name), values.iter().cloned().collect()),
        }
        ranges.push(piece);
    }
    Ok(object)
}

/// The first entry of a search; none where there is none.
pub(crate) async fn first_entry(pool: &Arc<Pool>, request: &Request) -> Result<Option<Message>> {
    Ok(entries(pool, request, &[]).await?.0.into_iter().next())
}

/// All entries of a small search, and whether that was all. An entry that is asked for by its name may be missing.
pub(crate) async fn entries(pool: &Arc<Pool>, request: &Request, controls: &[Control]) -> Result<(Vec<Message>, bool)> {
    match (told(pool, request, controls).await?, request) {
        (Told::Entries(found, all), _) => Ok((found, all)),
        (Told::NoBase(outcome), Request::Search(search)) => {
            if search.scope != Scope::Base || !is_believable(pool, search, &outcome).await? {
                return Err(no_base(search, &outcome));
            }
            Ok((Vec::new(), true))
        }
        (Told::NoBase(_), _) => Err(not_ldap(&pool.config().server())),
    }
}

/// Whether any entry that meets a filter can be seen below another one.
pub(crate) async fn is_any_visible(pool: &Arc<Pool>, base: &str, filter: Filter) -> Result<bool> {
    let attributes = vec!["1.1".to_owned()];
    let search = Search { base: base.to_owned(), scope: Scope::Sub, filter, attributes, size_limit: 1 };
    Ok(first_entry(pool, &Request::Search(search)).await?.is_some())
}

/// Whether an entry of ours is missing, as the server says, rather than all that is above it. A database that is out of service and
/// an entry that became hidden look like this as well.
async fn is_believable(pool: &Arc<Pool>, search: &Search, outcome: &Outcome) -> Result<bool> {
    let base_context = &pool.config().base_context;
    let (Some(asked), Some(base)) = (Dn::parse(&search.base), Dn::parse(base_context)) else { return Ok(true) };
    let schema = pool.schema();
    if !asked.is_within(&base, &schema) {
        return Ok(true);
    }
    if base.is_within(&asked, &schema) {
        return Ok(false);
    }
    if Dn::parse(&outcome.matched_dn).is_some_and(|matched| matched.is_within(&base, &schema)) {
        return Ok(true);
    }
    let attributes = vec!["1.1".to_owned()];
    let below = Search { base: base_context.clone(), scope: Scope::Sub, filter: Filter::anything(), attributes, size_limit: 1 };
    match told(pool, &Request::Search(below), &[]).await? {
        Told::Entries(found, _) => Ok(!found.is_empty()),
        Told::NoBase(_) => Ok(false),
    }
}

/// The entry below which everything is must not be missing: nothing can be said of what is below it.
fn no_base(search: &Search, outcome: &Outcome) -> Error {
    Error::config(format!("cannot search below '{}': {}", search.base, outcome.describe()))
}

/// What a small search told.
enum Told {
    /// The entries, and whether they are all.
    Entries(Vec<Message>, bool),
    /// There is no entry to begin from.
    NoBase(Outcome),
}

async fn told(pool: &Arc<Pool>, request: &Request, controls: &[Control]) -> Result<Told> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match told_once(pool, request, controls).await {
            Err(error) if is_passing(&error) && attempt < pool.config().attempts => {
                tokio::time::sleep(backoff(attempt)).await;
            }
            told => return told,
        }
    }
}

async fn told_once(pool: &Arc<Pool>, request: &Request, controls: &[Control]) -> Result<Told> {
    let mut lease = pool.lease().await?;
    lease.begin(request, controls).await?;
    let (mut found, mut referrals) = (Vec::new(), false);
    loop {
        let message = lease.next(Some(pool.config().read_timeout)).await?;
        match message.tag {
            answer::ENTRY => found.push(message),
            answer::REFERENCE => referrals = true,
            answer::DONE => {
                lease.ended();
                let outcome = message.outcome().map_err(|_| not_ldap(lease.server()))?;
                return match outcome.code {
                    code::SUCCESS => Ok(Told::Entries(found, !referrals)),
                    code::NO_SUCH_OBJECT => Ok(Told::NoBase(outcome)),
                    code::REFERRAL => Ok(Told::Entries(found, false)),
                    _ if outcome.is_limit() => Ok(Told::Entries(found, false)),
                    _ => Err(outcome.error("cannot read entries")),
                };
            }
            _ => {}
        }
    }
}
