//! The activities: import, reconciliation, live synchronization, asynchronous update, reclassification and cleanup of shadows,
//! over one runner.
//!
//! An activity is a function over one [`runner`](self) and one way to synchronize an object. It names no connector and no
//! database: it sees [`Connectors`], `dyn Connector` and `dyn Repo`. All judgement is the resolver's.
//!
//! [`prepare`] reads nothing but definitions and the resource's schema, and refuses whatever is wrong with them;
//! [`execute`] does the work and always gives a [`RunReport`]; [`explain`] says what would be done.

mod ahead;
mod changes;
mod connectors;
mod engine;
mod error;
mod error_handling;
mod explain;
mod feed;
mod inbox;
mod listen;
mod live_sync;
mod objects;
mod part;
mod plan;
mod prepare;
mod presence;
mod progress;
mod report;
mod run;
mod shadows;
mod source;
mod state;
mod statistics;
mod synchronize;
mod tailoring;
mod tokens;
mod trigger_scan;
mod triggers;
mod unused;
mod watermark;

pub use connectors::{Connectors, OpenError, ResourceEntry};
pub use engine::{Clock, Engine, SystemClock};
pub use error::{Category, RunError};
pub use explain::{ClassName, Explanation, Failed, Given, Named, TypeName, explain, explain_alone};
pub use plan::not_runnable;
pub use prepare::{Definitions, Options, Prepared, prepare};
pub use progress::{NoProgress, Progress};
pub use report::{
    ActionCounts, ActivityReport, Counts, Failure, Listening, Mode, ObjectActions, RunReport, RunStatus, Status, TaskRef,
    TaskState, TokenMove, Transition,
};
pub use run::{Control, execute};
pub use tokens::{Position, token_of_text, token_text};
