//! What was found out about a resource, for people.

/// One fact about what a resource can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, such as `paged results`.
    pub subject: Box<str>,
    /// What was found, in a few words.
    pub found: Box<str>,
    /// Whether it stands in the way of something that the resource is configured for.
    pub doubtful: bool,
}

impl Finding {
    /// A fact that is as it should be.
    pub fn new(subject: impl Into<Box<str>>, found: impl Into<Box<str>>) -> Self {
        Self { subject: subject.into(), found: found.into(), doubtful: false }
    }

    /// The same, standing in the way of something.
    #[must_use]
    pub fn doubtful(mut self) -> Self {
        self.doubtful = true;
        self
    }
}
