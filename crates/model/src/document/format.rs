//! The three notations, and how a file's is recognized.

/// A notation of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// XML.
    Xml,
    /// YAML, several documents per file allowed.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// The notation that a file name's ending says: `.xml`, `.yaml`, `.yml`, `.json`, in any case.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        [("xml", Self::Xml), ("yaml", Self::Yaml), ("yml", Self::Yaml), ("json", Self::Json)]
            .into_iter()
            .find(|(known, _)| ending.eq_ignore_ascii_case(known))
            .map(|(_, format)| format)
    }

    /// The notation that a content looks like. Anything has one: what is neither XML nor JSON is taken for YAML.
    #[must_use]
    pub fn guess(content: &[u8]) -> Self {
        let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
        match content.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Self::Xml,
            Some(b'{' | b'[') => Self::Json,
            // UTF-16 is told by its byte order mark or its zero bytes; only the XML reader has a word to say about it.
            Some(0xFE | 0xFF | 0) => Self::Xml,
            _ => Self::Yaml,
        }
    }

    /// The notation of a file: by the ending of its name, else by its content.
    #[must_use]
    pub fn of(path: Option<&str>, content: &[u8]) -> Self {
        path.and_then(Self::of_path).unwrap_or_else(|| Self::guess(content))
    }
}
