//! Where a change came from: midPoint's channels.

use std::fmt;

/// The way by which a change reached synchronization. Mappings and reactions may be limited to some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// An import.
    Import,
    /// A reconciliation.
    Reconciliation,
    /// A live synchronization.
    LiveSync,
    /// A message that told of a change.
    AsyncUpdate,
    /// A reclassification of shadows.
    ShadowReclassification,
    /// A change that came to light while something else was being done.
    Discovery,
    /// A cleanup of shadows.
    Cleanup,
    /// A notification from outside.
    External,
    /// A recomputation of foci.
    Recompute,
    /// A call of an interface for programs.
    Rest,
    /// A person at a user interface.
    User,
    /// The first start of a system.
    Init,
}

/// The namespace of channels in definitions.
const NAMESPACE: &str = "http://midpoint.evolveum.com/xml/ns/public/common/channels-3";

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 12] = [
        Self::Import,
        Self::Reconciliation,
        Self::LiveSync,
        Self::AsyncUpdate,
        Self::ShadowReclassification,
        Self::Discovery,
        Self::Cleanup,
        Self::External,
        Self::Recompute,
        Self::Rest,
        Self::User,
        Self::Init,
    ];

    /// The last part of the channel's URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Reconciliation => "reconciliation",
            Self::LiveSync => "liveSync",
            Self::AsyncUpdate => "asyncUpdate",
            Self::ShadowReclassification => "shadowReclassification",
            Self::Discovery => "discovery",
            Self::Cleanup => "cleanup",
            Self::External => "notifyChange",
            Self::Recompute => "recompute",
            Self::Rest => "rest",
            Self::User => "user",
            Self::Init => "init",
        }
    }

    /// The channel's URI.
    #[must_use]
    pub fn to_uri(self) -> String {
        format!("{NAMESPACE}#{}", self.as_str())
    }

    /// The channel of a URI. The namespaces of older releases are recognized, and a bare last part.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let fragment = match uri.trim().rsplit_once('#') {
            // midPoint has moved its channels more than once; what stayed is the end.
            Some((namespace, fragment)) if is_channel_namespace(namespace) => fragment,
            Some(_) => return None,
            None => uri.trim(),
        };
        match fragment {
            "external" => Some(Self::External),
            "webService" => Some(Self::Rest),
            "gui" => Some(Self::User),
            _ => Self::ALL.into_iter().find(|channel| channel.as_str() == fragment),
        }
    }
}

fn is_channel_namespace(namespace: &str) -> bool {
    namespace.starts_with("http://midpoint.evolveum.com/xml/ns/public/")
        && namespace.rsplit('/').next().is_some_and(|last| matches!(last, "channels-3" | "channel-3"))
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The channels that something is limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelLimit {
    /// Only these; empty for all. A channel that we do not know is in `unknown_only`.
    pub only: Vec<Channel>,
    /// All but these.
    pub except: Vec<Channel>,
    /// Whether `only` had channels that we do not know: an empty `only` is then no channel at all.
    pub unknown_only: bool,
}

impl ChannelLimit {
    /// Whether a change by this channel is meant.
    #[must_use]
    pub fn admits(&self, channel: Channel) -> bool {
        (self.only.contains(&channel) || (self.only.is_empty() && !self.unknown_only)) && !self.except.contains(&channel)
    }

    /// Whether every channel is meant.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.except.is_empty() && !self.unknown_only
    }
}

#[cfg(test)]
mod tests {
    use super::Channel;

    #[test]
    fn every_channel_is_found_by_its_uri_and_its_bare_name() {
        for channel in Channel::ALL {
            assert_eq!(Channel::from_uri(&channel.to_uri()), Some(channel));
            assert_eq!(Channel::from_uri(channel.as_str()), Some(channel));
        }
    }

    #[test]
    fn older_namespaces_are_recognized() {
        for namespace in ["provisioning/channels-3", "model/channel-3", "common/channels-3"] {
            let uri = format!("http://midpoint.evolveum.com/xml/ns/public/{namespace}#liveSync");
            assert_eq!(Channel::from_uri(&uri), Some(Channel::LiveSync));
        }
    }

    #[test]
    fn older_names_mean_todays_channels() {
        for (name, channel) in [("external", Channel::External), ("webService", Channel::Rest), ("gui", Channel::User)] {
            assert_eq!(Channel::from_uri(name), Some(channel));
        }
    }

    #[test]
    fn other_uris_are_no_channels() {
        assert_eq!(Channel::from_uri("http://example.com/channels-3#import"), None);
        assert_eq!(Channel::from_uri("http://midpoint.evolveum.com/xml/ns/public/model/action-3#import"), None);
        assert_eq!(Channel::from_uri("imports"), None);
    }
}
