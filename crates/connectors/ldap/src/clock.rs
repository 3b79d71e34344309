//! Time, as the server has it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::Pool;
use crate::message::{Request, Search};
use crate::search::first_entry;
use crate::value::parse_time;

/// Where servers show their clocks: Active Directory, OpenLDAP with its monitor, 389 Directory Server and its relatives.
const CLOCKS: [(&str, &str); 3] =
    [("", "currentTime"), ("cn=Current,cn=Time,cn=Monitor", "monitorTimestamp"), ("cn=monitor", "currentTime")];

/// The server's clock; milliseconds since 1970. None where it does not show it, or not to us.
pub(crate) async fn server_time(pool: &Arc<Pool>) -> Option<i64> {
    for (entry, attribute) in CLOCKS {
        let request = Request::Search(Search::entry(entry, &[attribute]));
        // Whatever stands in the way of this stands in nobody else's.
        let Ok(Some(message)) = first_entry(pool, &request).await else { continue };
        let values = message.entry().and_then(|entry| entry.values_of(attribute)).unwrap_or_default();
        let time = values.first().and_then(|value| std::str::from_utf8(value).ok()).and_then(parse_time);
        if time.is_some() {
            return time;
        }
    }
    None
}

/// Our own clock; milliseconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
