//! Tidelock's connector for LDAP directories.
//!
//! A search is read page by page, when whoever asked for it takes more; whatever keeps a server from giving everything makes
//! it incomplete, so that nothing is taken for deleted because of it. Entries are identified by `entryUUID` or what stands
//! for it, so that a renamed entry stays the same object. See the `README.md` beside this crate.

mod async_updates;
mod ber;
mod capabilities;
mod client;
mod clock;
mod config;
mod connector;
mod dn;
mod entry;
mod error;
mod filter;
mod live_sync;
mod lookup;
mod matching;
mod message;
mod provision;
mod root_dse;
mod schema;
mod search;
mod subschema;
mod translate;
mod value;

pub use config::{
    BUNDLE_NAMESPACE, Bind, LdapConfig, Paging, PasswordSource, Referrals, SearchScope, Security, SynchronizationStrategy,
    TimestampForm, Trust, When, open,
};
pub use connector::Ldap;
