//! Words that many messages share: what name was probably meant, what names are known, why a file cannot be read. Every
//! message that suggests a name asks here, so that none suggests what another would not.

use std::io;

/// How alike two words must be for the one to be taken for a slip of the other, from 0 to 1.
const ALIKE_MIN: f64 = 0.87;

/// The name that was probably meant, if one is near enough.
pub(crate) fn nearest<'n, S: AsRef<str> + ?Sized + 'n>(
    word: &str,
    names: impl IntoIterator<Item = &'n S>,
) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let alike = |name: &'n S| (strsim::jaro_winkler(&plain(word), &plain(name.as_ref())), name.as_ref());
    let best = names.into_iter().map(alike).filter(|(alike, _)| *alike >= ALIKE_MIN);
    // Among equals the first: the answer must not depend on chance.
    best.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}

/// "`a`, `b` and `c`".
pub(crate) fn listed<'n, S: AsRef<str> + ?Sized + 'n>(names: impl IntoIterator<Item = &'n S>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Why a file cannot be read, for somebody who named it.
pub(crate) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "the file may not be read".to_owned(),
        io::ErrorKind::IsADirectory => "this is a folder, not a file".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let known = ["base_url", "api_version", "user", "user_id", "event_types"];
        for (word, meant) in [
            ("baseurl", Some("base_url")),
            ("BASE-URL", Some("base_url")),
            ("api_versoin", Some("api_version")),
            ("usr", Some("user")),
            ("event_type", Some("event_types")),
            ("xyz", None),
            ("api_token", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(listed::<str>([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b"]), "`a` and `b`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
