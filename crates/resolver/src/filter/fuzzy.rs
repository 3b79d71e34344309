//! How alike two texts are.

/// Whether so few characters have to be inserted, deleted or replaced to make one text of the other.
pub(super) fn within_distance(a: &str, b: &str, limit: u32, inclusive: bool) -> bool {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let most = match (inclusive, limit) {
        (true, limit) => limit,
        (false, 0) => return false,
        (false, limit) => limit - 1,
    };
    if a.len().abs_diff(b.len()) > most {
        return false;
    }
    if most >= a.len().max(b.len()) {
        return true;
    }
    // Only cells near the diagonal can stay within the limit, so long texts cost no more than their length times the limit.
    let far = most + 1;
    let mut row: Vec<usize> = (0..=b.len()).map(|j| j.min(far)).collect();
    for (i, from) in a.iter().enumerate() {
        let (first, last) = (i.saturating_sub(most), (i + most + 1).min(b.len()));
        let mut diagonal = row[first];
        row[first] = if first == 0 { (i + 1).min(far) } else { far };
        let mut least = row[first];
        for j in first..last {
            let replaced = diagonal + usize::from(*from != b[j]);
            diagonal = row[j + 1];
            // The cell above the band's edge belongs to no band before.
            let deleted = if j + 1 > i + most { far } else { diagonal + 1 };
            row[j + 1] = replaced.min(deleted).min(row[j] + 1).min(far);
            least = least.min(row[j + 1]);
        }
        if least > most {
            return false;
        }
    }
    row[b.len()] <= most
}

/// The share of three-letter groups that two texts have in common, from 0 to 1: letters and digits alone count, in any case.
pub(super) fn similarity(a: &[[char; 3]], b: &str) -> f64 {
    let b = trigrams(b);
    if a.is_empty() && b.is_empty() {
        return 0.0;
    }
    let common = a.iter().filter(|group| b.binary_search(group).is_ok()).count();
    let all = a.len() + b.len() - common;
    // Far below 2^52: texts are bounded by memory.
    #[allow(clippy::cast_precision_loss)]
    {
        common as f64 / all as f64
    }
}

/// The three-letter groups of each word, two spaces before it and one behind, sorted and each once.
pub(super) fn trigrams(text: &str) -> Vec<[char; 3]> {
    let mut groups = Vec::new();
    let lower = text.to_lowercase();
    for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut group = [' ', ' ', ' '];
        for c in word.chars().chain([' ']) {
            group = [group[1], group[2], c];
            groups.push(group);
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_distance(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                rows[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    (rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1])).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                };
            }
        }
        rows[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn the_bounded_distance_agrees_with_the_plain_one(a in "[abc]{0,9}", b in "[abc]{0,9}", limit in 0..12_u32) {
            let distance = plain_distance(&a, &b);
            let limit_as_size = limit as usize;
            prop_assert_eq!(within_distance(&a, &b, limit, true), distance <= limit_as_size);
            prop_assert_eq!(within_distance(&a, &b, limit, false), distance < limit_as_size);
        }
    }

    #[test]
    fn similarity_counts_common_groups() {
        let similar = |a: &str, b: &str| similarity(&trigrams(a), b);
        assert!((similar("Word", "word") - 1.0).abs() < 1e-9);
        assert!((similar("word", "two words") - 4.0 / 11.0).abs() < 1e-9);
        assert!(similar("", "word").abs() < 1e-9);
    }
}
