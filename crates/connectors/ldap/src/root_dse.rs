//! What a server says of itself (RFC 4512, 5.1).

use std::sync::Arc;

use tidelock_connector_api::Result;

use crate::ber::Malformed;
use crate::client::Pool;
use crate::dn::Dn;
use crate::error::not_ldap;
use crate::message::{Message, Request, Search, answer, oid};
use crate::subschema::Subschema;

/// What we call OpenLDAP, which does not say it itself.
const OPENLDAP: &str = "OpenLDAP";

/// The entry without a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct RootDse {
    pub(crate) naming_contexts: Vec<String>,
    pub(crate) subschema: Option<String>,
    pub(crate) controls: Vec<String>,
    pub(crate) extensions: Vec<String>,
    pub(crate) features: Vec<String>,
    pub(crate) vendor: Vec<String>,
    /// Active Directory says so of itself, by its capabilities.
    pub(crate) is_active_directory: bool,
}

impl RootDse {
    /// Asks the server.
    pub(crate) async fn read(pool: &Arc<Pool>) -> Result<Self> {
        let request = Request::Search(Search::entry("", &["*", "+"]));
        let mut lease = pool.lease().await?;
        let server = lease.server().to_owned();
        lease.begin(&request, &[]).await?;
        let mut root = Self::default();
        loop {
            let message = lease.next(Some(pool.config().timeout)).await?;
            match message.tag {
                answer::ENTRY => root.take(&message).map_err(|_| not_ldap(&server))?,
                answer::DONE => {
                    lease.ended();
                    let outcome = message.outcome().map_err(|_| not_ldap(&server))?;
                    outcome.check(&format!("cannot read what {server} says of itself"))?;
                    return Ok(root);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn has_control(&self, oid: &str) -> bool {
        self.controls.iter().any(|offered| offered == oid)
    }

    pub(crate) fn has_extension(&self, oid: &str) -> bool {
        self.extensions.iter().any(|offered| offered == oid)
    }

    pub(crate) fn is_openldap(&self) -> bool {
        self.vendor.first().is_some_and(|vendor| vendor == OPENLDAP)
    }

    /// Whether all operational attributes can be asked for at once.
    pub(crate) fn has_plus(&self) -> bool {
        self.features.iter().any(|offered| offered == oid::ALL_OPERATIONAL_ATTRIBUTES)
    }

    /// Whether it is 389 Directory Server, or what Red Hat makes of it.
    pub(crate) fn is_389(&self) -> bool {
        self.vendor.iter().any(|vendor| vendor == "389 Project")
    }

    /// The naming context that a name is in.
    pub(crate) fn context_of(&self, name: &str, schema: &Subschema) -> Option<&str> {
        let name = Dn::parse(name)?;
        let within = |context: &&String| Dn::parse(context).is_some_and(|context| name.is_within(&context, schema));
        self.naming_contexts.iter().filter(within).max_by_key(|context| context.len()).map(String::as_str)
    }

    fn take(&mut self, message: &Message) -> Result<(), Malformed> {
        let mut entry = message.entry()?;
        while let Some((name, mut values)) = entry.attribute()? {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let values: Vec<String> =
                values.all()?.into_iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            match name.as_str() {
                "namingcontexts" => self.naming_contexts = values,
                "subschemasubentry" => self.subschema = values.into_iter().next(),
                "supportedcontrol" => self.controls = values,
                "supportedextension" => self.extensions = values,
                "supportedfeatures" => self.features = values,
                "vendorname" | "vendorversion" => self.vendor.extend(values),
                // The object identifier of Active Directory itself.
                "supportedcapabilities" => {
                    self.is_active_directory = values.iter().any(|value| value == "1.2.840.113556.1.4.800");
                }
                "objectclass" if values.iter().any(|value| value == "OpenLDAProotDSE") => {
                    self.vendor.insert(0, OPENLDAP.to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
