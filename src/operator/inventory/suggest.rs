//! Did-you-mean: the nearest of a list of words.

/// The candidate that `typed` is most likely meant to be; `None` when nothing is near.
/// Letter case, `-` and `_` do not count; a swap of neighbours counts once.
pub fn nearest<'c>(typed: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let typed: Vec<char> = fold(typed);
    if typed.is_empty() || typed.len() > WORD_CHARS_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let word = fold(candidate);
        let allowed = (typed.len().max(word.len()) / 3).max(1);
        let distance = edit_distance(&typed, &word);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, word)| word)
}

fn fold(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment: insert, delete, replace, swap of neighbours.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Longer words are not typing mistakes; the table is quadratic.
const WORD_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_typing_mistakes_and_leaves_strangers_alone() {
        let words = ["user", "port", "key", "known_hosts", "jump", "sudo", "data_dir"];
        let near = |typed| nearest(typed, words);
        assert_eq!(near("prot"), Some("port"), "swap of neighbours");
        assert_eq!(near("usr"), Some("user"), "missing letter");
        assert_eq!(near("knownHosts"), Some("known_hosts"), "another naming style");
        assert_eq!(near("data-dir"), Some("data_dir"));
        assert_eq!(near("DataDir"), Some("data_dir"));
        assert_eq!(near("colour"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"x".repeat(100_000)), None);
    }
}
