//! Subjects: names with points between their parts, and patterns of such names.

/// Whether a text is a subject, or a pattern: `*` is any part, and `>` at the end any rest.
pub(crate) fn is_filter(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let fine = |part: &&str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
    text.len() <= 4096
        && parts.iter().all(fine)
        && parts.iter().all(|part| matches!(*part, "*" | ">") || !part.contains(['*', '>']))
        && parts.iter().rev().skip(1).all(|part| *part != ">")
}

/// Whether a pattern fits a subject.
pub(crate) fn fits(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

/// Whether a subject is wanted; without a filter, every one is.
pub(crate) fn is_wanted(filters: &[String], subject: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| fits(filter, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_parts() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a.b", true),
            ("*.b", "a.b", true),
            ("*", "a.b", false),
        ] {
            assert_eq!(fits(pattern, subject), expected, "{pattern} {subject}");
        }
        for wrong in ["", "a..b", ".a", "a b", "a.>.b", "a*", "a.b>"] {
            assert!(!is_filter(wrong), "{wrong}");
        }
        assert!(is_filter("a.*.b.>"));
        assert!(is_wanted(&[], "a") && !is_wanted(&["b".to_owned()], "a"));
    }
}
